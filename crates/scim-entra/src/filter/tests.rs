//! Facts about filters.

use proptest::prelude::proptest;
use scim::filter::FILTER_LENGTH_MAX;
use scim::schema::ENTERPRISE_USER_URN;
use scim::{Filter, ResourceType};

use super::{Cow, filter};

/// `text` is rewritten to `expect`, and the engine takes it.
fn check(text: &str, expect: &str) {
    let rewritten = filter(&[ResourceType::User.into()], text);
    assert_eq!(rewritten, expect);
    Filter::parse(ResourceType::User, &rewritten).unwrap();
}

fn untouched(text: &str) {
    assert!(matches!(filter(&[ResourceType::User.into()], text), Cow::Borrowed(same) if same == text), "{text}");
}

#[test]
fn values_without_quotes_get_them() {
    check("externalId eq jyoung", r#"externalId eq "jyoung""#);
    check("userName EQ ada@example.org", r#"userName EQ "ada@example.org""#);
    check("externalId eq 12345", r#"externalId eq "12345""#);
    check("title eq true", r#"title eq "true""#);
    check("(externalId eq a) or not (externalId eq b)", r#"(externalId eq "a") or not (externalId eq "b")"#);
    check("emails[type eq work].value eq a@x", r#"emails[type eq "work"].value eq "a@x""#);
    check("emails[type eq work] eq a@x", r#"emails[type eq "work"] eq "a@x""#);
}

#[test]
fn the_manager_gets_its_urn() {
    check("id eq u1 and manager eq u2", &format!(r#"id eq "u1" and {ENTERPRISE_USER_URN}:manager eq "u2""#));
    check("manager.value eq \"u2\"", &format!(r#"{ENTERPRISE_USER_URN}:manager.value eq "u2""#));
    check("department pr", &format!("{ENTERPRISE_USER_URN}:department pr"));
    check("manager[value eq u2]", &format!(r#"{ENTERPRISE_USER_URN}:manager[value eq "u2"]"#));
}

#[test]
fn a_boolean_loses_its_quotes() {
    check(r#"roles[primary eq "True"].value eq "x""#, r#"roles[primary eq true].value eq "x""#);
    check(r#"active eq "FALSE""#, "active eq false");
    check("active eq True", "active eq True");
    check(r#"active eq"True"and title pr"#, "active eq true and title pr");
}

#[test]
fn proper_filters_are_given_back_as_they_are() {
    for text in [
        r#"userName eq "ada eq bob and (x""#,
        r#"displayName eq "say \"eq\" b""#,
        r#"emails[type eq "work" and primary eq true]"#,
        "title eq null",
        "active eq true and title pr",
        r#"meta.lastModified gt "2026-11-24T00:00:00Z""#,
        "",
    ] {
        untouched(text);
    }
}

#[test]
fn what_is_ambiguous_stays_and_is_refused() {
    untouched("userName eq 'ada'");
    untouched(r#"userName eq "ada"#);
    untouched(&format!("title eq {}", "x".repeat(FILTER_LENGTH_MAX)));
    for text in ["displayName eq EDU All personal", "userName eq manager eq x"] {
        assert!(Filter::parse(ResourceType::User, &filter(&[ResourceType::User.into()], text)).is_err(), "{text}");
    }
}

#[test]
fn an_operator_is_no_name() {
    for text in ["shoes eq le]eq right", "title eq pr eq x", "title eq eq eq eq eq"] {
        let once = filter(&[ResourceType::User.into()], text);
        assert_eq!(filter(&[ResourceType::User.into()], &once), once, "{text}");
    }
}

proptest! {
    #[test]
    fn rewriting_twice_is_rewriting_once(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "userName", "manager", "emails", "[", "]", "(", ")", "eq", "pr", "and", "\"x\"", "\"True\"", ".value", "true",
                "type", "primary", "1", "jyoung", " ", "roles", "\"", "'", "le",
            ]),
            0..14,
        ),
        tight in proptest::bool::ANY,
    ) {
        let text = words.join(if tight { "" } else { " " });
        let once = filter(&[ResourceType::User.into()], &text).into_owned();
        proptest::prop_assert_eq!(filter(&[ResourceType::User.into()], &once), once.clone());
        if Filter::parse(ResourceType::User, &text).is_ok() {
            proptest::prop_assert_eq!(once, text);
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,60}") {
        let _ = filter(&[ResourceType::User.into()], &text);
        let _ = crate::query(&text);
    }
}
