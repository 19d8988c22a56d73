//! All schedules of a small scenario: depth first, each from the beginning, cut where a run comes to a state in which
//! another one has been.

use super::history::History;
use super::schedule::{Actor, Schedule};
use super::trace::{Memory, Trace};
use super::world::{Fault, Scenario, Simulation};

/// How often one goes on while others could. Who finds the order full looks again and again: of all schedules some let
/// nobody else go on meanwhile, and no machine has those.
const UNFAIR: usize = 300;

/// Goes the way it is told, then always the first that can.
struct Path {
    told: Vec<Actor>,
    /// At each step, who could go on, and who of them did.
    taken: Vec<(Vec<Actor>, usize)>,
}

impl Schedule for Path {
    fn choose(&mut self, enabled: &[Actor]) -> Actor {
        let told = self.told.get(self.taken.len());
        let last = &self.taken[self.taken.len().saturating_sub(UNFAIR)..];
        let first = |(enabled, place): &(Vec<Actor>, usize)| enabled[*place];
        let unfair = last.len() == UNFAIR && last.iter().all(|taken| first(taken) == enabled[0]);
        let place = told.map_or(usize::from(unfair && enabled.len() > 1), |told| {
            enabled.iter().position(|actor| actor == told).expect("a run is repeatable from its schedule")
        });
        self.taken.push((enabled.to_vec(), place));
        enabled[place]
    }

    fn decide(&mut self, _: u32) -> u32 {
        0
    }
}

/// How much was looked at.
#[derive(Clone, Debug, Default)]
pub struct Explored {
    /// Runs begun, and those that came to an end nobody had seen.
    pub runs: u64,
    pub histories: u64,
    pub states: usize,
    /// Nothing is left to look at.
    pub complete: bool,
}

/// Runs all schedules, or as many as allowed, and has every history judged.
pub fn explore(
    scenario: &Scenario,
    most_runs: u64,
    mut judge: impl FnMut(&History, u64) -> Result<(), Fault>,
) -> Result<Explored, (Fault, Vec<Actor>)> {
    let mut explored = Explored::default();
    let mut memory = Memory::default();
    let mut told = Vec::new();
    loop {
        let mut path = Path { taken: Vec::new(), told };
        let mut trace = Trace::remembering(memory, path.told.len());
        let outcome = Simulation::new(scenario).run_until_quiet(&mut path, &mut trace);
        memory = trace.into_memory();
        explored.runs += 1;
        let went = |path: &Path| path.taken.iter().map(|(enabled, place)| enabled[*place]).collect();
        match outcome {
            Err(fault) => return Err((fault, went(&path))),
            Ok(None) => {}
            Ok(Some((history, steps))) => {
                explored.histories += 1;
                judge(&history, steps).map_err(|fault| (fault, went(&path)))?;
            }
        }
        explored.states = memory.states.len();
        // The last step at which somebody else could have gone on.
        let mut taken = path.taken;
        while taken.last().is_some_and(|(enabled, place)| place + 1 == enabled.len()) {
            taken.pop();
        }
        let Some((_, place)) = taken.last_mut() else {
            explored.complete = true;
            return Ok(explored);
        };
        *place += 1;
        if explored.runs >= most_runs {
            return Ok(explored);
        }
        told = taken.iter().map(|(enabled, place)| enabled[*place]).collect();
    }
}
