//! Places for streams, so many for each who has them.

use std::{
    collections::HashMap,
    fmt::Debug,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tonic::Status;

use crate::status::overloaded;

/// How many streams each has open: one who goes wild must not take those of the others.
#[derive(Debug)]
pub struct Places<K> {
    most: usize,
    taken: Arc<Taken<K>>,
}

type Taken<K> = Mutex<HashMap<K, usize>>;

/// A place, until it is dropped.
#[derive(Debug)]
pub struct TakenPlace<K: Hash + Eq> {
    key: K,
    taken: Arc<Taken<K>>,
}

impl<K: Hash + Eq + Clone> Places<K> {
    /// So many places for each.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// Takes one of the places of this one.
    ///
    /// # Errors
    /// When none is left.
    pub fn take(&self, key: K) -> Result<TakenPlace<K>, Status> {
        let mut taken = lock(&self.taken);
        if taken.get(&key).is_some_and(|count| *count >= self.most) {
            return Err(overloaded("the caller has too many streams"));
        }
        *taken.entry(key.clone()).or_default() += 1;
        Ok(TakenPlace { key, taken: Arc::clone(&self.taken) })
    }
}

impl<K: Hash + Eq> Drop for TakenPlace<K> {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        if let Some(count) = taken.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.key);
            }
        }
    }
}

fn lock<K>(taken: &Taken<K>) -> MutexGuard<'_, HashMap<K, usize>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_their_own_and_gets_them_back() {
        let places = Places::new(2);
        let (one, _two) = (places.take("ann").unwrap(), places.take("ann").unwrap());
        assert_eq!(places.take("ann").unwrap_err().code(), tonic::Code::ResourceExhausted);
        let bobs = places.take("bob").unwrap();
        drop((one, bobs));
        let _three = places.take("ann").unwrap();
        assert!(places.take("ann").is_err());
        assert_eq!(lock(&places.taken).len(), 1, "nobody is remembered who has none");
    }
}
