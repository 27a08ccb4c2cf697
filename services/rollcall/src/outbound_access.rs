//! Whom this process may call of its own accord, and how that is said.

use std::{fs::File, io::Read, net::IpAddr, path::PathBuf};

use anyhow::{Context, bail};
use outbound::{IpNet, Settings};

/// The longest file of certificates.
const CA_FILE_LENGTH_MAX: u64 = 4 * 1024 * 1024;

/// What outbound calls may do beyond the public network.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct OutboundAccess {
    /// A network that is not public and that may be called all the same, for example 10.0.0.0/8, where a trusted issuer or an endpoint for events
    /// stands in it. May be
    /// given several times, or as a list with commas
    #[arg(
        long,
        env = "ROLLCALL_OUTBOUND_ALLOW",
        value_delimiter = ',',
        value_name = "NETWORK",
        value_parser = network
    )]
    outbound_allow: Vec<IpNet>,
    /// A file with certificates (PEM) of authorities that outbound calls trust beside the system's
    #[arg(long, env = "ROLLCALL_OUTBOUND_CA_FILE", value_name = "FILE")]
    outbound_ca_file: Option<PathBuf>,
}

/// A text that is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a network: write it as 10.0.0.0/8, fd00::/8 or a single address")]
struct InvalidNetwork;

impl OutboundAccess {
    /// The same for the client, with the certificates read.
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        let Some(path) = &self.outbound_ca_file else {
            return Ok(Settings { allowed: self.outbound_allow.clone(), root_certificates_pem: None });
        };
        let unreadable = || format!("--outbound-ca-file: cannot read {}", path.display());
        let mut pem = Vec::new();
        File::open(path)
            .and_then(|file| file.take(CA_FILE_LENGTH_MAX + 1).read_to_end(&mut pem))
            .with_context(unreadable)?;
        if u64::try_from(pem.len()).unwrap_or(u64::MAX) > CA_FILE_LENGTH_MAX {
            bail!("--outbound-ca-file: {} is too long for certificates", path.display());
        }
        Ok(Settings { allowed: self.outbound_allow.clone(), root_certificates_pem: Some(pem) })
    }
}

fn network(text: &str) -> Result<IpNet, InvalidNetwork> {
    text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| InvalidNetwork)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_or_a_single_address_is_read() {
        for (text, expected) in
            [("10.0.0.0/8", "10.0.0.0/8"), ("127.0.0.1", "127.0.0.1/32"), ("fd00::/8", "fd00::/8"), ("::1", "::1/128")]
        {
            assert_eq!(network(text).unwrap().to_string(), expected);
        }
        for text in ["", "10.0.0.0/33", "localhost", "10.0.0", "10.0.0.0/", "*"] {
            assert_eq!(network(text), Err(InvalidNetwork), "{text}");
        }
    }

    #[test]
    fn a_file_of_certificates_that_cannot_be_read_names_its_flag() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        let access = OutboundAccess { outbound_allow: Vec::new(), outbound_ca_file: Some(path.clone()) };
        let refused = access.settings().unwrap_err();
        assert!(refused.to_string().contains("--outbound-ca-file"), "{refused}");
        std::fs::write(&path, "certificates").unwrap();
        assert_eq!(access.settings().unwrap().root_certificates_pem.as_deref(), Some(&b"certificates"[..]));
        std::fs::write(&path, vec![b'x'; usize::try_from(CA_FILE_LENGTH_MAX).unwrap() + 1]).unwrap();
        assert!(access.settings().is_err());
    }
}
