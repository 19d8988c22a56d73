//! Cases kept as text, on the kevy that is compiled into the binary of this package: transcripts, and plans that once
//! showed a difference. What they are compared with was recorded from a redis-server; none is needed here.

use std::path::{Path, PathBuf};

use kevy_difftest::campaign::describe;
use kevy_difftest::recording::Recording;
use kevy_difftest::runner::{Counts, Nothing, Reference, Run, Stop};
use kevy_difftest::server::{Program, Server};
use kevy_difftest::{state, transcript};
use kevy_model::generator::Tally;

fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(&folder).expect("the folder of cases exists");
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    let mut files: Vec<_> = paths.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    files.sort();
    assert!(!files.is_empty(), "no {ending} in {}", folder.display());
    files
}

fn kevy(tcp: bool) -> Server {
    let program = Program::built_in(env!("CARGO_BIN_EXE_kevy-difftest"));
    // SCAN gives pages as one table has them.
    Server::start(&program, tcp, &["--shards", "1"]).expect("kevy starts")
}

#[test]
fn transcripts() {
    let server = kevy(true);
    let mut failures = Vec::new();
    for file in files("cases", ".resp.txt") {
        let text = std::fs::read_to_string(&file).expect("a readable transcript");
        let exchanges = transcript::parse(&text).expect("a transcript");
        assert!(!exchanges.is_empty(), "{} has no command", file.display());
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match transcript::check(&text, &server) {
            Ok(differences) => failures.extend(differences.into_iter().map(|text| format!("{name} {text}"))),
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn recorded_plans() {
    let server = kevy(false);
    let mut control = server.connect().expect("kevy accepts");
    control.call(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]).expect("kevy answers");
    let mut failures = Vec::new();
    for file in files("regressions", ".plan") {
        let text = std::fs::read_to_string(&file).expect("a readable plan");
        let recording = Recording::parse(&text).expect("a recording");
        assert!(recording.has_replies(), "{} has no replies", file.display());
        state::clear(&mut control).expect("kevy answers");
        let mut run = Run {
            plan: &recording.plan,
            notes: &[],
            knows: &mut Nothing,
            tally: &mut Tally::default(),
            counts: Counts::default(),
        };
        match run.compare(Reference::Recorded(&recording.events), &server, &mut control) {
            Ok(_) => assert!(run.counts.frames > 0, "{} compared nothing", file.display()),
            Err(Stop::Difference(difference)) => {
                failures.push(format!("{}: {}", file.display(), describe(&difference)));
            }
            Err(Stop::Abandoned) => unreachable!("nothing is known"),
            Err(Stop::Reference(error)) => failures.push(format!("{}: {error}", file.display())),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
