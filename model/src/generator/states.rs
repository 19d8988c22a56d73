//! The keys of a plan and the states they are put into on purpose.

use std::collections::BTreeMap;

use kevy::command::{Command, CommandId, Flags, Group};

use super::{Gen, Step};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyType {
    String,
    List,
    Set,
    Hash,
    Zset,
}

impl KeyType {
    pub const ALL: [KeyType; 5] =
        [KeyType::String, KeyType::List, KeyType::Set, KeyType::Hash, KeyType::Zset];

    /// The type that commands of a group are about, if it is one.
    fn of(group: Group) -> Option<KeyType> {
        match group {
            Group::String | Group::Bitmap | Group::HyperLogLog => Some(KeyType::String),
            Group::List => Some(KeyType::List),
            Group::Set => Some(KeyType::Set),
            Group::Hash => Some(KeyType::Hash),
            Group::SortedSet | Group::Geo => Some(KeyType::Zset),
            _ => None,
        }
    }

    /// What the names of keys of this type begin with.
    pub fn prefix(self) -> &'static str {
        match self {
            KeyType::String => "str",
            KeyType::List => "list",
            KeyType::Set => "set",
            KeyType::Hash => "hash",
            KeyType::Zset => "zset",
        }
    }

    /// The command that makes a value of this type.
    fn creator(self) -> CommandId {
        match self {
            KeyType::String => CommandId::Set,
            KeyType::List => CommandId::RPush,
            KeyType::Set => CommandId::SAdd,
            KeyType::Hash => CommandId::HSet,
            KeyType::Zset => CommandId::ZAdd,
        }
    }
}

/// What is believed of the key a command is given first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyState {
    /// Of the type the command is about; for commands about any type: there.
    Own,
    Wrong,
    Missing,
    /// Its deadline has passed and nobody has noticed.
    Expired,
    /// Of its own type, just made with a size at which encodings change.
    Boundary,
}

impl KeyState {
    pub const ALL: [KeyState; 5] =
        [KeyState::Own, KeyState::Wrong, KeyState::Missing, KeyState::Expired, KeyState::Boundary];

    /// The states in which a command can meet its first key: what is about any type meets no wrong one.
    pub fn of(row: &Command) -> Vec<KeyState> {
        let meets = |state: &KeyState| *state != KeyState::Wrong || KeyType::of(row.group).is_some();
        if row.takes_keys() { KeyState::ALL.into_iter().filter(meets).collect() } else { Vec::new() }
    }
}

/// How large something is: the elements of a collection, or the bytes of a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Size {
    One,
    UpTo8,
    UpTo64,
    UpTo128,
    More,
}

impl Size {
    pub const ALL: [Size; 5] = [Size::One, Size::UpTo8, Size::UpTo64, Size::UpTo128, Size::More];

    pub fn of(size: usize) -> Size {
        match size {
            0..=1 => Size::One,
            2..=8 => Size::UpTo8,
            9..=64 => Size::UpTo64,
            65..=128 => Size::UpTo128,
            _ => Size::More,
        }
    }
}

#[derive(Clone, Copy)]
struct Belief {
    kind: KeyType,
    expired: bool,
}

/// What is believed of all keys.
#[derive(Default)]
pub(super) struct Keys {
    beliefs: BTreeMap<Vec<u8>, Belief>,
    /// The key that was last put into a state of interest.
    prepared: Option<Vec<u8>>,
    /// The size it was made with.
    pub(super) prepared_size: usize,
    /// What connections may be waiting for.
    pub(super) awaited: BTreeMap<usize, (Vec<u8>, KeyType)>,
}

/// Whether a command is about ranges of names.
fn is_by_name(row: &Command) -> bool {
    row.group == Group::SortedSet && row.name.contains("lex")
}

fn is_lex(key: &[u8]) -> bool {
    key.starts_with(b"lex")
}

/// Names of no type.
const ODD_NAMES: [&[u8]; 6] = [
    b"",
    b"\x00\xff\r\n",
    b"a key",
    b"123",
    b"{tag}x",
    b"a-name-that-is-longer-than-forty-four-bytes-to-be-no-embstr",
];

/// Sizes at which something changes in some encoding, or nearly.
const SIZES: [usize; 18] = [1, 2, 3, 4, 8, 9, 31, 64, 65, 127, 128, 128, 129, 200, 255, 511, 512, 513];

impl Gen<'_> {
    /// A key for an argument of this name, and what is believed of it.
    pub(super) fn key(&mut self, row: &Command, name: &str) -> (Vec<u8>, KeyState) {
        let wanted = KeyType::of(row.group);
        let is_destination = matches!(name, "newkey" | "destination" | "destkey" | "dst");
        let key = self.choose_key(row, wanted, is_destination);
        let belief = self.keys.beliefs.get(&key).copied();
        let state = match belief {
            Some(Belief { expired: true, .. }) => KeyState::Expired,
            Some(_) if self.keys.prepared.as_ref() == Some(&key) => KeyState::Boundary,
            Some(Belief { kind, .. }) if wanted.is_some_and(|wanted| wanted != kind) => KeyState::Wrong,
            Some(_) => KeyState::Own,
            None => KeyState::Missing,
        };
        self.expect_effect(row, &key, wanted, is_destination);
        (key, state)
    }

    fn choose_key(&mut self, row: &Command, wanted: Option<KeyType>, is_destination: bool) -> Vec<u8> {
        if is_by_name(row) {
            return self.lex_key();
        }
        if let Some(prepared) = self.keys.prepared.as_ref().filter(|key| !is_lex(key)) {
            let belief = self.keys.beliefs.get(prepared);
            let fits = belief.is_some_and(|belief| wanted.is_none_or(|kind| kind == belief.kind));
            if fits && self.choices.chance(30) {
                return prepared.clone();
            }
        }
        let other = KeyType::ALL[self.choices.below(5) as usize];
        let kind = match self.choices.below(100) {
            0..=69 if !is_destination => wanted.unwrap_or(other),
            0..=49 => wanted.unwrap_or(other),
            70..=77 => other,
            78..=84 => {
                let expired = self.keys.beliefs.iter().filter(|(key, belief)| belief.expired && !is_lex(key));
                let expired: Vec<_> = expired.map(|(key, _)| key).collect();
                match expired.len() as u32 {
                    0 => other,
                    n => return expired[self.choices.below(n) as usize].clone(),
                }
            }
            85 => return self.choices.pick(&ODD_NAMES).to_vec(),
            _ => return format!("none{}", self.choices.below(6)).into_bytes(),
        };
        self.name_of(kind)
    }

    /// A key for a command about ranges of names. What those answer is only defined if all scores are equal, so they have
    /// keys of their own, which nothing else changes: some sorted sets, a list, and one that is missing.
    pub(super) fn lex_key(&mut self) -> Vec<u8> {
        if let Some(prepared) = self.keys.prepared.as_ref().filter(|key| is_lex(key))
            && self.choices.chance(40)
        {
            return prepared.clone();
        }
        format!("lex{}", self.choices.below(7)).into_bytes()
    }

    fn name_of(&mut self, kind: KeyType) -> Vec<u8> {
        format!("{}{}", kind.prefix(), self.choices.below(6)).into_bytes()
    }

    /// Keeps beliefs near the truth. They are wrong after errors, in other databases, and after moves.
    fn expect_effect(&mut self, row: &Command, key: &[u8], wanted: Option<KeyType>, is_destination: bool) {
        use CommandId::{Del, GetDel, Unlink};
        let beliefs = &mut self.keys.beliefs;
        if matches!(row.id, Del | GetDel | Unlink) || beliefs.get(key).is_some_and(|belief| belief.expired) {
            beliefs.remove(key);
        }
        let creates = row.is_write() && (row.flags.contains(Flags::DENYOOM) || is_destination);
        if let Some(kind) = wanted
            && creates
            && (is_destination || !beliefs.contains_key(key))
        {
            beliefs.insert(key.to_vec(), Belief { kind, expired: false });
        }
        if row.is_write() && self.keys.prepared.as_deref() == Some(key) && self.choices.chance(50) {
            self.keys.prepared = None;
        }
    }

    /// Puts a key into a state of interest.
    pub(super) fn prepare_key(&mut self, conn: usize) {
        let lex = self.choices.below(6);
        let lex = self.choices.chance(20).then_some(lex);
        let kind = match lex {
            Some(5) => KeyType::List,
            Some(_) => KeyType::Zset,
            None => KeyType::ALL[self.choices.below(5) as usize],
        };
        let creator = kind.creator();
        if !self.scope.has(creator) || !self.scope.has(CommandId::Del) {
            return;
        }
        let key = match lex {
            Some(number) => format!("lex{number}").into_bytes(),
            None => self.name_of(kind),
        };
        self.push_command(conn, vec![b"DEL".to_vec(), key.clone()], None);
        let name = creator.command().name.to_ascii_uppercase().into_bytes();
        let mut argv = vec![name, key.clone()];
        self.keys.prepared_size = if kind == KeyType::String {
            let value = if self.choices.chance(40) { self.long_value() } else { self.any_value() };
            argv.push(value);
            argv[2].len()
        } else {
            self.elements(kind, lex.is_some(), &mut argv)
        };
        self.push_command(conn, argv, None);
        self.keys.beliefs.insert(key.clone(), Belief { kind, expired: false });
        self.keys.prepared = Some(key.clone());
        match self.choices.below(10) {
            0 | 1 if self.scope.has(CommandId::Expire) => {
                self.push_command(conn, vec![b"EXPIRE".to_vec(), key, b"10000".to_vec()], None);
            }
            2 => self.expire(conn, key),
            _ => {}
        }
    }

    /// Lets a key's deadline pass unnoticed.
    pub(super) fn expire_key(&mut self, conn: usize) {
        let kind = KeyType::ALL[self.choices.below(5) as usize];
        let key = self.name_of(kind);
        self.expire(conn, key);
    }

    fn expire(&mut self, conn: usize, key: Vec<u8>) {
        if !self.scope.has(CommandId::PExpire) {
            return;
        }
        self.push_command(conn, vec![b"PEXPIRE".to_vec(), key.clone(), b"1".to_vec()], None);
        self.push(Step::Advance(3), None);
        if let Some(belief) = self.keys.beliefs.get_mut(&key) {
            belief.expired = true;
        }
    }

    /// The elements of a new collection. Returns how many.
    fn elements(&mut self, kind: KeyType, one_score: bool, argv: &mut Vec<Vec<u8>>) -> usize {
        // Large ones cost much and show little more than one of their size.
        let sizes = if self.choices.chance(20) { &SIZES[..] } else { &SIZES[..8] };
        let size = *self.choices.pick(sizes);
        let long_at = match self.choices.below(4) {
            0 => self.choices.below(size as u32) as usize,
            _ => usize::MAX,
        };
        let style = self.choices.below(4);
        for index in 0..size {
            if kind == KeyType::Zset {
                let score = if one_score || style == 0 { 0 } else { index as i64 / 2 };
                argv.push(score.to_string().into_bytes());
            }
            if index == long_at {
                argv.push(self.long_value());
            } else {
                argv.push(match style {
                    0 | 1 => format!("m{index}").into_bytes(),
                    2 => index.to_string().into_bytes(),
                    _ if kind == KeyType::Set => (index * 40_000).to_string().into_bytes(),
                    _ => format!("{index:064}").into_bytes(),
                });
            }
            if kind == KeyType::Hash {
                argv.push(if style == 3 { index.to_string().into_bytes() } else { self.any_value() });
            }
        }
        size
    }
}
