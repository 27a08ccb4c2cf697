//! What travels encrypted: TLS of the public listeners, mutual TLS between the services, and the refusal of plaintext beyond loopback.

use std::{net::SocketAddr, path::PathBuf};

use bootstrap::tls::{KeyPair, MutualTls, Protocol, ServerTls};
use clap::error::ErrorKind;
use http::{Uri, uri::Scheme};
use proto::Service;

use crate::address::is_loopback;

const PUBLIC_FLAGS: &str = "--tls-cert-file and --tls-key-file";
const INTERNAL_FLAGS: &str = "--internal-tls-cert-file, --internal-tls-key-file and --internal-tls-ca-file";

/// TLS of the public listeners.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "TLS")]
pub(crate) struct PublicTls {
    /// The certificate of the public listeners, PEM, with those between it and its authority. Read again when it changes
    #[arg(long, env = "ROLLCALL_TLS_CERT_FILE", requires = "tls_key_file", value_name = "FILE")]
    pub(crate) tls_cert_file: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, env = "ROLLCALL_TLS_KEY_FILE", requires = "tls_cert_file", value_name = "FILE")]
    tls_key_file: Option<PathBuf>,
    /// Let plaintext of the public listeners leave this machine's loopback, as to an ingress where TLS ends
    #[arg(long, env = "ROLLCALL_ALLOW_PLAINTEXT")]
    allow_plaintext: bool,
}

/// TLS between the services, in which each knows the others by their certificates.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "TLS")]
pub(crate) struct InternalTls {
    /// This service's certificate for the other services, PEM (`rollcall generate certificates`). Read again when it changes
    #[arg(
        long,
        env = "ROLLCALL_INTERNAL_TLS_CERT_FILE",
        requires_all = ["internal_tls_key_file", "internal_tls_ca_file"],
        value_name = "FILE"
    )]
    internal_tls_cert_file: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, env = "ROLLCALL_INTERNAL_TLS_KEY_FILE", requires = "internal_tls_cert_file", value_name = "FILE")]
    internal_tls_key_file: Option<PathBuf>,
    /// The authorities that the other services' certificates come from, PEM
    #[arg(long, env = "ROLLCALL_INTERNAL_TLS_CA_FILE", requires = "internal_tls_cert_file", value_name = "FILE")]
    internal_tls_ca_file: Option<PathBuf>,
    /// Let plaintext between the services leave this machine's loopback, where the network keeps everybody else away from it, and decides who calls
    #[arg(long, env = "ROLLCALL_ALLOW_INTERNAL_PLAINTEXT")]
    allow_internal_plaintext: bool,
}

impl PublicTls {
    /// TLS of one listener; none without the flags.
    pub(crate) fn open(&self, protocol: Protocol) -> anyhow::Result<Option<ServerTls>> {
        let (Some(certificate), Some(key)) = (self.tls_cert_file.clone(), self.tls_key_file.clone()) else {
            return Ok(None);
        };
        ServerTls::public(KeyPair { certificate, key }, protocol).map(Some)
    }

    /// Whether the public listeners speak TLS.
    pub(crate) const fn is_on(&self) -> bool {
        self.tls_cert_file.is_some()
    }

    /// What is reached by everybody.
    pub(crate) fn listener(&self, flag: &'static str, address: SocketAddr) -> Way {
        let is_safe = self.is_on() || address.ip().to_canonical().is_loopback();
        let allowance = Allowance { flag: "--allow-plaintext", is_given: self.allow_plaintext };
        Way { flag, is_safe, to: address.to_string(), cure: PUBLIC_FLAGS, allowance }
    }
}

impl InternalTls {
    /// Mutual TLS of `service`; none without the flags.
    pub(crate) fn open(&self, service: Service) -> anyhow::Result<Option<MutualTls>> {
        let Self { internal_tls_cert_file, internal_tls_key_file, internal_tls_ca_file, .. } = self.clone();
        let (Some(certificate), Some(key), Some(ca)) =
            (internal_tls_cert_file, internal_tls_key_file, internal_tls_ca_file)
        else {
            return Ok(None);
        };
        MutualTls::open(service, KeyPair { certificate, key }, ca).map(Some)
    }

    const fn is_on(&self) -> bool {
        self.internal_tls_cert_file.is_some()
    }

    const fn allowance(&self) -> Allowance {
        Allowance { flag: "--allow-internal-plaintext", is_given: self.allow_internal_plaintext }
    }

    /// Where the other services come in.
    pub(crate) fn listener(&self, flag: &'static str, address: SocketAddr) -> Way {
        let is_safe = self.is_on() || address.ip().to_canonical().is_loopback();
        Way { flag, is_safe, to: address.to_string(), cure: INTERNAL_FLAGS, allowance: self.allowance() }
    }

    /// A connection to another service. Who has a certificate means to show it, on loopback too.
    pub(crate) fn connection(&self, flag: &'static str, url: &Uri) -> Way {
        let is_safe = is_https(url) || (!self.is_on() && url.host().is_some_and(is_loopback));
        Way { flag, is_safe, to: url.to_string(), cure: "an https:// URL", allowance: self.allowance() }
    }
}

/// One way on which something travels: a listener, or a connection to another service.
#[derive(Debug)]
pub(crate) struct Way {
    flag: &'static str,
    to: String,
    /// Encrypted, or within this machine.
    is_safe: bool,
    /// The flags that make it safe.
    cure: &'static str,
    allowance: Allowance,
}

/// Whether plaintext was asked for, and the flag that does it.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    flag: &'static str,
    is_given: bool,
}

/// Refuses plaintext beyond loopback unless it was asked for.
pub(crate) fn check(ways: &[Way]) -> Result<(), (ErrorKind, String)> {
    match ways.iter().find(|way| !way.is_safe && !way.allowance.is_given) {
        Some(Way { flag, to, cure, allowance, .. }) => Err((
            ErrorKind::ValueValidation,
            format!(
                "{flag} {to} would carry plaintext: give {cure}, or {} where the network keeps everybody else away from it",
                allowance.flag
            ),
        )),
        None => Ok(()),
    }
}

/// Tells the log of plaintext that was asked for.
pub(crate) fn warn(ways: &[Way]) {
    for Way { flag, to, .. } in ways.iter().filter(|way| !way.is_safe) {
        tracing::warn!(address = %to, "{flag} carries plaintext: keep everybody else away from it");
    }
}

pub(crate) fn is_https(url: &Uri) -> bool {
    url.scheme() == Some(&Scheme::HTTPS)
}
