//! What a run found out, for people and for programs.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    thread,
};

use clap::ValueEnum;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::measure::quantile;

/// How a result is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
}

/// How often something was answered, by HTTP status; 0 is no answer at all.
pub(crate) type Answers = BTreeMap<u16, u64>;

/// What a run found out.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    scenario: &'static str,
    database: &'static str,
    cores: usize,
    figures: Vec<Figure>,
    answers: BTreeMap<String, Answers>,
    counts: Vec<Count>,
}

/// A figure, measured several times.
#[derive(Debug, Serialize)]
struct Figure {
    what: String,
    unit: &'static str,
    median: f64,
    min: f64,
    max: f64,
    runs: usize,
}

/// A count that has to be what it is, however busy the machine.
#[derive(Debug, Serialize)]
struct Count {
    what: String,
    found: u64,
    expected: u64,
}

impl Report {
    pub(crate) fn new(scenario: &'static str, database: &'static str) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self { scenario, database, cores, figures: Vec::new(), answers: BTreeMap::new(), counts: Vec::new() }
    }

    /// A figure with the values of all rounds.
    pub(crate) fn figure(&mut self, what: impl Into<String>, unit: &'static str, values: &[f64]) {
        self.figures.push(Figure {
            what: what.into(),
            unit,
            median: quantile(values, 0.5),
            min: quantile(values, 0.0),
            max: quantile(values, 1.0),
            runs: values.len(),
        });
    }

    /// How somebody's requests were answered; what was noted before is added to.
    pub(crate) fn answers(&mut self, whose: &str, answers: &Answers) {
        let noted = self.answers.entry(whose.to_owned()).or_default();
        for (status, count) in answers {
            *noted.entry(*status).or_default() += count;
        }
    }

    /// A count that must be `expected`.
    pub(crate) fn count(&mut self, what: impl Into<String>, found: u64, expected: u64) {
        self.counts.push(Count { what: what.into(), found, expected });
    }

    /// How many of somebody's requests were not answered with one of `statuses`.
    pub(crate) fn others(&self, whose: &str, statuses: &[u16]) -> u64 {
        let answers = self.answers.get(whose).into_iter().flatten();
        answers.filter(|(status, _)| !statuses.contains(status)).map(|(_, count)| count).sum()
    }

    /// Whether every count is what it must be.
    pub(crate) fn holds(&self) -> bool {
        self.counts.iter().all(|count| count.found == count.expected)
    }

    pub(crate) fn print(&self, format: Format) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match format {
            Format::Json => {
                serde_json::to_writer_pretty(&mut out, self)?;
                writeln!(out)?;
            }
            Format::Table => {
                writeln!(out, "{} on {}, {} cores", self.scenario, self.database, self.cores)?;
                writeln!(out, "\n{}", self.figures_table())?;
                if !self.answers.is_empty() {
                    writeln!(out, "\n{}", self.answers_table())?;
                }
                if !self.counts.is_empty() {
                    writeln!(out, "\n{}", self.counts_table())?;
                }
            }
        }
        out.flush()
    }

    fn figures_table(&self) -> Table {
        let mut table = table(&["figure", "median", "min", "max", "unit", "runs"]);
        for Figure { what, unit, median, min, max, runs } in &self.figures {
            let [median, min, max] = [median, min, max].map(|value| number(*value));
            table.add_row([what.clone(), median, min, max, (*unit).to_owned(), runs.to_string()]);
        }
        right(&mut table, [1, 2, 3, 5])
    }

    fn answers_table(&self) -> Table {
        let mut table = table(&["requests of", "answers"]);
        for (whose, answers) in &self.answers {
            let told: Vec<String> = answers.iter().map(|(status, count)| format!("{count} × {status}")).collect();
            table.add_row([whose.clone(), told.join(", ")]);
        }
        table
    }

    fn counts_table(&self) -> Table {
        let mut table = table(&["count", "found", "expected", ""]);
        for Count { what, found, expected } in &self.counts {
            let verdict = if found == expected { "holds" } else { "DOES NOT HOLD" };
            table.add_row([what.clone(), found.to_string(), expected.to_string(), verdict.to_owned()]);
        }
        right(&mut table, [1, 2, 2, 2])
    }
}

/// A table in Markdown, to be read as it is and copied into a document.
fn table(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(columns);
    table
}

fn right(table: &mut Table, columns: [usize; 4]) -> Table {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.clone()
}

/// Three digits that count, or the whole number.
fn number(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_is_not_as_expected_is_told() {
        let mut report = Report::new("test", "SQLite");
        report.count("answers that were refusals", 0, 0);
        assert!(report.holds());
        report.count("argon2 runs", 2, 1);
        assert!(!report.holds());
        assert!(report.counts_table().to_string().contains("DOES NOT HOLD"));
    }

    #[test]
    fn answers_add_up_and_others_are_told() {
        let mut report = Report::new("test", "SQLite");
        for _ in 0..2 {
            report.answers("A", &Answers::from([(200, 5), (429, 1)]));
        }
        assert_eq!((report.others("A", &[200]), report.others("A", &[200, 429]), report.others("B", &[])), (2, 0, 0));
    }

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!([0.123, 12.34, 1234.5].map(number), ["0.12", "12.3", "1234"]);
    }
}
