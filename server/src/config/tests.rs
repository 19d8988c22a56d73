//! Transcripts of Redis 8.0, and properties that hold for every row of the table.

#![allow(clippy::disallowed_methods, reason = "a test may use files")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::*;

/// `CONFIG GET *` of a Redis 8.0.6 without configuration, sorted; the value of `dir` is the place it ran in.
const REDIS_DEFAULTS: &str = include_str!("defaults.redis-8.0");

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn get(config: &Config, patterns: &[&str]) -> Vec<(String, String)> {
    let patterns: Vec<&[u8]> = patterns.iter().map(|p| p.as_bytes()).collect();
    config.get(&patterns).iter().map(|(name, value)| (text(name), text(value))).collect()
}

fn value(config: &Config, name: &str) -> String {
    let mut found = get(config, &[name]);
    assert_eq!(found.len(), 1, "{name}");
    found.remove(0).1
}

fn set(config: &mut Config, pairs: &[&str]) -> Result<Vec<&'static str>, String> {
    let pairs: Vec<(&[u8], &[u8])> = pairs.chunks(2).map(|p| (p[0].as_bytes(), p[1].as_bytes())).collect();
    config.set(&pairs, true).map_err(|error| text(&error.message()))
}

/// Sets `name` and says what CONFIG GET answers then, or the reason of the refusal.
fn set_get(config: &mut Config, name: &str, to: &str) -> String {
    match set(config, &[name, to]) {
        Ok(_) => value(config, name),
        Err(error) => match error
            .strip_prefix(&format!("ERR CONFIG SET failed (possibly related to argument '{name}') - "))
        {
            Some(reason) => format!("! {reason}"),
            None => error,
        },
    }
}

fn load_args(args: &[&str]) -> Result<Loaded, Fatal> {
    load_stdin(args, "")
}

fn load_stdin(args: &[&str], stdin: &str) -> Result<Loaded, Fatal> {
    let args: Vec<Vec<u8>> = args.iter().map(|arg| arg.as_bytes().to_vec()).collect();
    Config::parse_file_and_args(&args, || Ok(stdin.as_bytes().to_vec()))
}

fn read(stdin: &str) -> Config {
    match load_stdin(&["-"], stdin) {
        Ok(loaded) => loaded.config,
        Err(fatal) => panic!("{fatal}"),
    }
}

/// A directory of this test, empty.
fn scratch(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("kevy-config-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path.canonicalize().unwrap()
}

#[test]
fn names_and_defaults_are_those_of_redis() {
    let config = Config::default();
    let ours: BTreeMap<_, _> = get(&config, &["*"]).into_iter().collect();
    assert_eq!(get(&config, &["shards"]).len(), 1, "kevy's own answers to its exact name");
    let redis: BTreeMap<_, _> = REDIS_DEFAULTS
        .lines()
        .map(|l| l.split_once('=').unwrap())
        .map(|(n, v)| (n.into(), v.into()))
        .collect();
    let names = |map: &BTreeMap<String, String>| map.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&redis));
    // One depends on where the process is, the other differs for a reason that stands beside it.
    let other = ["dir", "disable-thp"];
    for (name, theirs) in redis.iter().filter(|(name, _)| !other.contains(&name.as_str())) {
        assert_eq!(&ours[name], theirs, "{name}");
    }
}

#[test]
fn no_two_rows_share_a_name() {
    let mut seen = std::collections::HashSet::new();
    for option in OPTIONS {
        for name in option.names().chain(option.quiet_aliases.iter().copied()) {
            assert!(seen.insert(name), "{name} twice");
            assert!(std::ptr::eq(options::find(name.to_ascii_uppercase().as_bytes()).unwrap(), option));
        }
    }
}

/// Every row: the default is legal, its field has the shape of its kind, and the printed value reads back as itself.
#[test]
fn values_survive_fields_and_text() {
    let mut config = Config::default();
    for option in OPTIONS {
        let value = config.value(option);
        config.store(option, value.clone());
        assert_eq!(config.value(option), value, "{}", option.name);
        let text = option.kind.text(&value);
        if text.is_empty() && matches!(option.kind, kind::Kind::Primary) {
            continue;
        }
        assert_eq!(option.kind.parse(&[text], &value, false), Ok(value), "{}", option.name);
        if let kind::Kind::Choice(names) = option.kind {
            for index in 0..names.len() {
                config.store(option, Value::Choice(index));
                assert_eq!(config.value(option), Value::Choice(index), "{}", option.name);
            }
        }
    }
}

#[test]
fn the_core_agrees_on_the_defaults() {
    assert_eq!(Config::default().settings, Settings::default());
}

#[test]
fn get_by_name_pattern_and_alias() {
    let config = Config::default();
    let yes = |name: &str| (name.to_owned(), "yes".to_owned());
    assert_eq!(get(&config, &["hz", "hz", "HZ"]), [("hz".into(), "10".into())]);
    assert_eq!(get(&config, &["HZ"]), [("HZ".into(), "10".into())]);
    assert_eq!(get(&config, &["h?", "HZ", "h*z"]), [("hz".into(), "10".into())]);
    assert_eq!(get(&config, &["[G-I]Z"]), [("hz".into(), "10".into())]);
    assert_eq!(
        get(&config, &["slave-read-o*", "REPLICA-READ*"]),
        [yes("slave-read-only"), yes("replica-read-only")]
    );
    assert_eq!(get(&config, &["nosuch", "nosuch*", ""]), []);
    assert_eq!(get(&config, &["key-load*", "rename-command", "user", "include"]), [], "hidden or no option");
    assert_eq!(get(&config, &["KEY-LOAD-delay", "primaryuser"]).len(), 2);
    assert_eq!(get(&config, &["commandlog-slow-execution-max-len"])[0].1, "128");
}

#[test]
fn set_errors() {
    let mut config = Config::default();
    let before = get(&config, &["*"]);
    for (pairs, error) in [
        (&["foo", "bar"][..], "ERR Unknown option or number of arguments for CONFIG SET - 'foo'"),
        (&["hz", "x", "foo", "1"], "ERR Unknown option or number of arguments for CONFIG SET - 'foo'"),
        (
            &["daemonize", "yes", "foo", "1"],
            "ERR CONFIG SET failed (possibly related to argument 'daemonize') - can't set immutable config",
        ),
        (
            &["hz", "1", "HZ", "2", "daemonize", "no"],
            "ERR CONFIG SET failed (possibly related to argument 'HZ') - duplicate parameter",
        ),
        (
            &["dir", "/"],
            "ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected config",
        ),
        (
            &["hz", "20", "timeout", "7", "appendonly", "zz"],
            "ERR CONFIG SET failed (possibly related to argument 'appendonly') - argument must be 'yes' or 'no'",
        ),
        (
            &["maxmemory-policy", "allkeys-lru", "port", "70000"],
            "ERR CONFIG SET failed (possibly related to argument 'port') - argument must be between 0 and 65535 \
             inclusive",
        ),
    ] {
        assert_eq!(set(&mut config, pairs), Err(error.to_owned()), "{pairs:?}");
    }
    assert_eq!(get(&config, &["*"]), before, "a refused CONFIG SET changes nothing");
}

#[test]
fn set_tells_what_changed() {
    let mut config = Config::default();
    assert_eq!(set(&mut config, &["hz", "10", "timeout", "5"]), Ok(vec!["timeout"]));
    assert_eq!(
        set(&mut config, &["slave-priority", "1", "replica-priority", "2"]),
        Ok(vec!["replica-priority"])
    );
    assert_eq!(value(&config, "slave-priority"), "2");
    assert_eq!(config.network.timeout, 5);
}

#[test]
fn protected_options_follow_enable_protected_configs() {
    let mut config = read("enable-protected-configs local");
    assert!(config.set(&[(b"dbfilename", b"x.rdb")], false).is_err());
    assert_eq!(config.set(&[(b"dbfilename", b"x.rdb")], true), Ok(vec!["dbfilename"]));
    assert_eq!(set_get(&mut config, "dbfilename", "a/b"), "! dbfilename can't be a path, just a filename");
    assert_eq!(set_get(&mut config, "dir", "/nonexistent"), "! No such file or directory");
    assert_eq!(set_get(&mut config, "dir", "/dev/null"), "! Not a directory");
    assert_eq!(set_get(&mut config, "dir", "/dev/../dev"), "/dev");
}

#[test]
fn values_as_redis_reads_and_prints_them() {
    let config = &mut Config::default();
    let integer = "! argument couldn't be parsed into an integer";
    let memory = "! argument must be a memory value";
    let percent = "! argument must be a memory or percent value";
    let shutdown = "! argument(s) must be one of the following: default, save, nosave, now, force";
    let limit = "! Error in hard, soft or soft_seconds setting in buffer limit configuration.";
    let title = "! template format is invalid or contains unknown variables";
    for (name, to, answer) in [
        ("timeout", "05", integer),
        ("timeout", "+5", integer),
        ("timeout", " 5", integer),
        ("timeout", "", integer),
        ("timeout", "-0", integer),
        ("timeout", "99999999999999999999", integer),
        ("timeout", "-1", "! argument must be between 0 and 2147483647 inclusive"),
        ("key-load-delay", "-5", "-5"),
        ("hz", "0", "1"),
        ("hz", "501", "500"),
        ("repl-backlog-size", "1", "16384"),
        ("repl-backlog-size", "0", "! argument must be between 1 and 9223372036854775807 inclusive"),
        ("maxmemory", "1g", "1000000000"),
        ("maxmemory", "1Kb", "1024"),
        ("maxmemory", "5B", "5"),
        ("maxmemory", "05", "5"),
        ("maxmemory", "kb", "0"),
        ("maxmemory", "", "0"),
        ("maxmemory", "99999999999999999999", "18446744073709551615"),
        ("maxmemory", "1.5g", memory),
        ("maxmemory", " 5", memory),
        ("maxmemory", "-1", memory),
        ("active-defrag-ignore-bytes", "0", "! argument must be between 1 and 9223372036854775807 inclusive"),
        ("maxmemory-clients", "5%", "5%"),
        ("maxmemory-clients", "1kb", "1024"),
        ("maxmemory-clients", "0%", "0"),
        ("maxmemory-clients", "101%", "! percentage argument must be less or equal to 100"),
        ("maxmemory-clients", "-1%", percent),
        ("maxmemory-clients", "%", percent),
        ("loglevel", "WARNING", "warning"),
        (
            "loglevel",
            "notice x",
            "! argument(s) must be one of the following: debug, verbose, notice, warning, nothing",
        ),
        ("rdbcompression", "NO", "no"),
        ("save", "60 1000 5 5", "60 1000 5 5"),
        ("save", "+1 02", "1 2"),
        ("save", "", ""),
        ("save", "60 1000 5", "! Invalid save parameters"),
        ("save", "1  2", "! Invalid save parameters"),
        ("save", "0 1", "! Invalid save parameters"),
        ("save", "1 -1", "! Invalid save parameters"),
        (
            "client-output-buffer-limit",
            "normal 1kb 2mb 60",
            "normal 1024 2097152 60 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
        ),
        (
            "client-output-buffer-limit",
            "slave 1 2 3 REPLICA 5 6 7",
            "normal 1024 2097152 60 slave 5 6 7 pubsub 33554432 8388608 60",
        ),
        ("client-output-buffer-limit", "", "normal 1024 2097152 60 slave 5 6 7 pubsub 33554432 8388608 60"),
        (
            "client-output-buffer-limit",
            "master 1 2 3",
            "! Invalid client class specified in buffer limit configuration.",
        ),
        (
            "client-output-buffer-limit",
            "normal 1",
            "! Wrong number of arguments in buffer limit configuration.",
        ),
        ("client-output-buffer-limit", "normal 1 2 -3", limit),
        ("client-output-buffer-limit", "pubsub -1 0 0", limit),
        ("notify-keyspace-events", "KEA", "AKE"),
        ("notify-keyspace-events", "gxE$lshzted", "AE"),
        ("notify-keyspace-events", "AKEnm", "AKEm"),
        ("notify-keyspace-events", "nmKd", "dnKm"),
        ("notify-keyspace-events", "Ex", "xE"),
        ("notify-keyspace-events", "q", "! Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
        ("notify-keyspace-events", "", ""),
        ("oom-score-adj-values", "+1 02 3", "1 2 3"),
        ("oom-score-adj-values", "", "! wrong number of arguments"),
        (
            "oom-score-adj-values",
            "1 x 3",
            "! Invalid oom-score-adj-values, elements must be between -2000 and 2000.",
        ),
        ("latency-tracking-info-percentiles", "50.00 99.99 1e1", "50 99.99 10"),
        ("latency-tracking-info-percentiles", "0.001 100 12.3456789", "0.001 100 12.345679"),
        ("latency-tracking-info-percentiles", "", ""),
        (
            "latency-tracking-info-percentiles",
            "nan",
            "! Invalid latency-tracking-info-percentiles parameters",
        ),
        (
            "latency-tracking-info-percentiles",
            "101",
            "! latency-tracking-info-percentiles parameters should sit between [0.0,100.0]",
        ),
        ("shutdown-on-sigterm", "now nosave force", "nosave now force"),
        ("shutdown-on-sigterm", "nosave default", "nosave"),
        (
            "shutdown-on-sigterm",
            "save nosave",
            "! shutdown options SAVE and NOSAVE can't be used simultaneously",
        ),
        ("shutdown-on-sigterm", "", shutdown),
        ("shutdown-on-sigterm", " now", shutdown),
        ("bind", "127.0.0.1 -::1", "127.0.0.1 -::1"),
        ("bind", "", ""),
        ("requirepass", "a b\"c", "a b\"c"),
        ("proc-title-template", "{port} }", "{port} }"),
        ("proc-title-template", "a{{port}", "a{{port}"),
        ("proc-title-template", "{title}{server-mode}", title),
        ("proc-title-template", "{foo}", title),
        ("proc-title-template", "{title", title),
        ("proc-title-template", "", title),
        ("locale-collate", "C", "C"),
        ("locale-collate", "zz", "! Invalid locale name"),
        (
            "cluster-announce-hostname",
            "a b",
            "! Hostnames may only contain alphanumeric characters, hyphens or dots",
        ),
        ("cluster-announce-human-nodename", "a b", "a b"),
        ("cluster-announce-human-nodename", "a{b", "! Announced human node name contained invalid character"),
    ] {
        assert_eq!(set_get(config, name, to), answer, "{name} {to:?}");
    }
    assert_eq!(config.clients.maxmemory, ClientMemory::Bytes(0));
    assert!(config.process.shutdown_on_sigterm.contains(ShutdownFlags::NOSAVE));
}

#[test]
fn fatal_errors_on_the_command_line() {
    for (args, line, reason) in [
        (&["--hz", "abc"][..], "hz \"abc\"", "argument couldn't be parsed into an integer"),
        (&["--save", "60"], "save \"60\"", "Invalid save parameters"),
        (&["--port", "--port", "0"], "port \"--port\" \"0\"", "wrong number of arguments"),
        (&["--requirepass", "a", "b"], "requirepass \"a\" \"b\"", "wrong number of arguments"),
        (&["--foo", "bar"], "foo \"bar\"", "Bad directive or wrong number of arguments"),
        (&["--databases", "0"], "databases \"0\"", "argument must be between 1 and 2147483647 inclusive"),
        (
            &["--unixsocketperm", "888"],
            "unixsocketperm \"888\"",
            "argument couldn't be parsed as an octal number",
        ),
        (
            &["--unixsocketperm", "1000"],
            "unixsocketperm \"1000\"",
            "argument must be between 0 and 777 inclusive",
        ),
        (
            &["--oom-score-adj-values", "1", "2"],
            "oom-score-adj-values \"1\" \"2\"",
            "wrong number of arguments",
        ),
        (&["--replicaof", "localhost", "99999"], "replicaof \"localhost\" \"99999\"", "Invalid master port"),
        (
            &["--appendfilename", "a/b"],
            "appendfilename \"a/b\"",
            "appendfilename can't be a path, just a filename",
        ),
        (&["--shards", "65"], "shards \"65\"", "argument must be between 0 and 64 inclusive"),
        (&["--user", "bob", "on"], "user \"bob\" \"on\"", "kevy has no users but the default one"),
    ] {
        let expected = Fatal::Line { number: 2, line: line.into(), reason: reason.into() };
        assert_eq!(load_args(args).err(), Some(expected), "{args:?}");
    }
}

#[test]
fn fatal_errors_in_a_file() {
    for (file, number, line, reason) in [
        ("port 1 2\n", 1, "port 1 2", "wrong number of arguments"),
        ("hz 10\n\n# c\n \tfoo  \r\n", 4, "foo", "Bad directive or wrong number of arguments"),
        ("logfile \"abc\n", 1, "logfile \"abc", "Unbalanced quotes in configuration line"),
        ("include /nonexistent-*/*.conf\nfoo\n", 2, "foo", "Bad directive or wrong number of arguments"),
        ("sentinel foo\n", 1, "sentinel foo", "sentinel directive while not in sentinel mode"),
        ("user default on -@all", 1, "user default on -@all", "kevy's default user cannot be restricted"),
        ("rename-command get", 1, "rename-command get", "Bad directive or wrong number of arguments"),
        ("rename-command x y", 1, "rename-command x y", "No such command in rename-command"),
    ] {
        let expected = Fatal::Line { number, line: line.into(), reason: reason.into() };
        assert_eq!(load_stdin(&["-"], file).err(), Some(expected), "{file:?}");
    }
    assert_eq!(
        load_stdin(&["-"], "hz 10\nbar\n").err().unwrap().to_string(),
        "\n*** FATAL CONFIG FILE ERROR (Redis 8.0.6) ***\nReading the configuration file, at line 2\n>>> 'bar'\n\
         Bad directive or wrong number of arguments"
    );
    assert_eq!(
        load_args(&["/nonexistent.conf"]).err().unwrap().to_string(),
        "Fatal error, can't open config file '/nonexistent.conf': No such file or directory"
    );
    assert_eq!(
        load_args(&["--logfile", "/nonexistent/x"]).err().unwrap().to_string(),
        "\n*** FATAL CONFIG FILE ERROR (Redis 8.0.6) ***\nCan't open the log file: No such file or directory"
    );
}

#[test]
fn the_command_line_overrides_the_file() {
    let dir = scratch("precedence");
    let file = dir.join("kevy.conf");
    fs::write(&file, "port 1\nhz 11\nSAVE 60 1\ntimeout 3\n").unwrap();
    let file = file.to_str().unwrap();
    let loaded = load_stdin(&[file, "--port", "2", "--save", "5", "6", "-"], "port 3\ntimeout 4").unwrap();
    let config = loaded.config;
    assert_eq!(value(&config, "port"), "2");
    assert_eq!(value(&config, "hz"), "11");
    assert_eq!(value(&config, "timeout"), "4");
    assert_eq!(value(&config, "save"), "60 1 5 6");
    assert_eq!(config.process.config_file.as_deref(), Some(std::path::Path::new(file)));
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn standard_input_is_read_for_a_dash_that_is_first_or_last() {
    let dir = scratch("dash");
    let file = dir.join("kevy.conf");
    fs::write(&file, "databases 3\n").unwrap();
    let file = file.to_str().unwrap();
    for args in [
        &["-", "--databases", "9"][..],
        &["--databases", "9", "-"],
        &[file, "--databases", "9", "-"],
        &["-", "--databases", "9", "-"],
        &["-"],
        &["-", "-"],
        &[file, "-"],
    ] {
        let config = load_stdin(args, "hz 33").unwrap().config;
        let databases = if args.contains(&"9") {
            "9"
        } else if args[0] == file {
            "3"
        } else {
            "16"
        };
        assert_eq!(
            (value(&config, "hz"), value(&config, "databases")),
            ("33".into(), databases.into()),
            "{args:?}"
        );
    }
    for args in [
        &[file, "-", "--databases", "9"][..],
        &["--databases", "9", "-", "--hz", "10"],
        &["--databases", "-"],
        &["-", file],
    ] {
        assert!(load_stdin(args, "hz 33").is_err(), "{args:?}");
    }
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn command_line_forms() {
    let of = |args: &[&str], name: &str| value(&load_args(args).unwrap().config, name);
    assert_eq!(of(&[], "save"), "3600 1 300 100 60 10000");
    assert_eq!(of(&["--save", ""], "save"), "");
    assert_eq!(of(&["--save"], "save"), "");
    assert_eq!(of(&["--save", "--port", "0"], "save"), "");
    assert_eq!(value(&read("SAVE"), "save"), "");
    assert_eq!(of(&["--save", "''"], "save"), "");
    assert_eq!(of(&["--save", "--port", "0"], "port"), "0");
    assert_eq!(of(&["--save", "60", "1000"], "save"), "60 1000");
    assert_eq!(of(&["--save", "60 1000 10 5"], "save"), "60 1000 10 5");
    assert_eq!(of(&["--save 1 2", "--save", "3", "4"], "save"), "1 2 3 4");
    assert_eq!(of(&["--port 77"], "port"), "77");
    assert_eq!(of(&["--requirepass", "--secret", "--hz", "5"], "requirepass"), "--secret");
    assert_eq!(of(&["--bind", "127.0.0.1", "-::1"], "bind"), "127.0.0.1 -::1");
    assert_eq!(of(&["--client-output-buffer-limit", "pubsub", "1mb", "2", "3", "--hz", "5"], "hz"), "5");
    assert_eq!(of(&["--replicaof", "no", "one"], "slaveof"), "");
    assert_eq!(of(&["--list-max-ziplist-entries", "4"], "list-max-ziplist-size"), "-2");
}

#[test]
fn includes_read_in_place() {
    let dir = scratch("include");
    fs::write(dir.join("b.conf"), "port 2\n").unwrap();
    fs::write(dir.join("a.conf"), "port 1\n").unwrap();
    fs::write(dir.join(".hidden.conf"), "port 3\n").unwrap();
    fs::write(dir.join("loop.cfg"), format!("include {}/loop.cfg\n", dir.display())).unwrap();
    fs::write(dir.join("bad.cfg"), "\n\nfoo\n").unwrap();
    let config = read(&format!("port 9\ninclude {}/*.conf\n", dir.display()));
    assert_eq!(value(&config, "port"), "2", "in the order of the names");
    let config = read(&format!("dir {}\ninclude a.conf\n", dir.display()));
    assert_eq!(value(&config, "port"), "1", "relative to dir");
    assert_eq!(
        load_stdin(&["-"], &format!("include {}/bad.cfg", dir.display())).err(),
        Some(Fatal::Line {
            number: 3,
            line: "foo".into(),
            reason: "Bad directive or wrong number of arguments".into()
        })
    );
    assert!(load_stdin(&["-"], &format!("include {}/loop.cfg", dir.display())).is_err());
    assert!(matches!(load_stdin(&["-"], "include /nonexistent.conf").err(), Some(Fatal::Unreadable { .. })));
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn demands_that_cannot_be_met_are_named() {
    let loaded =
        load_stdin(&["-"], "appendonly yes\nio-threads 4\nio-threads 2\nhz 20\nactivedefrag yes\n").unwrap();
    assert_eq!(loaded.without_effect, ["appendonly", "io-threads", "activedefrag"]);
    assert_eq!(loaded.warnings.len(), 1);
    assert!(loaded.warnings[0].starts_with("appendonly: "));
    assert!(loaded.config.unmet_demands(&["hz"]).is_empty(), "only what was given just now");
    assert!(load_stdin(&["-"], "").unwrap().warnings.is_empty());
    let loaded = load_stdin(&["-"], "appendonly no\nsave \"\"\n").unwrap();
    assert!(loaded.without_effect.is_empty() && loaded.warnings.is_empty(), "as it is anyway");
    assert!(load_args(&["--aclfile", "/x"]).is_err(), "rules that would not be kept");
}

#[test]
fn the_default_user_line_that_redis_writes() {
    let config = read("requirepass old\nuser default on nopass sanitize-payload ~* &* +@all");
    assert!(config.security.requirepass.is_empty());
    assert_eq!(read("user default on >pw ~* &* +@all").security.requirepass, b"pw");
}

#[test]
fn rewrite_keeps_comments_order_and_places() {
    let old = "# my comment\nport 0\nunixsocket /tmp/rw.sock\n\n# about hz\nhz 15\nsave 60 1000\nsave 30 5\n\
               slave-priority 7\nclient-output-buffer-limit normal 1 2 3\nmaxmemory 100mb\nrequirepass \"a b\\\"c\"\n\
               SAVE 1 1\nmaxmemory-policy allkeys-lru\n  timeout  5\nhash-max-ziplist-entries 3\n\
               notify-keyspace-events Ex\nbind 127.0.0.1\nrename-command debug \"\"\n\
               latency-tracking-info-percentiles 50\nreplica-announce-ip 1.2.3.4\n#tail\n";
    let mut config = read(old);
    let dir = value(&config, "dir");
    let first = text(&config.rewritten(old.as_bytes()));
    let expected = format!(
        "# my comment\nport 0\nunixsocket \"/tmp/rw.sock\"\n\n# about hz\nhz 15\nsave 60 1000\nsave 30 5\n\
         replica-priority 7\nclient-output-buffer-limit normal 1 2 3\nmaxmemory 100mb\nrequirepass \"a b\\\"c\"\n\
         save 1 1\nmaxmemory-policy allkeys-lru\ntimeout 5\nhash-max-listpack-entries 3\n\
         notify-keyspace-events \"xE\"\nbind 127.0.0.1\nrename-command debug \"\"\n\
         latency-tracking-info-percentiles 50\nreplica-announce-ip \"1.2.3.4\"\n#tail\n\n\
         # Generated by CONFIG REWRITE\ndir \"{dir}\"\n"
    );
    assert_eq!(first, expected);

    set(
        &mut config,
        &[
            "hz",
            "20",
            "timeout",
            "0",
            "save",
            "100 5",
            "maxmemory-policy",
            "noeviction",
            "client-output-buffer-limit",
            "normal 0 0 0 pubsub 1mb 1000 5",
            "notify-keyspace-events",
            "",
            "bind",
            "* -::*",
            "replica-announce-ip",
            "",
            "maxmemory",
            "1001",
            "slowlog-max-len",
            "1024",
            "maxmemory-clients",
            "5%",
            "slave-announce-port",
            "77",
            "shutdown-on-sigterm",
            "nosave now",
        ],
    )
    .unwrap();
    let second = text(&config.rewritten(first.as_bytes()));
    let expected = format!(
        "# my comment\nport 0\nunixsocket \"/tmp/rw.sock\"\n\n# about hz\nhz 20\nsave 100 5\n\n\
         replica-priority 7\nclient-output-buffer-limit normal 0 0 0\nmaxmemory 1001\nrequirepass \"a b\\\"c\"\n\n\
         maxmemory-policy noeviction\ntimeout 0\nhash-max-listpack-entries 3\n\
         notify-keyspace-events \"\"\n\nrename-command debug \"\"\n\
         latency-tracking-info-percentiles 50\n\n#tail\n\n\
         # Generated by CONFIG REWRITE\ndir \"{dir}\"\n\n\
         shutdown-on-sigterm nosave now\nclient-output-buffer-limit pubsub 1mb 1000 5\nmaxmemory-clients 5%\n\
         slowlog-max-len 1024\nreplica-announce-port 77\n"
    );
    assert_eq!(second, expected);
}

/// Every row, at a value that is not its default, written and read back.
#[test]
fn a_rewritten_file_reads_back_as_the_same_configuration() {
    let dir = scratch("rewrite");
    let file = dir.join("kevy.conf");
    fs::write(&file, "# head\nbind 10.0.0.1\nsave 1 1\n").unwrap();
    let mut config = load_args(&[file.to_str().unwrap()]).unwrap().config;
    for option in OPTIONS.iter().filter(|option| option.name != "shards" && option.name != "aclfile") {
        use kind::Kind::*;
        let other: &[u8] = match (&option.kind, option.name) {
            (Bool, _) => {
                if option.default == "yes" {
                    b"no"
                } else {
                    b"yes"
                }
            }
            (Choice(names), _) => names.iter().find(|name| **name != option.default).unwrap().as_bytes(),
            (Choices(_), _) => b"nosave force",
            (Integer(_, max), _) if max.to_string() == option.default => unreachable!(),
            (Integer(min, _), _) if min.to_string() != option.default => &min.to_string().into_bytes(),
            (Integer(_, max), _) => &max.to_string().into_bytes(),
            (Clamped(..), _) => b"77",
            (Memory(..) | MemoryAtLeast(..), _) => b"3333333",
            (MemoryOrPercent, _) => b"7%",
            (Octal(_), _) => b"640",
            (Text(_), "locale-collate") => b"C",
            (Text(_), "proc-title-template") => b"\"{title}\" {port}",
            (Text(_), "logfile") => &[dir.to_str().unwrap(), "/log"].concat().into_bytes(),
            (Text(_) | Optional(_), "cluster-announce-hostname") => b"a.b",
            (Text(_) | Optional(_), "cluster-announce-human-nodename") => b"a 'b' \xff",
            (Text(_) | Optional(_), _) => b"odd \"name\"\\\n\t\x01\xc3\xbc",
            (Directory, _) => b"/",
            (Addresses, _) => b"10.1.2.3 -::1",
            (OomScores, _) => b"1 2 3",
            (Events, _) => b"KEm",
            (Save, _) => b"1 2 3 4",
            (OutputLimits, _) => b"normal 1kb 2 3 slave 9 9 9 pubsub 0 0 0",
            (Percentiles, _) => b"1.5 2",
            (Primary, _) => b"host 1234",
        };
        if option.name == "replicaof" || option.name == "cluster-enabled" {
            continue;
        }
        let value = option.kind.parse(&[other.to_vec()], &config.value(option), false);
        let value = value.unwrap_or_else(|reason| panic!("{}: {reason}", option.name));
        assert_ne!(value, config.value(option), "{}", option.name);
        config.store(option, value);
    }
    config.rewrite(&file).unwrap();
    let written = fs::read(&file).unwrap();
    assert!(written.starts_with(b"# head\nbind 10.1.2.3 -::1\nsave 1 2\n"), "{}", text(&written));
    let again = load_args(&[file.to_str().unwrap()]).unwrap_or_else(|fatal| panic!("{fatal}")).config;
    for option in OPTIONS {
        assert_eq!(again.value(option), config.value(option), "{}", option.name);
    }
    again.rewrite(&file).unwrap();
    let mut lines = text(&written);
    lines.push('\n');
    assert_eq!(text(&fs::read(&file).unwrap()), lines, "a second rewrite changes nothing but the blank line");
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 2, "no temporary file stays: the file and the log");
    fs::remove_dir_all(dir).unwrap();
}
