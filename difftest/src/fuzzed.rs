//! Plans made of a fuzzer's bytes: the generator's grammar, with bytes in the place of chance.
//!
//! The first bytes choose a few commands, so that a plan is short and what a fuzzer changes matters; all others are
//! decisions of the generator.

use std::sync::OnceLock;

use kevy::command::CommandId;
use kevy_model::generator::{Bytes, Choices, Gen, Generated, Plan, Prng, Scope};

use crate::compare;
use crate::inprocess::{self, Done, Failure, Setting, argv_of, check};

/// Commands of a plan.
const MOST_COMMANDS: u32 = 8;

/// Steps of a plan.
const STEPS: usize = 60;

/// Decisions read from bytes. Behind their end there is chance, always the same: only zeros could mean a plan without
/// end, of steps that are never of use.
struct Decisions<'a> {
    bytes: Bytes<'a>,
    behind: Prng,
}

impl Choices for Decisions<'_> {
    fn below(&mut self, n: u32) -> u32 {
        if self.bytes.0.is_empty() { self.behind.below(n) } else { self.bytes.below(n) }
    }
}

/// The plan that the bytes stand for, and how it is to be run.
pub fn plan(data: &[u8]) -> (Generated, Setting) {
    static SPECIFIED: OnceLock<Vec<CommandId>> = OnceLock::new();
    let specified = SPECIFIED.get_or_init(|| inprocess::scope(STEPS).commands);
    let mut decisions = Decisions { bytes: Bytes(data), behind: Prng::new(0) };
    let seed = u64::from(decisions.below(1 << 8));
    let few = 1 + decisions.below(MOST_COMMANDS);
    let commands = (0..few).map(|_| specified[decisions.below(specified.len() as u32) as usize]).collect();
    let protocol = 2 + decisions.below(2);
    let scope = Scope { commands, steps: STEPS, protocol, ..Scope::full() };
    let Generated { plan, notes } = Gen::new(&mut decisions, &scope).plan();
    let open = |step: &_| compare::sorts_in_open_order(argv_of(step));
    let (steps, notes) = plan.steps.into_iter().zip(notes).filter(|(step, _)| !open(step)).unzip();
    (Generated { plan: Plan { steps }, notes }, Setting::of(seed))
}

/// Runs the plan and checks it as the plans of chance are.
pub fn run(data: &[u8], done: &mut Done) -> Result<(), Failure> {
    let (generated, setting) = plan(data);
    check(&generated, &setting, done)
}

/// For the fuzzer: panics with the plan, made small, if anything is wrong with it.
pub fn target(data: &[u8]) {
    if let Err(failure) = run(data, &mut Done::default()) {
        let (generated, setting) = plan(data);
        panic!("{setting:?}\n{}", inprocess::shrunk(&generated, &setting, &failure));
    }
}
