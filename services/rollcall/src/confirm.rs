//! Asking before what cannot be taken back.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::failure::Failure;

/// The longest answer that is read.
const ANSWER_LENGTH_MAX: u64 = 1024;

/// Asks a person at a terminal to write the name of what is to be deleted. Nobody else can be asked, and has to say so beforehand.
pub(crate) fn by_name(kind: &str, name: &str, how: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Refused(format!(
            "{kind} `{name}` would be deleted {how}, and nobody can be asked here: say --yes"
        )));
    }
    ask(&mut io::stdin().lock(), &mut io::stderr(), (kind, name, how))
}

fn ask(
    answers: &mut impl BufRead,
    questions: &mut impl Write,
    (kind, name, how): (&str, &str, &str),
) -> Result<(), Failure> {
    write!(questions, "This deletes {kind} `{name}` {how}. Write its name to go on: ")?;
    questions.flush()?;
    let mut answer = String::new();
    io::Read::take(answers, ANSWER_LENGTH_MAX).read_line(&mut answer).map_err(anyhow::Error::from)?;
    if answer.trim() == name {
        return Ok(());
    }
    Err(Failure::Refused(format!("that is not `{name}`: nothing was deleted")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_goes_on() {
        let answered = |text: &str| {
            let mut asked = Vec::new();
            let outcome = ask(&mut text.as_bytes(), &mut asked, ("the tenant", "acme", "for good"));
            assert!(String::from_utf8(asked).unwrap().contains("the tenant `acme` for good"));
            outcome
        };
        assert!(answered("acme\n").is_ok() && answered(" acme").is_ok());
        for text in ["", "\n", "y\n", "yes\n", "acme2\n", "ACME\n"] {
            assert!(matches!(answered(text), Err(Failure::Refused(_))), "{text:?}");
        }
    }
}
