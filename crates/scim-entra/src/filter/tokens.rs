//! The tokens of a filter with their places in the text, so that the rest of the text stays as it is.

/// A token of the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: TokenKind,
    /// The token as it stands in the text, quotes included.
    pub(super) text: &'a str,
    /// Its first byte.
    pub(super) start: usize,
}

impl Token<'_> {
    pub(super) fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum TokenKind {
    Word,
    Text,
    Open,
    Close,
    Parenthesis,
}

/// The tokens, or nothing if a quote is not closed.
pub(super) fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut start = 0;
    while let Some(rest) = text.get(start..) {
        let Some(first) = rest.chars().next() else { break };
        let (kind, length) = match first {
            '[' => (TokenKind::Open, 1),
            ']' => (TokenKind::Close, 1),
            '(' | ')' => (TokenKind::Parenthesis, 1),
            '"' => (TokenKind::Text, quoted_length(rest)?),
            c if c.is_whitespace() => {
                start += c.len_utf8();
                continue;
            }
            _ => (TokenKind::Word, rest.find(ends_word).unwrap_or(rest.len())),
        };
        tokens.push(Token { kind, text: rest.get(..length)?, start });
        start += length;
    }
    Some(tokens)
}

/// Whether a character is no part of a word.
pub(super) fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | '[' | ']' | '"')
}

fn quoted_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return Some(at + 1),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    None
}
