//! Splits a filter or path into tokens; text in quotes is JSON text (RFC 7644 section 3.4.2.2).

use crate::path::PathError;

/// A token and where it begins, counted in characters from 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) position: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    /// A name, keyword, operator, number, `true`, `false` or `null`.
    Word(String),
    /// Text in quotes, its escapes resolved.
    Text(String),
    OpenParenthesis,
    CloseParenthesis,
    OpenBracket,
    CloseBracket,
}

/// The tokens of `text`.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, PathError> {
    let mut tokens = Vec::new();
    let mut characters = text.chars().enumerate().map(|(at, c)| (at + 1, c)).peekable();
    while let Some((position, c)) = characters.next() {
        let kind = match c {
            '(' => TokenKind::OpenParenthesis,
            ')' => TokenKind::CloseParenthesis,
            '[' => TokenKind::OpenBracket,
            ']' => TokenKind::CloseBracket,
            '"' => quoted(&mut characters, position)?,
            c if c.is_whitespace() => continue,
            c => {
                let mut word = String::from(c);
                while let Some((_, c)) = characters.next_if(|(_, c)| !ends_word(*c)) {
                    word.push(c);
                }
                TokenKind::Word(word)
            }
        };
        tokens.push(Token { kind, position });
    }
    Ok(tokens)
}

fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | '[' | ']' | '"')
}

fn quoted(characters: &mut impl Iterator<Item = (usize, char)>, position: usize) -> Result<TokenKind, PathError> {
    let mut literal = String::from('"');
    let mut escaped = false;
    for (_, c) in characters.by_ref() {
        literal.push(c);
        match c {
            '"' if !escaped => {
                return serde_json::from_str(&literal).map(TokenKind::Text).map_err(|_| PathError::Malformed {
                    position,
                    reason: "the text in quotes is not valid JSON text".to_owned(),
                });
            }
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    Err(PathError::Malformed { position, reason: "the closing quote is missing".to_owned() })
}
