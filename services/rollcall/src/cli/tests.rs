use super::*;

fn parsed(line: &str) -> Cli {
    parse_from(line.split_whitespace()).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn refused(line: &str) -> Error {
    parse_from(line.split_whitespace()).err().unwrap_or_else(|| panic!("{line} was accepted"))
}

#[test]
fn the_command_line_is_sound() {
    command().debug_assert();
}

const DOCUMENTED: &[&str] = &[
    "rollcall up",
    "rollcall up --demo",
    "rollcall up --data-dir ./d --listen 127.0.0.1:9080 --grpc-listen [::1]:9081",
    "rollcall up --database-url postgres://u@h/d --public-url https://scim.example.com",
    "rollcall up --outbound-allow 10.0.0.0/8 --outbound-allow fd00::/8,127.0.0.1 --outbound-ca-file ca.pem",
    "rollcall up --trusted-proxy 10.0.0.0/8 --trusted-proxy fd00::/8,127.0.0.1",
    "rollcall serve api-keys --database-url postgres://u@h/d --grpc-listen 0.0.0.0:8081 --internal-listen 0.0.0.0:8082 \
         --operator-key-file o --encryption-key-file e --tls-cert-file c --tls-key-file k --internal-tls-cert-file c --internal-tls-key-file k \
         --internal-tls-ca-file a --outbound-allow 10.0.0.0/8 --outbound-ca-file ca.pem",
    "rollcall serve identity --database-url sqlite:i.db --grpc-listen 0.0.0.0:8081 --api-keys-internal-url http://api-keys:8082 --allow-plaintext --allow-internal-plaintext",
    "rollcall serve scim --listen 0.0.0.0:8080 --identity-internal-url https://identity:8084 --api-keys-internal-url https://api-keys:8082 \
         --tls-cert-file c --tls-key-file k --internal-tls-cert-file c --internal-tls-key-file k --internal-tls-ca-file a --public-url https://scim.example.com --trusted-proxy 10.0.0.0/8",
    "rollcall up --listen 0.0.0.0:8080 --grpc-listen 0.0.0.0:8081 --tls-cert-file c --tls-key-file k",
    "rollcall generate certificates --directory d",
    "rollcall generate certificates --directory d --host api-keys --host 10.0.0.1 --days 30",
    "rollcall scim enable",
    "rollcall scim disable",
    "rollcall scim pause --reason maintenance",
    "rollcall scim preview",
    "rollcall scim status",
    "rollcall api-key create --name Entra",
    "rollcall api-key create --name Entra --expires-in 180d --scope scim --scope identity.read",
    "rollcall api-key create --name scripts --scope admin --owner ada@example.com",
    "rollcall api-key list",
    "rollcall api-key show ID",
    "rollcall api-key revoke ID",
    "rollcall api-key create --name Entra --description x --allow-network 10.0.0.0/8 --allow-network fd00::/8",
    "rollcall api-key update ID --name Entra --scope scim --allow-everywhere --never-expires",
    "rollcall api-key update ID --expires-in 30d --allow-network 10.0.0.0/8",
    "rollcall api-key rotate ID --overlap 14d --expires-in 180d",
    "rollcall operator-key list",
    "rollcall operator-key rotate ID --overlap 1h",
    "rollcall operator-key revoke ID",
    "rollcall signing-key list",
    "rollcall signing-key rotate --withdraw",
    "rollcall up --tenant-requests-per-second 25 --argon2-memory-kib 65536 --argon2-passes 3 --access-token-life 6h",
    "rollcall trust create --name Entra --issuer https://idp.example.com --audience api://a --subject s",
    "rollcall trust create --name Entra --issuer https://idp.example.com --audience api://a --subject s --expires-in 365d",
    "rollcall trust list",
    "rollcall trust show ID",
    "rollcall trust update ID --subject s",
    "rollcall trust update ID --name n --issuer https://idp.example.com --audience a --subject s --expires-in 12h",
    "rollcall trust update ID --no-expiry",
    "rollcall trust revoke ID",
    "rollcall user list",
    "rollcall user list --role admin",
    "rollcall user confirm ada@example.com",
    "rollcall user show ada@example.com",
    "rollcall user set-role ada@example.com admin",
    "rollcall user clear-role ada@example.com",
    "rollcall user deactivate ada@example.com",
    "rollcall user restore ada@example.com",
    "rollcall user erase 0198f3c2-0000-7000-8000-000000000000",
    "rollcall user-attribute create badge --type string",
    "rollcall user-attribute create skills --type string-list --description Skills",
    "rollcall user-attribute list",
    "rollcall user-attribute delete badge",
    "rollcall group list",
    "rollcall group show Staff",
    "rollcall group map-role Staff developer --dry-run",
    "rollcall group map-role Admins admin --by-id",
    "rollcall group unmap-role Staff developer",
    "rollcall group mappings",
    "rollcall role list",
    "rollcall role create billing.reader --rank 150 --description Bills",
    "rollcall role delete billing.reader",
    "rollcall tenant create acme",
    "rollcall tenant list",
    "rollcall tenant show acme",
    "rollcall tenant set-default-role viewer --tenant acme --dry-run",
    "rollcall tenant directory-admin on",
    "rollcall tenant delete acme",
    "rollcall tenant delete acme --yes",
    "rollcall changes list",
    "rollcall changes list --after P --output json",
    "rollcall changes watch",
    "rollcall changes watch --after P",
    "rollcall changes watch --consumer billing --output json",
    "rollcall changes consumers",
    "rollcall changes acknowledge billing P",
    "rollcall changes delete-consumer billing",
    "rollcall log",
    "rollcall log --user ada@example.com --outcome refused --since 7d --until 2026-01-31T12:00:00Z --output json",
    "rollcall log --group Staff --follow",
    "rollcall log story ada@example.com --tenant acme",
    "rollcall up --provisioning-log-retention 90d",
    "rollcall audit list",
    "rollcall audit export --tenant acme",
    "rollcall audit verify",
    "rollcall audit verify --file f --output json",
    "rollcall audit verify --expect-head \
         identity=7:0000000000000000000000000000000000000000000000000000000000000000",
    "rollcall migrate --database-url postgres://u@h/d",
    "rollcall migrate --data-dir ./rollcall-data --service identity",
    "rollcall simulate --url http://127.0.0.1:8080/api/scim/v2 --key k",
    "rollcall simulate --url https://a.example.com/scim --key-file k --users 10 --groups 2 --dialect compliant --mapping minimal \
         --cycles incremental --output json",
];

#[test]
fn every_documented_form_parses() {
    for line in DOCUMENTED {
        parsed(line);
    }
}

#[test]
fn connection_flags_stand_before_or_after_the_subcommand() {
    for line in [
        "rollcall --server http://127.0.0.1:1 --tenant acme --output json --operator-key-file k user list",
        "rollcall user --tenant acme list --server http://127.0.0.1:1 --output json --operator-key-file k",
        "rollcall user list --server http://127.0.0.1:1 --tenant acme --output json --operator-key-file k --ca-file c",
    ] {
        let connection = parsed(line).connection;
        assert_eq!(connection.server.as_str(), "http://127.0.0.1:1", "{line}");
        assert_eq!(connection.tenant, "acme", "{line}");
        assert_eq!(connection.output, output::Format::Json, "{line}");
        assert_eq!(connection.operator_key_file(), PathBuf::from("k"), "{line}");
    }
}

#[test]
fn the_defaults_are_those_of_up_on_this_machine() {
    let connection = parsed("rollcall user list").connection;
    assert_eq!(connection.server.as_str(), "http://127.0.0.1:8081");
    assert_eq!(connection.api_keys_server, None);
    assert_eq!(connection.tenant, "default");
    assert_eq!(connection.output, output::Format::Table);
    assert_eq!(connection.operator_key_file(), PathBuf::from("./rollcall-data/operator.key"));
}

#[test]
fn wrong_usage_exits_with_2() {
    for line in [
        "rollcall frobnicate",
        "rollcall user set-role ada@example.com",
        "rollcall api-key create",
        "rollcall trust create --name Entra",
        "rollcall trust update ID",
        "rollcall trust update ID --expires-in 1d --no-expiry",
        "rollcall up --outbound-allow internal",
        "rollcall changes watch --after P --consumer billing",
        "rollcall changes acknowledge billing",
        "rollcall user-attribute create badge",
        "rollcall user-attribute create badge --type date",
        "rollcall api-key create --name a --expires-in 180",
        "rollcall migrate",
        "rollcall migrate --data-dir d --database-url postgres://u@h/d",
        "rollcall serve api-keys --database-url postgres://u@h/d",
        "rollcall up --database-url mysql://h/d",
        "rollcall up --listen 8080",
        "rollcall simulate --url http://127.0.0.1:8080",
        "rollcall simulate --url http://127.0.0.1:8080 --key k --users 0",
        "rollcall user list --output yaml",
        "rollcall up --tls-cert-file c",
        "rollcall up --tls-key-file k",
        "rollcall up --demo --tls-cert-file c --tls-key-file k",
        "rollcall serve scim --identity-internal-url https://i --api-keys-internal-url https://a --internal-tls-cert-file c --internal-tls-key-file k",
        "rollcall serve scim --identity-internal-url https://i --api-keys-internal-url https://a --internal-tls-ca-file a",
        "rollcall generate certificates --directory d --days 0",
    ] {
        assert_eq!(refused(line).exit_code(), 2, "{line}");
    }
}

#[test]
fn a_network_that_is_none_names_its_flag() {
    let error = refused("rollcall up --trusted-proxy 10.0.0.0/99");
    assert_eq!(error.exit_code(), 2);
    let text = error.to_string();
    assert!(
        text.contains("--trusted-proxy") && text.contains("not a network") && text.contains("10.0.0.0/99"),
        "{text}"
    );
}

#[test]
fn r05_a_server_in_clear_text_beyond_loopback_is_refused() {
    for line in [
        "rollcall user list --server http://rollcall.example.com:8081",
        "rollcall user list --api-keys-server http://10.0.0.1:8081",
        "rollcall simulate --url http://scim.example.com/api/scim/v2 --key k",
    ] {
        let error = refused(line);
        assert_eq!(error.exit_code(), 2, "{line}");
        assert!(error.to_string().contains("use https://"), "{error}");
    }
}

#[test]
fn plaintext_beyond_loopback_is_refused_unless_it_is_asked_for() {
    let internal = "--internal-tls-cert-file c --internal-tls-key-file k --internal-tls-ca-file a";
    let public = "--tls-cert-file c --tls-key-file k";
    let api_keys = "rollcall serve api-keys --database-url sqlite:a --encryption-key-file e";
    let identity = "rollcall serve identity --database-url sqlite:i --api-keys-internal-url";
    let (listener, service) = ("--allow-plaintext", "--allow-internal-plaintext");
    for (line, cure, allowance) in [
        ("rollcall up --listen 0.0.0.0:8080".to_owned(), "--tls-cert-file and --tls-key-file", listener),
        ("rollcall up --grpc-listen [::]:8081".to_owned(), "--tls-cert-file and --tls-key-file", listener),
        (format!("{api_keys} {internal} --grpc-listen 10.0.0.1:1"), "--tls-cert-file and --tls-key-file", listener),
        (
            format!("{api_keys} {public} --internal-listen 10.0.0.1:1"),
            "--internal-tls-cert-file, --internal-tls-key-file",
            service,
        ),
        (format!("{identity} http://api-keys:8083 {public}"), "an https:// URL", service),
        (format!("{api_keys} --identity-internal-url http://identity:8084"), "an https:// URL", service),
        (format!("{identity} http://[::ffff:10.0.0.1]:8083"), "an https:// URL", service),
        // Who has a certificate means to show it.
        (format!("{identity} http://127.0.0.1:8083 {internal} {public}"), "an https:// URL", service),
    ] {
        let error = refused(&line);
        assert_eq!(error.exit_code(), 2, "{line}");
        let text = error.to_string();
        assert!(text.contains(cure) && text.contains(allowance), "{line}: {text}");
        parsed(&format!("{line} {allowance}"));
        let other = if allowance == listener { service } else { listener };
        if !line.starts_with("rollcall up") {
            assert_eq!(refused(&format!("{line} {other}")).exit_code(), 2, "{line}");
        }
    }
    for line in [
        format!("{identity} http://127.0.0.1:8083 --grpc-listen [::1]:1 --internal-listen 127.8.0.1:1"),
        format!("{api_keys} {internal} {public} --grpc-listen 10.0.0.1:1 --internal-listen 10.0.0.1:2"),
        format!("{api_keys} {internal} {public} --identity-internal-url https://identity:8084"),
    ] {
        parsed(&line);
    }
}

#[test]
fn a_connection_flag_without_effect_is_refused() {
    let error = refused("rollcall up --tenant acme").to_string();
    assert!(error.contains("--tenant has no effect on `up`"), "{error}");
    assert_eq!(refused("rollcall --server http://127.0.0.1:1 migrate --data-dir d").exit_code(), 2);
    let serve = "--allow-internal-plaintext --identity-internal-url http://i --api-keys-internal-url http://a --public-url https://p --operator-key-file o";
    assert_eq!(refused(&format!("rollcall serve scim {serve}")).exit_code(), 2);
}

#[test]
fn help_shows_connection_flags_where_they_have_an_effect() {
    let help = |line: &str| refused(line).to_string();
    assert!(help("rollcall user list --help").contains("--operator-key-file"));
    assert!(!help("rollcall up --help").contains("--tenant <"));
    assert!(help("rollcall user list --help").contains("--tenant <"));
    assert!(!help("rollcall serve scim --help").contains("--operator-key-file"));
    assert!(help("rollcall serve api-keys --help").contains("--operator-key-file"));
    assert!(help("rollcall --help").contains("Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found"));
}
