//! The shard against the model, in this process: plans of fixed seeds, the transcripts, and plans that once failed.
//!
//! `KEVY_SEED` and `KEVY_PLANS` choose other plans than those of every day; a plan that fails is printed, made small.

use std::path::PathBuf;

use kevy::command::CommandId;
use kevy_difftest::exhaustive;
use kevy_difftest::fuzzed;
use kevy_difftest::inprocess::{self, Done, Setting, check, check_many, check_transcript};
use kevy_difftest::recording::Recording;
use kevy_model::generator::small::THEMES;
use kevy_model::generator::{Cell, Choices, Generated, Outcome, Prng};

/// Plans of every day, and the steps of each.
const PLANS: u64 = 240;
const STEPS: usize = 1500;

/// What they must have done at least.
const COMMANDS: u64 = 300_000;
const DELIVERIES: u64 = 100_000;
const TRANSACTIONS: u64 = 900;
const ABORTED: u64 = 70;
const BEHIND: u64 = 4_000;
const RECORDS: u64 = 60_000;

/// Steps of the plans of which all are run.
const SHORT: usize = 3;

/// Commands that cannot fail: they take any names, also from a connection that has subscribed.
const NEVER_FAIL: [CommandId; 3] = [CommandId::Unsubscribe, CommandId::PUnsubscribe, CommandId::SUnsubscribe];

/// Commands that cannot succeed in such a plan: no event of latency happens, and no client's keys are tracked.
const NEVER_SUCCEED: [CommandId; 2] = [CommandId::LatencyGraph, CommandId::ClientCaching];

/// Inputs of the fuzz target `commands` that are made up here, beside those that were kept.
const RANDOM_INPUTS: u64 = 200;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn the_shard_does_what_the_model_specifies() {
    let scope = inprocess::scope(STEPS);
    let (seed, plans) = (number("KEVY_SEED"), number("KEVY_PLANS"));
    let from = seed.unwrap_or(0);
    println!("seeds from {from}");
    let (done, _, failures) = check_many(from..from + plans.unwrap_or(PLANS), None, &scope);
    println!("{}", done.summary());
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    if seed.is_some() || plans.is_some() {
        return;
    }
    for (what, reached, floor) in [
        ("commands", done.commands, COMMANDS),
        ("deliveries", done.deliveries, DELIVERIES),
        ("transactions", done.executed, TRANSACTIONS),
        ("aborted transactions", done.aborted, ABORTED),
        ("commands behind one that waits", done.behind, BEHIND),
        ("records replayed", done.records, RECORDS),
    ] {
        assert!(reached >= floor, "{what}: {reached}, must be {floor}");
    }
    let never = |outcome, exceptions: &[CommandId]| -> Vec<&str> {
        let ids = scope.commands.iter();
        let never = ids.filter(|&&id| done.tally.get(id, &Cell::Command(outcome)) == 0);
        never.filter(|id| !exceptions.contains(id)).map(|id| id.command().name).collect()
    };
    assert_eq!(never(Outcome::Ok, &NEVER_SUCCEED), [""; 0], "commands that never succeeded");
    assert_eq!(never(Outcome::Error, &NEVER_FAIL), [""; 0], "commands that never failed");
}

#[test]
fn all_short_plans_do_what_the_model_specifies() {
    for theme in &THEMES {
        let (plans, _, failure) = exhaustive::check_all(theme, SHORT);
        assert_eq!(failure, None);
        assert_eq!(plans, theme.plans(SHORT), "{}", theme.name);
    }
}

/// The files of a directory whose names end so.
fn files(directory: &str, ending: &str) -> Vec<(PathBuf, String)> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(directory);
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn transcripts() {
    for (path, text) in files("cases", ".resp.txt") {
        check_transcript(&text).unwrap_or_else(|failure| panic!("{}: {}", path.display(), failure.text));
    }
}

#[test]
fn plans_that_once_failed() {
    for (path, text) in files("regressions", ".plan") {
        let plan = Recording::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())).plan;
        let generated = Generated { plan, notes: Vec::new() };
        for seed in 0..12 {
            check(&generated, &Setting::of(seed), &mut Done::default())
                .unwrap_or_else(|failure| panic!("{} {seed}: {}", path.display(), failure.text));
        }
    }
}

#[test]
fn the_corpus_of_the_fuzzer_and_random_bytes_do_what_the_model_specifies() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/commands");
    let paths = std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path());
    let kept = paths.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()));
    let random = (0..RANDOM_INPUTS).map(|seed| {
        let mut prng = Prng::new(seed);
        let len = prng.below(800);
        (format!("random input {seed}"), (0..len).map(|_| prng.below(256) as u8).collect())
    });
    let mut done = Done::default();
    let inputs: Vec<(String, Vec<u8>)> = kept.chain(random).collect();
    assert!(inputs.len() > RANDOM_INPUTS as usize, "the corpus is empty");
    for (name, data) in inputs {
        fuzzed::run(&data, &mut done).unwrap_or_else(|failure| panic!("{name}: {}", failure.text));
    }
    println!("{}", done.summary());
}
