//! What a run has touched, so that of runs that differ only in the order of independent steps one is enough.
//!
//! Every actor and every shared object has a hash: an actor's takes in the hashes of what it reads, and what an actor
//! writes takes in the actor's. So equal hashes mean that the same actors have done the same to the same objects, in
//! orders that differ at most where nobody could tell: the state is the same (Mazurkiewicz's traces). Requests and
//! replies count too: who asks takes in what was answered before.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

#[cfg(kevy_sim)]
use super::fiber::{self, Pause};
use super::schedule::Actor;

/// See the module documentation.
#[derive(Default)]
pub struct Trace {
    actor: Option<Actor>,
    actors: HashMap<Actor, u64>,
    objects: HashMap<usize, u64>,
    /// The sum of the hashes of what was answered.
    returned: u64,
    /// What is remembered, if anything is, and how many steps of the run have been made before already.
    memory: Option<Memory>,
    replayed: usize,
    steps: usize,
    #[cfg_attr(not(kevy_sim), allow(dead_code))]
    fine: bool,
    #[cfg_attr(not(kevy_sim), allow(dead_code))]
    held: Vec<Actor>,
    /// Since an actor went on last.
    #[cfg_attr(not(kevy_sim), allow(dead_code))]
    accesses: u32,
}

/// So many accesses at one go have no end.
#[cfg(kevy_sim)]
const MOST_ACCESSES: u32 = 20_000;

/// The states in which runs have been.
#[derive(Default)]
pub struct Memory {
    pub states: HashSet<u64>,
}

thread_local! {
    static TRACE: RefCell<Trace> = RefCell::default();
}

fn mix(a: u64, b: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (a, b).hash(&mut hasher);
    hasher.finish()
}

impl Trace {
    /// One that remembers states; the first `replayed` steps lead back to one of them.
    pub fn remembering(memory: Memory, replayed: usize) -> Trace {
        Trace { memory: Some(memory), replayed, ..Trace::default() }
    }

    pub fn into_memory(self) -> Memory {
        self.memory.unwrap_or_default()
    }

    /// Notes what happens while `run` runs on this thread.
    pub fn during<R>(&mut self, fine: bool, run: impl FnOnce(&mut Trace) -> R) -> R {
        TRACE.with_borrow_mut(|trace| *trace = Trace { fine, ..Trace::default() });
        hook(true);
        let outcome = run(self);
        hook(false);
        outcome
    }

    /// An actor is about to go on.
    pub fn step(&mut self, actor: Actor) {
        self.steps += 1;
        TRACE.with_borrow_mut(|trace| {
            trace.actor = Some(actor);
            trace.accesses = 0;
            let hash = trace.actors.entry(actor).or_default();
            *hash = mix(*hash, 1);
        });
    }

    /// Whether a run has been in this state before; if not, it is remembered.
    pub fn been_here(&mut self, enabled: &[Actor]) -> bool {
        let Some(memory) = &mut self.memory else { return false };
        if self.steps < self.replayed {
            return false;
        }
        let mut hasher = DefaultHasher::new();
        TRACE.with_borrow(|trace| trace.state()).hash(&mut hasher);
        enabled.hash(&mut hasher);
        !memory.states.insert(hasher.finish())
    }

    fn state(&self) -> (u64, u64, u64) {
        let actors = self.actors.iter().map(|(actor, &hash)| {
            let mut hasher = DefaultHasher::new();
            (actor, hash).hash(&mut hasher);
            hasher.finish()
        });
        let objects = self.objects.values().map(|&hash| mix(hash, 7));
        (actors.fold(0, u64::wrapping_add), objects.fold(0, u64::wrapping_add), self.returned)
    }

    fn touch(&mut self, object: usize, write: bool) {
        let Some(actor) = self.actor else { return };
        let hash = self.actors.entry(actor).or_default();
        let seen = self.objects.entry(object).or_default();
        *hash = mix(*hash, *seen);
        if write {
            *seen = mix(*seen, *hash);
        }
    }
}

/// Lets another thread go on before an access to shared memory, if they take turns there.
#[cfg(kevy_sim)]
fn take_turns() {
    let fine =
        TRACE.with_borrow(|trace| trace.fine && !trace.held.iter().any(|held| Some(*held) == trace.actor));
    if fine {
        fiber::pause(Pause::Access);
    }
}

#[cfg(kevy_sim)]
fn hook(on: bool) {
    use kevy_server::sync::scheduled::{Access, tell};
    fn access(access: Access) {
        if !fiber::inside() {
            return;
        }
        take_turns();
        touch(access.at, access.write);
        let accesses = TRACE.with_borrow_mut(|trace| {
            trace.accesses += 1;
            trace.accesses
        });
        assert!(
            accesses < MOST_ACCESSES,
            "a turn goes nowhere: it waits for somebody instead of letting him go on"
        );
    }
    tell(on.then_some(access as fn(Access)));
}

/// Nobody tells of accesses in this build; where threads wait is still a pause.
#[cfg(not(kevy_sim))]
fn hook(_: bool) {}

/// From here on, accesses of the thread that runs are no places to let another one go on; or they are again.
pub fn hold(on: bool) {
    TRACE.with_borrow_mut(|trace| {
        let actor = trace.actor;
        trace.held.retain(|held| Some(*held) != actor);
        trace.held.extend(actor.filter(|_| on));
    });
}

/// The address of something shared.
pub fn address<T>(of: &T) -> usize {
    std::ptr::from_ref(of).addr()
}

pub fn touch(object: usize, write: bool) {
    TRACE.with_borrow_mut(|trace| trace.touch(object, write));
}

/// A thread's inbox: small numbers are no addresses.
pub fn touch_inbox(thread: usize) {
    touch(thread + 1, true);
}

const CLOCK: usize = 100;

pub fn read_clock() {
    touch(CLOCK, false);
}

pub fn tick() {
    touch(CLOCK, true);
}

/// How much memory is used: every look is another one.
const MEMORY: usize = 101;

/// A thread asks how much memory is used: an access like those that the server tells of.
pub fn use_memory() {
    #[cfg(kevy_sim)]
    take_turns();
    touch(MEMORY, true);
}

/// A client sends its command with this number.
pub fn invoked(client: usize, number: usize) {
    TRACE.with_borrow_mut(|trace| {
        let returned = trace.returned;
        let Some(actor) = trace.actor else { return };
        let hash = trace.actors.entry(actor).or_default();
        *hash = mix(*hash, mix(returned, (client << 16 | number) as u64));
    });
}

/// A client's command has been answered.
pub fn returned(client: usize, number: usize) {
    TRACE.with_borrow_mut(|trace| {
        trace.returned = trace.returned.wrapping_add(mix(client as u64, number as u64));
    });
}
