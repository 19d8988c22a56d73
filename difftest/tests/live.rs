//! A short run against the redis-server of this machine, if it has one: see `kevy-difftest run` for long ones.

use std::time::Duration;

use kevy_difftest::campaign::{self, Goals, Pair};
use kevy_difftest::known::Known;
use kevy_difftest::server::{Program, Server};
use kevy_model::generator::Scope;

#[test]
fn generated_plans_are_answered_alike() {
    let reference = match Server::start(&Program::at("redis-server"), false, &[]) {
        Ok(server) => server,
        Err(error) => {
            println!("NOT RUN: {error}");
            return;
        }
    };
    let known = concat!(env!("CARGO_MANIFEST_DIR"), "/known_differences");
    let known = std::fs::read_to_string(known).expect("the file of known differences");
    let mut known = Known::parse(&known, &reference.identity()).expect("well-formed known differences");
    let kevy = Program::built_in(env!("CARGO_BIN_EXE_kevy-difftest"));
    // The same on every machine.
    let kevy = Server::start(&kevy, false, &["--shards", "1"]).expect("kevy starts");
    let mut pair = Pair::new(reference, kevy).expect("both answer");
    let mut scope = Scope::full();
    scope.commands = pair.available(&scope.commands).expect("both answer");
    let goals = Goals {
        seed: 1,
        time: Duration::from_secs(120),
        commands: 10_000,
        protocols: vec![2, 3],
        failures: std::env::temp_dir().join("kevy-difftest-failures"),
        most_failures: 3,
        shrink: true,
        again: 2,
    };
    println!("seed {}", goals.seed);
    let done = campaign::run(&mut pair, &scope, &goals, &mut known);
    assert_eq!(done.broken, None);
    assert!(done.failures.is_empty(), "{}", done.failures.join("\n\n"));
    assert!(done.counts.commands >= goals.commands, "only {} commands", done.counts.commands);
}
