//! `kevy-difftest sim`: random schedules by seed, or all schedules of small scenarios.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::scenario::{random, small};
use super::schedule;
use super::{Counts, exhaustive, judge, run, shrink};

const USAGE: &str = "kevy-difftest sim [--seed N] [--runs N] [--seconds N] [--fine]
                 runs that many random scenarios, or for so long, from the seed on
kevy-difftest sim --exhaustive [--only NAME] [--runs N] [--fine]
                 all schedules of small scenarios, or so many runs of each
--fine           threads take turns at every access to shared memory
--exhaustive and --fine need a build with --cfg kevy_sim, which ci/sim makes";

/// Of so many small scenarios all schedules must have been run, if all scenarios were asked for.
const COMPLETE: usize = 16;

struct Options {
    seed: u64,
    runs: Option<u64>,
    seconds: Option<u64>,
    exhaustive: bool,
    only: Option<String>,
    fine: bool,
}

fn parse(args: &[String]) -> Result<Options, String> {
    let mut options =
        Options { seed: 0, runs: None, seconds: None, exhaustive: false, only: None, fine: false };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        let number = |text: &String| text.parse().map_err(|error| format!("{arg}: {error}"));
        match arg.as_str() {
            "--seed" => options.seed = number(value()?)?,
            "--runs" => options.runs = Some(number(value()?)?),
            "--seconds" => options.seconds = Some(number(value()?)?),
            "--exhaustive" if cfg!(kevy_sim) => options.exhaustive = true,
            "--only" => options.only = Some(value()?.clone()),
            "--fine" if cfg!(kevy_sim) => options.fine = true,
            // Which schedules differ is known only where accesses are told.
            "--fine" | "--exhaustive" => {
                return Err(format!("{arg} needs a build with --cfg kevy_sim: see ci/sim"));
            }
            _ => return Err(format!("unknown option {arg}\n{USAGE}")),
        }
    }
    Ok(options)
}

pub fn main(args: &[String]) -> ExitCode {
    let options = match parse(args) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("kevy-difftest sim: {error}");
            return ExitCode::from(2);
        }
    };
    // Panics are told with the run that they belong to.
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        std::panic::set_hook(Box::new(|_| {}));
    }
    if options.exhaustive { all_schedules(&options) } else { random_schedules(&options) }
}

fn random_schedules(options: &Options) -> ExitCode {
    let started = Instant::now();
    let limit = options.seconds.map(Duration::from_secs);
    let runs = options.runs.unwrap_or(if limit.is_some() { u64::MAX } else { 1000 });
    let mut counts = Counts::default();
    for seed in (options.seed..).take(usize::try_from(runs).unwrap_or(usize::MAX)) {
        if limit.is_some_and(|limit| started.elapsed() >= limit) {
            break;
        }
        let scenario = random(seed, options.fine);
        let mut schedule = schedule::of(seed, scenario.shards, if options.fine { 3000 } else { 200 });
        if let Err(fault) = run(&scenario, &mut *schedule, &mut counts) {
            println!("seed {seed}: {:?}: {}", fault.property, fault.text);
            print!("{scenario}");
            let least = shrink(&scenario, fault.property, seed);
            println!("smaller:\n{least}");
            for other in 0..40 {
                let mut schedule = schedule::of(seed + other * 4, least.shards, 200);
                if let Err(fault) = run(&least, &mut *schedule, &mut counts) {
                    println!("{:?}: {}", fault.property, fault.text);
                    break;
                }
            }
            return ExitCode::FAILURE;
        }
    }
    let Counts { runs, steps, operations, searched, too_long, judged, evicted, refused } = counts;
    println!(
        "seeds {runs} steps {steps} operations {operations} searched {searched} too long {too_long} judged {judged} evicted {evicted} refused {refused} in {:.1} s",
        started.elapsed().as_secs_f64()
    );
    ExitCode::SUCCESS
}

fn all_schedules(options: &Options) -> ExitCode {
    let most = options.runs.unwrap_or(u64::MAX);
    let mut counts = Counts::default();
    let (mut states, mut complete) = (0, 0);
    println!("{:<16} {:>9} {:>9} {:>10}  complete  seconds", "scenario", "runs", "histories", "states");
    for small in small(options.fine) {
        if options.only.as_ref().is_some_and(|only| !small.name.contains(only.as_str())) {
            continue;
        }
        let started = Instant::now();
        let outcome =
            exhaustive::explore(&small.scenario, most, |history, steps| judge(history, steps, &mut counts));
        match outcome {
            Ok(explored) => {
                println!(
                    "{:<16} {:>9} {:>9} {:>10}  {:<8}  {:.1}",
                    small.name,
                    explored.runs,
                    explored.histories,
                    explored.states,
                    explored.complete,
                    started.elapsed().as_secs_f64()
                );
                states += explored.states;
                complete += usize::from(explored.complete);
            }
            Err((fault, path)) => {
                println!("{}: {:?}: {}\nschedule: {path:?}", small.name, fault.property, fault.text);
                return ExitCode::FAILURE;
            }
        }
    }
    println!("states {states} complete {complete} {counts:?}");
    if options.only.is_none() && complete < COMPLETE {
        println!("FAILED: all schedules of {COMPLETE} scenarios must have been run");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
