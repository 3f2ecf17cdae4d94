//! Random letters for sheets, from a source that is handed in.

use std::collections::VecDeque;

/// The letters a sheet may ask for: none that moves, none the sheet itself
/// uses, none that looks like another.
pub const ALPHABET: [char; 13] = [
    'a', 'b', 'c', 'e', 'g', 'm', 'p', 's', 'u', 'v', 'w', 'x', 'z',
];

/// A source of letters. The same seed gives the same letters, so tests and
/// recordings repeat; the binary seeds it from the system.
///
/// This is no secret and needs no cryptography: it has to be unknown to a hand
/// that types ahead, not to an attacker. The steps are `SplitMix64` (Steele,
/// Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub struct Letters {
    state: u64,
    /// Those given last, the newest first.
    given: VecDeque<char>,
}

/// So many letters are not given again: who reads one, while a sheet is renewed
/// twice, must not find it asked for once more.
const KEPT: usize = 6;

impl Letters {
    /// A source that begins at `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self {
            state: seed,
            given: VecDeque::new(),
        }
    }

    /// Another letter, none of the last six.
    pub fn another(&mut self) -> char {
        loop {
            let letter = self.draw();
            if !self.given.contains(&letter) {
                self.given.push_front(letter);
                self.given.truncate(KEPT);
                return letter;
            }
        }
    }

    fn draw(&mut self) -> char {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let index = usize::try_from(mixed % 13).unwrap_or(0);
        ALPHABET.get(index).copied().unwrap_or('m')
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn every_letter_comes_up_about_equally_often() {
        let mut letters = Letters::seeded(7);
        let mut counts: BTreeMap<char, u32> = BTreeMap::new();
        for _ in 0..13_000 {
            *counts.entry(letters.another()).or_default() += 1;
        }
        assert_eq!(counts.len(), ALPHABET.len());
        assert!(
            counts.values().all(|count| (800..1200).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn no_letter_comes_again_soon() {
        let mut letters = Letters::seeded(1);
        let given: Vec<char> = (0..1000).map(|_| letters.another()).collect();
        for near in given.windows(7) {
            let different: BTreeSet<_> = near.iter().collect();
            assert_eq!(different.len(), 7, "{near:?}");
        }
    }

    #[test]
    fn the_alphabet_has_none_of_the_sheets_own_keys_and_no_look_alikes() {
        for taken in [
            'd', 't', 'j', 'k', 'h', 'l', 'q', 'i', 'o', 'f', 'n', 'r', 'y',
        ] {
            assert!(!ALPHABET.contains(&taken), "{taken}");
        }
    }
}
