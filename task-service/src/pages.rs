//! Pages of lists: what is asked for, and where the next one begins.

use std::ops::ControlFlow;

use shared::fields::Violations;
use uuid::Uuid;

use crate::sealed::{SealKey, unproved};

/// The most rows on a page.
const MOST: i32 = 1_000;
/// The most bytes of text on a page, so that any client can take it: most refuse more than 4 MiB.
const MOST_BYTES: usize = 1024 * 1024;
/// The rows on a page when nothing is said.
const DEFAULT: i32 = 50;

/// What stands before an order key that is a number.
const NUMBER: u8 = 0;
/// What stands before one that is a text.
const TEXT: u8 = 1;

/// A place in a list: the order key and the id of a row that is there, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// What the row is ordered by; 0 where the id alone is the order.
    pub key: OrderKey,
    /// Its id.
    pub id: Uuid,
}

/// What rows are ordered by, before their ids.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum OrderKey {
    /// By a number.
    Number(i64),
    /// By a text, byte by byte.
    Text(String),
}

impl Cursor {
    /// What stands in a page token.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let id = self.id.as_bytes().as_slice();
        match &self.key {
            OrderKey::Number(number) => [id, &[NUMBER], &number.to_be_bytes()].concat(),
            OrderKey::Text(text) => [id, &[TEXT], text.as_bytes()].concat(),
        }
    }

    /// The cursor that stands there.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (id, rest) = bytes.split_first_chunk::<16>()?;
        let key = match rest.split_first()? {
            (&NUMBER, number) => OrderKey::Number(i64::from_be_bytes(number.try_into().ok()?)),
            (&TEXT, text) => OrderKey::Text(String::from_utf8(text.to_vec()).ok()?),
            _ => return None,
        };
        Some(Self { key, id: Uuid::from_bytes(*id) })
    }
}

/// One page of a list: what is asked for.
#[derive(Debug)]
pub struct Page {
    /// How many rows it has at the most.
    pub size: usize,
    /// The last row of the page before.
    pub after: Option<Cursor>,
}

impl Page {
    /// Reads the fields `page_size` and `page_token` of a request. Without a context, because the
    /// filter itself is malformed, only the shape of the token can be looked at.
    pub fn parse(
        key: &SealKey,
        context: Option<&str>,
        size: i32,
        token: &str,
        violations: &mut Violations,
    ) -> Option<Self> {
        let size = violations.check("page_size", parse_size(size));
        let after = match context {
            Some(context) if !token.is_empty() => {
                let cursor = key.open(context, token).and_then(|it| Cursor::from_bytes(&it));
                Some(violations.check("page_token", cursor.ok_or(PageTokenFault))?)
            }
            None if !token.is_empty() => {
                let cursor = unproved(token).and_then(|it| Cursor::from_bytes(&it));
                violations.check("page_token", cursor.ok_or(PageTokenFault));
                None
            }
            Some(_) | None => None,
        };
        Some(Self { size: size?, after })
    }
}

/// The rows of a page, cut where it is full.
#[derive(Debug)]
pub struct Rows<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where the next page begins; `None` when there is none.
    pub next: Option<Cursor>,
    size: usize,
    bytes: usize,
    last: Option<Cursor>,
}

impl<T> Rows<T> {
    /// A page of at most this many rows.
    #[must_use]
    pub fn of(size: usize) -> Self {
        Self { rows: Vec::new(), next: None, size, bytes: 0, last: None }
    }

    /// Takes one more row, of this many bytes and at this place, unless the page is full. The first
    /// always fits.
    pub fn take(&mut self, row: T, bytes: usize, place: Cursor) -> ControlFlow<()> {
        self.bytes += bytes;
        if self.rows.len() < self.size && (self.rows.is_empty() || self.bytes <= MOST_BYTES) {
            self.rows.push(row);
            self.last = Some(place);
            return ControlFlow::Continue(());
        }
        self.next = self.last.take();
        ControlFlow::Break(())
    }

    /// The token that asks for the next page; empty when there is none.
    #[must_use]
    pub fn next_token(&self, key: &SealKey, context: &str) -> String {
        let token = self.next.as_ref().map(|next| key.seal(context, &next.to_bytes()));
        token.unwrap_or_default()
    }

    /// Says how far the rows were looked for, if not to the end of the list: there the next page
    /// begins, unless this one is full before.
    #[must_use]
    pub fn looked_for_up_to(mut self, end: Option<Cursor>) -> Self {
        self.next = self.next.or(end);
        self
    }
}

fn parse_size(size: i32) -> Result<usize, PageSizeFault> {
    let size = if size == 0 { DEFAULT } else { size.min(MOST) };
    usize::try_from(size).map_err(|_| PageSizeFault)
}

/// A token that this service gave to nobody who asks like this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a token that this list gave, to this caller, for this filter and order")]
pub struct PageTokenFault;

/// A page size below zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must not be negative")]
pub struct PageSizeFault;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let texts = ["", "a", "12345678", "straße"].map(|text| OrderKey::Text(text.to_owned()));
        for key in [OrderKey::Number(-5)].into_iter().chain(texts) {
            let cursor = Cursor { key, id: Uuid::new_v4() };
            assert_eq!(Cursor::from_bytes(&cursor.to_bytes()), Some(cursor));
        }
        let id = [7; 16];
        for rest in [&[][..], &[NUMBER], &[NUMBER; 8], &[NUMBER; 10], &[TEXT, 0xff], &[2, 0]] {
            assert_eq!(Cursor::from_bytes(&[&id, rest].concat()), None, "{rest:?}");
        }
        assert_eq!(Cursor::from_bytes(&id[1..]), None);
    }

    #[test]
    fn a_page_is_cut_by_rows_and_by_bytes() {
        let cursor = |key| Cursor { key: OrderKey::Number(key), id: Uuid::nil() };
        let fill_up_to = |end, size, bytes: &[usize]| {
            let mut rows = Rows::of(size);
            let taken = (1_i64..)
                .zip(bytes)
                .take_while(|(key, bytes)| rows.take(*key, **bytes, cursor(*key)).is_continue());
            taken.for_each(drop);
            let rows = rows.looked_for_up_to(end);
            let next = rows.next.map(|next| match next.key {
                OrderKey::Number(number) => number,
                OrderKey::Text(text) => panic!("{text}"),
            });
            (rows.rows.len(), next)
        };
        let fill = |size, bytes: &[usize]| fill_up_to(None, size, bytes);
        assert_eq!(fill(3, &[1, 1]), (2, None));
        assert_eq!(fill(3, &[1, 1, 1]), (3, None));
        assert_eq!(fill(3, &[1, 1, 1, 1]), (3, Some(3)));
        assert_eq!(fill(3, &[MOST_BYTES, 1]), (1, Some(1)));
        assert_eq!(fill(3, &[2 * MOST_BYTES]), (1, None));
        assert_eq!(fill(3, &[MOST_BYTES / 2, MOST_BYTES / 2, 1]), (2, Some(2)));
        let end = || Some(cursor(9));
        assert_eq!(fill_up_to(end(), 3, &[]), (0, Some(9)));
        assert_eq!(fill_up_to(end(), 3, &[1, 1, 1]), (3, Some(9)));
        assert_eq!(fill_up_to(end(), 3, &[1, 1, 1, 1]), (3, Some(3)));
    }

    #[test]
    fn a_page_size_is_held_to_its_limits() {
        assert_eq!(parse_size(0), Ok(50));
        assert_eq!(parse_size(1), Ok(1));
        assert_eq!(parse_size(i32::MAX), Ok(1_000));
        assert_eq!(parse_size(-1), Err(PageSizeFault));
    }
}
