//! What each fuzz target checks, as plain functions of bytes: the fuzzer calls them on what it invents, and the tests
//! on the corpora that are kept.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kevy::keyspace::table::{Slot, Table};
use kevy::number;
use kevy::resp::repr::Repr;
use kevy::resp::{Args, Argv, Decoder, Frame, Limits, Progress};
use kevy::rng::Rng;
use kevy::value::blob::Member;
use kevy::value::hash::{Hash, HashLimits};
use kevy::value::list::{List, ListLimits};
use kevy::value::listpack::{Item, Listpack};
use kevy::value::set::{Set, SetLimits};
use kevy::value::zset::{Zset, ZsetLimits};

/// A target with its name.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("resp_decode", resp_decode),
    ("inline", inline),
    ("frame_decode", frame_decode),
    ("glob", glob),
    ("number_formats", number_formats),
    ("listpack", listpack),
    ("list", list),
    ("set", set),
    ("hash", hash),
    ("zset", zset),
    ("table", table),
];

/// Bytes read as choices; zeros when they run out.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn byte(&mut self) -> u8 {
        let (&first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        first
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A short text: often a number, sometimes longer than what packed encodings hold.
    fn text(&mut self) -> Vec<u8> {
        let kind = self.byte();
        match kind % 8 {
            0..=2 => (i64::from(self.byte()) - 100).to_string().into_bytes(),
            3 => i64::from_le_bytes(std::array::from_fn(|_| self.byte())).to_string().into_bytes(),
            4 => vec![b'x'; 60 + self.below(10)],
            5 => vec![self.byte(); self.below(4)],
            _ => format!("m{}", self.byte()).into_bytes(),
        }
    }
}

fn bytes(item: Item<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    item.write_to(&mut bytes);
    bytes
}

/// All commands of a byte stream that arrives in pieces of the given sizes, and whether it ended in an error.
fn commands(
    stream: &[u8],
    limits: &Limits,
    mut next_piece: impl FnMut() -> usize,
) -> (Vec<Argv>, Option<String>) {
    let (mut decoder, mut spans, mut all) = (Decoder::new(), Vec::new(), Vec::new());
    let (mut start, mut end) = (0, 0);
    loop {
        spans.clear();
        match decoder.decode(&stream[start..end], limits, &mut spans) {
            Ok(Progress::Complete { consumed, scratch }) => {
                let bytes = if scratch { decoder.scratch() } else { &stream[start..end] };
                all.push(Args::new(bytes, &spans).to_argv());
                decoder.clear_scratch();
                start += consumed;
            }
            Ok(Progress::Skipped { consumed }) => start += consumed,
            Ok(Progress::Incomplete) if end == stream.len() => return (all, None),
            Ok(Progress::Incomplete) => end = (end + next_piece().max(1)).min(stream.len()),
            Err(error) => return (all, Some(error.to_string())),
        }
    }
}

/// Any split of the bytes gives the same commands and the same error; commands survive being encoded again.
pub fn resp_decode(data: &[u8]) {
    let mut choices = Bytes(data);
    let authenticated = choices.byte() % 4 != 0;
    let pieces: Vec<usize> = (0..8).map(|_| choices.below(7) + 1).collect();
    let stream = choices.0;
    let limits = Limits { max_bulk_len: 1 << 20, authenticated, ..Limits::default() };
    let whole = commands(stream, &limits, || stream.len());
    let mut at = 0;
    let split = commands(stream, &limits, || {
        at += 1;
        pieces[at % pieces.len()]
    });
    assert_eq!(whole, split);
    let mut encoded = Vec::new();
    whole.0.iter().for_each(|argv| argv.encode(&mut encoded));
    let free = Limits { max_bulk_len: 1 << 20, ..Limits::default() };
    let again = commands(&encoded, &free, || encoded.len());
    assert_eq!(again, (whole.0, None));
}

/// A line is split as one that goes through it byte by byte would, and words that were quoted come back.
pub fn inline(data: &[u8]) {
    let limits = Limits::default();
    let decoded = |line: &[u8]| commands(&[line, b"\n"].concat(), &limits, || usize::MAX);
    let ends_line = |byte: &u8| matches!(byte, 0 | b'\n');
    if let Some(line) = data.split(ends_line).next().filter(|line| line.first() != Some(&b'*')) {
        let expected = obvious_words(line);
        let (all, error) = decoded(line);
        assert_eq!(error.is_some(), expected.is_none(), "{error:?}");
        let expected = expected.filter(|words| !words.is_empty()).map(Argv::of);
        assert_eq!(all, expected.into_iter().collect::<Vec<_>>());
    }
    let words: Vec<&[u8]> = data.chunks(1 + data.len() / 3).collect();
    let line = words.iter().map(|word| Repr(word).to_string()).collect::<Vec<_>>().join(" ");
    let expected = (!words.is_empty()).then(|| Argv::of(words));
    assert_eq!(decoded(line.as_bytes()), (expected.into_iter().collect(), None));
}

/// The words of a line with quotes. `None` if a quote is not closed, or not followed by a space.
fn obvious_words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    enum Inside {
        Nothing,
        Word,
        Quotes(u8),
    }
    let mut words: Vec<Vec<u8>> = Vec::new();
    let mut inside = Inside::Nothing;
    let mut at = 0;
    while at < line.len() {
        let (byte, next) = (line[at], line.get(at + 1).copied());
        at += 1;
        match inside {
            Inside::Nothing if byte.is_ascii_whitespace() || byte == 0x0b => continue,
            Inside::Nothing => {
                words.push(Vec::new());
                inside = Inside::Word;
                at -= 1;
            }
            Inside::Word if b" \t\r".contains(&byte) => inside = Inside::Nothing,
            Inside::Word if b"\"'".contains(&byte) => inside = Inside::Quotes(byte),
            Inside::Word => words.last_mut()?.push(byte),
            Inside::Quotes(quote) if byte == quote => {
                if next.is_some_and(|byte| !byte.is_ascii_whitespace() && byte != 0x0b) {
                    return None;
                }
                inside = Inside::Nothing;
            }
            Inside::Quotes(b'\'') if (byte, next) == (b'\\', Some(b'\'')) => {
                words.last_mut()?.push(b'\'');
                at += 1;
            }
            Inside::Quotes(b'"') if byte == b'\\' => {
                let escaped = next?;
                let digits = line.get(at + 1..at + 3).filter(|_| escaped == b'x');
                let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
                let (meant, length) = match digits {
                    Some(digits) => (u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?, 3),
                    None => {
                        let meant = [(b'n', b'\n'), (b'r', b'\r'), (b't', b'\t'), (b'b', 0x08), (b'a', 0x07)];
                        let meant = meant.into_iter().find(|(letter, _)| *letter == escaped);
                        (meant.map_or(escaped, |(_, byte)| byte), 1)
                    }
                };
                words.last_mut()?.push(meant);
                at += length;
            }
            Inside::Quotes(_) => words.last_mut()?.push(byte),
        }
    }
    (!matches!(inside, Inside::Quotes(_))).then_some(words)
}

/// A reply tree that decodes encodes to the bytes it came from.
pub fn frame_decode(data: &[u8]) {
    if let Ok(Some((frame, used))) = Frame::decode(data) {
        let mut encoded = Vec::new();
        frame.encode(&mut encoded);
        let (again, used_again) = Frame::decode(&encoded).expect("was encoded").expect("whole");
        assert_eq!((again, used_again), (frame, encoded.len()));
        assert!(used <= data.len());
    }
}

/// The matcher ends, and agrees with the obvious recursion where that can be afforded.
pub fn glob(data: &[u8]) {
    let cut = data.first().map_or(0, |&at| usize::from(at) % data.len());
    let (pattern, text) = data.get(1..).unwrap_or_default().split_at(cut.min(data.len().saturating_sub(1)));
    let matched = kevy::glob::matches(pattern, text);
    let plain = pattern.len() < 12 && text.len() < 16 && !pattern.iter().any(|byte| b"[\\".contains(byte));
    if plain {
        assert_eq!(matched, obvious_match(pattern, text), "{:?} {:?}", pattern, text);
    }
}

/// As the documentation says it, with Redis's exception: an empty text matches the empty pattern only.
fn obvious_match(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        (_, []) => false,
        ([b'*', rest @ ..], _) => {
            let rest = &rest[rest.iter().take_while(|&&byte| byte == b'*').count()..];
            rest.is_empty() || (0..text.len()).any(|at| obvious_match(rest, &text[at..]))
        }
        ([first, rest @ ..], [byte, tail @ ..]) if *first == b'?' || first == byte => {
            if tail.is_empty() {
                rest.iter().all(|&byte| byte == b'*')
            } else {
                obvious_match(rest, tail)
            }
        }
        _ => false,
    }
}

/// What is printed reads back as the same number.
pub fn number_formats(data: &[u8]) {
    if let Some(value) = number::parse_i64(data) {
        assert_eq!(value.to_string().as_bytes(), data);
        assert_eq!(number::i64_len(value), data.len());
    }
    if let Some(value) = number::parse_f64(data) {
        let mut text = Vec::new();
        number::push_f64(&mut text, value);
        let again = number::parse_f64(&text).expect("was printed");
        assert!(again == value, "{value} {again}");
    }
    if let Some(value) = number::LongDouble::parse(data)
        && value.is_finite()
    {
        let text = value.to_text();
        assert!(number::LongDouble::parse(&text).is_some());
    }
    if let Some(bits) = data.first_chunk::<8>() {
        let value = f64::from_le_bytes(*bits);
        if value.is_finite() {
            let mut text = Vec::new();
            number::push_f64(&mut text, value);
            assert_eq!(number::parse_f64(&text), Some(value));
        }
    }
}

/// Untrusted bytes are refused or safe to walk over.
pub fn listpack(data: &[u8]) {
    if let Some(pack) = Listpack::from_bytes(data.to_vec()) {
        assert_eq!(pack.iter().map(bytes).count(), pack.len());
    }
}

/// A list against a deque, under tiny limits.
pub fn list(data: &[u8]) {
    let mut c = Bytes(data);
    let limits = ListLimits {
        max_listpack_size: [-1, -2, 1, 2, 5, 128][c.below(6)],
        packed_threshold: if c.byte() % 4 == 0 { 20 } else { 0 },
    };
    let mut list = List::new();
    let mut oracle: VecDeque<Vec<u8>> = VecDeque::new();
    while !c.is_empty() {
        match c.below(7) {
            0 | 1 => {
                let value = c.text();
                list.push_back(&value, &limits);
                oracle.push_back(value);
            }
            2 | 3 => {
                let value = c.text();
                list.push_front(&value, &limits);
                oracle.push_front(value);
            }
            4 => {
                assert_eq!(list.pop_front(&limits, bytes), oracle.pop_front());
            }
            5 => {
                assert_eq!(list.pop_back(&limits, bytes), oracle.pop_back());
            }
            _ => {
                let at = c.below(oracle.len() + 1);
                let value = c.text();
                assert_eq!(list.set(at as i64, &value, &limits), at < oracle.len());
                if let Some(place) = oracle.get_mut(at) {
                    *place = value;
                }
            }
        }
        assert_eq!(list.len(), oracle.len());
    }
    assert_eq!(list.iter().map(bytes).collect::<VecDeque<_>>(), oracle);
    assert_eq!(
        list.iter_rev().map(bytes).collect::<Vec<_>>(),
        oracle.iter().rev().cloned().collect::<Vec<_>>()
    );
}

/// A set against a set, under tiny limits.
pub fn set(data: &[u8]) {
    let mut c = Bytes(data);
    let limits = SetLimits {
        max_intset_entries: c.below(12),
        max_listpack_entries: c.below(12),
        max_listpack_value: [2, 64][c.below(2)],
    };
    let mut set = Set::new(7);
    let mut oracle = BTreeSet::new();
    while !c.is_empty() {
        let member = c.text();
        match c.below(3) {
            0 | 1 => assert_eq!(set.insert(&member, &limits), oracle.insert(member)),
            _ => assert_eq!(set.remove(&member), oracle.remove(&member)),
        }
        assert_eq!(set.len(), oracle.len());
    }
    let shown: BTreeSet<Vec<u8>> = set.iter().map(bytes).collect();
    assert!(shown.iter().all(|member| set.contains(member)));
    assert_eq!(shown, oracle);
}

/// A hash against a map, under tiny limits.
pub fn hash(data: &[u8]) {
    let mut c = Bytes(data);
    let limits = HashLimits { max_listpack_entries: c.below(12), max_listpack_value: [2, 64][c.below(2)] };
    let mut hash = Hash::new(7);
    let mut oracle = BTreeMap::new();
    while !c.is_empty() {
        let field = c.text();
        match c.below(4) {
            0 | 1 => {
                let value = c.text();
                let new = oracle.insert(field.clone(), value.clone()).is_none();
                assert_eq!(hash.set(&field, &value, &limits), new);
            }
            2 => assert_eq!(hash.remove(&field), oracle.remove(&field).is_some()),
            _ => assert_eq!(hash.value_len(&field), oracle.get(&field).map_or(0, Vec::len)),
        }
        assert_eq!(hash.len(), oracle.len());
    }
    let shown: BTreeMap<_, _> = hash.iter().map(|(field, value)| (bytes(field), bytes(value))).collect();
    assert_eq!(shown, oracle);
}

/// A sorted set against a sorted vector, under tiny limits.
pub fn zset(data: &[u8]) {
    let mut c = Bytes(data);
    let limits = ZsetLimits { max_listpack_entries: c.below(12), max_listpack_value: [2, 64][c.below(2)] };
    let mut zset = Zset::new(7);
    let mut oracle: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
    while !c.is_empty() {
        let member = c.text();
        match c.below(4) {
            0..=2 => {
                let score = i64::from(c.byte()) - 100;
                zset.insert(&member, score as f64, &limits);
                oracle.insert(member, score);
            }
            _ => assert_eq!(zset.remove(&member), oracle.remove(&member).map(|score| score as f64)),
        }
        assert_eq!(zset.len(), oracle.len());
    }
    let mut sorted: Vec<(i64, Vec<u8>)> = oracle.into_iter().map(|(member, score)| (score, member)).collect();
    sorted.sort();
    for (rank, (score, member)) in sorted.iter().enumerate() {
        assert_eq!(zset.rank(member), Some(rank));
        assert_eq!(zset.score(member), Some(*score as f64));
    }
    let shown: Vec<(i64, Vec<u8>)> =
        zset.range(0..zset.len()).map(|(member, score)| (score as i64, member.to_vec())).collect();
    assert_eq!(shown, sorted);
}

/// The segment table, with segments of four lines, against a set; and the guarantee of its scan.
pub fn table(data: &[u8]) {
    let mut c = Bytes(data);
    let mut table: Table<Member, 4> = Table::new(u64::from(c.byte()));
    let mut oracle = BTreeSet::new();
    // Keys that are there from the first step of the scan to the last.
    let mut stays: Option<BTreeSet<Vec<u8>>> = None;
    let (mut cursor, mut seen) = (0, BTreeSet::new());
    let mut rng = Rng::new(1);
    while !c.is_empty() {
        let key = format!("{}", u16::from(c.byte()) << 2 | u16::from(c.byte() & 3)).into_bytes();
        match c.below(8) {
            0..=3 => assert_eq!(table.insert(Member::new(&key)).is_none(), oracle.insert(key)),
            4 | 5 => {
                let removed = oracle.remove(&key);
                assert_eq!(table.remove(&key).is_some(), removed);
                if let Some(stays) = &mut stays {
                    stays.remove(&key);
                }
            }
            6 => assert_eq!(table.find(&key).is_some(), oracle.contains(&key)),
            _ => {
                stays.get_or_insert_with(|| oracle.clone());
                cursor = table.scan(cursor, 1 + c.below(4), |member| {
                    seen.insert(member.key().to_vec());
                });
                if cursor == 0 {
                    assert!(stays.take().expect("a scan is on").is_subset(&seen));
                    seen.clear();
                }
            }
        }
        assert_eq!(table.len(), oracle.len());
        let drawn = table.random(&mut || rng.next_u64());
        assert_eq!(drawn.is_some(), !oracle.is_empty());
    }
    assert!(table.iter().all(|member| oracle.contains(member.key())));
}
