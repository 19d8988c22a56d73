//! Small themes: a dozen steps each, of which every short sequence is a plan. Chance seldom puts a few particular steps
//! in a row; here each row of them comes once.

use super::{Choices, Plan, Step};

/// Steps that have to do with each other.
pub struct Theme {
    pub name: &'static str,
    /// Whether encodings are to change after a few small elements.
    pub tiny: bool,
    steps: &'static [&'static str],
}

impl Theme {
    /// A plan of so many steps.
    pub fn plan(&self, choices: &mut dyn Choices, length: usize) -> Plan {
        let lines = (0..length).map(|_| *choices.pick(self.steps));
        Plan { steps: lines.map(|line| Step::parse(line).expect("a step")).collect() }
    }

    /// How many plans of so many steps there are.
    pub fn plans(&self, length: usize) -> u64 {
        (self.steps.len() as u64).pow(length as u32)
    }
}

pub const THEMES: [Theme; 11] = [
    Theme {
        name: "deadlines",
        tiny: false,
        steps: &[
            "0> SET k 1",
            "0> SET k 2 PX 5 GET",
            "0> SET k 3 KEEPTTL XX",
            "0> GETEX k PERSIST",
            "0> PEXPIRE k 9 GT",
            "0> PEXPIRE k 5 NX",
            "0> INCR k",
            "0> RENAME k l",
            "0> COPY l k REPLACE",
            "0> MGET k l",
            "0> PTTL k",
            "!advance 7",
        ],
    },
    Theme {
        name: "transactions",
        tiny: false,
        steps: &[
            "0> WATCH k",
            "0> MULTI",
            "0> INCR k",
            "0> EXEC",
            "0> DISCARD",
            "0> UNWATCH",
            "0> NOSUCH",
            "0> CLIENT INFO",
            "1> SET k 1 PX 5",
            "1> DEL k",
            "1> SWAPDB 0 1",
            "!advance 7",
        ],
    },
    Theme {
        name: "waiting",
        tiny: false,
        steps: &[
            "0> BLPOP k l 0",
            "1> BLMOVE k l LEFT RIGHT 0.005",
            "2> BLMPOP 0 2 l k RIGHT COUNT 2",
            "3> RPUSH k a",
            "3> RPUSH l b c",
            "3> LPOP k",
            "3> MULTI",
            "3> EXEC",
            "3> SET k 1",
            "3> RENAME l k",
            "!advance 7",
            "!close 0",
        ],
    },
    Theme {
        name: "waiting for members",
        tiny: false,
        steps: &[
            "0> BZPOPMIN k l 0",
            "1> BZMPOP 0.005 2 l k MAX COUNT 2",
            "2> ZADD k 1 a",
            "2> ZADD l 1 b 2 c",
            "2> ZPOPMAX k",
            "2> ZUNIONSTORE k 2 k l",
            "2> MULTI",
            "2> EXEC",
            "2> DEL k",
            "2> COPY l k",
            "!advance 7",
            "!close 1",
        ],
    },
    Theme {
        name: "strings",
        tiny: true,
        steps: &[
            "0> SET k 10",
            "0> SETRANGE k 2 x",
            "0> APPEND k 5",
            "0> INCRBY k -3",
            "0> INCRBYFLOAT k 1.5",
            "0> SETBIT k 9 1",
            "0> BITFIELD k INCRBY u4 2 9 OVERFLOW SAT GET i8 0",
            "0> GETRANGE k 1 -2",
            "0> BITCOUNT k 0 0",
            "0> GETDEL k",
            "0> BITOP NOT l k",
            "0> LCS k l IDX",
        ],
    },
    Theme {
        name: "lists",
        tiny: true,
        steps: &[
            "0> RPUSH k a 2",
            "0> LPUSH k longer",
            "0> LPOP k 2",
            "0> RPOP k",
            "0> LINSERT k AFTER a b",
            "0> LSET k 1 longest",
            "0> LREM k -1 a",
            "0> LTRIM k 1 -2",
            "0> LMOVE k l LEFT LEFT",
            "0> LPOS k a RANK -1 COUNT 0",
            "0> SORT k ALPHA DESC STORE l",
            "0> LRANGE l 0 -1",
        ],
    },
    Theme {
        name: "hashes",
        tiny: true,
        steps: &[
            "0> HSET k a 1 b 2",
            "0> HSET k c longest d 4",
            "0> HSETNX k a x",
            "0> HDEL k a c",
            "0> HINCRBY k b 7",
            "0> HINCRBYFLOAT k e 0.5",
            "0> HGETDEL k FIELDS 2 a b",
            "0> HMGET k a b e",
            "0> HGETALL k",
            "0> HSTRLEN k c",
            "0> COPY k l",
            "0> RENAME l k",
        ],
    },
    Theme {
        name: "sets",
        tiny: true,
        steps: &[
            "0> SADD k 1 2",
            "0> SADD k 3 x",
            "0> SADD l 2 longest",
            "0> SREM k 1 x",
            "0> SMOVE k l 2",
            "0> SINTERSTORE k k l",
            "0> SUNIONSTORE l l k",
            "0> SDIFF k l",
            "0> SMISMEMBER k 1 2 x",
            "0> SINTERCARD 2 k l LIMIT 1",
            "0> SMEMBERS l",
            "0> DEL k",
        ],
    },
    Theme {
        name: "sorted sets",
        tiny: true,
        steps: &[
            "0> ZADD k 1 a 1 b",
            "0> ZADD k XX GT CH 2 a 0 b",
            "0> ZADD k NX 3 longest -inf c",
            "0> ZADD k INCR 1.5 b",
            "0> ZREM k a",
            "0> ZPOPMIN k 2",
            "0> ZRANGESTORE l k -inf (3 BYSCORE LIMIT 0 2",
            "0> ZREMRANGEBYRANK k 1 1",
            "0> ZINTERSTORE k 2 k l WEIGHTS 2 1 AGGREGATE MAX",
            "0> ZRANGE k 0 -1 REV WITHSCORES",
            "0> ZRANK k b WITHSCORE",
            "0> ZCOUNT l 1 +inf",
        ],
    },
    Theme {
        name: "types",
        tiny: false,
        steps: &[
            "0> SET k v",
            "0> RPUSH k v",
            "0> SADD k v",
            "0> HSET k v v",
            "0> ZADD k 1 v",
            "0> GETDEL k",
            "0> COPY k l DB 1",
            "0> MOVE k 1",
            "0> SELECT 1",
            "0> FLUSHDB",
            "0> TYPE k",
            "0> OBJECT ENCODING k",
        ],
    },
    Theme {
        name: "sessions",
        tiny: false,
        steps: &[
            "0> HELLO 3 SETNAME n",
            "0> HELLO 2",
            "0> SUBSCRIBE c",
            "0> PSUBSCRIBE *",
            "0> UNSUBSCRIBE",
            "0> MULTI",
            "0> PUBLISH c m",
            "0> CLIENT LIST",
            "0> EXEC",
            "0> RESET",
            "1> PUBLISH c m",
            "0> EXEC now",
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::Exhaustive;

    #[test]
    fn every_plan_of_a_theme_comes_once() {
        for theme in &THEMES {
            let mut all = Exhaustive::default();
            let mut seen = Vec::new();
            while all.next_round() {
                seen.push(theme.plan(&mut all, 2).to_string());
            }
            let count = seen.len();
            seen.sort();
            seen.dedup();
            assert_eq!((seen.len(), count as u64), (count, theme.plans(2)), "{}", theme.name);
        }
    }
}
