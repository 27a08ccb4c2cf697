//! Bodies and filters that are within every limit and cost the most: prints the seconds of a processor's time that each takes. On Linux.
//!
//! `cargo run --release --manifest-path tests/fuzz/Cargo.toml --example slow -- [PART OF A NAME]`

use std::time::Duration;

use fuzz::{GROUP, group};
use scim::bulk::{BULK_OPERATIONS_MAX, Bulk, resolve};
use scim::patch::{PATCH_OPERATIONS_MAX, apply, group_changes};
use scim::schema::{UserAttribute, UserAttributeKind};
use scim::{Filter, Resource, ResourceType, Schemas, VALUES_MAX};
use serde_json::{Value, json};

const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
const TERMS_MAX: usize = 128;

/// As many copies of a part as a body holds, but at most so many, each made from its number.
fn repeated(room: usize, count_max: usize, part: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for at in 0..count_max {
        let part = part(at);
        if text.len() + part.len() + 1 > room {
            break;
        }
        if at > 0 {
            text.push(',');
        }
        text.push_str(&part);
    }
    text
}

fn operations(first: &str, each: impl Fn(usize) -> String) -> String {
    let comma = if first.is_empty() { "" } else { "," };
    let rest = repeated(BODY_BYTES_MAX - first.len() - 64, PATCH_OPERATIONS_MAX - 200, each);
    format!("{{\"Operations\":[{first}{comma}{rest}]}}")
}

/// An addition of many values of the text.
fn values(attribute: &str, text: impl Fn(usize) -> String) -> String {
    let values: Vec<Value> = (0..VALUES_MAX).map(|at| json!({"value": text(at), "type": format!("t{at}")})).collect();
    json!({"op": "add", "path": attribute, "value": values}).to_string()
}

/// One operation without a path, whose value has as many members as a body holds.
fn addition(member: impl Fn(usize) -> String) -> String {
    let members = repeated(BODY_BYTES_MAX - 100, usize::MAX, member);
    format!("{{\"Operations\":[{{\"op\":\"add\",\"value\":{{{members}}}}}]}}")
}

fn operation(op: &str, path: &str, value: &str) -> String {
    format!("{{\"op\":\"{op}\",\"path\":{},\"value\":{value}}}", Value::from(path))
}

fn terms(term: &str, join: &str) -> String {
    vec![term; TERMS_MAX].join(join)
}

#[derive(Default)]
struct Clock {
    slowest: Duration,
}

impl Clock {
    fn time(&mut self, name: &str, size: usize, act: impl FnOnce() -> String) {
        if std::env::args().nth(1).is_some_and(|part| !name.contains(&part)) {
            return;
        }
        let begun = processor_time();
        let outcome = act();
        let took = processor_time() - begun;
        self.slowest = self.slowest.max(took);
        println!("{:8.3} s  {name} ({size} bytes): {outcome}", took.as_secs_f64());
    }

    fn user(&mut self, name: &str, body: &str) {
        assert!(body.len() <= BODY_BYTES_MAX, "{name}");
        let Ok(json) = serde_json::from_str::<Value>(body) else { panic!("{name} is no JSON") };
        let schemas = Schemas::new(own());
        let definition = schemas.of(ResourceType::User);
        let before = Resource::from_json(definition, json!({"userName": "ada"})).expect("a user");
        self.time(name, body.len(), || match scim_entra::patch(definition, json) {
            Ok((operations, _)) => match apply(&before, &operations) {
                Ok(_) => format!("{} operations", operations.len()),
                Err(error) => format!("{} operations, {}: {}", operations.len(), error.status, error.detail),
            },
            Err(error) => format!("{}: {}", error.status, error.detail),
        });
    }

    fn group(&mut self, name: &str, body: &str) {
        let Ok(json) = serde_json::from_str::<Value>(body) else { panic!("{name} is no JSON") };
        self.time(name, body.len(), || {
            let changes = scim_entra::patch(group(), json).and_then(|(operations, _)| group_changes(&operations));
            changes.map_or_else(|error| error.detail, |changes| format!("{} changes", changes.len()))
        });
    }

    fn create(&mut self, name: &str, body: &str) {
        assert!(body.len() <= BODY_BYTES_MAX, "{name}");
        let Ok(json) = serde_json::from_str::<Value>(body) else { panic!("{name} is no JSON") };
        let schemas = Schemas::new(own());
        let definition = schemas.of(ResourceType::User);
        self.time(name, body.len(), || {
            let resource =
                scim_entra::resource(definition, json).and_then(|(body, _)| Resource::from_json(definition, body));
            resource.map_or_else(|error| error.detail, |_| "a user".to_owned())
        });
    }

    fn filter(&mut self, name: &str, text: &str) {
        let schemas = Schemas::new(own());
        let definitions = schemas.definitions();
        self.time(name, text.len(), || {
            match Filter::parse_over(&definitions, &scim_entra::filter(&definitions, text)) {
                Ok(filter) => {
                    let left = definitions.map(|definition| filter.restricted_to(definition));
                    format!("for {} types, matches: {}", left.len(), filter.matches_resource(GROUP.as_object()))
                }
                Err(error) => error.detail,
            }
        });
    }

    fn bulk(&mut self, name: &str, body: &str) {
        assert!(body.len() <= BODY_BYTES_MAX, "{name}");
        let Ok(json) = serde_json::from_str::<Value>(body) else { panic!("{name} is no JSON") };
        self.time(name, body.len(), || {
            let bulk = match Bulk::parse(json) {
                Ok(bulk) => bulk,
                Err(error) => return error.detail,
            };
            let mut ids = std::collections::HashMap::new();
            let (mut requests, mut missing) = (0, 0);
            for at in bulk.order() {
                let operation = &bulk.operations[at];
                let (Ok(_), Some(data)) = (operation.request(), operation.body()) else { continue };
                requests += 1;
                missing += resolve(data, &ids).missing.len();
                ids.extend(operation.bulk_id.clone().map(|name| (name, at.to_string())));
            }
            format!("{requests} requests, {missing} references to what is not there yet")
        });
    }
}

/// What this thread has used of a processor, since others may be busy with something else.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("this is Linux");
    Duration::from_nanos(stat.split(' ').next().and_then(|text| text.parse().ok()).expect("nanoseconds"))
}

/// As many attributes of users as a tenant may define.
fn own() -> impl Iterator<Item = UserAttribute> {
    (0..1_000).map(|at| UserAttribute {
        name: format!("a{at:04}"),
        kind: UserAttributeKind::StringList,
        description: String::new(),
    })
}

fn main() {
    let mut clock = Clock::default();
    let long = |at: usize| "\u{e9}".repeat(4_000) + &at.to_string();
    let short = |at: usize| format!("v{at}");

    clock.user("path filters of many terms, long values", &{
        let path = format!("emails[{}].display", terms("value co \"\u{e8}\"", " or ") + " or type pr");
        let path = path.replacen("value co \"\u{e8}\" or ", "", 1);
        operations(&values("emails", long), |_| operation("replace", &path, "\"x\""))
    });
    clock.user("path filters of many terms, short values", &{
        let path =
            format!("emails[{}].display", terms("value eq \"q\"", " or ").replacen("value eq \"q\"", "value pr", 1));
        operations(&values("emails", short), |_| operation("replace", &path, "\"x\""))
    });
    clock.user("path filters of many terms, all of them looked at", &{
        let path = format!("emails[{}].display", terms("value ne \"q\"", " and "));
        operations(&values("emails", short), |_| operation("replace", &path, "\"x\""))
    });
    clock.user("the most path filters of one term, long values", &{
        operations(&values("emails", long), |_| operation("replace", "emails[value ew \"7\"].type", "\"x\""))
    });
    clock.user("the most path filters of one term", &{
        operations(&values("emails", short), |at| {
            operation("replace", &format!("emails[value eq \"V{}\"].display", at % 128), "\"x\"")
        })
    });
    clock.user("the same last value added again and again", &{
        let list = format!("[{}]", vec!["\"v127\""; VALUES_MAX].join(","));
        operations(&values("emails", short).replace(",\"type\":\"t127\"", ""), |_| operation("add", "emails", &list))
    });
    clock.user("values removed that are not there", &{
        let list = format!("[{}]", vec!["\"n\""; VALUES_MAX].join(","));
        operations(&values("emails", short), |_| operation("remove", "emails", &list))
    });
    clock.user("single values added that are there", &{
        operations(&values("emails", short).replace(",\"type\":\"t127\"", ""), |_| {
            operation("add", "emails", "[{\"value\":\"v127\"}]")
        })
    });
    clock.user("a long text for every value, again and again", &{
        let text = Value::from("x".repeat(65_000)).to_string();
        let all: Vec<String> = ["emails", "phoneNumbers", "ims", "photos", "roles", "entitlements", "x509Certificates"]
            .map(|name| values(name, short))
            .into();
        let names = [
            "emails.display",
            "phoneNumbers.display",
            "ims.display",
            "photos.display",
            "roles.display",
            "entitlements.display",
            "x509Certificates.display",
            "emails.type",
            "phoneNumbers.type",
            "ims.type",
            "photos.type",
            "roles.type",
            "entitlements.type",
            "x509Certificates.type",
        ];
        operations(&all.join(","), |at| operation("replace", names[at % names.len()], &text))
    });
    clock.user("unknown names without a path", &addition(|at| format!("\"{at:05x}\":1")));
    clock.user("unknown dotted names without a path", &addition(|at| format!("\"{at:05x}.a\":1")));
    clock.user("operations in the keys of one value", &addition(|at| format!("\"ims[type eq {at:05x}]\":1")));
    clock.user("names in paths that do not parse to the end", &{
        let path = "ims[type eq 1]".to_owned() + &"b[]".repeat(5_400);
        addition(|at| format!("\"{path}{at}\":1"))
    });
    clock.user(
        "unknown names in paths",
        &operations("", |at| operation("add", &format!("q{at:04}[value eq \"x\"]"), "1")),
    );
    clock.user(
        "own attributes by name",
        &operations("", |at| operation("add", &format!("a{:04}", at % 1_000), "[\"x\"]")),
    );
    clock.user(
        "own attributes removed by their URN",
        &operations("", |_| operation("remove", "urn:rollcall:params:1.0:UserAttribute", "1")),
    );
    clock.user("a value in a value, down to a long list", &{
        let list = format!("[{}]", repeated(BODY_BYTES_MAX - 2_000, usize::MAX, |_| "0".to_owned()));
        format!(
            "{{\"Operations\":[{{\"op\":\"add\",\"path\":\"title\",\"value\":{}{list}{}}}]}}",
            "{\"value\":".repeat(120),
            "}".repeat(120)
        )
    });
    clock.user("lists in lists", &{
        let list = "[".repeat(120) + &"]".repeat(120);
        operations("", |_| operation("add", "title", &list))
    });
    clock.user("roles as JSON in text", &{
        let role =
            Value::from(json!({"id": "x", "value": "v", "displayName": "d".repeat(100)}).to_string()).to_string();
        let list = format!("[{}]", vec![role; 100].join(","));
        operations("", |_| operation("add", "roles", &list))
    });
    clock.create(
        "unknown names of a resource",
        &format!(
            "{{\"userName\":\"a\",{}}}",
            repeated(BODY_BYTES_MAX - 100, usize::MAX, |at| format!("\"{at:05x}.a\":1"))
        ),
    );
    clock.create(
        "unknown parts of values",
        &format!(
            "{{\"userName\":\"a\",\"emails\":[{{\"value\":\"x\",{}}}]}}",
            repeated(BODY_BYTES_MAX - 100, usize::MAX, |at| format!("\"{at:05x}\":1"))
        ),
    );
    clock.create("a value in a value of a resource", &{
        let list = format!("[{}]", repeated(BODY_BYTES_MAX - 2_000, usize::MAX, |_| "0".to_owned()));
        format!("{{\"userName\":\"a\",\"title\":{}{list}{}}}", "{\"value\":".repeat(120), "}".repeat(120))
    });
    clock.group("the most members by filters", &{
        let path = format!("members[{}]", terms("value eq \"u\"", " or "));
        operations("", |_| operation("remove", &path, "null").replace(",\"value\":null", ""))
    });
    clock.group(
        "one member at a time",
        &operations("", |at| operation("add", "members", &format!("[{{\"value\":\"{at}\"}}]"))),
    );

    clock.filter(
        "a filter of the most terms",
        &[terms("a0999 eq \"x\"", " or "), "(".to_owned()].concat().replacen(
            "or a0999 eq \"x\"(",
            "or displayName co \"\u{e9}\"",
            1,
        ),
    );
    clock.filter("names in a filter that does not parse to the end", &"b[]".repeat(5_400));
    clock.filter("unknown comparisons", &"b eq 1 ".repeat(2_300));
    clock.filter("parentheses", &"(".repeat(16_384));

    clock.bulk(
        "operations that refer to many others",
        &bulk(|at| {
            repeated(4_000, 200, |to| format!("{{\"value\":\"bulkId:{}\"}}", (at + to + 1) % BULK_OPERATIONS_MAX))
        }),
    );
    clock.bulk(
        "operations that refer to one many times",
        &bulk(|_| repeated(4_000, 200, |_| "{\"value\":\"bulkId:999\"}".to_owned())),
    );
    clock.bulk("deep data", &bulk(|_| "[".repeat(110) + &"]".repeat(110)));
    clock.bulk(
        "one deep and long datum",
        &format!(
            "{{\"Operations\":[{{\"method\":\"POST\",\"path\":\"/Users\",\"bulkId\":\"a\",\"data\":{}{}{}}}]}}",
            "{\"value\":[".repeat(60),
            repeated(BODY_BYTES_MAX - 2_000, usize::MAX, |_| "\"bulkId:b\"".to_owned()),
            "]}".repeat(60)
        ),
    );
    println!("{:8.3} s  the slowest", clock.slowest.as_secs_f64());
}

fn bulk(members: impl Fn(usize) -> String) -> String {
    let operations = repeated(BODY_BYTES_MAX - 100, BULK_OPERATIONS_MAX, |at| {
        format!(
            "{{\"method\":\"POST\",\"path\":\"/Groups\",\"bulkId\":\"{at}\",\"data\":{{\"members\":[{}]}}}}",
            members(at)
        )
    });
    format!("{{\"Operations\":[{operations}]}}")
}
