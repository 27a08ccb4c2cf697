//! Filters arrive with values that lack their quotes, with `"True"` for a boolean or `"42"` for a number, and with
//! `manager` lacking its URN.
//!
//! Source: learn.microsoft.com, use-scim-to-provision-users-and-groups (`externalId eq jyoung`,
//! `id eq <guid> and manager eq <guid>`), customize-application-attributes (`roles[primary eq "True"]`).
//!
//! Only what stands after an operator is touched, and a filter that follows the grammar is given back as it is. A value
//! of several words without quotes could end anywhere, so it stays as it is and the engine refuses it.

mod tokens;

use std::borrow::Cow;

use scim::filter::{CompareOp, FILTER_LENGTH_MAX};
use scim::schema::{Attribute, Kind};
use scim::{AttributePath, Definition};
use serde_json::{Number, Value};

use crate::{booleans, names, numbers};
use tokens::{Token, TokenKind, ends_word, tokens};

/// The filter, or path with a filter, as the grammar of the RFC has it.
pub fn filter<'t>(definitions: &[Definition<'_>], text: &'t str) -> Cow<'t, str> {
    if text.len() > FILTER_LENGTH_MAX {
        return Cow::Borrowed(text);
    }
    let Some(tokens) = tokens(text) else { return Cow::Borrowed(text) };
    let mut rewriting = Rewriting { definitions, edits: Vec::new(), compared: None, open: None, closed: None };
    for (at, token) in tokens.iter().enumerate() {
        if rewriting.compared.is_some_and(|value| token.start <= value) {
            continue;
        }
        let following = (tokens.get(at + 1), tokens.get(at + 2));
        match token.kind {
            TokenKind::Open => {}
            TokenKind::Close => {
                rewriting.closed = rewriting.open.take();
                rewriting.after_brackets(following);
            }
            TokenKind::Word => rewriting.word(token, following),
            TokenKind::Text | TokenKind::Parenthesis => {}
        }
    }
    rewriting.finish(text)
}

struct Edit {
    start: usize,
    end: usize,
    text: String,
}

struct Rewriting<'d, 's> {
    definitions: &'d [Definition<'s>],
    edits: Vec<Edit>,
    /// Where the value begins that was read last with its attribute and operator.
    compared: Option<usize>,
    /// The attribute between whose brackets the reading is.
    open: Option<AttributePath<'s>>,
    /// The attribute whose brackets were closed last.
    closed: Option<AttributePath<'s>>,
}

type Following<'a> = (Option<&'a Token<'a>>, Option<&'a Token<'a>>);

impl<'s> Rewriting<'_, 's> {
    fn word(&mut self, word: &Token<'_>, following: Following<'_>) {
        let Some(next) = following.0 else { return };
        match next.kind {
            TokenKind::Open if self.open.is_none() => {
                self.open = self.attribute(word.text);
                self.qualify(word, self.open.clone());
            }
            TokenKind::Word if next.text.eq_ignore_ascii_case("pr") || CompareOp::from_keyword(next.text).is_some() => {
                let leaf = self.leaf(word);
                self.value(leaf, following);
            }
            TokenKind::Word | TokenKind::Text | TokenKind::Open | TokenKind::Close | TokenKind::Parenthesis => {}
        }
    }

    /// `emails[type eq "work"] eq x` compares the elements' `value`.
    fn after_brackets(&mut self, following: Following<'_>) {
        let leaf = self.closed.as_ref().and_then(|path| path.attribute.sub_attribute("value"));
        self.value(leaf, following);
    }

    fn attribute(&self, name: &str) -> Option<AttributePath<'s>> {
        self.definitions.iter().find_map(|definition| names::attribute(*definition, name))
    }

    fn leaf(&mut self, word: &Token<'_>) -> Option<&'s Attribute> {
        if let Some(parent) = &self.open {
            return parent.attribute.sub_attribute(word.text);
        }
        if let (Some(name), Some(parent)) = (word.text.strip_prefix('.'), &self.closed) {
            return parent.attribute.sub_attribute(name);
        }
        let path = self.attribute(word.text);
        self.qualify(word, path.clone());
        let leaf = path?.leaf();
        if leaf.is_complex() { leaf.sub_attribute("value") } else { Some(leaf) }
    }

    /// Gives a name the URN that it needs.
    fn qualify(&mut self, word: &Token<'_>, path: Option<AttributePath<'s>>) {
        if let Some(path) = path
            && path.extension.is_some()
            && !word.text.contains(':')
        {
            self.edits.push(Edit { start: word.start, end: word.end(), text: path.to_string() });
        }
    }

    fn value(&mut self, leaf: Option<&Attribute>, following: Following<'_>) {
        let (Some(operator), Some(value)) = following else { return };
        if operator.kind != TokenKind::Word || CompareOp::from_keyword(operator.text).is_none() {
            return;
        }
        self.compared = Some(value.start);
        let text = match value.kind {
            TokenKind::Text => as_boolean(leaf, value.text).or_else(|| as_number(leaf, value.text)),
            TokenKind::Word => as_text(leaf, value.text),
            TokenKind::Open | TokenKind::Close | TokenKind::Parenthesis => None,
        };
        if let Some(text) = text {
            self.edits.push(Edit { start: value.start, end: value.end(), text });
        }
    }

    fn finish(mut self, text: &str) -> Cow<'_, str> {
        if self.edits.is_empty() {
            return Cow::Borrowed(text);
        }
        self.edits.sort_by_key(|edit| edit.start);
        let mut rewritten = String::with_capacity(text.len() + 16);
        let mut copied = 0;
        for edit in &self.edits {
            append(&mut rewritten, text.get(copied..edit.start).unwrap_or_default());
            append(&mut rewritten, &edit.text);
            copied = edit.end;
        }
        append(&mut rewritten, text.get(copied..).unwrap_or_default());
        Cow::Owned(rewritten)
    }
}

/// Quotes part one word from the next, and where they are gone a space has to: `primary eq"True"`.
fn append(text: &mut String, part: &str) {
    let in_word = |c: Option<char>| c.is_some_and(|c| !ends_word(c));
    if in_word(text.chars().next_back()) && in_word(part.chars().next()) {
        text.push(' ');
    }
    text.push_str(part);
}

/// Text in quotes as a bare boolean, where one belongs.
fn as_boolean(leaf: Option<&Attribute>, quoted: &str) -> Option<String> {
    leaf.filter(|leaf| leaf.kind == Kind::Boolean)?;
    booleans::from_text(quoted.trim_matches('"')).map(|value| value.to_string())
}

/// Text in quotes as a bare number, where one belongs.
fn as_number(leaf: Option<&Attribute>, quoted: &str) -> Option<String> {
    leaf.filter(|leaf| matches!(leaf.kind, Kind::Decimal | Kind::Integer))?;
    numbers::from_text(quoted.trim_matches('"')).map(|number| number.to_string())
}

/// A bare word as text in quotes, where text belongs.
fn as_text(leaf: Option<&Attribute>, word: &str) -> Option<String> {
    let is_literal = booleans::from_text(word).is_some() || serde_json::from_str::<Number>(word).is_ok();
    let quotes = match leaf.map(|leaf| leaf.kind) {
        Some(Kind::String | Kind::Reference | Kind::Binary | Kind::DateTime) => true,
        Some(Kind::Boolean | Kind::Decimal | Kind::Integer | Kind::Complex) => false,
        None => !is_literal,
    };
    // Another language's quotes are not part of a value; the engine refuses them.
    if !quotes || word.eq_ignore_ascii_case("null") || word.starts_with('\'') {
        return None;
    }
    Some(Value::from(word).to_string())
}

#[cfg(test)]
mod tests;
