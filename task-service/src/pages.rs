//! Page tokens: where the next page begins, for the one whom it was given to.

use std::ops::ControlFlow;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use shared::fields::Violations;
use uuid::Uuid;

/// The most rows on a page.
const MOST: i32 = 1_000;
/// The most bytes of text on a page, so that any client can take it: most refuse more than 4 MiB.
const MOST_BYTES: usize = 1024 * 1024;
/// How many bytes the proof has.
const TAG: usize = 32;
/// The rows on a page when nothing is said.
const DEFAULT: i32 = 50;

/// The last row of a page: its order key and its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// What it is ordered by; 0 where the id alone is the order.
    pub key: i64,
    /// Its id.
    pub id: Uuid,
}

/// Makes page tokens and knows its own.
///
/// A token is the cursor and an HMAC-SHA256 of it, of whom it was given to, and of what they asked
/// for: it opens in no other context, and none can be made up.
#[derive(Debug, Clone)]
pub struct PageKey(hmac::Key);

impl PageKey {
    /// The length of the key's bytes.
    pub const SIZE: usize = 32;

    /// The key of these random bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The token of a cursor in a context: the RPC, the owner, the filter and the order.
    #[must_use]
    pub fn seal(&self, context: &str, cursor: Cursor) -> String {
        let mut token = cursor_bytes(cursor);
        let tag = hmac::sign(&self.0, &message(&token, context));
        token.extend_from_slice(tag.as_ref());
        URL_SAFE_NO_PAD.encode(token)
    }

    /// The token that asks for the next page; empty when there is none.
    #[must_use]
    pub fn seal_next(&self, context: &str, next: Option<Cursor>) -> String {
        next.map(|next| self.seal(context, next)).unwrap_or_default()
    }

    /// The cursor of a token that was made in this context.
    ///
    /// # Errors
    /// When it was made in another, or never.
    pub fn open(&self, context: &str, token: &str) -> Result<Cursor, PageTokenFault> {
        let (cursor, tag) = parts(token)?;
        hmac::verify(&self.0, &message(&cursor_bytes(cursor), context), &tag)
            .map(|()| cursor)
            .map_err(|_| PageTokenFault)
    }
}

impl PageKey {
    /// A token that carries these bytes for whoever it is given to, in a context.
    #[must_use]
    pub fn seal_bytes(&self, context: &str, bytes: &[u8]) -> String {
        let tag = hmac::sign(&self.0, &bytes_message(bytes, context));
        URL_SAFE_NO_PAD.encode([bytes, tag.as_ref()].concat())
    }

    /// The bytes of a token that was made in this context.
    ///
    /// # Errors
    /// When it was made in another, or never.
    pub fn open_bytes(&self, context: &str, token: &str) -> Result<Vec<u8>, PageTokenFault> {
        let mut bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| PageTokenFault)?;
        let size = bytes.len().checked_sub(TAG).ok_or(PageTokenFault)?;
        let tag = bytes.split_off(size);
        hmac::verify(&self.0, &bytes_message(&bytes, context), &tag).map_err(|_| PageTokenFault)?;
        Ok(bytes)
    }
}

/// The length comes first, so nothing can move between the bytes and the context.
fn bytes_message(bytes: &[u8], context: &str) -> Vec<u8> {
    [bytes.len().to_be_bytes().as_slice(), bytes, context.as_bytes()].concat()
}

/// The cursor that a token names and the tag that is to prove it.
fn parts(token: &str) -> Result<(Cursor, Vec<u8>), PageTokenFault> {
    let token = URL_SAFE_NO_PAD.decode(token).map_err(|_| PageTokenFault)?;
    let (key, rest) = token.split_first_chunk::<8>().ok_or(PageTokenFault)?;
    let (id, tag) = rest.split_first_chunk::<16>().ok_or(PageTokenFault)?;
    let cursor = Cursor { key: i64::from_be_bytes(*key), id: Uuid::from_bytes(*id) };
    Ok((cursor, tag.to_vec()))
}

/// The cursor has a fixed length, so nothing can move between it and the context.
fn message(cursor: &[u8], context: &str) -> Vec<u8> {
    [cursor, context.as_bytes()].concat()
}

fn cursor_bytes(cursor: Cursor) -> Vec<u8> {
    [cursor.key.to_be_bytes().as_slice(), cursor.id.as_bytes()].concat()
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
        key: &PageKey,
        context: Option<&str>,
        size: i32,
        token: &str,
        violations: &mut Violations,
    ) -> Option<Self> {
        let size = violations.check("page_size", parse_size(size));
        let after = match context {
            Some(context) if !token.is_empty() => {
                Some(violations.check("page_token", key.open(context, token))?)
            }
            None if !token.is_empty() => {
                violations.check("page_token", parts(token).map(drop));
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
}

impl<T> Rows<T> {
    /// A page of at most this many rows.
    #[must_use]
    pub fn of(size: usize) -> Self {
        Self { rows: Vec::new(), next: None, size, bytes: 0 }
    }

    /// Takes one more row, of this many bytes, unless the page is full. The first always fits.
    pub fn take(&mut self, row: T, bytes: usize, cursor: impl Fn(&T) -> Cursor) -> ControlFlow<()> {
        self.bytes += bytes;
        if self.rows.len() < self.size && (self.rows.is_empty() || self.bytes <= MOST_BYTES) {
            self.rows.push(row);
            return ControlFlow::Continue(());
        }
        self.next = self.rows.last().map(cursor);
        ControlFlow::Break(())
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
    fn a_token_opens_where_it_was_made_and_nowhere_else() {
        let key = PageKey::new(&[1; PageKey::SIZE]);
        let cursor = Cursor { key: -5, id: Uuid::new_v4() };
        let token = key.seal("context", cursor);
        assert_eq!(key.open("context", &token), Ok(cursor));
        assert_eq!(key.open("another", &token), Err(PageTokenFault));
        assert_eq!(PageKey::new(&[2; 32]).open("context", &token), Err(PageTokenFault));
        for at in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(key.open("context", &forged), Err(PageTokenFault), "character {at}");
            assert_eq!(key.open("context", &token[..at]), Err(PageTokenFault));
        }
    }

    #[test]
    fn a_page_is_cut_by_rows_and_by_bytes() {
        let cursor = |key: &i64| Cursor { key: *key, id: Uuid::nil() };
        let fill = |size, bytes: &[usize]| {
            let mut rows = Rows::of(size);
            let taken = (1_i64..)
                .zip(bytes)
                .take_while(|(key, bytes)| rows.take(*key, **bytes, cursor).is_continue());
            taken.for_each(drop);
            (rows.rows.len(), rows.next.map(|next| next.key))
        };
        assert_eq!(fill(3, &[1, 1]), (2, None));
        assert_eq!(fill(3, &[1, 1, 1]), (3, None));
        assert_eq!(fill(3, &[1, 1, 1, 1]), (3, Some(3)));
        assert_eq!(fill(3, &[MOST_BYTES, 1]), (1, Some(1)));
        assert_eq!(fill(3, &[2 * MOST_BYTES]), (1, None));
        assert_eq!(fill(3, &[MOST_BYTES / 2, MOST_BYTES / 2, 1]), (2, Some(2)));
    }

    #[test]
    fn a_page_size_is_held_to_its_limits() {
        assert_eq!(parse_size(0), Ok(50));
        assert_eq!(parse_size(1), Ok(1));
        assert_eq!(parse_size(i32::MAX), Ok(1_000));
        assert_eq!(parse_size(-1), Err(PageSizeFault));
    }
}
