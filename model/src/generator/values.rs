//! Values for arguments, by the name and type that the syntax line gives them.
//!
//! No value may make a server allocate more than some kilobytes: offsets and counts are either small or beyond what is
//! accepted.

use kevy::command::{Command, CommandId, Group};

use super::Gen;

/// Words put where they do not belong.
pub(super) const ODD_WORDS: [&[u8]; 14] = [
    b"",
    b"abc",
    b"-1",
    b"0",
    b"1",
    b"1.5",
    b"NX",
    b"COUNT",
    b"LIMIT",
    b"GET",
    b"9223372036854775808",
    b"nan",
    b"a\x00b",
    b"*",
];

const INTEGERS: [i64; 24] = [
    0,
    1,
    2,
    3,
    5,
    10,
    100,
    -1,
    -2,
    -3,
    -10,
    -100,
    127,
    128,
    129,
    -128,
    -129,
    32768,
    2_147_483_648,
    -2_147_483_649,
    4_294_967_296,
    i64::MAX,
    i64::MIN,
    i64::MIN + 1,
];

const DOUBLES: [&str; 30] = [
    "0",
    "1",
    "2",
    "3",
    "-1",
    "1.5",
    "-1.5",
    "0.1",
    "0.2",
    "3.0",
    "3.14159265358979",
    "100",
    "1e3",
    "1E-3",
    "1e308",
    "-1e308",
    "inf",
    "-inf",
    "+inf",
    "nan",
    "1e400",
    "0x10",
    " 1",
    "1 ",
    "-0",
    ".5",
    "5.",
    "17179869184.5",
    "9007199254740993",
    "0.00001",
];

const VALUES: [&[u8]; 30] = [
    b"",
    b"a",
    b"b",
    b"hello",
    b"hello world",
    b"0",
    b"1",
    b"-1",
    b"10",
    b"007",
    b"9999",
    b"10000",
    b"12345678901",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"9223372036854775808",
    b"18446744073709551616",
    b"3.5",
    b"-0",
    b"1e3",
    b"0x10",
    b" 1",
    b"1 ",
    b"inf",
    b"nan",
    b"\x00",
    b"\xff\xfe",
    b"a\r\nb",
    b"caf\xc3\xa9",
    b"\"quoted\"",
];

/// The words that can stand for an argument of this name, unless it can be anything.
fn words_of(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "channel" | "shardchannel" => &["news.a", "news.b", "other", "", "c"],
        "encoding" => &["u8", "i8", "u1", "i16", "u31", "u63", "i64", "u64", "i65", "u0", "x8", "i5", "u"],
        "type" => &["string", "list", "set", "zset", "hash", "stream", "nosuch", "STRING"],
        "parameter" => &[
            "hash-max-listpack-entries",
            "set-max-*",
            "zset-max-listpack-value",
            "list-max-listpack-size",
            "databases",
            "nosuch",
            "maxmemory",
            "appendonly",
        ],
        "section" => &["server", "clients", "memory", "stats", "keyspace", "all", "nosuch", "everything"],
        "command-name" | "command" => &["get", "SET", "client|id", "nosuch", "sort", "object"],
        "category" => &["string", "hash", "dangerous", "nosuch", "fast"],
        "connection-name" | "clientname" | "libname" | "libver" => {
            &["name", "with space", "", "a-b.c", "n\n", "a\x00b"]
        }
        "username" => &["default", "default", "nobody"],
        "event" => &["command", "nosuch"],
        "library-name-pattern" | "module-name" => &["*", "nosuch"],
        _ => return None,
    })
}

/// Whether an argument of this name can be any bytes.
pub(super) fn is_free(name: &str) -> bool {
    words_of(name).is_none() && !matches!(name, "min" | "max" | "start" | "stop" | "password")
}

impl Gen<'_> {
    pub(super) fn integer(&mut self, row: &Command, name: &str) -> Vec<u8> {
        use CommandId::*;
        let value = match (row.id, name) {
            (_, "numkeys" | "numfields") => return self.count_of_following(),
            (SetRange, "offset") => self.one_of(&[0, 1, 5, 63, 64, 100, 1000, -1, 536_870_912, i64::MAX]),
            (SetBit | GetBit | BitField | BitFieldRo, "offset") => match self.choices.below(8) {
                0 => self.one_of(&[-1, 4_294_967_296, i64::MAX]),
                1 => self.one_of(&[1000, 5000]),
                _ => self.choices.between(0, 80),
            },
            (SetBit, "value") | (BitPos, "bit") => self.one_of(&[0, 1, 0, 1, 0, 1, 2, -1]),
            (SRandMember | HRandField | ZRandMember, "count") => {
                self.one_of(&[0, 1, 2, 3, 5, 200, -1, -2, -5, -200, i64::MIN, i64::MAX])
            }
            (Scan | SScan | HScan | ZScan, "count") => self.one_of(&[1, 2, 5, 10, 100, 1000, 0, -1]),
            (_, "cursor") => self.one_of(&[0, 0, 0, 0, 0, 0, 1, 5, -1]),
            (Select, _) | (_, "destination-db" | "db" | "index1" | "index2") => {
                match self.choices.below(10) {
                    0 => self.one_of(&[15, 16, -1, 1 << 32]),
                    1..=5 => 0,
                    _ => self.choices.between(1, 2),
                }
            }
            (Hello, _) => match self.choices.below(8) {
                0 => self.one_of(&[0, 1, 4, 30]),
                _ => i64::from(self.scope.protocol),
            },
            (_, "seconds") => {
                self.one_of(&[100, 1000, 10_000, 1_000_000, 0, -1, i64::MAX, 9_223_372_036_854_775])
            }
            (_, "milliseconds") => {
                let value = self.one_of(&[1, 100_000, 1_000_000, 5_000_000, 0, -1, i64::MAX]);
                self.expiring |= value == 1;
                value
            }
            (_, "rank") => self.one_of(&[1, 2, 3, -1, -2, -3, 0, 100, i64::MIN]),
            (_, "count" | "num-matches" | "len" | "limit") => {
                self.one_of(&[0, 1, 1, 2, 3, 5, 10, 129, -1, -2, i64::MAX])
            }
            // Either over at once or never by itself, as in `double`; the last is too much.
            (Wait | WaitAof, "timeout") => self.one_of(&[0, 0, 10, 10, 10, -1, 0x7fff_ffff_0000_0001]),
            // What is less than one in its low 32 bits only, Redis notices in its next turn: no number here is such, not
            // even the timeout, which can come here by mistake.
            (Wait | WaitAof, _) => self.one_of(&[0, 0, 1, 1, 1, 2, -1, i64::from(i32::MAX)]),
            // Which numbers are in use differs from server to server.
            (ClientTracking, _) => self.one_of(&[0, -1, 9_000_000_000, i64::MAX]),
            (_, "client-id" | "maxage") => self.choices.between(0, 3),
            (_, "version") => self.choices.between(4, 7),
            _ => match self.choices.below(3) {
                0 => *self.choices.pick(&INTEGERS),
                _ => self.choices.between(-5, 20),
            },
        };
        value.to_string().into_bytes()
    }

    /// How many keys or fields follow; what follows takes it from here. Now and then it is not true.
    fn count_of_following(&mut self) -> Vec<u8> {
        let count = self.one_of(&[1, 2, 2, 3, 5]) as usize;
        self.announced = Some(count);
        self.last_announced = count;
        let told = match self.choices.below(40) {
            0 => count as i64 + 1,
            1 => count as i64 - 1,
            2 => self.one_of(&[-1, i64::MAX, 1 << 32]),
            _ => count as i64,
        };
        told.to_string().into_bytes()
    }

    pub(super) fn double(&mut self, name: &str) -> Vec<u8> {
        if name == "timeout" {
            // Either over at once or never by itself.
            let timeouts = ["0", "0", "0", "0.01", "0.01", "-1", "abc", "1e400"];
            return self.choices.pick(&timeouts).as_bytes().to_vec();
        }
        if matches!(name, "min" | "max") {
            return self.score_bound();
        }
        match self.choices.below(3) {
            0 => self.choices.pick(&DOUBLES).as_bytes().to_vec(),
            1 => format!("{}.5", self.choices.between(-3, 70)).into_bytes(),
            _ => self.choices.between(-5, 70).to_string().into_bytes(),
        }
    }

    fn score_bound(&mut self) -> Vec<u8> {
        let bound = match self.choices.below(6) {
            0 => self.choices.pick(&["-inf", "+inf", "inf", "(inf", "(-inf"]).to_string(),
            1 => format!("({}", self.choices.between(-2, 70)),
            2 => self.choices.pick(&DOUBLES).to_string(),
            _ => self.choices.between(-2, 70).to_string(),
        };
        bound.into_bytes()
    }

    fn lex_bound(&mut self) -> Vec<u8> {
        let mut bound = match self.choices.below(6) {
            0 => return b"-".to_vec(),
            1 => return b"+".to_vec(),
            2 => vec![b'('],
            _ => vec![b'['],
        };
        bound.extend(self.member());
        bound
    }

    pub(super) fn unix_time(&mut self, name: &str) -> Vec<u8> {
        // Far enough from now that no test is about it.
        let seconds =
            self.one_of(&[2_000_000_000, 33_177_117_420, 1, 0, -1, 1_000_000_000, i64::MAX, i64::MAX / 1000]);
        let value = if name.contains("milli") { seconds.saturating_mul(1000) } else { seconds };
        value.to_string().into_bytes()
    }

    pub(super) fn pattern(&mut self, name: &str) -> Vec<u8> {
        let patterns: &[&[u8]] = match name {
            "by-pattern" => &[b"nosort", b"str*", b"hash*->m0", b"none_*", b"*", b"hash*->", b"str0"],
            "get-pattern" => &[b"#", b"str*", b"hash*->m0", b"*", b"none", b"hash0->*"],
            _ => &[
                b"*",
                b"*",
                b"str*",
                b"*1",
                b"[a-m]*",
                b"h?sh[0-2]",
                b"m*",
                b"[^s]*",
                b"news.*",
                b"",
                b"str\\*",
                b"[",
                b"*e*s*",
            ],
        };
        self.choices.pick(patterns).to_vec()
    }

    pub(super) fn string(&mut self, row: &Command, name: &str) -> Vec<u8> {
        match name {
            "member" | "field" | "pivot" => self.member(),
            "element" if self.choices.chance(70) => self.member(),
            "min" | "max" | "start" | "stop" if row.group == Group::SortedSet => {
                match self.choices.below(3) {
                    0 if !row.name.ends_with("bylex") && row.id != CommandId::ZLexCount => {
                        self.choices.between(-5, 20).to_string().into_bytes()
                    }
                    1 if !row.name.ends_with("bylex") && row.id != CommandId::ZLexCount => self.score_bound(),
                    _ => self.lex_bound(),
                }
            }
            _ => match words_of(name) {
                Some(words) => self.choices.pick(words).as_bytes().to_vec(),
                None => self.any_value(),
            },
        }
    }

    /// A member of a collection: few, so that commands meet the same ones.
    pub(super) fn member(&mut self) -> Vec<u8> {
        match self.choices.below(10) {
            0..=5 => format!("m{}", self.choices.below(20)).into_bytes(),
            6 => format!("m{}", self.choices.below(140)).into_bytes(),
            7 => self.choices.below(140).to_string().into_bytes(),
            8 => self.any_value(),
            _ => self.choices.pick(&[&b"a"[..], b"b", b"c", b"d"]).to_vec(),
        }
    }

    pub(super) fn any_value(&mut self) -> Vec<u8> {
        match self.choices.below(16) {
            0 => self.long_value(),
            1..=3 => self.choices.between(-100, 100).to_string().into_bytes(),
            4..=6 => format!("v{}", self.choices.below(50)).into_bytes(),
            _ => self.choices.pick(&VALUES).to_vec(),
        }
    }

    /// A length at which an encoding changes, or nearly.
    pub(super) fn long_value(&mut self) -> Vec<u8> {
        let lengths = [20, 43, 44, 45, 63, 64, 65, 128, 253, 254, 255, 500, 1000, 4095, 4096, 8200];
        let length = match self.choices.below(8) {
            0 => *self.choices.pick(&lengths),
            _ => *self.choices.pick(&lengths[..9]),
        };
        let byte = *self.choices.pick(b"xyz1\x00\xff");
        vec![byte; length as usize]
    }

    fn one_of(&mut self, values: &[i64]) -> i64 {
        *self.choices.pick(values)
    }
}
