//! Several shards in one thread: the shipped loop over the shipped [`Shard`](kevy_server::shard::Shard), with a
//! schedule that decides who goes on. One seed is one run.
//!
//! - [`fiber`]: a shard's thread as a coroutine. It pauses where the real one waits, and in builds with `--cfg kevy_sim`
//!   before every access to memory that threads share ([`kevy_server`]'s `sync`): so all that threads can do to one
//!   another short of weak memory, which is loom's.
//! - [`schedule`]: uniform, by priorities (PCT), starving.
//! - [`world`]: sockets, clients and the clock; what a run must keep.
//! - [`history`]: what clients saw, and its two judges.
//! - [`trace`], [`exhaustive`]: all schedules of small scenarios.
//! - [`scenario`]: what clients send.
//!
//! Every limit is at its minimum: an order of few entries, a thread that looks once before it sleeps.

pub mod exhaustive;
pub mod fiber;
pub mod history;
pub mod main;
pub mod scenario;
pub mod schedule;
pub mod trace;
pub mod world;

use trace::Trace;
use world::{Fault, Property, Scenario, Simulation};

/// What runs have done.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub runs: u64,
    pub steps: u64,
    pub operations: u64,
    /// Histories that the second judge has looked at, and such that were too long for him.
    pub searched: u64,
    pub too_long: u64,
}

/// Histories up to this length are searched, and how many states are looked at most.
const SEARCHED: (usize, usize) = (14, 20_000);

/// Runs a scenario under a schedule and judges it.
pub fn run(
    scenario: &Scenario,
    schedule: &mut dyn schedule::Schedule,
    counts: &mut Counts,
) -> Result<(), Fault> {
    let (history, steps) = Simulation::new(scenario).run(schedule, &mut Trace::default())?;
    judge(&history, steps, counts)
}

fn judge(history: &history::History, steps: u64, counts: &mut Counts) -> Result<(), Fault> {
    counts.runs += 1;
    counts.steps += steps;
    counts.operations += history.answered() as u64;
    let verdict = history.check().map_err(|text| Fault { property: Property::Order, text });
    let length: usize = history.operations.iter().map(Vec::len).sum();
    if length <= SEARCHED.0 {
        match history.search(SEARCHED.1) {
            Some(true) => counts.searched += 1,
            None => counts.too_long += 1,
            Some(false) => {
                counts.searched += 1;
                if verdict.is_ok() {
                    let text = "no order explains what clients saw, though the witness's does".to_owned();
                    return Err(Fault { property: Property::BlackBox, text });
                }
            }
        }
    }
    verdict
}
