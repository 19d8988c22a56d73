//! Where a generator's decisions come from: a seed, the bytes of a fuzzer, or every possibility in turn.

/// A source of decisions. The same generator code is random, driven by a fuzzer, or exhaustive, depending on it.
pub trait Choices {
    /// A number below `n`, which is not zero.
    fn below(&mut self, n: u32) -> u32;
}

impl dyn Choices + '_ {
    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u32) -> bool {
        // The likelier answer is 0, which exhausted bytes give too.
        self.below(100) >= 100 - percent.min(100)
    }

    pub fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len() as u32) as usize]
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + i64::from(self.below((high - low + 1) as u32))
    }

    /// An index, as often as its weight says. Not all weights are zero.
    pub fn weighted(&mut self, weights: &[u32]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (index, &weight) in weights.iter().enumerate() {
            if left < weight {
                return index;
            }
            left -= weight;
        }
        unreachable!("a number below the sum of the weights lies in one of them")
    }

    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for end in (1..list.len()).rev() {
            list.swap(end, self.below(end as u32 + 1) as usize);
        }
    }
}

/// Pseudo-random decisions; the seed is the run. SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct Prng(u64);

impl Prng {
    pub fn new(seed: u64) -> Prng {
        Prng(seed)
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Choices for Prng {
    fn below(&mut self, n: u32) -> u32 {
        // The bias is below n / 2^64: of no consequence for tests.
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u32
    }
}

/// Decisions read from bytes, zeros when they are used up: deleting bytes makes smaller cases.
#[derive(Clone, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl Choices for Bytes<'_> {
    fn below(&mut self, n: u32) -> u32 {
        let width = match n {
            0..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 4,
        };
        let mut value = 0u32;
        for _ in 0..width {
            let (byte, rest) = self.0.split_first().map_or((0, self.0), |(byte, rest)| (*byte, rest));
            value = value << 8 | u32::from(byte);
            self.0 = rest;
        }
        value % n
    }
}

/// Every sequence of decisions, one a round, for generators that ask few questions with small bounds.
///
/// ```
/// use kevy_model::generator::{Choices, Exhaustive};
/// let mut all = Exhaustive::default();
/// let mut pairs = Vec::new();
/// while all.next_round() {
///     pairs.push((all.below(2), all.below(3)));
/// }
/// assert_eq!(pairs.len(), 6);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Exhaustive {
    /// The decisions of this round and their bounds.
    decisions: Vec<(u32, u32)>,
    at: usize,
    started: bool,
}

impl Exhaustive {
    /// Begins the next round, the first included; false when all have been.
    pub fn next_round(&mut self) -> bool {
        self.at = 0;
        if !std::mem::replace(&mut self.started, true) {
            return true;
        }
        while let Some((decision, bound)) = self.decisions.pop() {
            if decision + 1 < bound {
                self.decisions.push((decision + 1, bound));
                return true;
            }
        }
        false
    }
}

impl Choices for Exhaustive {
    fn below(&mut self, n: u32) -> u32 {
        if self.at == self.decisions.len() {
            self.decisions.push((0, n));
        }
        let (decision, bound) = self.decisions[self.at];
        assert_eq!(bound, n, "the same decisions must lead to the same questions");
        self.at += 1;
        decision
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sequence_comes_once_even_when_questions_depend_on_answers() {
        let mut all = Exhaustive::default();
        let mut seen = Vec::new();
        while all.next_round() {
            let first = all.below(3);
            let rest: Vec<u32> = (0..first).map(|_| all.below(2)).collect();
            seen.push((first, rest));
        }
        let count = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!((seen.len(), count), (1 + 2 + 4, 7));
    }

    #[test]
    fn numbers_are_below_their_bound_and_reach_it() {
        let bytes: Vec<u8> = (0..=u8::MAX).collect();
        let mut sources: [Box<dyn Choices>; 2] = [Box::new(Prng::new(1)), Box::new(Bytes(&bytes))];
        for source in &mut sources {
            let seen: Vec<u32> = (0..200).map(|_| source.below(5)).collect();
            assert!((0..5).all(|n| seen.contains(&n)) && seen.iter().all(|&n| n < 5));
        }
    }

    #[test]
    fn weights_of_zero_are_never_chosen() {
        let choices: &mut dyn Choices = &mut Prng::new(3);
        assert!((0..1000).all(|_| [1, 3].contains(&choices.weighted(&[0, 1, 0, 5, 0]))));
    }
}
