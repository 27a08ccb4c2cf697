//! The grammar of RFC 7644 section 3.4.2.2 by recursive descent: `or` binds least, then `and`, then `not`.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::lexer::{Token, TokenKind, tokens};
use super::{CompareOp, FILTER_DEPTH_MAX, FILTER_LENGTH_MAX, FILTER_TERMS_MAX, Filter, Literal};
use crate::error::{Error, shown};
use crate::path::{AttributePath, Path, PathError, resolve};
use crate::schema::{Attribute, Definition, Kind};

impl<'s> Filter<'s> {
    /// Parses the `filter` of a query.
    pub fn parse(definition: impl Into<Definition<'s>>, text: &str) -> Result<Self, Error> {
        Self::parse_over(&[definition.into()], text)
    }

    /// Parses the `filter` of a query over several resource types. A name stands for the attribute of the first that has one.
    pub fn parse_over(definitions: &[Definition<'s>], text: &str) -> Result<Self, Error> {
        if text.len() > FILTER_LENGTH_MAX {
            return Err(Error::invalid_filter(format!("the filter is longer than {FILTER_LENGTH_MAX} bytes")));
        }
        let parse = || {
            let mut parser = Parser::new(definitions, text)?;
            let filter = parser.or(None)?;
            parser.end()?;
            Ok(filter)
        };
        parse().map_err(|error: PathError| Error::invalid_filter(format!("the filter cannot be used: {error}")))
    }
}

/// Parses the path of a patch operation.
pub(crate) fn parse_path<'s>(definition: Definition<'s>, text: &str) -> Result<Path<'s>, PathError> {
    let mut parser = Parser::new(&[definition], text)?;
    let attribute = parser.attribute(None)?;
    if !parser.take(&TokenKind::OpenBracket) {
        parser.end()?;
        return Ok(Path { attribute, filter: None });
    }
    let filter = parser.within_brackets(&attribute)?;
    let attribute = match parser.suffix(&attribute)? {
        Some(path) => path,
        None => attribute,
    };
    parser.end()?;
    Ok(Path { attribute, filter: Some(filter) })
}

struct Parser<'s> {
    definitions: Vec<Definition<'s>>,
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    /// Where the text ends, for an error about what is missing.
    end: usize,
    depth: usize,
    terms: usize,
}

type Parsed<T> = Result<T, PathError>;

impl<'s> Parser<'s> {
    fn new(definitions: &[Definition<'s>], text: &str) -> Parsed<Self> {
        let tokens = tokens(text)?.into_iter().peekable();
        Ok(Self { definitions: definitions.to_vec(), tokens, end: text.chars().count() + 1, depth: 0, terms: 0 })
    }

    fn or(&mut self, parent: Option<&AttributePath<'s>>) -> Parsed<Filter<'s>> {
        let mut terms = vec![self.and(parent)?];
        while self.take_word("or") {
            terms.push(self.and(parent)?);
        }
        Ok(any(terms))
    }

    fn and(&mut self, parent: Option<&AttributePath<'s>>) -> Parsed<Filter<'s>> {
        let mut terms = vec![self.term(parent)?];
        while self.take_word("and") {
            terms.push(self.term(parent)?);
        }
        Ok(all(terms))
    }

    fn term(&mut self, parent: Option<&AttributePath<'s>>) -> Parsed<Filter<'s>> {
        if self.take_word("not") {
            if !self.take(&TokenKind::OpenParenthesis) {
                return Err(self.malformed("\"not\" is followed by \"(\""));
            }
            return Ok(Filter::Not(Box::new(self.group(parent)?)));
        }
        if self.take(&TokenKind::OpenParenthesis) {
            return self.group(parent);
        }
        self.expression(parent)
    }

    /// What follows an opening parenthesis.
    fn group(&mut self, parent: Option<&AttributePath<'s>>) -> Parsed<Filter<'s>> {
        self.enter()?;
        let filter = self.or(parent)?;
        self.depth -= 1;
        if self.take(&TokenKind::CloseParenthesis) { Ok(filter) } else { Err(self.malformed("\")\" is missing")) }
    }

    fn expression(&mut self, parent: Option<&AttributePath<'s>>) -> Parsed<Filter<'s>> {
        self.terms += 1;
        if self.terms > FILTER_TERMS_MAX {
            return Err(self.malformed(&format!("there are more than {FILTER_TERMS_MAX} comparisons")));
        }
        let position = self.position();
        let path = self.attribute(parent)?;
        if self.take(&TokenKind::OpenBracket) {
            if parent.is_some() {
                return Err(PathError::Malformed { position, reason: "brackets cannot stand in brackets".to_owned() });
            }
            return self.value_path(path);
        }
        self.comparison(path, position)
    }

    fn value_path(&mut self, path: AttributePath<'s>) -> Parsed<Filter<'s>> {
        let inner = self.within_brackets(&path)?;
        let position = self.position();
        let compared = match self.suffix(&path)? {
            Some(sub) => Some(sub),
            None if self.at_operator() => Some(path.clone()),
            None => None,
        };
        let filter = match compared {
            Some(compared) => match self.comparison(compared, position)? {
                // A value that was selected is present.
                Filter::Present { path } if path.sub_attribute.is_none() => inner,
                comparison => all(vec![inner, comparison]),
            },
            None => inner,
        };
        Ok(Filter::ValuePath { path, filter: Box::new(filter) })
    }

    /// The filter between brackets, and the closing bracket. An error in it is one of the filter, not of the path.
    fn within_brackets(&mut self, path: &AttributePath<'s>) -> Parsed<Filter<'s>> {
        if path.sub_attribute.is_some() || !path.attribute.is_complex() {
            let reason = format!("{path} has no sub-attributes to select by");
            return Err(PathError::Malformed { position: self.position(), reason });
        }
        self.enter()?;
        let filter = self.or(Some(path)).map_err(|error| match error {
            PathError::Malformed { position, reason } => PathError::Filter { position, reason },
            PathError::Unknown { .. } | PathError::Filter { .. } => error,
        })?;
        self.depth -= 1;
        if self.take(&TokenKind::CloseBracket) { Ok(filter) } else { Err(self.malformed("\"]\" is missing")) }
    }

    /// The `.value` after a closing bracket.
    fn suffix(&mut self, parent: &AttributePath<'s>) -> Parsed<Option<AttributePath<'s>>> {
        let position = self.position();
        let Some(TokenKind::Word(word)) = self.tokens.peek().map(|token| &token.kind) else { return Ok(None) };
        let Some(name) = word.strip_prefix('.').map(str::to_owned) else { return Ok(None) };
        self.tokens.next();
        sub_attribute(parent, &name, position).map(Some)
    }

    /// What follows a name, which began at `start`.
    fn comparison(&mut self, path: AttributePath<'s>, start: usize) -> Parsed<Filter<'s>> {
        let position = self.position();
        let Some(word) = self.word() else { return Err(self.malformed("an operator is missing")) };
        if !path.leaf().queryable {
            let reason = format!("{path} cannot be filtered by");
            return Err(PathError::Malformed { position: start, reason });
        }
        if word.eq_ignore_ascii_case("pr") {
            return Ok(Filter::Present { path });
        }
        let Some(op) = CompareOp::from_keyword(&word) else {
            return Err(PathError::Malformed { position, reason: format!("\"{}\" is not an operator", shown(&word)) });
        };
        let position = self.position();
        let value = self.literal()?;
        let path = comparable(path).and_then(|path| check_types(&path, op, &value).map(|()| path));
        let path = path.map_err(|reason| PathError::Malformed { position, reason })?;
        Ok(Filter::Compare { path, op, value })
    }

    fn literal(&mut self) -> Parsed<Literal> {
        let position = self.position();
        let word = match self.tokens.next().map(|token| token.kind) {
            Some(TokenKind::Text(text)) => return Ok(Literal::String(text)),
            Some(TokenKind::Word(word)) => word,
            Some(_) | None => {
                return Err(PathError::Malformed { position, reason: "a value is missing".to_owned() });
            }
        };
        match word.to_ascii_lowercase().as_str() {
            "true" => Ok(Literal::Boolean(true)),
            "false" => Ok(Literal::Boolean(false)),
            "null" => Ok(Literal::Null),
            _ => serde_json::from_str(&word).map(Literal::Number).map_err(|_| PathError::Malformed {
                position,
                reason: "the value is neither text in double quotes nor a number, true, false or null".to_owned(),
            }),
        }
    }

    fn attribute(&mut self, parent: Option<&AttributePath<'s>>) -> Parsed<AttributePath<'s>> {
        let position = self.position();
        let Some(word) = self.word() else { return Err(self.malformed("the name of an attribute is missing")) };
        match parent {
            Some(parent) => sub_attribute(parent, &word, position),
            None => self.resolve(&word, position),
        }
    }

    fn resolve(&self, name: &str, position: usize) -> Parsed<AttributePath<'s>> {
        let mut found = Err(PathError::Unknown { attribute: shown(name), position });
        for definition in &self.definitions {
            found = resolve(*definition, name, position);
            if found.is_ok() {
                break;
            }
        }
        found
    }

    fn enter(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > FILTER_DEPTH_MAX {
            return Err(self.malformed(&format!("the filter nests more than {FILTER_DEPTH_MAX} levels deep")));
        }
        Ok(())
    }

    fn word(&mut self) -> Option<String> {
        match self.tokens.next_if(|token| matches!(token.kind, TokenKind::Word(_)))?.kind {
            TokenKind::Word(word) => Some(word),
            _ => None,
        }
    }

    fn at_operator(&mut self) -> bool {
        let word = match self.tokens.peek().map(|token| &token.kind) {
            Some(TokenKind::Word(word)) => word,
            Some(_) | None => return false,
        };
        word.eq_ignore_ascii_case("pr") || CompareOp::from_keyword(word).is_some()
    }

    fn take_word(&mut self, keyword: &str) -> bool {
        let is_keyword = |token: &Token| match &token.kind {
            TokenKind::Word(word) => word.eq_ignore_ascii_case(keyword),
            _ => false,
        };
        self.tokens.next_if(is_keyword).is_some()
    }

    fn take(&mut self, kind: &TokenKind) -> bool {
        self.tokens.next_if(|token| token.kind == *kind).is_some()
    }

    fn end(&mut self) -> Parsed<()> {
        match self.tokens.peek() {
            Some(_) => Err(self.malformed("the text goes on where it should end")),
            None => Ok(()),
        }
    }

    fn position(&mut self) -> usize {
        self.tokens.peek().map_or(self.end, |token| token.position)
    }

    fn malformed(&mut self, reason: &str) -> PathError {
        PathError::Malformed { position: self.position(), reason: reason.to_owned() }
    }
}

fn sub_attribute<'s>(parent: &AttributePath<'s>, name: &str, position: usize) -> Parsed<AttributePath<'s>> {
    match parent.attribute.sub_attribute(name) {
        Some(sub) => Ok(parent.child(sub)),
        None => Err(PathError::Unknown { attribute: shown(&format!("{parent}.{name}")), position }),
    }
}

/// A complex attribute stands for its `value` (RFC 7643 section 2.4).
fn comparable(path: AttributePath<'_>) -> Result<AttributePath<'_>, String> {
    if !path.leaf().is_complex() {
        return Ok(path);
    }
    match path.attribute.sub_attribute("value") {
        Some(value) => Ok(path.child(value)),
        None => Err(format!("{path} is complex: name one of its sub-attributes")),
    }
}

fn check_types(path: &AttributePath<'_>, op: CompareOp, value: &Literal) -> Result<(), String> {
    let attribute: &Attribute = path.leaf();
    let kind = attribute.kind;
    let fits = match (kind, value) {
        (_, Literal::Null) => return check_operator(path, op, &[CompareOp::Eq, CompareOp::Ne]),
        (Kind::String | Kind::Reference | Kind::Binary, Literal::String(text)) => !text.contains('\0'),
        (Kind::DateTime, Literal::String(text)) => OffsetDateTime::parse(text, &Rfc3339).is_ok(),
        (Kind::Boolean, Literal::Boolean(_)) => true,
        (Kind::Integer | Kind::Decimal, Literal::Number(_)) => true,
        (_, _) => false,
    };
    if !fits {
        return Err(format!("{path} is compared with a {} value", kind.as_str()));
    }
    match kind {
        Kind::Boolean | Kind::Binary => check_operator(path, op, &[CompareOp::Eq, CompareOp::Ne]),
        Kind::DateTime | Kind::Integer | Kind::Decimal => {
            let orders = [CompareOp::Gt, CompareOp::Ge, CompareOp::Lt, CompareOp::Le];
            check_operator(path, op, &[CompareOp::Eq, CompareOp::Ne]).or_else(|_| check_operator(path, op, &orders))
        }
        Kind::String | Kind::Reference | Kind::Complex => Ok(()),
    }
}

fn check_operator(path: &AttributePath<'_>, op: CompareOp, allowed: &[CompareOp]) -> Result<(), String> {
    if allowed.contains(&op) { Ok(()) } else { Err(format!("{path} cannot be compared by \"{}\"", op.as_str())) }
}

fn all(terms: Vec<Filter<'_>>) -> Filter<'_> {
    let mut flat = Vec::with_capacity(terms.len());
    for term in terms {
        match term {
            Filter::And(inner) => flat.extend(inner),
            other => flat.push(other),
        }
    }
    if flat.len() == 1 { flat.swap_remove(0) } else { Filter::And(flat) }
}

fn any(terms: Vec<Filter<'_>>) -> Filter<'_> {
    let mut flat = Vec::with_capacity(terms.len());
    for term in terms {
        match term {
            Filter::Or(inner) => flat.extend(inner),
            other => flat.push(other),
        }
    }
    if flat.len() == 1 { flat.swap_remove(0) } else { Filter::Or(flat) }
}
