//! Do the tests notice faults? Each seeded bug ([`kevy::bugs`]) is switched on in turn, and plans, pieces and
//! transcripts are run in this process until one of them fails.
//!
//! Every bug must be noticed, the canary first of all; the control, which is no bug, must not. A bug that is not noticed
//! shows a hole in the generator or in the model.
//!
//! The bugs are compiled in only with `--cfg kevy_bugs` (`ci/bugs` builds so, into a target directory of its own).

#[cfg(not(kevy_bugs))]
use std::process::ExitCode;

#[cfg(not(kevy_bugs))]
pub fn main(_: &[String]) -> ExitCode {
    eprintln!(
        "No bugs are compiled in. Build with them, or let ci/bugs do it:\n\
         RUSTFLAGS='--cfg kevy_bugs' cargo run -p kevy-difftest --target-dir target/bugs -- bugs"
    );
    ExitCode::from(2)
}

#[cfg(kevy_bugs)]
pub use seeded::main;

#[cfg(kevy_bugs)]
mod seeded {
    use std::path::{Path, PathBuf};
    use std::process::ExitCode;
    use std::time::{Duration, Instant};

    use kevy::bugs::{Bug, Class, activate};
    use kevy_model::generator::{Generated, Scope};

    use crate::inprocess::{self, Done, Failure, Layer, Setting, check, check_fragments, check_transcript};
    use crate::recording::Recording;
    use crate::sim;
    use crate::tape::{PROTOCOLS, Tape, replay};

    /// Plans without a failure after which the control counts as unnoticed.
    const CONTROL_PLANS: u64 = 24;

    /// Simulated runs after which a bug counts as unnoticed.
    const SIMULATED: u64 = 120_000;
    /// And on the control: every small scenario has its turn.
    const CONTROL_SEEDS: u64 = 1500;

    /// Steps of a plan.
    const STEPS: usize = 1200;

    /// One plan in so many is also run whole and in pieces.
    const FRAGMENTED: u64 = 6;

    /// The head of the report.
    const HEAD: &str = "\
# Seeded bugs

Faults that can be switched on one at a time ([core/src/bugs.rs](../core/src/bugs.rs)), and what noticed each first: the
model on generated plans, the state or the journal at their end, requests cut into pieces, a panic, and then what is kept
as text: transcripts, tapes; those of several shards, the simulator. Seconds are those of the run that wrote the row, and depend on the machine. The control is
no fault, and must not be noticed. Written by `ci/bugs --report difftest/SEEDED_BUGS.md`.

| class | bug | noticed by | seconds | what is wrong |
|---|---|---|---|---|
";

    /// What all bugs are tried on.
    struct Bench {
        scope: Scope,
        transcripts: Vec<String>,
        regressions: Vec<Generated>,
        tapes: Vec<Tape>,
    }

    /// How a bug was noticed.
    struct Notice {
        failure: Failure,
        seconds: f64,
        commands: u64,
    }

    impl Bench {
        fn new() -> Bench {
            let plan = |text: &String| {
                let plan = Recording::parse(text).expect("a plan kept as a regression").plan;
                Generated { plan, notes: Vec::new() }
            };
            let transcripts = texts("cases", ".resp.txt");
            let regressions = texts("regressions", ".plan").iter().map(plan).collect();
            let tape = |text: &String| Tape::parse(text).expect("a tape");
            let tapes = texts("tapes", ".tape").iter().map(tape).collect();
            Bench { scope: inprocess::scope(STEPS), transcripts, regressions, tapes }
        }

        /// Tries until something fails, or so many plans or so much time are over.
        fn try_bug(&self, bug: Bug, plans: u64, budget: Duration) -> Option<Notice> {
            activate(Some(bug));
            let started = Instant::now();
            if matches!(bug.class(), Class::Shards | Class::Control) {
                let seeds = if bug.class() == Class::Control { CONTROL_SEEDS } else { SIMULATED };
                let found = sim::find(seeds, || started.elapsed() < budget);
                let seconds = started.elapsed().as_secs_f64();
                let found = found.map(|(fault, operations)| {
                    let text = format!("{:?}: {}", fault.property, fault.text);
                    let failure = Failure { layer: Layer::Shards, step: None, text };
                    Notice { failure, seconds, commands: operations }
                });
                if found.is_some() || bug.class() == Class::Shards {
                    activate(None);
                    return found;
                }
            }
            let mut done = Done::default();
            let failure = (0..plans).take_while(|_| started.elapsed() < budget).find_map(|seed| {
                let (generated, setting) = (inprocess::plan(seed, &self.scope), Setting::of(seed));
                let mut result = check(&generated, &setting, &mut done);
                if result.is_ok() && seed % FRAGMENTED == FRAGMENTED - 1 {
                    result = check_fragments(&generated, &setting, seed);
                }
                if result.is_ok() && seed == FRAGMENTED {
                    result = self.kept();
                }
                result.err()
            });
            activate(None);
            let seconds = started.elapsed().as_secs_f64();
            failure.map(|failure| Notice { failure, seconds, commands: done.commands })
        }

        /// What is kept as text.
        fn kept(&self) -> Result<(), Failure> {
            self.transcripts.iter().try_for_each(|text| check_transcript(text))?;
            self.tapes.iter().try_for_each(|tape| {
                PROTOCOLS.iter().try_for_each(|&protocol| replay(tape, protocol, &mut Default::default()))
            })?;
            let regressions = self.regressions.iter();
            let run = |plan: &Generated| {
                (0..4).try_for_each(|seed| check(plan, &Setting::of(seed), &mut Done::default()))
            };
            regressions.map(run).collect()
        }
    }

    /// The files of a directory of this crate.
    fn texts(directory: &str, ending: &str) -> Vec<String> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
        let entries = std::fs::read_dir(directory).expect("a directory of this crate");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry of it").path()).collect();
        paths.retain(|path| path.to_string_lossy().ends_with(ending));
        paths.sort();
        paths.iter().map(|path| std::fs::read_to_string(path).expect("a readable file")).collect()
    }

    struct Options {
        budget: Duration,
        only: Vec<String>,
        smoke: bool,
        verbose: bool,
        /// Where the table goes as a document.
        report: Option<PathBuf>,
    }

    impl Options {
        fn parse(args: &[String]) -> Result<Options, String> {
            let mut options = Options {
                budget: Duration::from_secs(400),
                only: Vec::new(),
                smoke: false,
                verbose: false,
                report: None,
            };
            let mut args = args.iter();
            while let Some(arg) = args.next() {
                let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
                match arg.as_str() {
                    "--budget" => {
                        let seconds = value()?.parse().map_err(|error| format!("{arg}: {error}"))?;
                        options.budget = Duration::from_secs(seconds);
                    }
                    "--only" => options.only.extend(value()?.split(',').map(str::to_owned)),
                    "--report" => options.report = Some(value()?.into()),
                    "--smoke" => options.smoke = true,
                    "--verbose" => options.verbose = true,
                    _ => return Err(format!("unknown option {arg}")),
                }
            }
            let unknown = options.only.iter().find(|name| !Bug::ALL.iter().any(|bug| bug.name() == **name));
            unknown.map_or(Ok(()), |name| Err(format!("no bug is called {name}")))?;
            Ok(options)
        }

        /// The bugs asked for; for a quick look, the first of each class.
        fn bugs(&self) -> Vec<Bug> {
            let mut seen: Vec<Class> = Vec::new();
            let mut wanted = |bug: &Bug| {
                let first = !seen.contains(&bug.class());
                seen.push(bug.class());
                (!self.smoke || first)
                    && (self.only.is_empty() || self.only.iter().any(|name| name == bug.name()))
            };
            Bug::ALL.iter().copied().filter(|bug| wanted(bug)).collect()
        }
    }

    pub fn main(args: &[String]) -> ExitCode {
        let options = match Options::parse(args) {
            Ok(options) => options,
            Err(error) => {
                eprintln!("kevy-difftest bugs: {error}");
                return ExitCode::from(2);
            }
        };
        // Panics are what some bugs are noticed by; they are in the table.
        if std::env::var_os("RUST_BACKTRACE").is_none() {
            std::panic::set_hook(Box::new(|_| {}));
        }
        kevy_server::log::set_level(kevy_server::log::Level::Nothing);
        let bench = Bench::new();
        let bugs = options.bugs();
        let (mut right, mut wrong) = (0, Vec::new());
        let mut rows = Vec::new();
        println!(
            "{:<12} {:<30} {:<11} {:>7} {:>9}  story",
            "class", "bug", "noticed by", "seconds", "commands"
        );
        for bug in bugs {
            let control = bug.class() == Class::Control;
            let plans = if control { CONTROL_PLANS } else { u64::MAX };
            let notice = bench.try_bug(bug, plans, options.budget);
            let (layer, seconds, commands) = match &notice {
                Some(notice) => (format!("{:?}", notice.failure.layer), notice.seconds, notice.commands),
                None => ("nothing".into(), 0.0, 0),
            };
            let class = format!("{:?}", bug.class());
            println!(
                "{class:<12} {:<30} {layer:<11} {seconds:>7.2} {commands:>9}  {}",
                bug.name(),
                bug.story()
            );
            rows.push(format!("| {class} | {} | {layer} | {seconds:.2} | {} |\n", bug.name(), bug.story()));
            if options.verbose
                && let Some(notice) = &notice
            {
                println!("{}", notice.failure.text);
            }
            if notice.is_some() == control {
                wrong.push(bug.name());
            } else {
                right += 1;
            }
        }
        if let Some(path) = &options.report
            && let Err(error) = std::fs::write(path, HEAD.to_owned() + &rows.concat())
        {
            eprintln!("{}: {error}", path.display());
            return ExitCode::from(2);
        }
        println!("as they should be: {right}; not: {} {}", wrong.len(), wrong.join(" "));
        if wrong.is_empty() && right > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

#[cfg(test)]
mod tests {
    use kevy::bugs::Bug;

    #[test]
    fn the_report_names_every_bug() {
        let report = include_str!("../SEEDED_BUGS.md");
        let missing = Bug::ALL.iter().filter(|bug| !report.contains(&format!("| {} |", bug.name())));
        let missing: Vec<&str> = missing.map(|bug| bug.name()).collect();
        assert_eq!(missing, [""; 0], "ci/bugs --report difftest/SEEDED_BUGS.md writes it");
    }
}
