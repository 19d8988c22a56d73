//! Which arguments of a command are keys, and what the command does with each.
//!
//! Almost every command says so by its key specs, which are interpreted here. Four need to look at their options: for
//! SORT the place of the stored key, for SET and BITFIELD whether the old value is read or anything written at all.
//!
//! Nothing is allocated: the answer is a few ranges of argument indexes.

use super::spec::{Begin, Command, Find, KeyFlags, KeySpec};
use super::table::CommandId;
use crate::number::parse_i64;
use crate::resp::Args;

/// The arguments do not say where the keys are: a key count that is no number, zero, or more than there are arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidArguments;

/// The keys of `args`, a call of `command` whose arity has been checked: argument indexes in the order of the key
/// specs. Shard channels, which are no keys, are left out.
pub fn keys(command: &Command, args: Args<'_>) -> Result<Keys, InvalidArguments> {
    let mut keys = Keys::default();
    match command.id {
        CommandId::Set => keys.push(KeyRange::one(1, set_flags(args))),
        CommandId::BitField => keys.push(KeyRange::one(1, bitfield_flags(args))),
        CommandId::Sort | CommandId::SortRo => {
            keys.push(KeyRange::one(1, command.keys[0].flags));
            if command.id == CommandId::Sort
                && let Some(destination) = sort_destination(args)
            {
                keys.push(KeyRange::one(destination, command.keys[2].flags));
            }
        }
        _ => {
            for spec in command.keys.iter().filter(|spec| !spec.flags.contains(KeyFlags::NOT_KEY)) {
                match range(spec, args) {
                    Ok(Some(range)) => keys.push(range),
                    Ok(None) => {}
                    Err(InvalidArguments) => return counted_loosely(command, args),
                }
            }
        }
    }
    Ok(keys)
}

/// Where the keys of one spec are; `None` if its keyword is not there.
fn range(spec: &KeySpec, args: Args<'_>) -> Result<Option<KeyRange>, InvalidArguments> {
    let begin = match spec.begin {
        Begin::Index(index) => index as usize,
        Begin::Keyword { word, from } => match find_keyword(word, from, args) {
            Some(position) => position + 1,
            None => return Ok(None),
        },
        Begin::Unknown => return Err(InvalidArguments),
    };
    let argc = args.len();
    // The index after the last key, or the first that cannot be one.
    let (first, end, step) = match spec.find {
        Find::Range { last, step, .. } if last >= 0 => (begin, begin + last as usize + 1, step),
        Find::Range { last, step, limit: 0 | 1 } => {
            (begin, (argc + 1).saturating_sub(last.unsigned_abs() as usize), step)
        }
        Find::Range { step, limit, .. } => (begin, begin + argc.saturating_sub(begin) / limit as usize, step),
        Find::KeyNum { count, first, step } => {
            let count = args.get(begin + count as usize).and_then(parse_i64).ok_or(InvalidArguments)?;
            let count = usize::try_from(count).map_err(|_| InvalidArguments)?;
            let first = begin + first as usize;
            (first, first.saturating_add(count.saturating_mul(step as usize)), step)
        }
        Find::Unknown => return Err(InvalidArguments),
    };
    if first >= end || end > argc {
        return Err(InvalidArguments);
    }
    Ok(Some(KeyRange { first, end, step: step as usize, flags: spec.flags }))
}

/// Where the specs find no keys, Redis looks again and takes what the count begins with for it, as C's `atoi` does: the
/// keys that it counts come first, and of none it is known what becomes of it.
fn counted_loosely(command: &Command, args: Args<'_>) -> Result<Keys, InvalidArguments> {
    let mut keys = Keys::default();
    for spec in command.keys {
        if let (Begin::Index(begin), Find::KeyNum { count, first, step }) = (spec.begin, spec.find) {
            let (begin, step) = (begin as usize, step as usize);
            let first = begin + first as usize;
            let count = args.get(begin + count as usize).map_or(0, leading_integer);
            let count = usize::try_from(count).unwrap_or(0);
            if count == 0
                || count > args.len().saturating_sub(first) / step
                || crate::bug!(KeysCountedStrictly)
            {
                return Err(InvalidArguments);
            }
            keys.push(KeyRange { first, end: first + count * step, step, flags: KeyFlags::default() });
        }
    }
    if keys.len() == 0 {
        return Err(InvalidArguments);
    }
    for spec in command.keys {
        if let (Begin::Index(begin), Find::Range { last: 0, .. }) = (spec.begin, spec.find) {
            keys.push(KeyRange::one(begin as usize, KeyFlags::default()));
        }
    }
    Ok(keys)
}

/// C's `atoi`, with its overflow on 64-bit machines: blanks, a sign, digits, and then anything.
fn leading_integer(text: &[u8]) -> i32 {
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).count();
    let (negative, digits) = match &text[blanks..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let digits = digits.iter().map_while(|byte| byte.is_ascii_digit().then(|| i64::from(byte - b'0')));
    let number = digits.fold(0i64, |number, digit| {
        let number = number.saturating_mul(10);
        if negative { number.saturating_sub(digit) } else { number.saturating_add(digit) }
    });
    number as i32
}

fn find_keyword(word: &str, from: i8, args: Args<'_>) -> Option<usize> {
    let is_word =
        |&index: &usize| args.get(index).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()));
    match usize::try_from(from) {
        Ok(from) => (from..args.len()).find(is_word),
        Err(_) => (1..=args.len().checked_sub(from.unsigned_abs() as usize)?).rev().find(is_word),
    }
}

/// SET reads the old value only with GET.
fn set_flags(args: Args<'_>) -> KeyFlags {
    if args.from(3).iter().any(|arg| arg.eq_ignore_ascii_case(b"get")) {
        KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::UPDATE)
    } else {
        KeyFlags::OW.with(KeyFlags::UPDATE)
    }
}

/// BITFIELD with nothing but GET only reads. What does not parse may write.
fn bitfield_flags(args: Args<'_>) -> KeyFlags {
    let mut index = 2;
    while let Some(word) = args.get(index) {
        let rest = args.len() - index - 1;
        if word.eq_ignore_ascii_case(b"get") && rest >= 2 {
            index += 3;
        } else if word.eq_ignore_ascii_case(b"overflow") && rest >= 1 {
            index += 2;
        } else {
            return KeyFlags::RW.with(KeyFlags::ACCESS).with(KeyFlags::UPDATE);
        }
    }
    KeyFlags::RO.with(KeyFlags::ACCESS)
}

/// The last STORE of SORT counts. The values of other options are skipped, STORE's own is not: that is how Redis reads
/// it.
fn sort_destination(args: Args<'_>) -> Option<usize> {
    let mut destination = None;
    let mut index = 2;
    while let Some(word) = args.get(index) {
        if word.eq_ignore_ascii_case(b"limit") {
            index += 2;
        } else if word.eq_ignore_ascii_case(b"get") || word.eq_ignore_ascii_case(b"by") {
            index += 1;
        } else if word.eq_ignore_ascii_case(b"store") && index + 1 < args.len() {
            destination = Some(index + 1);
        }
        index += 1;
    }
    destination
}

/// Iterator over the keys of a call: argument index and flags.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    ranges: [KeyRange; Keys::MAX_RANGES],
    len: u8,
    current: u8,
}

#[derive(Clone, Copy, Debug, Default)]
struct KeyRange {
    first: usize,
    end: usize,
    step: usize,
    flags: KeyFlags,
}

impl KeyRange {
    fn one(index: usize, flags: KeyFlags) -> KeyRange {
        KeyRange { first: index, end: index + 1, step: 1, flags }
    }

    fn len(&self) -> usize {
        (self.end - self.first).div_ceil(self.step)
    }
}

impl Keys {
    /// No row has more key specs.
    pub(super) const MAX_RANGES: usize = 3;

    fn push(&mut self, range: KeyRange) {
        self.ranges[self.len as usize] = range;
        self.len += 1;
    }
}

impl Iterator for Keys {
    type Item = (usize, KeyFlags);

    fn next(&mut self) -> Option<(usize, KeyFlags)> {
        while self.current < self.len {
            let range = &mut self.ranges[self.current as usize];
            if range.first < range.end {
                let index = range.first;
                range.first += range.step;
                return Some((index, range.flags));
            }
            self.current += 1;
        }
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.ranges[self.current as usize..self.len as usize].iter();
        let left = left.filter(|range| range.first < range.end).map(KeyRange::len).sum();
        (left, Some(left))
    }
}

impl ExactSizeIterator for Keys {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::spec::KeyShape;
    use crate::command::table::{TABLE, lookup, subcommand};
    use crate::resp::Argv;

    fn keys_of(line: &str) -> Result<Vec<(String, KeyFlags)>, InvalidArguments> {
        let argv = Argv::of(line.split(' '));
        let args = argv.as_args();
        let mut command = lookup(args.at(0)).expect("a command");
        if command.subcommand_count > 0 {
            command = subcommand(command, args.at(1)).expect("a subcommand");
        }
        assert!(command.accepts_arity(args.len()), "{line}");
        let keys = keys(command, args)?;
        assert_eq!(keys.len(), keys.clone().count());
        Ok(keys.map(|(index, flags)| (String::from_utf8_lossy(args.at(index)).into_owned(), flags)).collect())
    }

    fn names(line: &str) -> String {
        match keys_of(line) {
            Ok(keys) => keys.into_iter().map(|(key, _)| key).collect::<Vec<_>>().join(" "),
            Err(InvalidArguments) => "invalid".to_owned(),
        }
    }

    fn flags(line: &str) -> String {
        let keys = keys_of(line).expect("valid arguments");
        keys.iter()
            .map(|(_, flags)| flags.names().collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
            .join(", ")
    }

    #[test]
    fn ranges() {
        assert_eq!(names("GET a"), "a");
        assert_eq!(names("PING"), "");
        assert_eq!(names("DEL a b c"), "a b c");
        assert_eq!(names("BLPOP a b 0"), "a b");
        assert_eq!(names("MSET a 1 b 2"), "a b");
        assert_eq!(names("MSET a 1 b"), "a b");
        assert_eq!(names("LCS a b LEN"), "a b");
        assert_eq!(names("BITOP AND d a b"), "d a b");
        assert_eq!(names("OBJECT FREQ a"), "a");
        assert_eq!(names("SMOVE a b m"), "a b");
    }

    #[test]
    fn key_counts() {
        assert_eq!(names("ZUNION 2 a b WITHSCORES"), "a b");
        assert_eq!(names("ZUNIONSTORE d 2 a b"), "d a b");
        assert_eq!(names("BLMPOP 0 2 a b LEFT"), "a b");
        for count in
            ["x", "0", "-1", "4", "9223372036854775807", "-9223372036854775808", "99999999999999999999"]
        {
            assert_eq!(names(&format!("LMPOP {count} a b LEFT")), "invalid", "{count}");
        }
    }

    /// As Redis 8.0.6 answers COMMAND GETKEYS: see difftest/regressions/loose_counts.plan.
    #[test]
    fn counts_that_begin_with_a_number() {
        assert_eq!(names("ZUNION 2x a b c"), "a b");
        assert_eq!(names("ZUNION 2. a b"), "a b");
        assert_eq!(names("ZUNION 3. a b"), "invalid");
        assert_eq!(names("ZUNION 1.9 a b"), "a");
        assert_eq!(names("ZUNIONSTORE d 1.5 a b"), "a d");
        assert_eq!(flags("ZUNIONSTORE d 1.5 a b"), ", ");
        assert_eq!(names("BLMPOP 0 +1 a LEFT"), "a");
        assert_eq!(names("BLMPOP 0 \t2 a b LEFT"), "a b");
        assert_eq!(names("LMPOP 1e400 a LEFT"), "a");
        assert_eq!(names("ZMPOP 4294967297 a MIN"), "a");
        assert_eq!(names("ZMPOP -4294967295 a MIN"), "a");
        assert_eq!(names("ZMPOP - a MIN"), "invalid");
        assert_eq!(names("SINTERCARD 12.5 a b c"), "invalid");
        assert_eq!(names("SINTERCARD 12.5 1 2 3 4 5 6 7 8 9 10 11 12"), "1 2 3 4 5 6 7 8 9 10 11 12");
    }

    #[test]
    fn options_that_take_arguments_are_passed_over() {
        assert_eq!(names("SORT k ALPHA LIMIT 0 1 STORE d"), "k d");
        assert_eq!(names("SORT k ALPHA LIMIT STORE x STORE d"), "k d");
        assert_eq!(flags("BITFIELD k GET u8 0 OVERFLOW SAT"), "RO access");
        assert_eq!(flags("BITFIELD k GET u8 0 OVERFLOW SAT SET"), "RW access update");
        assert_eq!(flags("BITFIELD k GET u8 0 SET u8 0 1"), "RW access update");
    }

    #[test]
    fn shard_channels_are_no_keys() {
        assert_eq!(names("SSUBSCRIBE a b"), "");
        assert!(!lookup(b"ssubscribe").unwrap().takes_keys());
    }

    #[test]
    fn sort_stores_at_the_last_destination() {
        assert_eq!(names("SORT a BY x GET y STORE d STORE e LIMIT 1 STORE"), "a e");
        assert_eq!(names("SORT a STORE"), "a");
        assert_eq!(names("SORT a LIMIT 1 2 STORE q"), "a q");
        assert_eq!(names("SORT a BY STORE d"), "a");
        assert_eq!(names("SORT a STORE store x"), "a x");
        assert_eq!(names("SORT_RO a STORE d"), "a");
        assert_eq!(flags("SORT a STORE d"), "RO access, OW update");
    }

    #[test]
    fn set_and_bitfield_say_what_their_options_do() {
        assert_eq!(flags("SET a get"), "OW update");
        assert_eq!(flags("SET a b EX 10 NX get"), "RW access update");
        assert_eq!(flags("BITFIELD a"), "RO access");
        assert_eq!(flags("BITFIELD a GET u8 0 OVERFLOW WRAP GET u8 1"), "RO access");
        assert_eq!(flags("BITFIELD a GET u8 0 SET u8 0 1"), "RW access update");
        assert_eq!(flags("BITFIELD a GET SET 0"), "RO access");
        assert_eq!(flags("BITFIELD a GET u8"), "RW access update");
    }

    #[test]
    fn keywords_are_looked_for_from_either_end() {
        let argv = Argv::of("x streams 1 STREAMS a b 0 0".split(' '));
        assert_eq!(find_keyword("STREAMS", 1, argv.as_args()), Some(1));
        assert_eq!(find_keyword("STREAMS", 2, argv.as_args()), Some(3));
        assert_eq!(find_keyword("STREAMS", -2, argv.as_args()), Some(3));
        assert_eq!(find_keyword("STREAMS", 9, argv.as_args()), None);
        assert_eq!(find_keyword("STREAMS", -9, argv.as_args()), None);
        let spec = KeySpec {
            find: Find::Range { last: -1, step: 1, limit: 2 },
            ..super::super::spec::after("STREAMS", 2)
        };
        let found = range(&spec, argv.as_args()).unwrap().unwrap();
        assert_eq!((found.first, found.end), (4, 6));
    }

    /// For every row and every number of arguments: no panic, and never an index that is not there.
    #[test]
    fn keys_are_arguments() {
        for row in TABLE {
            assert!(row.keys.len() <= Keys::MAX_RANGES, "{}", row.name);
            for argc in row.arity.unsigned_abs() as usize..row.arity.unsigned_abs() as usize + 5 {
                for filler in ["2", "0", "-1", "x", "STORE", "GET"] {
                    let mut argv = Argv::of(row.name.split('|'));
                    (argv.len()..argc).for_each(|_| argv.push(filler.as_bytes()));
                    let Ok(keys) = keys(row, argv.as_args()) else { continue };
                    let indexes: Vec<_> = keys.map(|(index, _)| index).collect();
                    assert!(indexes.iter().all(|&index| index >= row.name_args() && index < argv.len()));
                    let expected: Option<Vec<usize>> = match row.key_shape {
                        KeyShape::None => Some(vec![]),
                        KeyShape::One(index) => Some(vec![index as usize]),
                        KeyShape::From { first, step } => {
                            Some((first as usize..argv.len()).step_by(step as usize).collect())
                        }
                        KeyShape::Specs => None,
                    };
                    assert!(expected.is_none_or(|expected| expected == indexes), "{}", row.name);
                }
            }
        }
    }
}
