//! How values are held: what OBJECT ENCODING answers.
//!
//! Small collections are held compactly, and a value that outgrows its configured limits is converted, mostly for
//! good. So the encoding follows from the history of a value, not from the value alone. Where it depends on what the
//! model does not follow (the nodes of a long list, the order in which a hash table is walked through), all that are
//! possible are kept, until OBJECT ENCODING tells which it is.

use std::collections::BTreeSet;

use kevy::command::CommandId::{self, *};

use crate::{Ask, Bytes, Entry, Model, Value, number};

/// The encodings a value can have.
pub type Encodings = BTreeSet<&'static str>;

const EMBSTR_MAX: usize = 44;

/// A text that Redis made itself: never held as an integer.
fn plain(text: &[u8]) -> &'static str {
    if text.len() <= EMBSTR_MAX { "embstr" } else { "raw" }
}

/// A text given by a client.
fn text(text: &[u8]) -> &'static str {
    if number::int(text).is_some() { "int" } else { plain(text) }
}

impl Model {
    /// The encodings of `new`, which the command puts where `old` was; none if it does not matter what was there.
    pub(crate) fn encodings(&self, ask: &Ask, old: Option<&Entry>, new: &Value) -> Encodings {
        let old = old.filter(|old| old.value.type_name() == new.type_name());
        let was = |otherwise| old.map_or([otherwise].into(), |old| old.encodings.clone());
        match (new, old.map(|old| &old.value)) {
            (Value::String(new), old) => [string(ask.id, old.is_some(), new)].into(),
            (Value::Hash(hash), _) => {
                let given = match ask.id {
                    HSet | HMSet | HSetNx => ask.argv[2..].to_vec(),
                    HIncrBy | HIncrByFloat => vec![ask.arg(2).clone(), hash[ask.arg(2)].clone()],
                    _ => vec![],
                };
                self.hash(was("listpack"), &given, hash.len())
            }
            (Value::Zset(zset), old) => {
                let old_zset = match old {
                    Some(Value::Zset(zset)) => Some(zset),
                    _ => None,
                };
                let added =
                    zset.keys().filter(|member| old_zset.is_none_or(|old| !old.contains_key(*member)));
                self.zset(ask, old.is_some(), was("listpack"), added.collect(), zset.len())
            }
            (Value::Set(set), old) => {
                let empty = BTreeSet::new();
                let before = if let Some(Value::Set(set)) = old { set } else { &empty };
                self.set(ask, old.is_some(), was("intset"), before, set)
            }
            (Value::List(list), old) => {
                let before: &[Bytes] = if let Some(Value::List(list)) = old { list } else { &[] };
                self.list(ask, was("listpack"), before, list)
            }
        }
    }

    fn limit(&self, name: &str) -> usize {
        self.number(name) as usize
    }

    // --- Hashes and sorted sets -------------------------------------------------------------------------------------

    /// Lengths are looked at of what is given, before it is known whether it is new.
    fn hash(&self, was: Encodings, given: &[Bytes], len: usize) -> Encodings {
        let most = self.limit("hash-max-listpack-entries");
        let longest = self.limit("hash-max-listpack-value");
        let outgrown = given.len() / 2 > most || len > most || given.iter().any(|text| text.len() > longest);
        if !given.is_empty() && outgrown { ["hashtable"].into() } else { was }
    }

    fn zset(&self, ask: &Ask, exists: bool, was: Encodings, added: Vec<&Bytes>, len: usize) -> Encodings {
        let most = self.limit("zset-max-listpack-entries");
        let longest = self.limit("zset-max-listpack-value");
        let long = |member: &Bytes| member.len() > longest;
        let outgrown = match ask.id {
            // That many are expected to be new; of the first of a new set, that it is as long as the others.
            ZAdd | ZIncrBy => {
                let is_option =
                    |at: &usize| ["NX", "XX", "GT", "LT", "CH", "INCR"].iter().any(|o| ask.is(*at, o));
                let first = (2..ask.argc()).find(|at| !is_option(at)).unwrap_or(2);
                let expected = (ask.argc() - first) / 2;
                expected > most || !exists && ask.argv.get(first + 1).is_some_and(long)
            }
            _ => false,
        };
        let adds = !added.is_empty();
        if outgrown || adds && (len > most || added.into_iter().any(long)) {
            ["skiplist"].into()
        } else {
            was
        }
    }

    /// Redis converts a sorted set to sort it.
    pub(crate) fn may_be_skiplist(&mut self, ask: &Ask, key: &[u8]) {
        if let Some(entry) = self.dbs[ask.db].get_mut(key) {
            entry.encodings.insert("skiplist");
        }
    }

    // --- Sets -------------------------------------------------------------------------------------------------------

    fn set(
        &self,
        ask: &Ask,
        exists: bool,
        was: Encodings,
        before: &BTreeSet<Bytes>,
        new: &BTreeSet<Bytes>,
    ) -> Encodings {
        match ask.id {
            SAdd | SMove if exists => {
                let expected = if ask.id == SAdd { ask.argc() - 2 } else { 0 };
                let members = if ask.id == SAdd { &ask.argv[2..] } else { &ask.argv[3..] };
                let added =
                    members.iter().filter(|member| !before.contains(*member) && new.contains(*member));
                let added: Vec<&Bytes> = added.collect();
                let expect = |encoding| match encoding {
                    "intset" if expected > self.limit("set-max-intset-entries") => "hashtable",
                    "listpack" if expected > self.limit("set-max-listpack-entries") => "hashtable",
                    other => other,
                };
                was.into_iter()
                    .map(|was| self.set_after(expect(was), before, added.iter().copied()))
                    .collect()
            }
            SAdd => [self.new_set(&ask.argv[2..])].into(),
            SMove => [self.new_set(&ask.argv[3..])].into(),
            SUnionStore => self.set_after_any_order("intset", new),
            _ => was,
        }
    }

    /// A set made of these.
    fn new_set(&self, members: &[Bytes]) -> &'static str {
        let start = match members.len() {
            n if n <= self.limit("set-max-intset-entries") && number::int(&members[0]).is_some() => "intset",
            n if n <= self.limit("set-max-listpack-entries") => "listpack",
            _ => "hashtable",
        };
        self.set_after(start, &BTreeSet::new(), members.iter())
    }

    /// A set to which these are added one after the other.
    fn set_after<'a>(
        &self,
        start: &'static str,
        before: &BTreeSet<Bytes>,
        added: impl Iterator<Item = &'a Bytes>,
    ) -> &'static str {
        let most_integers = self.limit("set-max-intset-entries");
        let most = self.limit("set-max-listpack-entries");
        let longest = self.limit("set-max-listpack-value");
        let mut encoding = start;
        let mut set = before.clone();
        for member in added {
            if !set.insert(member.clone()) {
                continue;
            }
            let fits = set.len() <= most && member.len() <= longest;
            encoding = match encoding {
                "intset" if number::int(member).is_some() => {
                    if set.len() > most_integers {
                        "hashtable"
                    } else {
                        "intset"
                    }
                }
                "intset" | "listpack" => {
                    let integers_fit =
                        encoding == "listpack" || set.iter().all(|member| member.len() <= longest);
                    if fits && integers_fit { "listpack" } else { "hashtable" }
                }
                other => other,
            };
        }
        encoding
    }

    /// The same in an order that is not known.
    fn set_after_any_order(&self, start: &'static str, members: &BTreeSet<Bytes>) -> Encodings {
        let (integers, others): (Vec<&Bytes>, Vec<&Bytes>) =
            members.iter().partition(|member| number::int(member).is_some());
        let in_order = |first: &[&Bytes], then: &[&Bytes]| {
            self.set_after(start, &BTreeSet::new(), first.iter().chain(then).copied())
        };
        [in_order(&integers, &others), in_order(&others, &integers)].into()
    }

    /// What SINTERSTORE stores: begun as integers if the smallest of the sets is, and packed if not.
    pub(crate) fn stored_intersection(&self, smallest: &Encodings, result: &BTreeSet<Bytes>) -> Encodings {
        if result.iter().all(|member| number::int(member).is_some())
            && result.len() <= self.limit("set-max-intset-entries")
        {
            return ["intset"].into();
        }
        let start = |smallest: &&'static str| if *smallest == "intset" { "intset" } else { "listpack" };
        smallest.iter().flat_map(|held| self.set_after_any_order(start(held), result)).collect()
    }

    /// What SDIFFSTORE stores. Members that many other sets could have are all added first and taken out then.
    pub(crate) fn stored_difference(&self, sets: &[BTreeSet<Bytes>], result: &BTreeSet<Bytes>) -> Encodings {
        let present = || sets.iter().filter(|set| !set.is_empty());
        let look_up_each = present().count() * sets[0].len() / 2;
        let take_out = present().map(BTreeSet::len).sum();
        self.set_after_any_order("intset", if look_up_each <= take_out { result } else { &sets[0] })
    }

    /// What SPOP with a count leaves: a new set if few are left.
    pub(crate) fn after_spop(&self, was: Encodings, popped: usize, left: &BTreeSet<Bytes>) -> Encodings {
        if left.len() * 5 > popped {
            return was;
        }
        let anew = |was| match was {
            "hashtable" => self.set_after_any_order("listpack", left),
            same => [same].into(),
        };
        was.into_iter().flat_map(anew).collect()
    }

    // --- Lists ------------------------------------------------------------------------------------------------------

    fn list(&self, ask: &Ask, was: Encodings, before: &[Bytes], new: &[Bytes]) -> Encodings {
        let bytes = |added: &[Bytes]| added.iter().map(Vec::len).sum::<usize>();
        let grown = |before: &[Bytes], added: &[Bytes]| self.grown(&was, before, bytes(added), added.len());
        match ask.id {
            LPush | RPush | LPushX | RPushX => grown(before, &ask.argv[2..]),
            LInsert => grown(before, &ask.argv[4..]),
            LSet => {
                // The old element is not counted off before the new one is counted.
                self.shrunk(grown(before, &ask.argv[3..]), new)
            }
            LMove | BLMove | RPopLPush | BRPopLPush if new.len() >= before.len() => {
                let to_left = matches!(ask.id, RPopLPush | BRPopLPush) || ask.is(4, "LEFT");
                let (rest, moved) = match new {
                    [moved, rest @ ..] if to_left => (rest, moved),
                    [rest @ .., moved] => (rest, moved),
                    [] => return was,
                };
                let mut grown = self.grown(&was, rest, moved.len(), 1);
                // The length of an integer is counted or not, by how the list it came from held it.
                if number::int(moved).is_some() {
                    grown.extend(self.grown(&was, rest, 0, 1));
                }
                if new.len() == before.len() { self.shrunk(grown, new) } else { grown }
            }
            Sort => self.grown(&["listpack"].into(), new, 0, 0),
            _ => self.shrunk(was, new),
        }
    }

    /// How many elements or bytes a listpack can hold.
    fn list_limit(&self) -> (Option<usize>, Option<usize>) {
        match self.number("list-max-listpack-size") {
            0 => (Some(1), None),
            count @ 1.. => (Some(count as usize), None),
            level => (None, Some(4096 << (-level - 1).min(4))),
        }
    }

    /// Before so many bytes of so many elements are added.
    fn grown(&self, was: &Encodings, before: &[Bytes], bytes: usize, count: usize) -> Encodings {
        let size = listpack_size(before) + bytes;
        // However many elements are allowed, their bytes are limited too.
        let outgrown = match self.list_limit() {
            (Some(most), _) => size > 8192 || before.len() + count > most,
            (None, most) => most.is_some_and(|most| size > most),
        };
        was.iter().map(|&was| if outgrown { "quicklist" } else { was }).collect()
    }

    /// After elements went. A list of several nodes becomes a listpack when it is down to one that is half full.
    fn shrunk(&self, was: Encodings, left: &[Bytes]) -> Encodings {
        let fits = match self.list_limit() {
            (Some(most), _) => left.len() <= most / 2,
            (None, most) => most.is_some_and(|most| listpack_size(left) <= most / 2),
        };
        let now = |was: &'static str| -> &'static [&'static str] {
            match was {
                "quicklist" if fits && left.len() == 1 && listpack_size(left) <= 8192 => &["listpack"],
                "quicklist" if fits => &["listpack", "quicklist"],
                "quicklist" => &["quicklist"],
                _ => &["listpack"],
            }
        };
        was.into_iter().flat_map(now).copied().collect()
    }
}

fn string(id: CommandId, exists: bool, new: &[u8]) -> &'static str {
    match id {
        Append if !exists => text(new),
        Append | SetRange | SetBit | BitField | BitOp => "raw",
        Incr | IncrBy | Decr | DecrBy => "int",
        IncrByFloat => plain(new),
        _ => text(new),
    }
}

/// The bytes of a listpack of these elements: a header of 6, an end of 1, and entries that end with their own length.
fn listpack_size(elements: &[Bytes]) -> usize {
    let entry = |element: &Bytes| {
        let entry = match number::int(element) {
            Some(0..=127) => 1,
            Some(-4096..=4095) => 2,
            Some(-0x8000..=0x7fff) => 3,
            Some(-0x80_0000..=0x7f_ffff) => 4,
            Some(-0x8000_0000..=0x7fff_ffff) => 5,
            Some(_) => 9,
            None => match element.len() {
                length @ ..64 => 1 + length,
                length @ ..4096 => 2 + length,
                length => 5 + length,
            },
        };
        let length_of_length = [127, 16382, 2_097_150].iter().filter(|&&most| entry > most).count() + 1;
        entry + length_of_length
    };
    6 + elements.iter().map(entry).sum::<usize>() + 1
}
