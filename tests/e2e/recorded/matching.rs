//! How what is expected is compared with what came, and the variables that a case fills and uses.
//!
//! `tests/recorded/README.md` has the rules for those who write cases.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// How many copies `{{repeat}}` may ask for.
const COPIES_MAX: u64 = 20_000;
/// What the server alone writes; it is compared where a case names it.
const SERVERS_OWN: [&str; 2] = ["meta", "groups"];

/// The variables of a case.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables(BTreeMap<String, Value>);

/// Whether what is not expected may come too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Nothing but what is expected, and what the server alone writes.
    Exact,
    /// Objects may have other members.
    Contains,
}

/// A part of a text in which variables may stand.
enum Part<'t> {
    Text(&'t str),
    Name(&'t str),
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else { break };
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        parts.push(Part::Name(name));
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    parts
}

/// The name in a text that is nothing but `{{name}}`.
fn sole_name(text: &str) -> Option<&str> {
    match parts(text)[..] {
        [Part::Name(name)] => Some(name),
        _ => None,
    }
}

impl Variables {
    pub(super) fn set(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }

    /// The name under which a value is kept: `{{user n}}` is another one in each round.
    fn kept_as(&self, name: &str) -> String {
        match (name.strip_suffix(" n"), self.0.get("n")) {
            (Some(name), Some(n)) => format!("{name} {n}"),
            (_, _) => name.to_owned(),
        }
    }

    fn get(&self, name: &str) -> Result<&Value, String> {
        self.0.get(&self.kept_as(name)).ok_or_else(|| format!("the case uses {{{{{name}}}}} before anything filled it"))
    }

    fn text_of(&self, name: &str) -> Result<String, String> {
        Ok(match self.get(name)? {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    }

    /// A text of a request, its variables replaced.
    pub(super) fn text(&self, text: &str) -> Result<String, String> {
        let text = parts(text).into_iter().map(|part| match part {
            Part::Text(text) => Ok(text.to_owned()),
            Part::Name(name) => self.text_of(name),
        });
        text.collect()
    }

    /// A body of a request, its variables replaced and its repeated elements written out.
    pub(super) fn body(&self, body: &Value) -> Result<Value, String> {
        match body {
            Value::String(text) => match sole_name(text) {
                Some(name) => self.get(name).cloned(),
                None => self.text(text).map(Value::String),
            },
            Value::Array(elements) => self.written_out(elements)?.iter().map(|element| self.body(element)).collect(),
            Value::Object(members) => {
                let member = |(key, value): (&String, &Value)| Ok((self.text(key)?, self.body(value)?));
                members.iter().map(member).collect::<Result<Map<_, _>, String>>().map(Value::Object)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(body.clone()),
        }
    }

    /// The elements of an array, the repeated ones written out.
    fn written_out(&self, elements: &[Value]) -> Result<Vec<Value>, String> {
        let mut written = Vec::new();
        for element in elements {
            let Some((copies, element)) = repeated(element) else {
                written.push(element.clone());
                continue;
            };
            let mut variables = self.clone();
            for n in 1..=copies {
                variables.set("n", json!(n));
                written.push(variables.body(element)?);
            }
        }
        Ok(written)
    }

    /// Compares a text, such as a header's, and takes the variables that it fills.
    pub(super) fn compare_text(&mut self, expected: &str, got: Option<&str>) -> Result<(), String> {
        let got = got.map(|text| Value::String(text.to_owned()));
        self.compare(Mode::Exact, &Value::String(expected.to_owned()), got.as_ref())
    }

    /// Compares a value, or its absence, and takes the variables that it fills.
    pub(super) fn compare(&mut self, mode: Mode, expected: &Value, got: Option<&Value>) -> Result<(), String> {
        self.compare_at("", mode, expected, got)
    }

    fn compare_at(&mut self, at: &str, mode: Mode, expected: &Value, got: Option<&Value>) -> Result<(), String> {
        if let Some(name) = expected.as_str().and_then(sole_name) {
            return self.compare_with_name(at, name, got);
        }
        let Some(got) = got else { return Err(format!("{at}: expected {expected}, got nothing")) };
        let wrong = || Err(format!("{at}: expected {expected}, got {got}"));
        match (expected, got) {
            (Value::Object(expected), Value::Array(got)) => match expected.iter().next() {
                Some((key, Value::Array(expected))) if key == "{{unordered}}" => {
                    let left = self.take_each(at, mode, expected, got)?;
                    if left.is_empty() { Ok(()) } else { Err(format!("{at}: not expected: {}", json!(left))) }
                }
                Some((key, Value::Array(expected))) if key == "{{includes}}" => {
                    self.take_each(at, mode, expected, got).map(drop)
                }
                Some(_) | None => wrong(),
            },
            (Value::Object(expected), Value::Object(got)) => self.compare_members(at, mode, expected, got),
            (Value::Array(expected), Value::Array(elements)) => {
                let expected = self.written_out(expected)?;
                if expected.len() != elements.len() {
                    return Err(format!("{at}: expected {} elements, got {}: {got}", expected.len(), elements.len()));
                }
                let mut pairs = expected.iter().zip(elements).enumerate();
                pairs.try_for_each(|(n, (expected, got))| {
                    self.compare_at(&format!("{at}[{n}]"), mode, expected, Some(got))
                })
            }
            (Value::String(pattern), Value::String(text)) => {
                if self.is_match(pattern, text)? {
                    Ok(())
                } else {
                    wrong()
                }
            }
            (expected, got) if expected == got => Ok(()),
            (_, _) => wrong(),
        }
    }

    fn compare_with_name(&mut self, at: &str, name: &str, got: Option<&Value>) -> Result<(), String> {
        let holds = match name {
            "absent" => got.is_none(),
            "any" => got.is_some(),
            "nonempty" => match got {
                Some(Value::String(text)) => !text.is_empty(),
                Some(Value::Array(elements)) => !elements.is_empty(),
                Some(Value::Object(members)) => !members.is_empty(),
                Some(Value::Null | Value::Bool(_) | Value::Number(_)) | None => false,
            },
            "time" => got.and_then(Value::as_str).is_some_and(|text| OffsetDateTime::parse(text, &Rfc3339).is_ok()),
            _ => {
                return match (name.strip_prefix("not "), got) {
                    (Some(name), Some(got)) if self.get(name)? != got => Ok(()),
                    (Some(name), got) => Err(format!("{at}: expected another than {}, got {got:?}", self.get(name)?)),
                    (None, None) => Err(format!("{at}: expected {{{{{name}}}}}, got nothing")),
                    (None, Some(got)) => self.fill_or_compare(at, name, got),
                };
            }
        };
        if holds { Ok(()) } else { Err(format!("{at}: expected {{{{{name}}}}}, got {}", shown(got))) }
    }

    fn fill_or_compare(&mut self, at: &str, name: &str, got: &Value) -> Result<(), String> {
        let name = &*self.kept_as(name);
        match self.0.get(name) {
            Some(known) if known == got => Ok(()),
            Some(known) => Err(format!("{at}: expected {{{{{name}}}}}, which is {known}, got {got}")),
            None => {
                self.set(name, got.clone());
                Ok(())
            }
        }
    }

    fn compare_members(
        &mut self,
        at: &str,
        mode: Mode,
        expected: &Map<String, Value>,
        got: &Map<String, Value>,
    ) -> Result<(), String> {
        let mut named = BTreeSet::new();
        for (key, value) in expected {
            let key = self.text(key)?;
            self.compare_at(&format!("{at}/{key}"), mode, value, got.get(&key))?;
            named.insert(key);
        }
        let more = got.iter().find(|(key, _)| !named.contains(*key) && !SERVERS_OWN.contains(&key.as_str()));
        match (mode, more) {
            (Mode::Exact, Some((key, value))) => Err(format!("{at}/{key}: not expected, got {value}")),
            (Mode::Exact | Mode::Contains, _) => Ok(()),
        }
    }

    /// Each expected element has one of its own among those that came; answers the others.
    fn take_each<'g>(
        &mut self,
        at: &str,
        mode: Mode,
        expected: &[Value],
        got: &'g [Value],
    ) -> Result<Vec<&'g Value>, String> {
        let mut left: Vec<&Value> = got.iter().collect();
        for element in self.written_out(expected)? {
            let found = left.iter().position(|candidate| {
                let mut variables = self.clone();
                let equal = variables.compare_at(at, mode, &element, Some(candidate)).is_ok();
                if equal {
                    *self = variables;
                }
                equal
            });
            match found {
                Some(found) => drop(left.remove(found)),
                None => return Err(format!("{at}: expected an element {element} in {}", json!(got))),
            }
        }
        Ok(left)
    }

    /// Whether a text is as the pattern, in which `{{any}}` stands for any run of characters.
    fn is_match(&self, pattern: &str, text: &str) -> Result<bool, String> {
        let mut fixed = vec![String::new()];
        for part in parts(pattern) {
            match part {
                Part::Name("any") => fixed.push(String::new()),
                Part::Text(part) => fixed.last_mut().unwrap().push_str(part),
                Part::Name(name) => fixed.last_mut().unwrap().push_str(&self.text_of(name)?),
            }
        }
        let (first, rest) = fixed.split_first().unwrap();
        let Some((last, middle)) = rest.split_last() else { return Ok(text == first) };
        let Some(mut rest) = text.strip_prefix(first.as_str()) else { return Ok(false) };
        for part in middle {
            let Some((_, after)) = rest.split_once(part.as_str()) else { return Ok(false) };
            rest = after;
        }
        Ok(rest.ends_with(last.as_str()))
    }
}

fn shown(got: Option<&Value>) -> String {
    got.map_or_else(|| "nothing".to_owned(), Value::to_string)
}

/// How often an element of an array is to be written out, and the element.
fn repeated(element: &Value) -> Option<(u64, &Value)> {
    let copies = element.get("{{repeat}}")?.as_u64()?;
    assert!(copies <= COPIES_MAX, "{copies} copies");
    Some((copies, element.get("{{element}}")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mode: Mode, expected: Value, got: Value, equal: bool) {
        let mut variables = Variables::default();
        variables.set("id", json!("u1"));
        let outcome = variables.compare(mode, &expected, Some(&got));
        assert_eq!(outcome.is_ok(), equal, "{expected} and {got}: {outcome:?}");
    }

    #[test]
    fn what_is_exact_has_nothing_more_but_what_the_server_writes() {
        check(Mode::Exact, json!({"a": 1}), json!({"a": 1, "meta": {}}), true);
        check(Mode::Exact, json!({"a": 1}), json!({"a": 1, "b": 2}), false);
        check(Mode::Exact, json!({"a": {"b": 1}}), json!({"a": {"b": 1, "c": 1}}), false);
        check(Mode::Exact, json!({"a": 1}), json!({}), false);
        check(Mode::Exact, json!({"{{id}}": 1}), json!({"u1": 1}), true);
        check(Mode::Exact, json!([1, 2]), json!([2, 1]), false);
    }

    #[test]
    fn what_is_contained_may_have_more_members_and_no_more_elements() {
        check(Mode::Contains, json!({"a": {"b": 1}}), json!({"a": {"b": 1, "c": 1}, "d": 1}), true);
        check(Mode::Contains, json!({"a": [1]}), json!({"a": [1, 2]}), false);
        check(Mode::Contains, json!({"a": "{{absent}}"}), json!({"a": null}), false);
        check(Mode::Contains, json!({"a": "{{absent}}"}), json!({"b": null}), true);
    }

    #[test]
    fn matchers_stand_for_values() {
        check(Mode::Exact, json!("{{any}}"), json!(null), true);
        check(Mode::Exact, json!("{{nonempty}}"), json!(""), false);
        check(Mode::Exact, json!("{{time}}"), json!("2026-01-01T00:00:00.5Z"), true);
        check(Mode::Exact, json!("{{time}}"), json!("today"), false);
        check(Mode::Exact, json!("{{any}} {{id}}, {{any}}"), json!("ids u1, u2"), true);
        check(Mode::Exact, json!("{{any}}{{id}}"), json!("u1x"), false);
        check(Mode::Exact, json!("{{not id}}"), json!("u2"), true);
        check(Mode::Exact, json!("{{not id}}"), json!("u1"), false);
        check(Mode::Exact, json!({"{{unordered}}": [1, "{{id}}"]}), json!(["u1", 1]), true);
        check(Mode::Exact, json!({"{{unordered}}": [1, 1]}), json!([1, 2]), false);
        check(Mode::Exact, json!({"{{unordered}}": [1]}), json!([1, 1]), false);
        check(Mode::Exact, json!({"{{includes}}": [1, "{{id}}"]}), json!(["u1", 2, 1]), true);
        check(Mode::Exact, json!({"{{includes}}": [1, 1]}), json!([1, 2]), false);
        check(Mode::Exact, json!([{"{{repeat}}": 2, "{{element}}": "{{n}}{{id}}"}]), json!(["1u1", "2u1"]), true);
    }

    #[test]
    fn a_name_is_filled_once_and_compared_after() {
        check(Mode::Exact, json!(["{{new}}", "{{new}}"]), json!(["x", "x"]), true);
        check(Mode::Exact, json!(["{{new}}", "{{new}}"]), json!(["x", "y"]), false);
        let mut variables = Variables::default();
        variables.compare(Mode::Contains, &json!({"id": "{{ada}}"}), Some(&json!({"id": "u1", "x": 1}))).unwrap();
        assert_eq!(variables.text("/Users/{{ada}}").unwrap(), "/Users/u1");
        assert!(variables.text("{{bob}}").is_err());
    }

    #[test]
    fn bodies_are_written_out() {
        let mut variables = Variables::default();
        variables.set("count", json!(3));
        let body = json!([{"{{repeat}}": 2, "{{element}}": {"userName": "u{{n}}", "n": "{{n}}"}}, "{{count}}"]);
        let written = json!([{"userName": "u1", "n": 1}, {"userName": "u2", "n": 2}, 3]);
        assert_eq!(variables.body(&body).unwrap(), written);
        for n in 1..=2 {
            variables.set("n", json!(n));
            variables.compare(Mode::Exact, &json!("{{user n}}"), Some(&json!(format!("id-{n}")))).unwrap();
        }
        let members = json!([{"{{repeat}}": 2, "{{element}}": {"value": "{{user n}}"}}]);
        assert_eq!(variables.body(&members).unwrap(), json!([{"value": "id-1"}, {"value": "id-2"}]));
        assert_eq!(variables.text("/Users/{{user 1}}").unwrap(), "/Users/id-1");
    }
}
