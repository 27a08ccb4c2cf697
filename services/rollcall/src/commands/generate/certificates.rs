//! `rollcall generate certificates`: what mutual TLS between the services needs, for machines on which nothing else issues certificates.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use bootstrap::files;
use proto::Service;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use secrecy::ExposeSecret;
use time::{Duration, OffsetDateTime};

/// How long the authority lasts.
const CA_DAYS: i64 = 3650;
/// How long a certificate may be asked to last: no longer than a new authority does.
const DAYS_MAX: i64 = CA_DAYS;
/// How many names a certificate may have.
const HOSTS_MAX: usize = 100;
/// By how much the clocks of two machines may differ.
const SKEW: Duration = Duration::hours(1);
/// Certificates are for everybody to read.
const PUBLIC_MODE: u32 = 0o644;

/// Where, for whom and for how long.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Where ca.crt, ca.key, and SERVICE.crt and SERVICE.key of each service are kept. An authority that is there is used
    #[arg(long, value_name = "DIRECTORY")]
    directory: PathBuf,
    /// A name or address under which the services are reached. May be given several times
    #[arg(long = "host", default_values = ["localhost", "127.0.0.1", "::1"], value_name = "NAME")]
    hosts: Vec<String>,
    /// How many days the services' certificates last
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(i64).range(1..=DAYS_MAX), value_name = "N")]
    days: i64,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if args.hosts.len() > HOSTS_MAX {
        bail!("--host can be given {HOSTS_MAX} times at most");
    }
    files::create_directory(&args.directory)?;
    let now = OffsetDateTime::now_utc();
    let authority = authority(&args.directory, now)?;
    for service in Service::ALL {
        let key = KeyPair::generate().context("no key can be made")?;
        let params = params(service, &args.hosts, now, args.days)?;
        let certificate = params.signed_by(&key, &authority).context("the certificate cannot be signed")?;
        let path = |extension| args.directory.join(format!("{service}.{extension}"));
        // A service that reads between the two keeps what it had.
        files::replace(&path("key"), key.serialize_pem().as_bytes(), files::SECRET_MODE)?;
        files::replace(&path("crt"), certificate.pem().as_bytes(), PUBLIC_MODE)?;
    }
    Ok(())
}

/// The authority of the directory, made if there is none. One that is there is never overwritten: all would have to be told of another.
fn authority(directory: &Path, now: OffsetDateTime) -> anyhow::Result<Issuer<'static, KeyPair>> {
    let (certificate, key) = (directory.join("ca.crt"), directory.join("ca.key"));
    let is_there = |path: &Path| path.try_exists().with_context(|| format!("cannot read {}", path.display()));
    match (is_there(&certificate)?, is_there(&key)?) {
        (true, true) => {
            let key = KeyPair::from_pem(files::read(&key)?.expose_secret()).context("ca.key holds no key")?;
            let pem =
                fs::read_to_string(&certificate).with_context(|| format!("cannot read {}", certificate.display()))?;
            Issuer::from_ca_cert_pem(&pem, key).context("ca.crt holds no certificate")
        }
        (false, false) => {
            let signing_key = KeyPair::generate().context("no key can be made")?;
            let params = authority_params(now);
            let made = params.self_signed(&signing_key).context("the authority cannot be made")?;
            files::replace(&key, signing_key.serialize_pem().as_bytes(), files::SECRET_MODE)?;
            files::replace(&certificate, made.pem().as_bytes(), PUBLIC_MODE)?;
            Ok(Issuer::new(params, signing_key))
        }
        _ => bail!(
            "{} holds one of ca.crt and ca.key without the other: bring it back, or delete both for a new authority",
            directory.display()
        ),
    }
}

fn authority_params(now: OffsetDateTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Rollcall services");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = now - SKEW;
    params.not_after = now + Duration::days(CA_DAYS);
    params
}

fn params(service: Service, hosts: &[String], now: OffsetDateTime, days: i64) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(hosts).context("a --host is no name")?;
    let id = service.spiffe_id().try_into().context("the service has no URI")?;
    params.subject_alt_names.push(SanType::URI(id));
    params.distinguished_name.push(DnType::CommonName, service.as_str());
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = now - SKEW;
    params.not_after = now + Duration::days(days);
    Ok(params)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn args(directory: &Path) -> Args {
        Args { directory: directory.to_owned(), hosts: vec!["localhost".to_owned()], days: 1 }
    }

    #[test]
    fn renewal_keeps_the_authority_and_replaces_the_rest() {
        let directory = tempfile::tempdir().unwrap();
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
        run(&args(directory.path())).unwrap();
        let (authority, key, scim) = (read("ca.crt"), read("ca.key"), read("scim.crt"));
        run(&args(directory.path())).unwrap();
        assert_eq!((read("ca.crt"), read("ca.key")), (authority, key));
        assert_ne!(read("scim.crt"), scim);
        let files: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 2 + 2 * Service::ALL.len());
        for key in files.iter().filter(|file| file.extension().unwrap() == "key") {
            assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600, "{}", key.display());
        }
    }

    #[test]
    fn half_an_authority_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        run(&args(directory.path())).unwrap();
        fs::remove_file(directory.path().join("ca.crt")).unwrap();
        let error = run(&args(directory.path())).unwrap_err().to_string();
        assert!(error.contains("bring it back"), "{error}");
        assert!(!directory.path().join("ca.crt").exists());
    }
}
