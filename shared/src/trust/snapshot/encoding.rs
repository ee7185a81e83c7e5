//! A snapshot as bytes: a header, the times, the keys, the revocations, and a SHA-256 over it all.
//! Numbers are big-endian.

use aws_lc_rs::digest::{SHA256, digest};
use uuid::Uuid;

use super::{FileFault, Snapshot};
use crate::{
    clock::Time,
    trust::{Head, News, PublicKey, Revocation},
};

const MAGIC: &[u8] = b"taskmanager trust";
const VERSION: u8 = 1;
/// How long the SHA-256 at the end is.
const DIGEST: usize = 32;
/// How long a revocation is.
const REVOCATION: usize = 24;
/// Stands for a time that is none.
const NO_TIME: i64 = i64::MIN;

pub(super) fn encode(snapshot: &Snapshot) -> Vec<u8> {
    let Snapshot { head, heard, news } = snapshot;
    let keys = news.keys.as_deref().unwrap_or_default();
    let mut bytes = Vec::with_capacity(256 + news.revocations.len() * REVOCATION);
    bytes.extend(MAGIC);
    bytes.push(VERSION);
    bytes.extend(head.epoch.as_bytes());
    bytes.extend(head.sequence.to_be_bytes());
    bytes.extend(heard.micros().to_be_bytes());
    bytes.extend(news.forgotten.map_or(NO_TIME, Time::micros).to_be_bytes());
    bytes.extend(count(keys.len()));
    for key in keys {
        bytes.extend(key.bytes());
    }
    bytes.extend(count(news.revocations.len()));
    for revocation in &news.revocations {
        bytes.extend(revocation.id.as_bytes());
        bytes.extend(revocation.expire_time.micros().to_be_bytes());
    }
    let seal = digest(&SHA256, &bytes);
    bytes.extend(seal.as_ref());
    bytes
}

pub(super) fn decode(bytes: &[u8]) -> Result<Snapshot, FileFault> {
    let mut header = Reader(bytes);
    if header.take(MAGIC.len()) != Some(MAGIC) {
        return Err(FileFault::Foreign);
    }
    match header.array() {
        Some([VERSION]) => {}
        Some([version]) => return Err(FileFault::Version(version)),
        None => return Err(FileFault::Damaged),
    }
    let end = bytes.len().checked_sub(DIGEST).ok_or(FileFault::Damaged)?;
    let (sealed, seal) = bytes.split_at_checked(end).ok_or(FileFault::Damaged)?;
    if digest(&SHA256, sealed).as_ref() != seal {
        return Err(FileFault::Damaged);
    }
    let mut body = Reader(sealed.get(MAGIC.len() + 1..).ok_or(FileFault::Damaged)?);
    body.snapshot().filter(|_| body.0.is_empty()).ok_or(FileFault::Damaged)
}

fn count(length: usize) -> [u8; 8] {
    u64::try_from(length).unwrap_or(u64::MAX).to_be_bytes()
}

/// What is left to be read.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn snapshot(&mut self) -> Option<Snapshot> {
        let head = Head { epoch: self.id()?, sequence: self.number()? };
        let time = Time::from_micros(self.number()?)?;
        let forgotten = match self.number()? {
            NO_TIME => None,
            micros => Some(Time::from_micros(micros)?),
        };
        let keys = (0..self.count()?).map(|_| Some(PublicKey::new(self.array()?)));
        let keys = keys.collect::<Option<Vec<_>>>()?;
        let revocations = (0..self.count()?).map(|_| {
            let (id, micros) = (self.id()?, self.number()?);
            Some(Revocation { id, expire_time: Time::from_micros(micros)? })
        });
        let revocations = revocations.collect::<Option<Vec<_>>>()?;
        let news =
            News { head: Some(head), is_snapshot: true, keys: Some(keys), revocations, forgotten };
        Some(Snapshot { head, heard: time, news })
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    fn number(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    fn id(&mut self) -> Option<Uuid> {
        self.array().map(Uuid::from_bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Forge;

    fn snapshot(revocations: u128) -> Snapshot {
        let head = Head { epoch: Uuid::from_u128(7), sequence: 9 };
        let time = Time::from_seconds;
        let revocation = |id| Revocation { id: Uuid::from_u128(id), expire_time: time(5) };
        let news = News {
            head: Some(head),
            is_snapshot: true,
            keys: Some(vec![Forge::new().public(), Forge::new().public()]),
            revocations: (0..revocations).map(revocation).collect(),
            forgotten: Some(time(3)),
        };
        Snapshot { head, heard: time(4), news }
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let mut snapshot = snapshot(3);
        assert_eq!(decode(&encode(&snapshot)).unwrap(), snapshot);
        snapshot.news.forgotten = None;
        snapshot.news.keys = Some(Vec::new());
        snapshot.news.revocations.clear();
        assert_eq!(decode(&encode(&snapshot)).unwrap(), snapshot);
    }

    #[test]
    fn a_file_that_is_cut_is_refused_at_every_length() {
        let bytes = encode(&snapshot(2));
        for length in 0..bytes.len() {
            decode(&bytes[..length]).expect_err("it is not whole");
        }
    }

    #[test]
    fn a_file_that_is_changed_anywhere_is_refused() {
        let bytes = encode(&snapshot(2));
        for place in 0..bytes.len() {
            for mask in [1, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[place] ^= mask;
                decode(&changed).expect_err("it is not what was written");
            }
        }
    }

    #[test]
    fn what_is_told_of_a_file_is_what_is_wrong_with_it() {
        let bytes = encode(&snapshot(2));
        let sealed = |edit: &dyn Fn(&mut Vec<u8>)| {
            let mut edited = bytes[..bytes.len() - DIGEST].to_vec();
            edit(&mut edited);
            let seal = digest(&SHA256, &edited);
            edited.extend(seal.as_ref());
            decode(&edited).unwrap_err()
        };
        assert!(matches!(sealed(&|it| it[0] = b'T'), FileFault::Foreign));
        assert!(matches!(sealed(&|it| it[MAGIC.len()] = 2), FileFault::Version(2)));
        assert!(matches!(sealed(&|it| it.push(0)), FileFault::Damaged), "too long");
        assert!(matches!(sealed(&|it| it.truncate(it.len() - 1)), FileFault::Damaged), "too short");
        // More revocations than anybody has, and no room for one.
        let end = bytes.len() - DIGEST - 2 * REVOCATION;
        assert!(matches!(sealed(&|it| it[end - 8] = 0x7f), FileFault::Damaged));
        let trailing = [bytes.as_slice(), b"\0"].concat();
        assert!(matches!(decode(&trailing).unwrap_err(), FileFault::Damaged));
    }
}
