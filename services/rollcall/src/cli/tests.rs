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

#[test]
fn every_documented_form_parses() {
    for line in [
        "rollcall up",
        "rollcall up --demo",
        "rollcall up --data-dir ./d --listen 127.0.0.1:9080 --grpc-listen [::1]:9081",
        "rollcall up --database-url postgres://u@h/d --public-url https://scim.example.com",
        "rollcall up --outbound-allow 10.0.0.0/8 --outbound-allow fd00::/8,127.0.0.1 --outbound-ca-file ca.pem",
        "rollcall up --trusted-proxy 10.0.0.0/8 --trusted-proxy fd00::/8,127.0.0.1",
        "rollcall serve api-keys --database-url postgres://u@h/d --grpc-listen 0.0.0.0:8081 --internal-listen 0.0.0.0:8082 \
         --operator-key-file o --encryption-key-file e --outbound-allow 10.0.0.0/8 --outbound-ca-file ca.pem",
        "rollcall serve identity --database-url sqlite:i.db --grpc-listen 0.0.0.0:8081 --api-keys-internal-url http://api-keys:8082",
        "rollcall serve scim --listen 0.0.0.0:8080 --identity-internal-url http://identity:8084 --api-keys-internal-url http://api-keys:8082 \
         --public-url https://scim.example.com --trusted-proxy 10.0.0.0/8",
        "rollcall scim enable",
        "rollcall scim disable",
        "rollcall scim pause",
        "rollcall scim status",
        "rollcall api-key create --name Entra",
        "rollcall api-key create --name Entra --expires-in 180d --scope scim --scope identity.read",
        "rollcall api-key list",
        "rollcall api-key show ID",
        "rollcall api-key revoke ID",
        "rollcall trust create --name Entra --issuer https://idp.example.com --audience api://a --subject s",
        "rollcall trust create --name Entra --issuer https://idp.example.com --audience api://a --subject s --expires-in 365d",
        "rollcall trust list",
        "rollcall trust show ID",
        "rollcall trust update ID --subject s",
        "rollcall trust update ID --name n --issuer https://idp.example.com --audience a --subject s --expires-in 12h",
        "rollcall trust update ID --no-expiry",
        "rollcall trust revoke ID",
        "rollcall user list",
        "rollcall user show ada@example.com",
        "rollcall user set-role ada@example.com admin",
        "rollcall user clear-role ada@example.com",
        "rollcall user deactivate ada@example.com",
        "rollcall user restore ada@example.com",
        "rollcall user-attribute create badge --type string",
        "rollcall user-attribute create skills --type string-list --description Skills",
        "rollcall user-attribute list",
        "rollcall user-attribute delete badge",
        "rollcall group list",
        "rollcall group show Staff",
        "rollcall tenant create acme",
        "rollcall tenant list",
        "rollcall tenant show acme",
        "rollcall audit list",
        "rollcall migrate --database-url postgres://u@h/d",
        "rollcall migrate --data-dir ./rollcall-data --service identity",
        "rollcall simulate --url http://127.0.0.1:8080/api/scim/v2 --key k",
        "rollcall simulate --url https://a.example.com/scim --key-file k --users 10 --groups 2 --dialect compliant --mapping minimal \
         --cycles incremental --output json",
    ] {
        parsed(line);
    }
}

#[test]
fn connection_flags_stand_before_or_after_the_subcommand() {
    for line in [
        "rollcall --server http://127.0.0.1:1 --tenant acme --output json --operator-key-file k user list",
        "rollcall user --tenant acme list --server http://127.0.0.1:1 --output json --operator-key-file k",
        "rollcall user list --server http://127.0.0.1:1 --tenant acme --output json --operator-key-file k",
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
fn a_connection_flag_without_effect_is_refused() {
    let error = refused("rollcall up --tenant acme").to_string();
    assert!(error.contains("--tenant has no effect on `up`"), "{error}");
    assert_eq!(refused("rollcall --server http://127.0.0.1:1 migrate --data-dir d").exit_code(), 2);
    let serve = "--identity-internal-url http://i --api-keys-internal-url http://a --public-url https://p --operator-key-file o";
    assert_eq!(refused(&format!("rollcall serve scim {serve}")).exit_code(), 2);
}

#[test]
fn help_shows_connection_flags_where_they_have_an_effect() {
    let help = |line: &str| refused(line).to_string();
    assert!(help("rollcall user list --help").contains("--operator-key-file"));
    assert!(!help("rollcall up --help").contains("--tenant"));
    assert!(!help("rollcall serve scim --help").contains("--operator-key-file"));
    assert!(help("rollcall serve api-keys --help").contains("--operator-key-file"));
    assert!(help("rollcall --help").contains("Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found"));
}
