//! The tapes, replayed on kevy and on the model: what a redis-server answered, without one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kevy::command::CommandId;
use kevy::command::table::TABLE;
use kevy_difftest::tape::{Counts, PROTOCOLS, Tape, replay};

/// What the tapes must come to at least.
const COMMANDS: u64 = 10_000;
const VOTES: u64 = 8_000;

/// Commands that cannot succeed on a tape: without a file of configuration, an event of latency, a cluster or tracked
/// keys there is nothing that they could do, SHUTDOWN ends the server, and MONITOR shows the addresses of clients.
const NEVER_SUCCEED: [CommandId; 7] = {
    use CommandId::*;
    [ClientCaching, ConfigRewrite, LatencyGraph, Monitor, ReadOnly, ReadWrite, Shutdown]
};

/// Commands that accept whatever they are given.
const NEVER_FAIL: [CommandId; 11] = {
    use CommandId::*;
    [
        CommandInfo,
        CommandDocs,
        Info,
        LatencyHistogram,
        LatencyReset,
        PubSubNumSub,
        PubSubShardNumSub,
        PUnsubscribe,
        Quit,
        SUnsubscribe,
        Unsubscribe,
    ]
};

fn tapes() -> Vec<(PathBuf, Tape)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tapes");
    let entries = std::fs::read_dir(folder).expect("the folder of tapes");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "tape"));
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a readable tape");
        let tape = Tape::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, tape)
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn kevy_and_the_model_answer_what_redis_answered() {
    // Clients that are closed for what they did are told of in the log.
    kevy_server::log::set_level(kevy_server::log::Level::Nothing);
    let mut counts = Counts::default();
    let mut failures = Vec::new();
    for (path, tape) in tapes() {
        for protocol in PROTOCOLS {
            if let Err(failure) = replay(&tape, protocol, &mut counts) {
                failures.push(format!("{}: {}", path.display(), failure.text));
            }
        }
    }
    println!("commands {} outputs {} judged {}", counts.commands, counts.outputs, counts.votes);
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n\n"));
    assert!(counts.commands >= COMMANDS, "commands: {}, must be {COMMANDS}", counts.commands);
    assert!(counts.votes >= VOTES, "judged by the model: {}, must be {VOTES}", counts.votes);
}

#[test]
fn every_command_succeeds_and_fails_on_a_tape() {
    let mut tally: BTreeMap<CommandId, [u32; 2]> = BTreeMap::new();
    for (_, tape) in tapes() {
        for (id, counts) in tape.tally() {
            let sum = tally.entry(id).or_default();
            (0..2).for_each(|at| sum[at] += counts[at]);
        }
    }
    let rows = TABLE.iter().filter(|row| row.subcommand_count == 0 || row.arity >= -1);
    let missing: Vec<String> = rows
        .flat_map(|row| {
            let counts = tally.get(&row.id).copied().unwrap_or_default();
            let outcomes = [("succeeds", &NEVER_SUCCEED[..]), ("fails", &NEVER_FAIL[..])];
            let wrong = outcomes
                .into_iter()
                .zip(counts)
                .filter(|((_, never), count)| (*count == 0) != never.contains(&row.id));
            wrong.map(|((what, _), count)| format!("{} {what} {count} times", row.name)).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(missing, [""; 0]);
}
