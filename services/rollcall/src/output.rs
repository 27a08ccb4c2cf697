//! What commands print: a table for people, or the proto3 JSON form for programs. Standard output holds the result alone; every word about
//! it goes to standard error.

use std::{
    borrow::Cow,
    fmt::Display,
    io::{self, Write},
};

use clap::ValueEnum;
use comfy_table::{ColumnConstraint, Table, Width, presets};
use serde::Serialize;

/// How a result is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Table,
    /// For programs: proto3 JSON
    Json,
}

/// Something that stands in one line of a table.
pub(crate) trait Row: Serialize {
    /// The names of the columns.
    const COLUMNS: &'static [&'static str];

    /// The line, a cell for each column.
    fn cells(&self) -> Vec<String>;
}

/// A JSON object that is printed as its members arrive. A list that has no item is left out.
pub(crate) struct Document<W> {
    out: W,
    begun: bool,
    list: Option<&'static str>,
}

impl<W: Write> Document<W> {
    pub(crate) const fn new(out: W) -> Self {
        Self { out, begun: false, list: None }
    }

    /// Prints a member.
    pub(crate) fn member(&mut self, name: &'static str, value: &impl Serialize) -> io::Result<()> {
        self.begin(name)?;
        Ok(serde_json::to_writer(&mut self.out, value)?)
    }

    /// Prints an item of the list of this name. The items of a list follow each other.
    pub(crate) fn item(&mut self, list: &'static str, value: &impl Serialize) -> io::Result<()> {
        if self.list == Some(list) {
            self.out.write_all(b",\n    ")?;
        } else {
            self.begin(list)?;
            self.list = Some(list);
            self.out.write_all(b"[\n    ")?;
        }
        Ok(serde_json::to_writer(&mut self.out, value)?)
    }

    /// Ends the object.
    pub(crate) fn end(mut self) -> io::Result<()> {
        self.end_list()?;
        self.out.write_all(if self.begun { b"\n}\n" } else { b"{}\n" })?;
        self.out.flush()
    }

    fn begin(&mut self, name: &str) -> io::Result<()> {
        self.end_list()?;
        self.out.write_all(if self.begun { b",\n  " } else { b"{\n  " })?;
        self.begun = true;
        serde_json::to_writer(&mut self.out, name)?;
        self.out.write_all(b": ")
    }

    fn end_list(&mut self) -> io::Result<()> {
        if self.list.take().is_some() { self.out.write_all(b"\n  ]") } else { Ok(()) }
    }
}

/// A list that is printed as its pages arrive.
pub(crate) struct List<W> {
    out: W,
    format: Format,
    begun: bool,
    widths: Vec<u16>,
}

impl<W: Write> List<W> {
    pub(crate) const fn new(out: W, format: Format) -> Self {
        Self { out, format, begun: false, widths: Vec::new() }
    }

    /// Prints some more rows.
    pub(crate) fn rows<R: Row>(&mut self, rows: &[R]) -> io::Result<()> {
        match self.format {
            Format::Json => self.json_rows(rows),
            Format::Table => self.table_rows(rows),
        }
    }

    /// Ends the list. A list without rows is `[]`, or a table that has its header alone.
    pub(crate) fn end<R: Row>(mut self) -> io::Result<()> {
        match self.format {
            Format::Json => self.out.write_all(if self.begun { b"\n]\n" } else { b"[]\n" })?,
            Format::Table if !self.begun => self.table_rows::<R>(&[])?,
            Format::Table => {}
        }
        self.out.flush()
    }

    fn json_rows<R: Row>(&mut self, rows: &[R]) -> io::Result<()> {
        for row in rows {
            self.out.write_all(if self.begun { b",\n  " } else { b"[\n  " })?;
            self.begun = true;
            serde_json::to_writer(&mut self.out, row)?;
        }
        Ok(())
    }

    /// A page keeps at least the widths of those before it, so that a list of one page is aligned and a longer one nearly so.
    fn table_rows<R: Row>(&mut self, rows: &[R]) -> io::Result<()> {
        let mut table = plain_table();
        if !self.begun {
            table.set_header(R::COLUMNS.iter().map(|name| name.to_uppercase()).collect::<Vec<_>>());
        }
        for row in rows {
            table.add_row(row.cells().iter().map(|cell| printable(cell)).collect::<Vec<_>>());
        }
        if self.begun && rows.is_empty() {
            return Ok(());
        }
        self.begun = true;
        let widths = table.column_max_content_widths();
        self.widths.resize(widths.len(), 0);
        for (known, width) in self.widths.iter_mut().zip(widths) {
            *known = width.max(*known);
        }
        for (index, width) in self.widths.iter().enumerate() {
            if let Some(column) = table.column_mut(index) {
                column.set_padding((0, 2)).set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width + 2)));
            }
        }
        writeln!(self.out, "{}", table.trim_fmt())
    }
}

/// Prints one thing: its JSON, or its names and values below each other.
pub(crate) fn one<T: Serialize>(
    mut out: impl Write,
    format: Format,
    value: &T,
    fields: &[(&str, String)],
) -> io::Result<()> {
    match format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut out, value)?;
            writeln!(out)?;
        }
        Format::Table => {
            let mut table = plain_table();
            for (name, value) in fields {
                table.add_row([Cow::Borrowed(*name), printable(value)]);
            }
            for (index, padding) in [(0, (0, 2)), (1, (0, 0))] {
                if let Some(column) = table.column_mut(index) {
                    column.set_padding(padding);
                }
            }
            writeln!(out, "{}", table.trim_fmt())?;
        }
    }
    out.flush()
}

/// Prints lines that are the result.
pub(crate) fn text(mut out: impl Write, text: &str) -> io::Result<()> {
    write!(out, "{}", printable(text))
}

/// A word about the result, beside it.
pub(crate) fn note(text: impl Display) {
    // Nobody is left to hear of a standard error that cannot be written.
    let _ = writeln!(io::stderr(), "{}", printable(&text.to_string()));
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

/// The text without characters that steer a terminal: names come from a directory that others write.
fn printable(text: &str) -> Cow<'_, str> {
    let steers = |character: char| {
        (character.is_control() && character != '\n')
            || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if text.contains(steers) { Cow::Owned(text.replace(steers, "\u{fffd}")) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Person {
        name: &'static str,
    }

    impl Row for Person {
        const COLUMNS: &'static [&'static str] = &["name", "length"];

        fn cells(&self) -> Vec<String> {
            vec![self.name.to_owned(), self.name.len().to_string()]
        }
    }

    fn listed(format: Format, pages: &[&[Person]]) -> String {
        let mut out = Vec::new();
        let mut list = List::new(&mut out, format);
        for page in pages {
            list.rows(page).unwrap();
        }
        list.end::<Person>().unwrap();
        String::from_utf8(out).unwrap()
    }

    const ADA: Person = Person { name: "Ada" };
    const GRACE: Person = Person { name: "Grace" };

    #[test]
    fn a_json_list_is_one_array_over_all_pages() {
        assert_eq!(listed(Format::Json, &[]), "[]\n");
        assert_eq!(listed(Format::Json, &[&[]]), "[]\n");
        let text = listed(Format::Json, &[&[ADA], &[], &[GRACE, ADA]]);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value, serde_json::json!([{"name": "Ada"}, {"name": "Grace"}, {"name": "Ada"}]));
    }

    #[test]
    fn a_table_has_its_header_once() {
        assert_eq!(listed(Format::Table, &[]), "NAME  LENGTH\n");
        assert_eq!(listed(Format::Table, &[&[GRACE], &[ADA], &[]]), "NAME   LENGTH\nGrace  5\nAda    3\n");
    }

    #[test]
    fn what_steers_a_terminal_is_not_printed() {
        let text = listed(Format::Table, &[&[Person { name: "a\u{1b}[31m\u{202e}b" }]]);
        assert!(text.contains("a\u{fffd}[31m\u{fffd}b"), "{text}");
    }

    #[test]
    fn a_document_is_one_object() {
        let mut out = Vec::new();
        let mut document = Document::new(&mut out);
        document.member("user", &ADA).unwrap();
        document.item("changes", &1).unwrap();
        document.item("changes", &2).unwrap();
        document.item("entries", &"x").unwrap();
        document.end().unwrap();
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value, serde_json::json!({"user": {"name": "Ada"}, "changes": [1, 2], "entries": ["x"]}));
        let mut empty = Vec::new();
        Document::new(&mut empty).end().unwrap();
        assert_eq!(empty, b"{}\n");
    }

    #[test]
    fn one_thing_is_an_object_or_lines() {
        let print = |format| {
            let mut out = Vec::new();
            one(&mut out, format, &ADA, &[("name", "Ada".to_owned()), ("born in", "1815".to_owned())]).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(print(Format::Json), "{\n  \"name\": \"Ada\"\n}\n");
        assert_eq!(print(Format::Table), "name     Ada\nborn in  1815\n");
    }
}
