//! `kevy-difftest`: see `kevy-difftest help`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use kevy::command::CommandId;
use kevy_difftest::campaign::{self, Floors, Goals, Pair, describe};
use kevy_difftest::inprocess;
use kevy_difftest::known::Known;
use kevy_difftest::recording::Recording;
use kevy_difftest::report::{Conformance, read_runs, run_text, tally_text};
use kevy_difftest::runner::{Counts, Nothing, Run, Stop};
use kevy_difftest::server::{Program, Server};
use kevy_difftest::tape::{self, Tape};
use kevy_difftest::{bugs, exhaustive, metamorphic, sim, state, table, threads, transcript};
use kevy_model::generator::{Gen, Generated, Plan, Prng, Scope, Step, Tally};

#[global_allocator]
static ALLOCATOR: kevy_server::memory::Counting = kevy_server::memory::Counting;

const HELP: &str = "\
Usage: kevy-difftest COMMAND [OPTIONS] [FILES]

  run              generated plans on kevy and redis-server, compared reply by reply
  inprocess        generated plans on the shard in this process, judged by the model
  exhaustive N [T] all plans of N steps of each small theme, or of theme T, like inprocess
  metamorphic      each plan twice, with a change that must not matter (--seed N, --seconds S)
  replay FILE...   plans from files; recordings are compared with what they recorded
  shrink FILE      the smallest plan found that still differs
  record FILE...   rewrites plans as recordings, transcripts (.resp.txt) and tapes (.tape), with what redis-server answers
  plan             the generated plan of a seed, as text: --seed, --steps, --only, --wrong
  check FILE...    transcripts on kevy
  table            COMMAND INFO, DOCS and GETKEYS of every row, compared with redis-server's
  report FILE...   CONFORMANCE.md from the tallies of runs
  floors FILE...   whether runs together were as large as --commands demands and have exercised everything
  bugs             whether the tests in this process notice faults that are switched on (--smoke, --budget S, --only NAME)
  sim              several shards under a scheduler, in one thread (--seed N, --runs N, --seconds S, --exhaustive, --fine)
  threads          clients in threads on several shards; the model and redis-server judge (--shards 1,2,3,4, --seed, --rounds)
  serve ...        the kevy server that is compiled in, with the server's own options

  --redis PATH     the reference; redis-server by default
  --kevy PATH      the server under test; the one compiled in by default
  --kevy-args ARGS further options for kevy, separated by spaces, as --kevy-args '--shards 2'
  --tcp            talk to kevy over TCP instead of a Unix socket
  --known FILE     known differences
  --seed N         the first plan's seed; each plan has the next one
  --seconds S      how long to run; 10 by default
  --commands N     how many commands at most
  --proto 2|3|both
  --only NAME,...  only these commands, or groups as COMMAND DOCS names them
  --steps N        steps of a plan
  --wrong N        how many of 100 commands are wrong on purpose
  --no-waiting     no commands that wait or subscribe
  --intrusive      also commands that act on the server or on other connections
  --floors         fail unless the run was as large as demanded and has exercised everything
  --shrink         make failing plans small at once
  --failures DIR   where failing plans go; difftest-failures by default
  --again N        how often a plan that differs is run again before it counts; 2 by default
  --most N         stop after so many failures; 10 by default
  --tally FILE     write what was exercised, for report
";

fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().skip(1).collect();
    if args.first().is_some_and(|first| first == "serve") {
        args.remove(0);
        return serve(args);
    }
    type Part = fn(&[String]) -> ExitCode;
    let parts: [(&str, Part); 5] = [
        ("bugs", bugs::main),
        ("exhaustive", exhaustive::main),
        ("metamorphic", metamorphic::main),
        ("sim", sim::main::main),
        ("threads", threads::main),
    ];
    if let Some((_, part)) = parts.iter().find(|(name, _)| args.first().is_some_and(|first| first == name)) {
        let args: Vec<String> = args[1..].iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
        return part(&args);
    }
    let result = Options::parse(&args).and_then(|options| match options.command.as_str() {
        "run" => run(&options),
        "inprocess" => in_process(&options),
        "replay" => replay(&options),
        "shrink" => shrink_file(&options),
        "record" => record(&options),
        "plan" => plan(&options),
        "check" => check(&options),
        "table" => check_table(&options),
        "report" => report(&options),
        "floors" => floors(&options),
        "help" => {
            print!("{HELP}");
            Ok(true)
        }
        other => Err(format!("unknown command {other}; kevy-difftest --help lists them").into()),
    });
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("kevy-difftest: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs the server, so that tests need no other executable than this one.
fn serve(args: Vec<OsString>) -> ExitCode {
    use kevy_server::cli::{Invocation, invocation};
    let args: Vec<Vec<u8>> = args.into_iter().map(OsStringExt::into_vec).collect();
    match invocation(&args) {
        Invocation::Serve(loaded) => {
            let directory = PathBuf::from(OsString::from_vec(loaded.config.process.dir.clone()));
            if let Err(error) = std::env::set_current_dir(&directory) {
                eprintln!("{}: {error}", directory.display());
                return ExitCode::FAILURE;
            }
            kevy_server::runtime::run(loaded.config, None)
        }
        Invocation::Print(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Invocation::Refuse(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
        Invocation::Fatal(fatal) => {
            eprintln!("{fatal}");
            ExitCode::FAILURE
        }
    }
}

fn number<T: std::str::FromStr>(option: &str, text: &str) -> Result<T> {
    text.parse().map_err(|_| format!("{option} takes a number, not {text}").into())
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

struct Options {
    command: String,
    files: Vec<PathBuf>,
    redis: PathBuf,
    kevy: Option<PathBuf>,
    /// Further options for the subject.
    kevy_args: Vec<String>,
    tcp: bool,
    known: PathBuf,
    seed: u64,
    seconds: u64,
    commands: Option<u64>,
    protocols: Vec<u32>,
    only: Vec<String>,
    steps: usize,
    wrong: u32,
    waiting: bool,
    intrusive: bool,
    floors: bool,
    shrink: bool,
    failures: PathBuf,
    again: u32,
    most: usize,
    tally: Option<PathBuf>,
}

impl Options {
    fn parse(args: &[OsString]) -> Result<Options> {
        let mut options = Options {
            command: "help".into(),
            files: Vec::new(),
            redis: "redis-server".into(),
            kevy: None,
            kevy_args: Vec::new(),
            tcp: false,
            known: "difftest/known_differences".into(),
            seed: 1,
            seconds: 10,
            commands: None,
            protocols: vec![2, 3],
            only: Vec::new(),
            steps: Scope::full().steps,
            wrong: Scope::full().wrong,
            waiting: true,
            intrusive: false,
            floors: false,
            shrink: false,
            failures: "difftest-failures".into(),
            again: 2,
            most: 10,
            tally: None,
        };
        let mut args = args.iter().map(|arg| arg.to_string_lossy().into_owned());
        if let Some(command) = args.next() {
            let wants_help = ["--help", "-h"].contains(&command.as_str());
            options.command = if wants_help { "help".into() } else { command };
        }
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--redis" => options.redis = value()?.into(),
                "--kevy" => options.kevy = Some(value()?.into()),
                "--kevy-args" => {
                    options.kevy_args = value()?.split_whitespace().map(str::to_owned).collect();
                }
                "--tcp" => options.tcp = true,
                "--known" => options.known = value()?.into(),
                "--seed" => options.seed = number(&arg, &value()?)?,
                "--seconds" => options.seconds = number(&arg, &value()?)?,
                "--commands" => options.commands = Some(number(&arg, &value()?)?),
                "--proto" => {
                    options.protocols = match value()?.as_str() {
                        "2" => vec![2],
                        "3" => vec![3],
                        "both" => vec![2, 3],
                        other => return Err(format!("--proto {other}").into()),
                    }
                }
                "--only" => options.only = value()?.split(',').map(str::to_owned).collect(),
                "--steps" => options.steps = number(&arg, &value()?)?,
                "--wrong" => options.wrong = number(&arg, &value()?)?,
                "--no-waiting" => options.waiting = false,
                "--intrusive" => options.intrusive = true,
                "--floors" => options.floors = true,
                "--shrink" => options.shrink = true,
                "--failures" => options.failures = value()?.into(),
                "--again" => options.again = number(&arg, &value()?)?,
                "--most" => options.most = number(&arg, &value()?)?,
                "--tally" => options.tally = Some(value()?.into()),
                "--help" | "-h" => options.command = "help".into(),
                _ if arg.starts_with("--") => return Err(format!("unknown option {arg}").into()),
                _ => options.files.push(arg.into()),
            }
        }
        let takes_files =
            ["replay", "shrink", "record", "check", "report", "floors"].contains(&options.command.as_str());
        if takes_files && options.files.is_empty() {
            return Err(format!("{} needs a file", options.command).into());
        }
        if !takes_files && let Some(file) = options.files.first() {
            return Err(format!("{} takes no file, but was given {}", options.command, file.display()).into());
        }
        Ok(options)
    }

    fn reference(&self) -> Result<Server> {
        Ok(Server::start(&Program::at(&self.redis), false, &[])?)
    }

    fn subject(&self) -> Result<Server> {
        let program = match &self.kevy {
            Some(path) => Program::at(path),
            None => Program::built_in(std::env::current_exe()?),
        };
        let mut args: Vec<&str> = self.kevy_args.iter().map(String::as_str).collect();
        if !args.contains(&"--shards") {
            // The same on every machine.
            args.extend(["--shards", "1"]);
        }
        Ok(Server::start(&program, self.tcp, &args)?)
    }

    fn pair(&self) -> Result<Pair> {
        Ok(Pair::new(self.reference()?, self.subject()?)?)
    }

    fn known(&self, oracle: &Server) -> Result<Known> {
        let text = match std::fs::read_to_string(&self.known) {
            Ok(text) => text,
            Err(error) => return Err(format!("{}: {error}", self.known.display()).into()),
        };
        Ok(Known::parse(&text, &oracle.identity())?)
    }

    /// What `--only` leaves of everything. A name that leaves nothing is a mistake.
    fn scope(&self) -> Result<Scope> {
        let all = if self.intrusive { Scope::live() } else { Scope::full() };
        let mut scope = Scope { steps: self.steps, wrong: self.wrong, waiting: self.waiting, ..all };
        if !self.only.is_empty() {
            let means = |only: &String, id: &CommandId| {
                let row = id.command();
                *only == row.name || *only == row.group.name()
            };
            if let Some(nothing) =
                self.only.iter().find(|only| !scope.commands.iter().any(|id| means(only, id)))
            {
                let elsewhere = Scope::live().commands.iter().any(|id| means(nothing, id));
                let hint = if elsewhere { " without --intrusive" } else { "" };
                return Err(format!("--only {nothing}: no such command or group{hint}").into());
            }
            scope.commands.retain(|id| self.only.iter().any(|only| means(only, id)));
        }
        Ok(scope)
    }
}

fn run(options: &Options) -> Result<bool> {
    println!("seed {}", options.seed);
    let mut pair = options.pair()?;
    let mut known = options.known(&pair.reference)?;
    let mut scope = options.scope()?;
    let wanted = scope.commands.clone();
    scope.commands = pair.available(&wanted)?;
    let absent: Vec<_> =
        wanted.iter().filter(|id| !scope.commands.contains(id)).map(|id| id.command().name).collect();
    println!(
        "reference {}, subject {} {}",
        pair.reference.identity(),
        pair.subject.name,
        pair.subject.version
    );
    if !absent.is_empty() {
        println!("not in both: {}", absent.join(" "));
    }
    let goals = Goals {
        seed: options.seed,
        time: Duration::from_secs(options.seconds),
        commands: options.commands.unwrap_or(u64::MAX),
        protocols: options.protocols.clone(),
        failures: options.failures.clone(),
        most_failures: options.most,
        shrink: options.shrink,
        again: options.again,
    };
    let done = campaign::run(&mut pair, &scope, &goals, &mut known);
    if let Some(path) = &options.tally {
        let texts = [2, 3].map(|protocol| {
            tally_text(&pair.reference.identity(), protocol, &done.tallies[protocol as usize - 2])
        });
        std::fs::write(path, texts.concat() + &run_text(&scope, &done, &known))?;
    }
    let counts = done.counts;
    println!(
        "plans {} commands {} frames {} judged {} states {} judged states {} open {} deliveries {} transactions {} aborted {} skipped {} known {} by chance {} differences {}",
        done.plans,
        counts.commands,
        counts.frames,
        counts.votes,
        counts.states,
        counts.judged_states,
        counts.open,
        counts.deliveries,
        counts.transactions,
        counts.aborted,
        counts.skipped,
        counts.known,
        done.by_chance.len(),
        done.failures.len()
    );
    if !done.by_chance.is_empty() {
        println!("differed by chance: seeds {:?}", done.by_chance);
    }
    if let Some(broken) = &done.broken {
        println!("the test bed broke: {broken}\n{}", pair.reference.last_words());
        return Ok(false);
    }
    let mut good = done.failures.is_empty();
    if options.floors {
        let floors = Floors::of(options.commands.unwrap_or(0));
        let shortfalls = campaign::shortfalls(&done, &scope, &floors, &known);
        shortfalls.iter().for_each(|shortfall| println!("below the floor: {shortfall}"));
        good &= shortfalls.is_empty();
    }
    Ok(good)
}

fn in_process(options: &Options) -> Result<bool> {
    println!("seed {}", options.seed);
    let until = Instant::now() + Duration::from_secs(options.seconds);
    let scope = inprocess::scope(options.steps);
    let (done, next, failures) = inprocess::check_many(options.seed..u64::MAX, Some(until), &scope);
    failures.iter().for_each(|failure| println!("{failure}"));
    println!("plans {} {} next seed {next}", next - options.seed, done.summary());
    Ok(failures.is_empty() && next > options.seed)
}

fn read_recording(path: &Path) -> Result<Recording> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Recording::parse(&text).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn replay(options: &Options) -> Result<bool> {
    let mut pair = options.pair()?;
    let mut known = options.known(&pair.reference)?;
    let mut good = true;
    for file in &options.files {
        let generated = Generated { plan: read_recording(file)?.plan, notes: Vec::new() };
        let result = pair.run(&generated, &mut known, &mut Tally::default(), &mut Counts::default());
        match result {
            Ok(()) | Err(Stop::Abandoned) => println!("{}: no difference", file.display()),
            Err(Stop::Difference(difference)) => {
                good = false;
                println!("{}: {}", file.display(), describe(&difference));
                if pair.subject.has_ended() {
                    return Err(format!("kevy has ended\n{}", pair.subject.last_words()).into());
                }
            }
            Err(Stop::Reference(error)) => {
                return Err(format!("{}: {error}\n{}", file.display(), pair.reference.last_words()).into());
            }
        }
    }
    Ok(good)
}

fn shrink_file(options: &Options) -> Result<bool> {
    let [file] = &options.files[..] else { return Err("shrink takes one file".into()) };
    let plan = read_recording(file)?.plan;
    let mut pair = options.pair()?;
    let known = options.known(&pair.reference)?;
    let shrunk = pair.shrink(&plan, &known, None).ok_or("the plan shows no difference that is not known")?;
    print!("{shrunk}");
    Ok(true)
}

fn plan(options: &Options) -> Result<bool> {
    print!("{}", Gen::new(&mut Prng::new(options.seed), &options.scope()?).plan().plan);
    Ok(true)
}

fn record(options: &Options) -> Result<bool> {
    let (tapes, others): (Vec<_>, Vec<_>) =
        options.files.iter().partition(|file| file.extension().is_some_and(|ending| ending == "tape"));
    for file in tapes {
        let tape = Tape::parse(&std::fs::read_to_string(file)?)?;
        let (recorded, identity) = tape::record(&tape, &options.redis)?;
        std::fs::write(file, recorded.to_text())?;
        println!("{} from {identity}: {} turns", file.display(), recorded.turns.len());
    }
    if others.is_empty() {
        return Ok(true);
    }
    let server = options.reference()?;
    let mut control = server.connect()?;
    control.call(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"])?;
    for file in others {
        let text = std::fs::read_to_string(file)?;
        let recorded = if file.to_string_lossy().ends_with(".resp.txt") {
            transcript::record(&text, &server)?
        } else {
            let mut plan = Plan::parse(&strip_replies(&text))?;
            let digest =
                Step::Command { conn: DIGEST_CONN, argv: vec![b"DEBUG".to_vec(), b"DIGEST".to_vec()] };
            if plan.steps.last() != Some(&digest) {
                plan.steps.push(digest);
            }
            state::clear(&mut control)?;
            let mut run = Run {
                plan: &plan,
                notes: &[],
                knows: &mut Nothing,
                tally: &mut Tally::default(),
                counts: Counts::default(),
            };
            let events = run.record(&server, &mut control)?;
            let comments = text.lines().take_while(|line| line.starts_with('#')).map(|line| line[1..].trim());
            let comments: Vec<_> = comments.filter(|line| !line.starts_with("recorded from ")).collect();
            let heading = format!("{}\nrecorded from {}", comments.join("\n"), server.identity());
            Recording { plan, events }.to_text(heading.trim())
        };
        std::fs::write(file, recorded)?;
        println!("{}", file.display());
    }
    Ok(true)
}

/// The connection that asks for the digest at the end of a recording.
const DIGEST_CONN: usize = 99;

fn strip_replies(text: &str) -> String {
    let is_reply = |line: &&str| line.split_once("< ").is_some_and(|(conn, _)| conn.parse::<usize>().is_ok());
    text.lines().filter(|line| !is_reply(line)).map(|line| format!("{line}\n")).collect()
}

fn check(options: &Options) -> Result<bool> {
    let server = options.subject()?;
    let mut good = true;
    for file in &options.files {
        let differences = transcript::check(&std::fs::read_to_string(file)?, &server)?;
        good &= differences.is_empty();
        differences.iter().for_each(|difference| println!("{}: {difference}", file.display()));
    }
    Ok(good)
}

fn check_table(options: &Options) -> Result<bool> {
    println!("seed {}", options.seed);
    let (reference, subject) = (options.reference()?, options.subject()?);
    let mut known = options.known(&reference)?;
    let outcome =
        table::compare(&mut reference.connect()?, &mut subject.connect()?, options.seed, &mut known)?;
    for difference in outcome.differences.iter().take(200) {
        println!("{}", describe(difference));
    }
    println!("not in {}: {}", reference.identity(), outcome.missing.join(" "));
    println!("rows {} compared {} differences {}", outcome.rows, outcome.compared, outcome.differences.len());
    Ok(outcome.differences.is_empty())
}

/// The oracle is the one that the first tally names.
fn floors(options: &Options) -> Result<bool> {
    let read = |file: &PathBuf| {
        std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
    };
    let texts: Vec<String> = options.files.iter().map(read).collect::<std::result::Result<_, _>>()?;
    let oracle = texts[0].lines().next().and_then(|line| line.split('\t').nth(1)).ok_or("no tally")?;
    let mut known = Known::parse(&std::fs::read_to_string(&options.known)?, oracle)?;
    let (scope, done) = read_runs(&texts, &mut known);
    let floors = Floors::of(options.commands.unwrap_or(0));
    let shortfalls = campaign::shortfalls(&done, &scope, &floors, &known);
    shortfalls.iter().for_each(|shortfall| println!("below the floor: {shortfall}"));
    Ok(shortfalls.is_empty())
}

fn report(options: &Options) -> Result<bool> {
    let mut conformance = Conformance::default();
    for file in &options.files {
        conformance.read(&std::fs::read_to_string(file)?);
    }
    print!("{}", conformance.to_markdown(&std::fs::read_to_string(&options.known)?));
    Ok(true)
}
