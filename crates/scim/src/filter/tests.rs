//! Facts about filters, and the property that printing and parsing undo each other.

use proptest::prelude::{Strategy, proptest};
use serde_json::json;

use super::{FILTER_DEPTH_MAX, FILTER_LENGTH_MAX, FILTER_TERMS_MAX, Filter, Literal};
use crate::ScimType;
use crate::arbitrary::{filters, schemas};
use crate::schema::{ENTERPRISE_USER_URN, ResourceType, USER_ATTRIBUTE_URN};

fn parse(text: &str) -> Filter<'static> {
    Filter::parse(ResourceType::User, text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// `text` parses, and prints as `expect`.
fn check(text: &str, expect: &str) {
    assert_eq!(parse(text).to_string(), expect);
}

fn refused(text: &str, position: usize) {
    let error = Filter::parse(ResourceType::User, text).expect_err(text);
    assert_eq!(error.scim_type, Some(ScimType::InvalidFilter));
    assert!(error.detail.contains(&format!("(character {position})")), "{text}: {}", error.detail);
}

#[test]
fn and_binds_more_than_or() {
    check(r#"userName eq "a" or userName eq "b" and title pr"#, r#"userName eq "a" or (userName eq "b" and title pr)"#);
    check(
        r#"(userName eq "a" or userName eq "b") and title pr"#,
        r#"(userName eq "a" or userName eq "b") and title pr"#,
    );
}

#[test]
fn keywords_names_and_operators_have_no_case() {
    check(r#"USERNAME EQ "a" AND NOT (ACTIVE EQ TRUE)"#, r#"userName eq "a" and not (active eq true)"#);
}

#[test]
fn escapes_in_text_are_json_escapes() {
    let filter = parse(r#"userName eq "a\"b\\cé""#);
    let Filter::Compare { value, .. } = &filter else { panic!("{filter}") };
    assert_eq!(*value, Literal::String("a\"b\\cé".to_owned()));
    assert_eq!(parse(&filter.to_string()), filter);
}

#[test]
fn a_sub_attribute_after_brackets_joins_the_value_path() {
    let expect = r#"emails[type eq "work" and value eq "x"]"#;
    check(r#"emails[type eq "work"].value eq "x""#, expect);
    check(r#"emails[type eq "work"] eq "x""#, expect);
    check(r#"emails[type eq "a" or type eq "b"].value pr"#, r#"emails[(type eq "a" or type eq "b") and value pr]"#);
}

#[test]
fn a_value_that_brackets_select_is_present() {
    check(r#"emails[type eq "work"] pr"#, r#"emails[type eq "work"]"#);
    check(r#"not (emails[type eq "work"] pr) and title pr"#, r#"not (emails[type eq "work"]) and title pr"#);
}

#[test]
fn a_complex_attribute_stands_for_its_value() {
    check(r#"emails eq "x""#, r#"emails.value eq "x""#);
    let manager = format!("{ENTERPRISE_USER_URN}:manager");
    check(&format!(r#"{manager} eq "x""#), &format!(r#"{manager}.value eq "x""#));
    let members = Filter::parse(ResourceType::Group, r#"members eq "u1""#).unwrap();
    assert_eq!(members.to_string(), r#"members.value eq "u1""#);
    refused(r#"name eq "x""#, 9);
}

#[test]
fn faults_are_refused_with_their_position() {
    refused("", 1);
    refused(r#"shoeSize eq "x""#, 1);
    refused(r#"userName is "x""#, 10);
    refused("userName eq", 12);
    refused("userName eq x", 13);
    refused(r#"userName eq "x"#, 13);
    refused(r#"(userName eq "x""#, 17);
    refused(r#"userName eq "x")"#, 16);
    refused(r#"not userName eq "x""#, 5);
    refused(r#"emails[type eq "work""#, 22);
    refused(r#"emails[emails[type pr]]"#, 8);
    refused(r#"active eq "True""#, 11);
    refused("active gt true", 11);
    refused("userName eq 5", 13);
    refused("userName co null", 13);
    refused(r#"meta.created gt "yesterday""#, 17);
    refused("userName eq \"a\\u0000b\"", 13);
    refused(r#"urn:example:2.0:User:x eq "y""#, 1);
    refused(r#"title pr and password eq "x""#, 14);
    refused(r#"meta.location sw "https:""#, 1);
    refused(r#"title pr or meta.version eq "1""#, 13);
    refused(r#"groups[$ref eq "x"]"#, 8);
    refused(r#"emails[type eq "work"].primary gt true"#, 35);
    refused(r#"title pr and x509Certificates.value co "x""#, 40);
}

#[test]
fn a_number_is_read_as_the_one_nearest_to_it() {
    for text in ["0.9027474764568265", "1.0715660391465826e-75", "-1.603964615428183e143", "5e-324", "42.5"] {
        let filter =
            Filter::parse(schemas().of(ResourceType::User), &format!("{USER_ATTRIBUTE_URN}:shoeSize eq {text}"));
        let Filter::Compare { value: Literal::Number(number), .. } = filter.unwrap() else { panic!("{text}") };
        assert_eq!(number.as_f64(), text.parse().ok(), "{text}");
    }
}

#[test]
fn limits_hold_on_both_sides() {
    let nested = |depth: usize| format!("{}userName pr{}", "(".repeat(depth), ")".repeat(depth));
    let many = |terms: usize| vec!["userName pr"; terms].join(" or ");
    let long = |length: usize| format!(r#"title eq "{}""#, "x".repeat(length - 11));
    let accepted = |text: String| Filter::parse(ResourceType::User, &text).is_ok();
    assert!(accepted(nested(FILTER_DEPTH_MAX)) && !accepted(nested(FILTER_DEPTH_MAX + 1)));
    assert!(accepted(many(FILTER_TERMS_MAX)) && !accepted(many(FILTER_TERMS_MAX + 1)));
    assert!(accepted(long(FILTER_LENGTH_MAX)) && !accepted(long(FILTER_LENGTH_MAX + 1)));
    assert!(!accepted("(".repeat(FILTER_LENGTH_MAX)));
    assert!(!accepted("not (".repeat(FILTER_LENGTH_MAX / 5)));
}

#[test]
fn resources_match_in_memory() {
    let user = json!({
        "userName": "Ada@Example.org", "externalId": "Ada", "active": true,
        "emails": [{"type": "work", "value": "a@x"}, {"type": "home", "value": "b@x", "primary": true}],
        ENTERPRISE_USER_URN: {"department": "R"},
    });
    let holds = |text: &str| parse(text).matches_resource(user.as_object().unwrap());
    assert!(holds(r#"userName eq "ada@example.ORG""#));
    assert!(holds(r#"externalId eq "Ada""#) && !holds(r#"externalId eq "ada""#));
    assert!(holds(r#"emails.type eq "work" and emails.value eq "b@x""#));
    assert!(!holds(r#"emails[type eq "work" and value eq "b@x"]"#));
    assert!(holds(r#"emails[type eq "home"].value ew "@X""#));
    assert!(holds(r#"emails[primary eq true]"#) && holds("title eq null") && !holds("title pr"));
    assert!(holds(r#"title ne "x""#) && holds(&format!(r#"{ENTERPRISE_USER_URN}:department sw "r""#)));
    assert!(holds(r#"not (active eq false) and (userName co "exam" or title pr)"#));
}

fn all_filters() -> impl Strategy<Value = Filter<'static>> {
    filters(ResourceType::User.into(), &[])
}

proptest! {
    #[test]
    fn a_printed_filter_parses_to_the_same_filter(filter in all_filters()) {
        let text = filter.to_string();
        proptest::prop_assert_eq!(Filter::parse(ResourceType::User, &text), Ok(filter), "{}", text);
    }

    #[test]
    fn no_text_panics(text in ".{0,80}") {
        let _ = Filter::parse(ResourceType::User, &text);
        let _ = crate::Path::parse(ResourceType::User, &text);
    }

    #[test]
    fn no_filter_shaped_text_panics(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "userName", "emails", "[", "]", "(", ")", "eq", "pr", "and", "or", "not", "\"x\"", ".value", "true", "type", "1",
            ]),
            0..14,
        )
    ) {
        if let Ok(filter) = Filter::parse(ResourceType::User, &words.join(" ")) {
            proptest::prop_assert_eq!(Filter::parse(ResourceType::User, &filter.to_string()), Ok(filter));
        }
    }
}
