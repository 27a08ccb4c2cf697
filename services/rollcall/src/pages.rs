//! Reading a paged list to its end.

use std::{collections::VecDeque, io};

use anyhow::anyhow;

use crate::{
    failure::Failure,
    output::{Format, List, Row},
};

/// How many rows a page has. The largest rows (users with a full profile) stay far below a message's limit.
pub(crate) const PAGE_SIZE: i32 = 200;

/// A list that is fetched page by page. `fetch` takes a page token and answers the page and the next token, which is empty at the end.
pub(crate) struct Pages<R, F> {
    fetch: F,
    /// None after the last page.
    token: Option<String>,
    ready: VecDeque<R>,
}

impl<R, F> Pages<R, F>
where
    F: AsyncFnMut(String) -> Result<(Vec<R>, String), Failure>,
{
    pub(crate) const fn new(fetch: F) -> Self {
        Self { fetch, token: Some(String::new()), ready: VecDeque::new() }
    }

    /// The rows of the next page; none after the last.
    pub(crate) async fn page(&mut self) -> Result<Option<Vec<R>>, Failure> {
        let Some(token) = self.token.take() else { return Ok(None) };
        let (rows, next) = (self.fetch)(token.clone()).await?;
        if !next.is_empty() {
            if next == token {
                return Err(anyhow!("the server answers the same page again and again").into());
            }
            self.token = Some(next);
        }
        Ok(Some(rows))
    }

    /// The next row, which stays.
    pub(crate) async fn peek(&mut self) -> Result<Option<&R>, Failure> {
        while self.ready.is_empty() {
            match self.page().await? {
                Some(rows) => self.ready.extend(rows),
                None => break,
            }
        }
        Ok(self.ready.front())
    }

    /// Takes the row that was seen by [`Self::peek`].
    pub(crate) fn pop(&mut self) -> Option<R> {
        self.ready.pop_front()
    }
}

/// Prints every row of a list on standard output.
pub(crate) async fn print<R, F>(format: Format, fetch: F) -> Result<(), Failure>
where
    R: Row,
    F: AsyncFnMut(String) -> Result<(Vec<R>, String), Failure>,
{
    let mut pages = Pages::new(fetch);
    let mut list = List::new(io::stdout(), format);
    while let Some(rows) = pages.page().await? {
        list.rows(&rows)?;
    }
    list.end::<R>()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three pages, the middle one empty.
    async fn fetch(token: String) -> Result<(Vec<i32>, String), Failure> {
        Ok(match token.as_str() {
            "" => (vec![1, 2], "a".to_owned()),
            "a" => (vec![], "b".to_owned()),
            _ => (vec![3], String::new()),
        })
    }

    #[tokio::test]
    async fn every_row_of_every_page_is_read() {
        let mut pages = Pages::new(fetch);
        let mut seen = Vec::new();
        while pages.peek().await.unwrap().is_some() {
            seen.extend(pages.pop());
        }
        assert_eq!(seen, [1, 2, 3]);
        assert!(pages.page().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_list_that_turns_in_a_circle_ends() {
        let mut pages = Pages::new(async |_| Ok((vec![1], "a".to_owned())));
        assert!(pages.page().await.unwrap().is_some());
        assert!(pages.page().await.is_err());
    }
}
