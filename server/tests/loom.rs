//! Weak memory: loom explores the shipped files of `order`. Run it with `ci/loom`; an ordinary `cargo test`
//! compiles it to nothing, because loom's atomics work in loom's models only.
//!
//! - no argument: every model. Each says how many executions it had, and whether they are all there are or those with at
//!   most so many preemptions. Models that are broken on purpose must fail.
//! - names, or parts of them: these models, in this order, until one fails.
//! - `--mutants`: every memory ordering of the rooms is weakened by one step, one at a time; some model must fail for each.

#[cfg(not(loom))]
fn main() {}

#[cfg(loom)]
#[path = "loom/models.rs"]
mod models;

#[cfg(loom)]
mod explore {
    use std::collections::BTreeSet;
    use std::io::Write;
    use std::process::{Command, ExitCode, Stdio};
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, LazyLock, Mutex};

    use super::models::MODELS;

    pub struct Model {
        pub name: &'static str,
        /// The most preemptions of an execution; `None`: every execution there is.
        preemptions: Option<usize>,
        /// Whether this one is broken on purpose.
        broken: bool,
        /// What must happen in some execution, or the model tests nothing.
        reaches: &'static [&'static str],
        run: fn(),
    }

    impl Model {
        pub const fn all(name: &'static str, run: fn()) -> Self {
            Self { name, preemptions: None, broken: false, reaches: &[], run }
        }

        pub const fn bounded(name: &'static str, preemptions: usize, run: fn()) -> Self {
            Self { name, preemptions: Some(preemptions), broken: false, reaches: &[], run }
        }

        pub const fn must_fail(name: &'static str, run: fn()) -> Self {
            Self { name, preemptions: None, broken: true, reaches: &[], run }
        }

        pub const fn reaching(mut self, reaches: &'static [&'static str]) -> Self {
            self.reaches = reaches;
            self
        }

        /// Panics, or ends the process, if an execution fails. Gives how many there were.
        fn explore(&self) -> u64 {
            let mut builder = loom::model::Builder::new();
            builder.preemption_bound = self.preemptions;
            // Enough for every model: running into it is a failure, and means that a loop does not end.
            builder.max_branches = 5_000;
            builder.max_duration = None;
            builder.max_permutations = None;
            REACHED.lock().unwrap().clear();
            let executions = Arc::new(AtomicU64::new(0));
            let (count, run) = (executions.clone(), self.run);
            builder.check(move || {
                count.fetch_add(1, Ordering::Relaxed);
                run();
            });
            for what in self.reaches {
                assert!(REACHED.lock().unwrap().contains(what), "{what}: in no execution of {}", self.name);
            }
            executions.load(Ordering::Relaxed)
        }
    }

    /// What has happened in some execution of the model that is explored.
    static REACHED: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());

    pub fn reached(what: &'static str) {
        REACHED.lock().unwrap().insert(what);
    }

    /// So many models there have to be, and so many of which every execution is explored.
    const LEAST_MODELS: usize = 20;
    const LEAST_WHOLE: usize = 8;

    /// Orderings that are stronger than any model needs: site, what it may be weakened to, why it stays.
    const STRONGER_THAN_NEEDED: &[(&str, &str, &str)] = &[];

    const SOURCES: &[(&str, &str)] = &[
        ("word", include_str!("../src/order/word.rs")),
        ("place", include_str!("../src/order/place.rs")),
        ("log", include_str!("../src/order/log.rs")),
        ("mailbox", include_str!("../src/order/mailbox.rs")),
        ("sleep", include_str!("../src/order/sleep.rs")),
        ("tally", include_str!("../src/order/tally.rs")),
    ];

    pub fn main() -> ExitCode {
        for variable in ["LOOM_MAX_DURATION", "LOOM_MAX_PERMUTATIONS", "LOOM_MAX_PREEMPTIONS"] {
            assert!(
                std::env::var_os(variable).is_none(),
                "{variable} would end a search early and call it passed"
            );
        }
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let passed = match arguments.as_slice() {
            [] => all(),
            [flag] if flag == "--mutants" => mutants(),
            names => {
                for name in names {
                    let found: Vec<_> =
                        MODELS.iter().filter(|model| model.name.contains(name.as_str())).collect();
                    assert!(!found.is_empty(), "no model is called {name}");
                    for model in found {
                        run(model);
                    }
                }
                true
            }
        };
        if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// Runs one model in this process, which does not survive a failure.
    fn run(model: &Model) -> u64 {
        print!("{:<66}", model.name);
        std::io::stdout().flush().expect("stdout takes text");
        let executions = model.explore();
        match model.preemptions {
            None => println!("{executions:>9} executions, all there are"),
            Some(most) => println!("{executions:>9} executions, all with at most {most} preemptions"),
        }
        executions
    }

    fn all() -> bool {
        let (mut models, mut whole, mut executions) = (0, 0, 0);
        for model in MODELS.iter().filter(|model| !model.broken) {
            executions += run(model);
            models += 1;
            whole += usize::from(model.preemptions.is_none());
        }
        for model in MODELS.iter().filter(|model| model.broken) {
            if child(None, &[model.name]).is_none() {
                println!("{:<66}  passes, and must not", model.name);
                return false;
            }
            println!("{:<66}   fails, as it must", model.name);
        }
        let broken = MODELS.len() - models;
        println!(
            "loom: {models} models, {whole} of them wholly, {executions} executions; {broken} fail as they must"
        );
        assert!(models >= LEAST_MODELS && whole >= LEAST_WHOLE, "fewer models than there have to be");
        true
    }

    fn mutants() -> bool {
        let (mut killed, mut needed) = (0, true);
        for &(room, source) in SOURCES {
            // The models of the room first: most mutants fail there.
            let (own, others): (Vec<_>, Vec<_>) =
                MODELS.iter().filter(|model| !model.broken).map(|model| model.name).partition(|name| {
                    name.split(':').next().is_some_and(|rooms| rooms.split(", ").any(|name| name == room))
                });
            let models: Vec<_> = own.into_iter().chain(others).collect();
            for (site, written) in orderings(source) {
                for weaker in weaker(written) {
                    let justified = STRONGER_THAN_NEEDED
                        .iter()
                        .find(|known| (known.0, known.1) == (site, *weaker))
                        .map(|known| known.2);
                    let failed = child(Some(&format!("{site}={weaker}")), &models);
                    let verdict = match (&failed, justified) {
                        (Some(model), None) => format!("fails: {model}"),
                        (None, Some(reason)) => format!("passes: {reason}"),
                        (Some(model), Some(_)) => {
                            format!("FAILS, AND IS LISTED AS STRONGER THAN NEEDED: {model}")
                        }
                        (None, None) => "PASSES: NO MODEL NEEDS THE STRONGER ONE".to_owned(),
                    };
                    println!("{:<22} {written:>7} -> {weaker:<8} {verdict}", site);
                    needed &= failed.is_some() != justified.is_some();
                    killed += u32::from(failed.is_some());
                }
            }
        }
        println!("mutants: {killed} fail, {} are justified", STRONGER_THAN_NEEDED.len());
        needed && killed > 0
    }

    /// The accesses of a source file and their orderings.
    fn orderings(source: &'static str) -> Vec<(&'static str, &'static str)> {
        let mut found: Vec<_> = source
            .split("ord!(\"")
            .skip(1)
            .map(|rest| {
                let (site, rest) = rest.split_once("\", ").expect("ord! takes a site and an ordering");
                (site, rest.split_once(')').expect("ord! is closed").0)
            })
            .collect();
        found.sort_unstable();
        found.dedup();
        assert!(found.windows(2).all(|pair| pair[0].0 != pair[1].0), "a site has one ordering");
        found
    }

    /// The next weaker orderings.
    fn weaker(ordering: &str) -> &'static [&'static str] {
        match ordering {
            "SeqCst" => &["AcqRel"],
            "AcqRel" => &["Acquire", "Release"],
            "Acquire" | "Release" => &["Relaxed"],
            "Relaxed" => &[],
            _ => panic!("{ordering} is no ordering"),
        }
    }

    /// Runs models in a process of their own, until one fails. Names that one.
    fn child(weakened: Option<&str>, models: &[&str]) -> Option<String> {
        static PROGRAM: LazyLock<std::path::PathBuf> =
            LazyLock::new(|| std::env::current_exe().expect("this program has a path"));
        let mut command = Command::new(&*PROGRAM);
        command.args(models).stderr(Stdio::null());
        if let Some(weakened) = weakened {
            command.env("KEVY_WEAKEN", weakened);
        }
        let output = command.output().expect("this program runs again");
        if output.status.success() {
            return None;
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Some(text.lines().last().unwrap_or("nothing was run").trim().to_owned())
    }
}

#[cfg(loom)]
use explore::{Model, reached};

#[cfg(loom)]
fn main() -> std::process::ExitCode {
    explore::main()
}
