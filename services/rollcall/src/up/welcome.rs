//! What `rollcall up` says when it serves.

use std::fmt::Write;

use crate::public_url::PublicUrl;

/// What the text speaks of.
pub(crate) struct Welcome<'a> {
    /// What is pasted into Entra.
    pub(crate) public_url: &'a PublicUrl,
    /// Where the gRPC APIs are, as this machine reaches them.
    pub(crate) grpc: String,
    pub(crate) operator_key_file: String,
    /// Flags that every command needs because an address or a directory is not the default; empty, or with a space before each.
    pub(crate) flags: String,
}

impl Welcome<'_> {
    /// The text.
    pub(crate) fn text(&self) -> String {
        let Self { public_url, grpc, operator_key_file, flags } = self;
        let mut text = format!(
            "Rollcall is running. Ctrl-C ends it.\n\
             \n\
             \x20 Tenant URL    {}\n\
             \x20 gRPC APIs     {grpc}\n\
             \x20 Operator key  {operator_key_file}\n\
             \n\
             What to do next, in another terminal:\n\
             \x20 1. Let the directory in:    rollcall scim enable{flags}\n\
             \x20 2. Make a key for Entra:    rollcall api-key create --name \"Entra SCIM\" --expires-in 180d{flags}\n\
             \x20 3. In Entra, under Provisioning, paste the tenant URL and the key (as Secret Token), test the connection and start.\n",
            public_url.tenant_url()
        );
        if !public_url.is_https() {
            // A String takes every write.
            let _ = write!(
                text,
                "\nEntra reaches only https: put a proxy that ends TLS in front, and name its address with --public-url https://…\n\
                 Until then `rollcall simulate --url {} --key-file FILE` plays Entra from here.\n",
                public_url.tenant_url()
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(url: &str, flags: &str) -> String {
        let public_url = url.parse().unwrap();
        let (grpc, operator_key_file) = ("http://127.0.0.1:8081".to_owned(), "./rollcall-data/operator.key".to_owned());
        Welcome { public_url: &public_url, grpc, operator_key_file, flags: flags.to_owned() }.text()
    }

    #[test]
    fn the_text_names_the_tenant_url_and_numbers_what_is_next() {
        let text = text("http://127.0.0.1:8080", " --server http://127.0.0.1:9");
        assert!(text.contains("Tenant URL    http://127.0.0.1:8080/api/scim/v2\n"), "{text}");
        assert!(text.contains("  1. ") && text.contains("  2. ") && text.contains("  3. "), "{text}");
        assert!(text.contains("rollcall scim enable --server http://127.0.0.1:9\n"), "{text}");
    }

    #[test]
    fn a_url_that_entra_cannot_reach_is_said_to_be_one() {
        assert!(text("http://127.0.0.1:8080", "").contains("--public-url https://"));
        assert!(!text("https://scim.example.com", "").contains("--public-url"));
    }
}
