//! The search document (rule D5) in SQL, on either engine. What is not there is NULL; texts compare by their bytes. Every name and value is bound.

use sea_orm::{
    DbBackend, ExprTrait,
    sea_query::{BinOper, Expr, Func, FunctionCall, Query, SimpleExpr},
};

/// What an element of a list is called in SQL.
pub(super) const ELEMENT: &str = "element";
/// The key that tells the preferred element of a list.
const PRIMARY: &str = "primary";

/// A JSON document in SQL, and the engine that it is read by.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) engine: DbBackend,
    pub(super) json: SimpleExpr,
}

impl Document {
    /// The element of a list, where one is at hand (see [`Document::elements`]).
    pub(super) fn element(engine: DbBackend) -> Self {
        Self { engine, json: element_value() }
    }

    /// The text at these keys.
    pub(super) fn text(self, keys: &[impl AsRef<str>]) -> SimpleExpr {
        let postgres = self.is_postgres();
        let text = self.extract("jsonb_extract_path_text", keys);
        if postgres { bytewise(text) } else { text }
    }

    /// The truth value at these keys.
    pub(super) fn boolean(self, keys: &[impl AsRef<str>]) -> SimpleExpr {
        if self.is_postgres() {
            return self.extract("jsonb_extract_path_text", keys).eq("true");
        }
        self.extract("", keys)
    }

    /// The number at these keys.
    pub(super) fn number(self, keys: &[impl AsRef<str>]) -> SimpleExpr {
        let postgres = self.is_postgres();
        let number = self.extract("jsonb_extract_path", keys);
        if postgres { double(number) } else { number }
    }

    /// Whether there is anything at these keys: what is empty is not stored, but an object can lose its last value.
    pub(super) fn present(self, keys: &[impl AsRef<str>]) -> SimpleExpr {
        let empty = if self.is_postgres() { Expr::cust("'{}'::jsonb") } else { Expr::val("{}") };
        self.extract("jsonb_extract_path", keys).ne(empty).if_null(false)
    }

    /// The elements at these keys, for FROM; each stands in the column `value`.
    pub(super) fn elements(self, keys: &[impl AsRef<str>]) -> FunctionCall {
        if !self.is_postgres() {
            return Func::cust("json_each").arg(self.json).arg(path(keys));
        }
        Func::cust("jsonb_array_elements").arg(list(self.extract("jsonb_extract_path", keys)))
    }

    /// The texts at these keys, for FROM.
    pub(super) fn texts(self, keys: &[impl AsRef<str>]) -> FunctionCall {
        if !self.is_postgres() {
            return self.elements(keys);
        }
        Func::cust("jsonb_array_elements_text").arg(list(self.extract("jsonb_extract_path", keys)))
    }

    /// The primary element at these keys, else the first.
    pub(super) fn first_element(self, keys: &[String]) -> Self {
        let engine = self.engine;
        let json = if self.is_postgres() {
            let path = path_text(keys) + "[*] ? (@.primary == true)";
            let primary =
                Func::cust("jsonb_path_query_first").arg(self.json.clone()).arg(Expr::val(path).cast_as("jsonpath"));
            let first: Vec<&str> = keys.iter().map(String::as_str).chain(["0"]).collect();
            Func::coalesce([primary.into(), self.extract("jsonb_extract_path", &first)]).into()
        } else {
            let mut first = Query::select();
            first
                .expr(element_value())
                .from_function(self.elements(keys), ELEMENT)
                .order_by_expr(Self::element(engine).boolean(&[PRIMARY]).if_null(false), sea_orm::Order::Desc)
                .order_by((ELEMENT, "key"), sea_orm::Order::Asc)
                .limit(1);
            SimpleExpr::SubQuery(None, Box::new(first.into()))
        };
        Self { engine, json }
    }

    /// What PostgreSQL's function `function` finds at these keys, or what SQLite finds there.
    fn extract(self, function: &'static str, keys: &[impl AsRef<str>]) -> SimpleExpr {
        if self.is_postgres() {
            let keys = keys.iter().map(|key| Expr::val(key.as_ref()));
            return Func::cust(function).args(std::iter::once(self.json).chain(keys)).into();
        }
        Func::cust("json_extract").arg(self.json).arg(path(keys)).into()
    }

    fn is_postgres(&self) -> bool {
        self.engine == DbBackend::Postgres
    }
}

/// The text that an element of a list of texts is.
pub(super) fn element_text(engine: DbBackend) -> SimpleExpr {
    if engine == DbBackend::Postgres { bytewise(element_value()) } else { element_value() }
}

/// The number that an element of a list of numbers is.
pub(super) fn element_number(engine: DbBackend) -> SimpleExpr {
    if engine == DbBackend::Postgres { double(element_value()) } else { element_value() }
}

fn element_value() -> SimpleExpr {
    Expr::col((ELEMENT, "value"))
}

/// The first 256 characters of a text, written as the index on them is.
pub(super) fn start_of_256(text: SimpleExpr) -> SimpleExpr {
    let whole = |number: i32| Expr::cust(number.to_string());
    Func::cust("substr").arg(text).arg(whole(1)).arg(whole(256)).into()
}

/// An id as the text that it is shown as.
pub(super) fn id_text(engine: DbBackend, id: SimpleExpr) -> SimpleExpr {
    if engine == DbBackend::Postgres {
        return bytewise(id.cast_as("text"));
    }
    // SQLite keeps its 16 bytes.
    let part = |from: i32, length: i32| {
        SimpleExpr::from(Func::cust("substr").arg(Func::cust("hex").arg(id.clone())).arg(from).arg(length))
    };
    let parts = [part(1, 8), part(9, 4), part(13, 4), part(17, 4), part(21, 12)];
    Expr::cust_with_exprs("lower(? || '-' || ? || '-' || ? || '-' || ? || '-' || ?)", parts)
}

/// PostgreSQL compares a text by the database's language unless it is told not to.
fn bytewise(text: SimpleExpr) -> SimpleExpr {
    Expr::cust_with_expr("($1 COLLATE \"C\")", text)
}

/// A cast of what is no number would end the statement: the type of a tenant's own attribute may change between two statements.
fn double(json: SimpleExpr) -> SimpleExpr {
    Expr::cust_with_exprs(
        "CASE WHEN jsonb_typeof($1) = 'number' THEN CAST($2 AS double precision) END",
        [json.clone(), json],
    )
}

fn list(json: SimpleExpr) -> SimpleExpr {
    Expr::cust_with_exprs("CASE WHEN jsonb_typeof($1) = 'array' THEN $2 END", [json.clone(), json])
}

fn path(keys: &[impl AsRef<str>]) -> SimpleExpr {
    Expr::val(path_text(keys))
}

/// A JSON path. Keys are names of fields or of attributes, none of which has a quotation mark.
fn path_text(keys: &[impl AsRef<str>]) -> String {
    keys.iter().fold("$".to_owned(), |path, key| format!("{path}.\"{}\"", key.as_ref()))
}

/// Whether a text contains another.
pub(super) fn contains(engine: DbBackend, text: SimpleExpr, part: String) -> SimpleExpr {
    let place = if engine == DbBackend::Postgres { Func::cust("strpos") } else { Func::cust("instr") };
    SimpleExpr::from(place.arg(text).arg(part)).gt(0)
}

/// Whether a text starts with another: a range, which an index can answer.
pub(super) fn starts_with(text: SimpleExpr, start: String) -> SimpleExpr {
    let at_least = text.clone().gte(start.clone());
    match successor(&start) {
        Some(end) => at_least.and(text.lt(end)),
        None => at_least,
    }
}

/// Whether a text ends with another, which is not empty.
pub(super) fn ends_with(engine: DbBackend, text: SimpleExpr, end: String) -> SimpleExpr {
    let length = i32::try_from(end.chars().count()).unwrap_or(i32::MAX);
    let last = if engine == DbBackend::Postgres {
        Func::cust("right").arg(text).arg(length)
    } else {
        Func::cust("substr").arg(text).arg(-length)
    };
    let last = SimpleExpr::from(last);
    last.binary(BinOper::Equal, Expr::val(end))
}

/// The least text that is greater than every text with this start; none where there is no such text.
fn successor(start: &str) -> Option<String> {
    let mut characters: Vec<char> = start.chars().collect();
    while let Some(last) = characters.pop() {
        let next = (last..=char::MAX).nth(1);
        if let Some(next) = next {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_with_a_start_end_before_its_successor() {
        assert_eq!(successor("ab").as_deref(), Some("ac"));
        assert_eq!(successor("a\u{d7ff}").as_deref(), Some("a\u{e000}"));
        assert_eq!(successor("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(successor("\u{10ffff}"), None);
        assert_eq!(successor(""), None);
    }

    #[test]
    fn a_path_is_quoted() {
        assert_eq!(path_text(&["user_attributes", "cost-center"]), r#"$."user_attributes"."cost-center""#);
    }
}
