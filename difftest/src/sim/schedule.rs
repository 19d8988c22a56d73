//! Who goes on next: the only source of disorder in a simulation.

use kevy_model::generator::{Choices, Prng};

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor {
    /// A shard's thread goes on.
    Thread(usize),
    /// A client sends, or leaves.
    Client(usize),
    /// Time passes.
    Clock,
}

/// Chooses who goes on.
pub trait Schedule {
    /// One of those that can.
    fn choose(&mut self, enabled: &[Actor]) -> Actor;

    /// A decision between so many possibilities that is no actor's: where to cut a request, for instance.
    fn decide(&mut self, of: u32) -> u32;
}

/// Anybody, with equal probability: small disorders everywhere.
pub struct Uniform(pub Prng);

impl Schedule for Uniform {
    fn choose(&mut self, enabled: &[Actor]) -> Actor {
        enabled[self.0.below(enabled.len() as u32) as usize]
    }

    fn decide(&mut self, of: u32) -> u32 {
        self.0.below(of)
    }
}

/// Priorities that change at a few random steps (Burckhardt and others, "A randomized scheduler with probabilistic
/// guarantees of finding bugs", 2010): a disorder that needs so many changes is found with a known probability.
pub struct Priorities {
    choices: Prng,
    /// Those with their priority who have been seen.
    known: Vec<(Actor, u64)>,
    /// The steps before which whoever goes first falls behind all.
    changes: Vec<u64>,
    step: u64,
    lowest: u64,
    /// Who went on last, and how often without anybody else.
    last: Option<(Actor, u32)>,
}

/// One that goes on so often without anybody else only looks again and again.
const PATIENCE: u32 = 400;

impl Priorities {
    /// With so many changes in the first `steps` steps.
    pub fn new(mut choices: Prng, depth: u32, steps: u32) -> Self {
        let changes = (0..depth).map(|_| u64::from(choices.below(steps))).collect();
        Self { choices, known: Vec::new(), changes, step: 0, lowest: u64::from(u32::MAX), last: None }
    }
}

impl Schedule for Priorities {
    fn choose(&mut self, enabled: &[Actor]) -> Actor {
        for &actor in enabled {
            if !self.known.iter().any(|&(known, _)| known == actor) {
                let priority = u64::from(u32::MAX) + 1 + u64::from(self.choices.below(u32::MAX));
                self.known.push((actor, priority));
            }
        }
        self.step += 1;
        let weary = self.last.is_some_and(|(_, times)| times > PATIENCE);
        if self.changes.contains(&self.step) || weary {
            let first = first(&self.known, enabled);
            self.lowest -= 1;
            let lowest = self.lowest;
            self.known.iter_mut().filter(|(actor, _)| *actor == first).for_each(|(_, at)| *at = lowest);
        }
        let first = first(&self.known, enabled);
        self.last = Some(match self.last {
            Some((last, times)) if last == first && !weary => (last, times + 1),
            _ => (first, 1),
        });
        first
    }

    fn decide(&mut self, of: u32) -> u32 {
        self.choices.below(of)
    }
}

fn first(known: &[(Actor, u64)], enabled: &[Actor]) -> Actor {
    let among = known.iter().filter(|(actor, _)| enabled.contains(actor));
    among.max_by_key(|&&(_, priority)| priority).expect("somebody can go on").0
}

/// One thread goes on only when nobody else can, or once in a long while.
pub struct Starving {
    pub choices: Prng,
    pub starved: Actor,
    pub once_in: u32,
}

impl Schedule for Starving {
    fn choose(&mut self, enabled: &[Actor]) -> Actor {
        let others: Vec<Actor> = enabled.iter().copied().filter(|&actor| actor != self.starved).collect();
        if others.is_empty() || others.len() < enabled.len() && self.choices.below(self.once_in) == 0 {
            return self.starved;
        }
        others[self.choices.below(others.len() as u32) as usize]
    }

    fn decide(&mut self, of: u32) -> u32 {
        self.choices.below(of)
    }
}

/// Threads go on until none can, then some client.
pub struct OneByOne(pub Prng);

impl Schedule for OneByOne {
    fn choose(&mut self, enabled: &[Actor]) -> Actor {
        let thread = enabled.iter().find(|actor| matches!(actor, Actor::Thread(_)));
        *thread.unwrap_or_else(|| &enabled[self.0.below(enabled.len() as u32) as usize])
    }

    fn decide(&mut self, of: u32) -> u32 {
        self.0.below(of)
    }
}

/// The schedule for a seed: each kind comes up.
pub fn of(seed: u64, threads: usize, steps: u32) -> Box<dyn Schedule> {
    let mut choices = Prng::new(seed ^ 0x5eed);
    match seed % 4 {
        0 => Box::new(Uniform(choices)),
        1 | 2 => {
            let depth = 1 + choices.below(4);
            Box::new(Priorities::new(choices, depth, steps))
        }
        _ => {
            let starved = Actor::Thread(choices.below(threads as u32) as usize);
            Box::new(Starving { choices, starved, once_in: [30, 100, 300][seed as usize / 4 % 3] })
        }
    }
}
