//! Chance that can be had again.

/// Numbers that look random and follow from a seed alone. A test that fails says the seed.
#[derive(Debug)]
pub struct Chance {
    seed: u64,
    state: u64,
}

impl Chance {
    /// The numbers of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Any seed will do: seeds next to each other are driven apart, and none becomes 0, which
        // xorshift never leaves.
        let state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Self { seed, state }
    }

    /// A number from 0 up to this one, which it is not.
    pub fn below(&mut self, end: usize) -> usize {
        // xorshift64*: the high bits are the good ones.
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let number = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        let end = u64::try_from(end).expect("a number of 64 bits");
        usize::try_from(number % end).expect("less than what it is below")
    }

    /// One of these.
    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        let at = self.below(from.len());
        from.get(at).expect("there is one").clone()
    }
}

impl Drop for Chance {
    #[expect(clippy::print_stderr, reason = "whoever sees a test fail shall know how to repeat it")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed was {}", self.seed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_again_and_comes_everywhere() {
        let draw = |seed| {
            let mut chance = Chance::new(seed);
            (0..64).map(|_| chance.below(7)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        for seed in [0, 1, u64::MAX] {
            assert!((0..7).all(|number| draw(seed).contains(&number)), "{seed}");
        }
    }
}
