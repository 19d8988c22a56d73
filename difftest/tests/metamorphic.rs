//! Plans that are run twice, the second time changed in a way that must not matter: no oracle is asked.

use kevy_difftest::metamorphic::{Compared, Relation, check};

/// Plans of every day for each relation, and the steps of each.
const PLANS: u64 = 40;
const STEPS: usize = 1000;

/// What each relation must have compared at least.
const COMMANDS: u64 = 30_000;
const FRAMES: u64 = 30_000;

#[test]
fn what_must_not_matter_does_not() {
    for relation in Relation::ALL {
        let mut compared = Compared::default();
        for seed in 0..PLANS {
            compared.add(check(relation, seed, STEPS).unwrap_or_else(|failure| panic!("{failure}")));
        }
        println!("{relation:?} {compared:?}");
        assert!(compared.commands >= COMMANDS && compared.frames >= FRAMES, "{relation:?} {compared:?}");
    }
}
