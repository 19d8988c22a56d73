//! Several shards in one thread: the shipped loop over the shipped [`Shard`](kevy_server::shard::Shard), with a
//! schedule that decides who goes on. One seed is one run.
//!
//! - [`fiber`]: a shard's thread as a coroutine. It pauses where the real one waits, and in builds with `--cfg kevy_sim`
//!   before every access to memory that threads share ([`kevy_server`]'s `sync`): so all that threads can do to one
//!   another short of weak memory, which is loom's.
//! - [`schedule`]: uniform, by priorities (PCT), starving.
//! - [`world`]: sockets, clients and the clock; what a run must keep.
//! - [`history`]: what clients saw, and two judges of it; [`appends`]: a third, for long histories.
//! - [`trace`], [`exhaustive`]: all schedules of small scenarios.
//! - [`scenario`]: what clients send.
//!
//! Limits are small: mostly an order of few entries, always a thread that looks once before it sleeps.

pub mod appends;
pub mod exhaustive;
pub mod fiber;
pub mod history;
pub mod main;
pub mod scenario;
pub mod schedule;
pub mod trace;
pub mod world;

use kevy_server::shard::witness::Happened;
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
    /// Transactions that the third judge has looked at.
    pub judged: u64,
    /// Keys that were evicted, and commands that were refused for want of memory.
    pub evicted: u64,
    pub refused: u64,
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

/// Runs the clients of a random scenario one after the other, burst by burst, on 1, 2, 3 and 8 shards: what they receive
/// must not tell how many there are.
pub fn invariant(seed: u64) -> Result<usize, String> {
    let scenario = scenario::one_by_one(seed);
    let mut first: Option<history::History> = None;
    for shards in [1, 2, 3, 8] {
        let clients = scenario.clients.iter().cloned().map(|mut script| {
            script.shard %= shards;
            script
        });
        let scenario = Scenario { shards, clients: clients.collect(), ..scenario.clone() };
        let mut schedule = schedule::OneByOne(kevy_model::generator::Prng::new(seed));
        let outcome = Simulation::new(&scenario).run(&mut schedule, &mut Trace::default());
        let (history, _) = outcome.map_err(|fault| format!("{fault:?} on {shards} shards"))?;
        let Some(first) = &first else {
            first = Some(history);
            continue;
        };
        let (some, others) = (first.received(), history.received());
        if let Some((one, other)) = some.iter().zip(&others).find(|(one, other)| one != other) {
            return Err(format!("1 shard:  {one}\n{shards} shards: {other}\n{scenario}"));
        }
    }
    Ok(first.map_or(0, |history| history.answered()))
}

/// Runs random scenarios by seed, and small ones in all schedules in between, until something is wrong, at most so many
/// and as long as `goes_on` says. Gives what is wrong and how many operations it took.
pub fn find(most: u64, goes_on: impl Fn() -> bool) -> Option<(Fault, u64)> {
    let mut counts = Counts::default();
    let mut small = scenario::small(cfg!(kevy_sim)).into_iter().cycle();
    for seed in (0..most).take_while(|_| goes_on()) {
        // Threads that turn at every access get less far from one another than such that go on until they wait.
        let fine = cfg!(kevy_sim) && seed % 3 > 0;
        let scenario = scenario::random(seed, fine);
        let mut schedule = schedule::of(seed, scenario.shards, if fine { 3000 } else { 200 });
        let mut outcome = run(&scenario, &mut *schedule, &mut counts);
        if outcome.is_ok()
            && seed % SMALL == SMALL - 1
            && let Some(small) = small.next()
        {
            let schedules = seed * 10..seed * 10 + SMALL_SEEDS;
            outcome = schedules
                .map(|seed| {
                    schedule::of(seed, small.scenario.shards, if small.scenario.fine { 300 } else { 60 })
                })
                .try_for_each(|mut schedule| run(&small.scenario, &mut *schedule, &mut counts));
            if let Err(fault) = outcome {
                return Some((fault, counts.operations));
            }
            let explored = exhaustive::explore(&small.scenario, SMALL_RUNS, |history, steps| {
                judge(history, steps, &mut counts)
            });
            outcome = explored.map(|_| ()).map_err(|(fault, _)| fault);
        }
        if let Err(fault) = outcome {
            return Some((fault, counts.operations));
        }
    }
    None
}

/// One random scenario in so many is followed by a small one, in so many schedules of all and so many random ones.
const SMALL: u64 = 20;
const SMALL_RUNS: u64 = 200;
const SMALL_SEEDS: u64 = 40;

/// A scenario that fails in the same way with less to it.
pub fn shrink(scenario: &Scenario, property: Property, seed: u64) -> Scenario {
    let fails = |scenario: &Scenario| {
        (0..12).any(|other| {
            let mut schedule = schedule::of(seed + other * 4, scenario.shards, 200);
            let outcome = run(scenario, &mut *schedule, &mut Counts::default());
            outcome.is_err_and(|fault| fault.property == property)
        })
    };
    let mut least = scenario.clone();
    loop {
        let mut smaller = Vec::new();
        for client in 0..least.clients.len() {
            let mut without = least.clone();
            without.clients.remove(client);
            smaller.push(without);
            for burst in 0..least.clients[client].bursts.len() {
                let mut without = least.clone();
                without.clients[client].bursts.remove(burst);
                smaller.push(without);
                for command in 0..least.clients[client].bursts[burst].len() {
                    let mut without = least.clone();
                    without.clients[client].bursts[burst].remove(command);
                    smaller.push(without);
                }
            }
        }
        if least.ticks > 0 {
            smaller.push(Scenario { ticks: 0, ..least.clone() });
        }
        if least.events {
            smaller.push(Scenario { events: false, ..least.clone() });
        }
        if least.memory.is_some() {
            smaller.push(Scenario { memory: None, ..least.clone() });
        }
        if least.fragments {
            smaller.push(Scenario { fragments: false, ..least.clone() });
        }
        if least.spurious {
            smaller.push(Scenario { spurious: false, ..least.clone() });
        }
        let Some(next) = smaller.into_iter().find(|scenario| !scenario.clients.is_empty() && fails(scenario))
        else {
            return least;
        };
        least = next;
    }
}

fn judge(history: &history::History, steps: u64, counts: &mut Counts) -> Result<(), Fault> {
    counts.runs += 1;
    counts.steps += steps;
    counts.operations += history.answered() as u64;
    for event in &history.events {
        counts.evicted += u64::from(matches!(event.happened, Happened::Evicted { .. }));
        counts.refused += u64::from(event.happened == Happened::Refused);
    }
    let verdict = history
        .check()
        .map_err(|text| Fault { property: Property::Order, text: format!("{text}\n{}", history.text()) });
    match appends::judge(history) {
        Some(Ok(judged)) => counts.judged += judged.transactions as u64,
        Some(Err(text)) if verdict.is_ok() => return Err(Fault { property: Property::BlackBox, text }),
        Some(Err(_)) | None => {}
    }
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
