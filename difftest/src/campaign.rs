//! Many plans on two servers, with counts, until a time or a number of commands is reached.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kevy::command::CommandId;
use kevy_model::generator::{Cell, Gen, Generated, KeyState, Outcome, Plan, Prng, Scope, Tally};

use crate::known::{Known, command_text, reply_text};
use crate::runner::{Counts, Difference, Knows, Reference, Run, Stop};
use crate::server::Server;
use crate::shrink::shrink;
use crate::state;
use crate::wire::{Wire, decode};

/// Two servers and a control connection to each.
pub struct Pair {
    pub reference: Server,
    pub subject: Server,
    reference_control: Wire,
    subject_control: Wire,
}

impl Pair {
    pub fn new(reference: Server, subject: Server) -> io::Result<Pair> {
        let (reference_control, subject_control) = (control_of(&reference)?, control_of(&subject)?);
        Ok(Pair { reference, subject, reference_control, subject_control })
    }

    /// Starts what has ended again.
    fn revive(&mut self) -> io::Result<()> {
        let sides = [
            (&mut self.reference, &mut self.reference_control),
            (&mut self.subject, &mut self.subject_control),
        ];
        for (server, control) in sides {
            if server.has_ended() {
                *server = server.start_again()?;
                *control = control_of(server)?;
            }
        }
        Ok(())
    }

    /// Runs one plan on both, from empty servers, and compares the data at its end.
    pub fn run(
        &mut self,
        generated: &Generated,
        knows: &mut dyn Knows,
        tally: &mut Tally,
        counts: &mut Counts,
    ) -> Result<(), Stop> {
        self.clear()?;
        let mut run =
            Run { plan: &generated.plan, notes: &generated.notes, knows, tally, counts: Counts::default() };
        let reference = Reference::Live { server: &self.reference, control: &mut self.reference_control };
        let result = run.compare(reference, &self.subject, &mut self.subject_control);
        counts.add(run.counts);
        let mut voter = match result {
            Err(Stop::Abandoned) => return Ok(()),
            result => result?,
        };
        let (reference, subject) = (&mut self.reference_control, &mut self.subject_control);
        let found = state::compare(reference, subject, &mut voter, knows).map_err(Stop::Reference)?;
        counts.known += found.known;
        counts.open += found.open;
        counts.states += 1;
        counts.judged_states += u64::from(voter.votes > 0);
        counts.votes += voter.votes;
        found.difference.map_or(Ok(()), |difference| Err(Stop::Difference(Box::new(difference))))
    }

    fn clear(&mut self) -> Result<(), Stop> {
        state::clear(&mut self.reference_control).map_err(Stop::Reference)?;
        state::clear(&mut self.subject_control).map_err(Stop::Reference)
    }

    /// The difference that a plan makes and that is not known.
    pub fn difference(&mut self, plan: &Plan, known: &Known) -> Option<Difference> {
        let generated = Generated { plan: plan.clone(), notes: Vec::new() };
        self.revive().ok()?;
        let result = self.run(&generated, &mut known.clone(), &mut Tally::default(), &mut Counts::default());
        match result {
            Err(Stop::Difference(difference)) => Some(*difference),
            _ => None,
        }
    }

    /// The smallest plan found that makes a difference in the same command.
    pub fn shrink(&mut self, plan: &Plan, known: &Known, until: Option<Instant>) -> Option<Plan> {
        let command = |difference: &Difference| difference.argv.first().map(|name| name.to_ascii_lowercase());
        let wanted = command(&self.difference(plan, known)?);
        Some(shrink(plan, |plan| {
            until.is_none_or(|until| Instant::now() < until)
                && self.difference(plan, known).is_some_and(|difference| command(&difference) == wanted)
        }))
    }

    /// The commands of a scope that both servers have. Each is called once, on a connection of its own, with words that
    /// it cannot make sense of.
    pub fn available(&mut self, scope: &[CommandId]) -> io::Result<Vec<CommandId>> {
        let mut available = Vec::new();
        for &id in scope {
            let row = id.command();
            let mut argv: Vec<String> = row.name.split('|').map(str::to_owned).collect();
            argv.resize(argv.len().max(row.arity.unsigned_abs() as usize), "a".to_owned());
            if id == CommandId::Shutdown {
                argv.push("ABORT".to_owned());
            }
            let mut answers = [&self.reference, &self.subject].map(|server| server.connect()?.call(&argv));
            let [reference, subject] = &mut answers;
            let text = |answer: &io::Result<kevy::resp::Frame>| match answer {
                Ok(frame) if frame.is_error() => frame.to_string(),
                Ok(_) => String::new(),
                Err(error) => error.to_string(),
            };
            let unknown = text(reference).contains("unknown command")
                || text(reference).contains("unknown subcommand '");
            if !unknown && !text(subject).contains("this command is not available") {
                available.push(id);
            }
        }
        Ok(available)
    }
}

/// A connection from which a server is prepared and asked.
fn control_of(server: &Server) -> io::Result<Wire> {
    let mut control = server.connect()?;
    // Keys expire when they are looked at, so that it does not matter when a server tidies up.
    let reply = control.call(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"])?;
    if reply.is_error() {
        return Err(io::Error::other(format!("DEBUG SET-ACTIVE-EXPIRE: {reply}")));
    }
    Ok(control)
}

/// How far a campaign goes, and what it must have reached.
#[derive(Clone, Debug)]
pub struct Goals {
    pub seed: u64,
    pub time: Duration,
    pub commands: u64,
    /// 2, 3, or both in turn.
    pub protocols: Vec<u32>,
    /// Where plans that differ are written.
    pub failures: PathBuf,
    pub most_failures: usize,
    pub shrink: bool,
    /// How often a plan that differs is run again. Two servers have two clocks: it has differed by chance if it never
    /// does again.
    pub again: u32,
}

/// What a campaign did.
#[derive(Default)]
pub struct Done {
    pub counts: Counts,
    pub plans: u64,
    /// For RESP2 and RESP3.
    pub tallies: [Tally; 2],
    pub failures: Vec<String>,
    /// Seeds of plans that have differed once and not again.
    pub by_chance: Vec<u64>,
    /// Failures that are the fault of the test bed.
    pub broken: Option<String>,
}

impl Done {
    pub fn tally(&self) -> Tally {
        let mut all = self.tallies[0].clone();
        all.merge(&self.tallies[1]);
        all
    }
}

/// Where a count is.
type Counter = fn(&mut Done) -> &mut u64;

/// The counts that floors are about.
const COUNTED: [(&str, Counter); 5] = [
    ("plans", |done| &mut done.plans),
    ("commands", |done| &mut done.counts.commands),
    ("deliveries", |done| &mut done.counts.deliveries),
    ("transactions", |done| &mut done.counts.transactions),
    ("aborted", |done| &mut done.counts.aborted),
];

impl Done {
    pub fn counted(&self) -> Vec<(&'static str, u64)> {
        let mut copy = Done { counts: self.counts, plans: self.plans, ..Done::default() };
        COUNTED.map(|(name, count)| (name, *count(&mut copy))).to_vec()
    }

    pub fn add_count(&mut self, name: &str, count: u64) {
        if let Some((_, of)) = COUNTED.iter().find(|(known, _)| *known == name) {
            *of(self) += count;
        }
    }
}

/// Runs plans until a goal is reached.
pub fn run(pair: &mut Pair, scope: &Scope, goals: &Goals, known: &mut Known) -> Done {
    let started = Instant::now();
    let mut done = Done::default();
    while started.elapsed() < goals.time
        && done.counts.commands < goals.commands
        && done.failures.len() < goals.most_failures
    {
        if let Err(error) = pair.revive() {
            done.broken = Some(error.to_string());
            return done;
        }
        let seed = goals.seed.wrapping_add(done.plans);
        // By the seed, so that it gives the same plan in whatever run.
        let protocol = goals.protocols[(seed % goals.protocols.len() as u64) as usize];
        let scope = Scope { protocol, ..scope.clone() };
        let generated = Gen::new(&mut Prng::new(seed), &scope).plan();
        let tally = &mut done.tallies[usize::from(protocol == 3)];
        match pair.run(&generated, known, tally, &mut done.counts) {
            Ok(()) | Err(Stop::Abandoned) => {}
            Err(Stop::Reference(error)) => {
                let path = goals.failures.join(format!("{seed}-broken.plan"));
                let kept = std::fs::create_dir_all(&goals.failures)
                    .and_then(|()| std::fs::write(&path, generated.plan.to_string()));
                done.broken = Some(format!("seed {seed}: {error} (kept: {kept:?})"));
                return done;
            }
            Err(Stop::Difference(mut difference)) if pair.subject.has_ended() => {
                difference.other = b"(ended)".to_vec();
                let words = pair.subject.last_words();
                println!("\nkevy has ended\n{words}");
                let failure = keep(pair, goals, seed, &generated.plan, &difference, known);
                done.failures.push(format!("{failure}\n{words}"));
            }
            Err(Stop::Difference(difference)) => {
                let again = (0..goals.again).filter_map(|_| pair.difference(&generated.plan, known)).count();
                match again {
                    0 if goals.again > 0 => done.by_chance.push(seed),
                    _ => done.failures.push(keep(pair, goals, seed, &generated.plan, &difference, known)),
                }
            }
        }
        done.plans += 1;
    }
    done
}

/// Writes a failing plan down and tells about it.
fn keep(
    pair: &mut Pair,
    goals: &Goals,
    seed: u64,
    plan: &Plan,
    difference: &Difference,
    known: &Known,
) -> String {
    let mut text = describe(difference);
    let until = difference.step.map_or(plan.steps.len(), |step| step + 1);
    let shorter = Plan { steps: plan.steps[..until].to_vec() };
    // Of what a transaction has answered, the step is the one at which it was queued.
    let shows = pair.difference(&shorter, known).is_some();
    let mut plan = if shows { shorter } else { plan.clone() };
    if goals.shrink {
        let deadline = Instant::now() + Duration::from_secs(20);
        plan = pair.shrink(&plan, known, Some(deadline)).unwrap_or(plan);
        text = format!("{text}\n{plan}");
    }
    let path = goals.failures.join(format!("{seed}.plan"));
    let heading: String = describe(difference).lines().map(|line| format!("# {line}\n")).collect();
    let written = std::fs::create_dir_all(&goals.failures)
        .and_then(|()| std::fs::write(&path, heading + &plan.to_string()));
    let kept = match written {
        Ok(()) => path.display().to_string(),
        Err(error) => format!("not kept: {error}"),
    };
    let text = format!("seed {seed} ({kept})\n{text}");
    println!("\n{text}");
    text
}

/// A difference for people.
pub fn describe(difference: &Difference) -> String {
    let shown = |bytes: &[u8]| {
        let text = match decode(bytes) {
            Ok(_) => reply_text(bytes),
            Err(_) => String::from_utf8_lossy(bytes).into_owned(),
        };
        text.chars().take(600).collect::<String>()
    };
    let command: String = command_text(&difference.argv).chars().take(600).collect();
    format!(
        "{command}\n  reference: {}\n  kevy:      {}\n  model:     {}",
        shown(&difference.reference),
        shown(&difference.other),
        shown(difference.model.as_deref().unwrap_or("(abstains)").as_bytes())
    )
}

/// What a full run is short of.
pub fn shortfalls(done: &Done, scope: &Scope, floors: &Floors, known: &Known) -> Vec<String> {
    let mut shortfalls = Vec::new();
    let mut floor = |what: &str, reached: u64, wanted: u64| {
        if reached < wanted {
            shortfalls.push(format!("{what}: {reached}, must be {wanted}"));
        }
    };
    floor("commands", done.counts.commands, floors.commands);
    floor("plans", done.plans, floors.plans);
    floor("deliveries", done.counts.deliveries, floors.deliveries);
    let aborted = done.counts.aborted * 1000 / done.counts.transactions.max(1);
    floor("aborted of 1000 transactions", aborted, floors.aborted_of_1000);
    let tally = done.tally();
    for &id in &scope.commands {
        for cell in Cell::declared(id) {
            let wanted = match cell {
                Cell::Command(Outcome::Ok) => floors.ok.max(1),
                Cell::Command(Outcome::Error) => floors.errors.max(1),
                _ => 1,
            };
            let reached = tally.get(id, &cell);
            if reached < wanted && never(id, &cell).is_none() {
                shortfalls.push(format!("{} {cell:?}: {reached}, must be {wanted}", id.command().name));
            }
        }
    }
    shortfalls.extend(known.stale().into_iter().map(|entry| format!("known difference not seen: {entry}")));
    shortfalls
}

/// Why a command cannot be seen in this way.
pub fn never(id: CommandId, cell: &Cell) -> Option<&'static str> {
    use CommandId::*;
    let outcome = match cell {
        Cell::Command(outcome) => outcome,
        Cell::Key(KeyState::Expired, Outcome::Ok) if matches!(id, Rename | RenameNx | LSet) => {
            return Some("to it a key that has expired is none");
        }
        _ => return None,
    };
    Some(match (outcome, id) {
        (Outcome::Ok, LatencyGraph) => "no event of latency happens",
        (Outcome::Ok, ReadOnly | ReadWrite) => "the servers are no cluster",
        (Outcome::Ok, ClientCaching) => "no client's keys are tracked",
        (Outcome::Ok, ConfigRewrite) => "the servers have no file of configuration",
        (Outcome::Ok, Shutdown) => "the servers must go on",
        (Outcome::Error, Quit) => "it takes any words",
        (Outcome::Error, Unsubscribe | PUnsubscribe | SUnsubscribe) => "it takes any names",
        _ => return None,
    })
}

/// Least counts of a full run.
#[derive(Clone, Copy, Debug)]
pub struct Floors {
    pub commands: u64,
    pub plans: u64,
    pub deliveries: u64,
    pub aborted_of_1000: u64,
    /// Of each command.
    pub ok: u64,
    pub errors: u64,
}

impl Floors {
    /// In proportion to the commands demanded.
    pub fn of(commands: u64) -> Floors {
        Floors {
            commands,
            plans: commands / 4000,
            deliveries: commands / 2000,
            aborted_of_1000: 10,
            ok: commands / 10_000,
            errors: commands / 40_000,
        }
    }
}

/// Reads a plan from a file.
pub fn read_plan(path: &Path) -> io::Result<Plan> {
    let recording = crate::recording::Recording::parse(&std::fs::read_to_string(path)?);
    Ok(recording.map_err(|error| io::Error::other(error.to_string()))?.plan)
}
