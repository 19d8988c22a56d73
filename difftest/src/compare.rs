//! How two replies to one command are compared: byte for byte, except where the command says that its reply is not
//! determined by data and arguments alone.

use kevy::command::spec::Tip;
use kevy::command::table::{lookup, subcommand};
use kevy::command::{Command, CommandId};
use kevy::glob;
use kevy::resp::Frame;

use crate::wire::decode;

/// What two replies must have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Exact,
    /// The same elements in any order.
    AnyOrder,
    /// The same pairs of elements in any order.
    PairsInAnyOrder,
    /// Numbers that may differ by so much, because the two servers were not asked at the same moment.
    Near(i64),
    /// The same types and sizes all the way down.
    Shape,
    /// The same type at the top.
    Kind,
    /// Lines about clients: so many, and the same in what does not depend on the server (`CLIENT_FIELDS`).
    Clients,
    /// Digests of values, or zero: whether a key that has expired has been noticed is up to the server.
    Digests,
    /// A number or nothing: of a key that has expired without having been noticed, Redis tells the size.
    Size,
    /// Like `Shape`; the tester makes the second server's data equal to the first's again.
    Pop,
    /// Pages of one iteration: the same elements altogether.
    Pages,
}

/// The row of a command, if it has one.
pub fn row(argv: &[Vec<u8>]) -> Option<&'static Command> {
    let command = lookup(argv.first()?)?;
    match argv.get(1) {
        Some(name) if command.subcommand_count > 0 => subcommand(command, name).or(Some(command)),
        _ => Some(command),
    }
}

/// How replies to this command are compared.
pub fn mode(row: &Command, argv: &[Vec<u8>]) -> Mode {
    use CommandId::*;
    match row.id {
        SPop => Mode::Pop,
        Scan | SScan | HScan | ZScan => Mode::Pages,
        SRandMember | HRandField | ZRandMember => Mode::Shape,
        // It counts keys that have expired without having been noticed, and when that is noticed is up to the server.
        DbSize => Mode::Near(3),
        Ttl | ExpireTime => Mode::Near(1),
        PTtl | PExpireTime => Mode::Near(5000),
        ObjectEncoding | ClientGetName => Mode::Exact,
        // Each server has places of its own.
        ConfigGet if argv.iter().skip(2).any(|pattern| glob::matches_nocase(pattern, b"unixsocket")) => {
            Mode::Kind
        }
        HGetAll | ConfigGet => Mode::PairsInAnyOrder,
        // Redis 8 has a module built in.
        ModuleList => Mode::Kind,
        Hello | Info | Time | LastSave | Lolwut | Role => Mode::Kind,
        ClientId => Mode::Kind,
        // By number, each server is asked about clients of its own.
        ClientList if argv.iter().any(|arg| arg.eq_ignore_ascii_case(b"id")) => Mode::Kind,
        ClientInfo | ClientList => Mode::Clients,
        Debug if argv.get(1).is_some_and(|name| name.eq_ignore_ascii_case(b"help")) => Mode::Kind,
        Debug if argv.get(1).is_some_and(|name| name.eq_ignore_ascii_case(b"digest-value")) => Mode::Digests,
        MemoryUsage => Mode::Size,
        // About all commands of a server; the check of the table looks at them one by one.
        Command | CommandCount | CommandList | CommandDocs | CommandInfo | AclCat => Mode::Kind,
        PubSubChannels | PubSubShardChannels => Mode::AnyOrder,
        Sort | SortRo if is_unsorted(argv) || has_ties(argv) => {
            match argv.iter().any(|arg| arg.eq_ignore_ascii_case(b"limit")) {
                true => Mode::Kind,
                false => Mode::AnyOrder,
            }
        }
        _ if row.name.ends_with("|help") => Mode::Kind,
        _ if row.tips.contains(Tip::NondeterministicOutputOrder) => Mode::AnyOrder,
        _ if row.tips.contains(Tip::NondeterministicOutput) => Mode::Kind,
        _ => Mode::Exact,
    }
}

/// SORT BY a pattern that names no other key leaves the order as it is, and a set has none.
fn is_unsorted(argv: &[Vec<u8>]) -> bool {
    argv.windows(2).any(|pair| pair[0].eq_ignore_ascii_case(b"by") && !pair[1].contains(&b'*'))
}

/// Texts of other keys can be equal, or missing; the order of the elements they belong to is not determined then.
pub fn has_ties(argv: &[Vec<u8>]) -> bool {
    let has = |word: &[u8]| argv.iter().any(|arg| arg.eq_ignore_ascii_case(word));
    has(b"by") && has(b"alpha")
}

/// SORT … ALPHA BY with STORE or LIMIT: the model says nothing about the order of equal weights. Nor does it about which
/// elements of a set LIMIT leaves if none is sorted, and what GET looks up then can be heard of.
pub fn sorts_in_open_order(argv: &[Vec<u8>]) -> bool {
    let has = |word: &[u8]| argv.iter().any(|arg| arg.eq_ignore_ascii_case(word));
    let sorts = row(argv).is_some_and(|row| matches!(row.id, CommandId::Sort | CommandId::SortRo));
    sorts
        && (has_ties(argv) && (has(b"store") || has(b"limit"))
            || is_unsorted(argv) && has(b"limit") && has(b"get"))
}

/// Whether a frame is a message that came by a pattern.
pub fn is_pattern_message(frame: &[u8]) -> bool {
    frame.get(4..).is_some_and(|rest| rest.starts_with(b"$8\r\npmessage\r\n"))
}

/// What a monitor is shown, without time and address: `[0] "SET" "k" "v"`. `None` if the frame is no such line.
pub fn shown_command(frame: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(frame.strip_prefix(b"+")?).ok()?.trim_end();
    let (time, rest) = text.split_once(" [")?;
    let (whose, command) = rest.split_once("] ")?;
    let is_time = !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_time.then(|| format!("[{}] {command}", whose.split(' ').next().unwrap_or_default()))
}

/// Whether a line of a monitor is about what the tester sends on its own behalf.
pub fn shows_tester(line: &str) -> bool {
    line.ends_with("] \"PING\"") || line.ends_with("] \"CLIENT\" \"ID\"")
}

/// Whether `other` is as good an answer as `reference`.
pub fn agree(mode: Mode, reference: &[u8], other: &[u8]) -> bool {
    if reference == other {
        return true;
    }
    if mode == Mode::Exact {
        return false;
    }
    match (decode(reference), decode(other)) {
        (Ok(reference), Ok(other)) => agree_as_trees(mode, &reference, &other),
        _ => false,
    }
}

fn agree_as_trees(mode: Mode, reference: &Frame, other: &Frame) -> bool {
    if reference.is_error() || other.is_error() {
        return reference == other;
    }
    match mode {
        Mode::Exact => reference == other,
        Mode::AnyOrder => same_kind(reference, other) && sorted(reference) == sorted(other),
        Mode::PairsInAnyOrder => same_kind(reference, other) && pairs(reference) == pairs(other),
        Mode::Near(distance) => match (reference.as_int(), other.as_int()) {
            (Some(a), Some(b)) if a >= 0 && b >= 0 => a.abs_diff(b) <= distance.unsigned_abs(),
            _ => reference == other,
        },
        Mode::Kind => same_kind(reference, other),
        Mode::Clients => same_kind(reference, other) && same_clients(reference, other, &[]),
        Mode::Digests => {
            let zero = |frame: &Frame| *frame == Frame::simple("0".repeat(40));
            match (reference.elements(), other.elements()) {
                (Some(a), Some(b)) if a.len() == b.len() => {
                    a.iter().zip(b).all(|(a, b)| a == b || zero(a) != zero(b))
                }
                _ => reference == other,
            }
        }
        Mode::Size => [reference, other].iter().all(|frame| frame.is_null() || frame.as_int().is_some()),
        Mode::Shape | Mode::Pop => same_shape(reference, other),
        // A single page tells little: which elements it has is up to the server.
        Mode::Pages => same_kind(reference, other),
    }
}

/// What CLIENT LIST tells of a client that follows from what clients have done.
const CLIENT_FIELDS: [&str; 13] = [
    "name", "flags", "db", "sub", "psub", "ssub", "multi", "cmd", "user", "redir", "resp", "lib-name",
    "lib-ver",
];

/// Whether two lists tell the same of clients, but for some fields and flags: a word is a field's name, a letter a flag.
/// Fields that one of the two does not have are left out: older servers have fewer.
pub fn same_clients(a: &Frame, b: &Frame, but_for: &[&str]) -> bool {
    let text = |frame: &Frame| match frame {
        Frame::Verbatim(_, text) | Frame::Bulk(text) => String::from_utf8_lossy(text).into_owned(),
        _ => String::new(),
    };
    let (a, b) = (text(a), text(b));
    let field = |line: &str, name: &str| {
        let value = line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        value.map(|value| {
            let mut letters: Vec<char> = value.chars().collect();
            if name == "flags" {
                // `u` is only there for a moment.
                letters.retain(|letter| {
                    !['u', 'N'].contains(letter) && !but_for.contains(&&*letter.to_string())
                });
                letters.sort_unstable();
            }
            letters
        })
    };
    // What the tester asks last depends on how fast the server was.
    let asks = |line: &str| line.contains(" cmd=ping ") || line.contains(" cmd=client|list ");
    // Its set has been made the same as the reference's.
    let repaired = |a: &str, b: &str| {
        a.contains(" cmd=spop ") && [" cmd=srem ", " cmd=sadd "].iter().any(|cmd| b.contains(cmd))
    };
    let same = |(a, b): (&str, &str)| {
        let compared = CLIENT_FIELDS.iter().filter(|name| !but_for.contains(name));
        compared.into_iter().all(|name| match (field(a, name), field(b, name)) {
            _ if *name == "cmd" && (asks(a) || asks(b) || repaired(a, b)) => true,
            (Some(a), Some(b)) => a == b,
            _ => true,
        })
    };
    a.lines().count() == b.lines().count() && a.lines().zip(b.lines()).all(same)
}

fn same_kind(a: &Frame, b: &Frame) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

fn same_shape(a: &Frame, b: &Frame) -> bool {
    same_kind(a, b)
        && match (a, b) {
            (Frame::Map(a), Frame::Map(b)) => a.len() == b.len(),
            _ => match (a.elements(), b.elements()) {
                (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_shape(a, b)),
                _ => true,
            },
        }
}

/// The elements in an order of their own, for comparison.
pub fn sorted(frame: &Frame) -> Vec<Vec<u8>> {
    let mut elements: Vec<_> = frame.elements().unwrap_or_default().iter().map(Frame::to_bytes).collect();
    elements.sort();
    elements
}

fn pairs(frame: &Frame) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs: Vec<_> = match frame {
        Frame::Map(pairs) => pairs.iter().map(|(a, b)| (a.to_bytes(), b.to_bytes())).collect(),
        _ => {
            let elements = frame.elements().unwrap_or_default();
            elements
                .chunks(2)
                .map(|pair| (pair[0].to_bytes(), pair.last().unwrap_or(&pair[0]).to_bytes()))
                .collect()
        }
    };
    pairs.sort();
    pairs
}

/// A place among the commands of a transaction, and the two replies to it.
pub type Differing = (usize, Vec<u8>, Vec<u8>);

/// Where the replies of a transaction differ, each compared as its command says. `None` if they are not so many replies at all, but not the same bytes.
pub fn differences_in_transaction(
    queued: &[&Vec<Vec<u8>>],
    reference: &[u8],
    other: &[u8],
) -> Option<Vec<Differing>> {
    if reference == other {
        return Some(Vec::new());
    }
    match (decode(reference).ok()?, decode(other).ok()?) {
        (Frame::Array(a), Frame::Array(b)) if a.len() == b.len() && a.len() == queued.len() => {
            let both = a.iter().zip(&b).enumerate();
            let differing = both.filter(|(index, (a, b))| {
                let argv = queued[*index];
                let mode = row(argv).map_or(Mode::Exact, |row| mode(row, argv));
                a != b && !agree_as_trees(mode, a, b)
            });
            Some(differing.map(|(index, (a, b))| (index, a.to_bytes(), b.to_bytes())).collect())
        }
        _ => None,
    }
}

/// Whether a command tells of the server itself (its commands, parameters, clients), or what it has drawn. The model
/// cannot judge what a foreign server tells, and says whether kevy's is right.
pub fn tells_of_itself(argv: &[Vec<u8>]) -> bool {
    use CommandId::*;
    row(argv).is_some_and(|row| {
        row.name.starts_with("command")
            || matches!(row.id, AclCat | ClientId | ClientInfo | ClientList | ConfigGet | Hello)
            || matches!(row.id, DbSize | Info | ZRandMember)
    })
}

/// The replies of a transaction to such commands, as if each were a difference.
pub fn told_of_itself(queued: &[&Vec<Vec<u8>>], transaction: &[u8]) -> Vec<Differing> {
    let Ok(Frame::Array(replies)) = decode(transaction) else { return Vec::new() };
    let told = queued.iter().zip(&replies).enumerate().filter(|(_, (argv, _))| tells_of_itself(argv));
    told.map(|(index, (_, reply))| (index, Vec::new(), reply.to_bytes())).collect()
}

/// The reply of a transaction with the second of each two differing replies in the place of the first.
pub fn with_replies(transaction: &[u8], differences: &[Differing]) -> Vec<u8> {
    let Ok(Frame::Array(mut replies)) = decode(transaction) else { return transaction.to_vec() };
    for (index, _, other) in differences {
        if let (Some(reply), Ok(other)) = (replies.get_mut(*index), decode(other)) {
            *reply = other;
        }
    }
    Frame::Array(replies).to_bytes()
}

/// Whether the same channels are confirmed and the counts go down alike, in whatever order the channels come.
pub fn same_confirmations(reference: &[Vec<u8>], other: &[Vec<u8>]) -> bool {
    let split = |frames: &[Vec<u8>]| -> Option<(Vec<Vec<u8>>, Vec<Frame>)> {
        let mut names = Vec::new();
        let mut counts = Vec::new();
        for frame in frames {
            let frame = decode(frame).ok()?;
            let (count, name) = frame.elements()?.split_last()?;
            let push = matches!(frame, Frame::Push(_));
            names.push(name.iter().flat_map(Frame::to_bytes).chain([u8::from(push)]).collect());
            counts.push(count.clone());
        }
        names.sort();
        Some((names, counts))
    };
    reference == other || split(reference).is_some_and(|reference| Some(reference) == split(other))
}

/// Elements of all pages of one iteration together: with their values for hashes and sorted sets, each once.
pub fn elements_of_pages(
    id: CommandId,
    argv: &[Vec<u8>],
    pages: &[Vec<u8>],
) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let without_values = argv.iter().any(|arg| arg.eq_ignore_ascii_case(b"novalues"));
    let width = match id {
        CommandId::ZScan => 2,
        CommandId::HScan if !without_values => 2,
        _ => 1,
    };
    let mut all = Vec::new();
    for page in pages {
        let page = decode(page).ok()?;
        let elements = page.elements()?.get(1)?.elements()?;
        all.extend(elements.chunks(width).map(|part| (part[0].to_bytes(), part[width - 1].to_bytes())));
    }
    all.sort();
    all.dedup();
    Some(all)
}

/// Where the cursor stands among the arguments.
pub fn cursor_index(id: CommandId) -> Option<usize> {
    match id {
        CommandId::Scan => Some(1),
        CommandId::SScan | CommandId::HScan | CommandId::ZScan => Some(2),
        _ => None,
    }
}

/// The cursor a page gives, if it is a page.
pub fn next_cursor(page: &[u8]) -> Option<Vec<u8>> {
    let page = decode(page).ok()?;
    page.elements()?.first()?.as_bytes().map(<[u8]>::to_vec)
}

/// The members a reply of SPOP names.
pub fn members(frame: &[u8]) -> Vec<Vec<u8>> {
    match decode(frame) {
        Ok(Frame::Bulk(member)) => vec![member],
        Ok(frame) => {
            let elements = frame.elements().unwrap_or_default().iter();
            elements.filter_map(|element| element.as_bytes().map(<[u8]>::to_vec)).collect()
        }
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(words: &[&str]) -> Vec<Vec<u8>> {
        words.iter().map(|word| word.as_bytes().to_vec()).collect()
    }

    fn mode_of(words: &[&str]) -> Mode {
        let argv = argv(words);
        mode(row(&argv).unwrap(), &argv)
    }

    #[test]
    fn the_table_says_how_to_compare() {
        assert_eq!(mode_of(&["GET", "k"]), Mode::Exact);
        assert_eq!(mode_of(&["smembers", "k"]), Mode::AnyOrder);
        assert_eq!(mode_of(&["TIME"]), Mode::Kind);
        assert_eq!(mode_of(&["OBJECT", "ENCODING", "k"]), Mode::Exact);
        assert_eq!(mode_of(&["SORT", "k", "BY", "nosort"]), Mode::AnyOrder);
        assert_eq!(mode_of(&["SORT", "k", "BY", "w*"]), Mode::Exact);
    }

    #[test]
    fn clients_are_alike_in_what_follows_from_what_they_did() {
        let list = |lines: &str| Frame::Bulk(lines.as_bytes().to_vec()).to_bytes();
        let own =
            list("id=3 name=a age=1 flags=Ub db=1 cmd=blpop\nid=4 name= flags=N db=0 cmd=ping tot-mem=1\n");
        for (lines, expected) in [
            (
                "id=9 name=a age=5 flags=bU db=1 cmd=blpop\nid=10 name= flags=N db=0 cmd=ping user=default\n",
                true,
            ),
            ("id=9 name=b flags=bU db=1 cmd=blpop\nid=10 name= flags=N db=0 cmd=ping \n", false),
            ("id=9 name=a flags=U db=1 cmd=blpop\nid=10 name= flags=N db=0 cmd=ping \n", false),
            ("id=9 name=a flags=bU db=1 cmd=brpop\nid=10 name= flags=N db=0 cmd=ping \n", false),
            ("id=9 name=a flags=bU db=1 cmd=blpop\n", false),
        ] {
            assert_eq!(agree(mode_of(&["CLIENT", "INFO"]), &own, &list(lines)), expected, "{lines}");
        }
    }

    #[test]
    fn what_may_differ_may_and_nothing_else() {
        let agreements: [(Mode, &[u8], &[u8], bool); 12] = [
            (Mode::Exact, b"+OK\r\n", b"$2\r\nOK\r\n", false),
            (Mode::AnyOrder, b"*2\r\n:1\r\n:2\r\n", b"*2\r\n:2\r\n:1\r\n", true),
            (Mode::AnyOrder, b"*2\r\n:1\r\n:2\r\n", b"~2\r\n:2\r\n:1\r\n", false),
            (Mode::AnyOrder, b"*2\r\n:1\r\n:1\r\n", b"*2\r\n:2\r\n:1\r\n", false),
            (Mode::Near(1), b":5\r\n", b":4\r\n", true),
            (Mode::Near(1), b":5\r\n", b":3\r\n", false),
            (Mode::Near(1), b":-1\r\n", b":0\r\n", false),
            (Mode::Digests, b"*1\r\n+ab\r\n", b"*1\r\n+ac\r\n", false),
            (Mode::Shape, b"*1\r\n$1\r\na\r\n", b"*1\r\n$1\r\nb\r\n", true),
            (Mode::Shape, b"*1\r\n$1\r\na\r\n", b"*2\r\n$1\r\nb\r\n$1\r\nc\r\n", false),
            (Mode::Kind, b"$1\r\na\r\n", b"$2\r\nbb\r\n", true),
            (Mode::Kind, b"-ERR a\r\n", b"-ERR b\r\n", false),
        ];
        for (mode, a, b, expected) in agreements {
            assert_eq!(agree(mode, a, b), expected, "{mode:?} {a:?} {b:?}");
        }
    }

    #[test]
    fn replies_of_a_transaction_are_compared_each_in_its_own_way() {
        let (time, get) = (argv(&["TIME"]), argv(&["GET", "k"]));
        let reply = |time: &str, value: &str| format!("*2\r\n*1\r\n+{time}\r\n+{value}\r\n").into_bytes();
        let differences = |a: &[u8], b: &[u8]| differences_in_transaction(&[&time, &get], a, b);
        assert_eq!(differences(&reply("1", "a"), &reply("2", "a")), Some(Vec::new()));
        let expected = (1, b"+a\r\n".to_vec(), b"+b\r\n".to_vec());
        let found = differences(&reply("1", "a"), &reply("2", "b"));
        assert_eq!(found, Some(vec![expected]));
        assert_eq!(with_replies(&reply("1", "a"), &found.unwrap()), reply("1", "b"));
        assert_eq!(differences(&reply("1", "a"), b"*-1\r\n"), None);
    }
}
