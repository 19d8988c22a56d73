//! Several shards under a scheduler, in this process: see `kevy_difftest::sim`. `ci/sim` does more of it, and finer.

use kevy_difftest::sim::{Counts, invariant, run, scenario, schedule};

/// Random scenarios of every day, and what they must have done at least.
const RUNS: u64 = 2200;
const OPERATIONS: u64 = 40_000;
const SEARCHED: u64 = 150;
const JUDGED: u64 = 3_000;

#[test]
fn several_shards_answer_as_one_server() {
    let mut counts = Counts::default();
    for seed in 0..RUNS {
        let scenario = scenario::random(seed, false);
        let mut schedule = schedule::of(seed, scenario.shards, 200);
        if let Err(fault) = run(&scenario, &mut *schedule, &mut counts) {
            panic!("seed {seed}: {:?}: {}\n{scenario}", fault.property, fault.text);
        }
    }
    assert!(
        counts.operations >= OPERATIONS && counts.searched >= SEARCHED && counts.judged >= JUDGED,
        "{counts:?}"
    );
}

#[test]
fn nobody_can_count_the_shards() {
    let answered: usize = (0..300)
        .map(|seed| invariant(seed).unwrap_or_else(|difference| panic!("seed {seed}: {difference}")))
        .sum();
    assert!(answered >= 12_000, "{answered}");
}
