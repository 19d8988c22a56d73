//! The COMMAND command: the table as clients see it.
//!
//! Everything here is a rendering of [`TABLE`]; no fact about a command is stated in this file.

use super::getkeys;
use super::spec::{AclCategories, Begin, Command, Find, Flags, KeyShape, KeySpec};
use super::syntax::{self, Argument};
use super::table::{TABLE, lookup, lookup_full_name, subcommand};
use super::{Call, CommandError, Outcome};
use crate::glob;
use crate::resp::{Aggregate, Args, Mark, Reply};

pub fn command(call: &mut Call<'_>) -> Outcome {
    call.reply.array(top_level().count());
    top_level().for_each(|row| info(&mut call.reply, row));
    Ok(())
}

pub fn command_count(call: &mut Call<'_>) -> Outcome {
    call.reply.int(top_level().count() as i64);
    Ok(())
}

pub fn command_info(call: &mut Call<'_>) -> Outcome {
    let names = call.args.from(2);
    if names.is_empty() {
        return command(call);
    }
    call.reply.array(names.len());
    for name in names {
        match lookup_full_name(name) {
            Some(row) => info(&mut call.reply, row),
            None => call.reply.null(),
        }
    }
    Ok(())
}

pub fn command_docs(call: &mut Call<'_>) -> Outcome {
    let names = call.args.from(2);
    let rows: Vec<&Command> = if names.is_empty() {
        top_level().collect()
    } else {
        names.iter().filter_map(lookup_full_name).collect()
    };
    call.reply.map(rows.len());
    for row in rows {
        call.reply.bulk(row.name.as_bytes());
        docs(&mut call.reply, row);
    }
    Ok(())
}

pub fn command_list(call: &mut Call<'_>) -> Outcome {
    let filter = Filter::parse(call)?;
    let start = call.reply.deferred_array();
    let mut count = 0;
    for row in TABLE.iter().filter(|row| filter.accepts(row)) {
        call.reply.bulk(row.name.as_bytes());
        count += 1;
    }
    call.reply.set_deferred(start, count, Aggregate::Array);
    Ok(())
}

pub fn command_getkeys(call: &mut Call<'_>) -> Outcome {
    let (args, keys) = keys_of(call.args.from(2))?;
    call.reply.array(keys.len());
    keys.for_each(|(index, _)| call.reply.bulk(args.at(index)));
    Ok(())
}

pub fn command_getkeysandflags(call: &mut Call<'_>) -> Outcome {
    let (args, keys) = keys_of(call.args.from(2))?;
    call.reply.array(keys.len());
    for (index, flags) in keys {
        call.reply.array(2);
        call.reply.bulk(args.at(index));
        statuses(&mut call.reply, flags.names());
    }
    Ok(())
}

pub fn command_help(call: &mut Call<'_>) -> Outcome {
    call.reply.array(HELP.len());
    HELP.iter().for_each(|line| call.reply.simple(line));
    Ok(())
}

fn top_level() -> impl Iterator<Item = &'static Command> {
    TABLE.iter().filter(|row| row.name_args() == 1)
}

/// What COMMAND LIST is narrowed down to.
enum Filter {
    All,
    /// There are no modules, so there are no commands of one.
    Module,
    /// No command has a category that does not exist.
    Category(Option<AclCategories>),
    /// In lower case, as names are.
    Pattern(Vec<u8>),
}

impl Filter {
    fn parse(call: &Call<'_>) -> Result<Filter, CommandError> {
        if call.args.len() == 2 {
            return Ok(Filter::All);
        }
        if call.args.len() != 5 || !call.is(2, "FILTERBY") {
            return Err(CommandError::Syntax);
        }
        let value = call.arg(4);
        if call.is(3, "MODULE") {
            Ok(Filter::Module)
        } else if call.is(3, "ACLCAT") {
            let mut names = AclCategories::NAMES.iter();
            let found = names.find(|(_, name)| value.eq_ignore_ascii_case(name.as_bytes()));
            Ok(Filter::Category(found.map(|&(category, _)| category)))
        } else if call.is(3, "PATTERN") {
            Ok(Filter::Pattern(value.to_ascii_lowercase()))
        } else {
            Err(CommandError::Syntax)
        }
    }

    fn accepts(&self, row: &Command) -> bool {
        match self {
            Filter::All => true,
            Filter::Module => false,
            Filter::Category(category) => category.is_some_and(|category| row.acl.contains(category)),
            Filter::Pattern(pattern) => glob::matches(pattern, row.name.as_bytes()),
        }
    }
}

/// The keys of a command that was given as an argument.
fn keys_of(args: Args<'_>) -> Result<(Args<'_>, getkeys::Keys), CommandError> {
    let row = lookup(args.at(0)).and_then(|row| match args.get(1) {
        Some(name) if row.subcommand_count > 0 => subcommand(row, name),
        _ => Some(row),
    });
    let row = row.ok_or(CommandError::Text("ERR Invalid command specified"))?;
    if row.key_shape == KeyShape::None {
        return Err(CommandError::Text("ERR The command has no key arguments"));
    }
    if !row.accepts_arity(args.len()) {
        return Err(CommandError::Text("ERR Invalid number of arguments specified for command"));
    }
    match getkeys::keys(row, args) {
        Ok(keys) if keys.len() > 0 => Ok((args, keys)),
        _ if row.flags.contains(Flags::NO_MANDATORY_KEYS) => Ok((args, getkeys::Keys::default())),
        _ => Err(CommandError::Text("ERR Invalid arguments specified for command")),
    }
}

/// An element of the reply of COMMAND.
fn info(reply: &mut Reply<'_>, row: &'static Command) {
    let range = row.legacy_range();
    reply.array(10);
    reply.bulk(row.name.as_bytes());
    reply.int(row.arity.into());
    statuses(reply, row.flags.names());
    reply.int(range.first.into());
    reply.int(range.last.into());
    reply.int(range.step.into());
    reply.set(row.acl.names().count());
    row.acl.names().for_each(|name| reply.simple(&format!("@{name}")));
    reply.set(row.tips.0.len());
    row.tips.0.iter().for_each(|tip| reply.bulk(tip.name().as_bytes()));
    reply.set(row.keys.len());
    row.keys.iter().for_each(|spec| key_spec(reply, spec));
    if row.subcommand_count == 0 {
        // A set when it is empty, an array when it is not: so Redis has it, and clients have adapted.
        return reply.set(0);
    }
    reply.array(row.subcommands().len());
    row.subcommands().iter().for_each(|row| info(reply, row));
}

fn key_spec(reply: &mut Reply<'_>, spec: &KeySpec) {
    reply.map(3 + usize::from(!spec.notes.is_empty()));
    if !spec.notes.is_empty() {
        text(reply, "notes", spec.notes);
    }
    reply.bulk(b"flags");
    statuses(reply, spec.flags.names());

    let number = |reply: &mut Reply<'_>, name: &str, value: i64| {
        reply.bulk(name.as_bytes());
        reply.int(value);
    };
    let kind = |reply: &mut Reply<'_>, name: &str, facts: usize| {
        reply.map(2);
        text(reply, "type", name);
        reply.bulk(b"spec");
        reply.map(facts);
    };
    reply.bulk(b"begin_search");
    match spec.begin {
        Begin::Index(index) => {
            kind(reply, "index", 1);
            number(reply, "index", index.into());
        }
        Begin::Keyword { word, from } => {
            kind(reply, "keyword", 2);
            text(reply, "keyword", word);
            number(reply, "startfrom", from.into());
        }
        Begin::Unknown => kind(reply, "unknown", 0),
    }
    reply.bulk(b"find_keys");
    match spec.find {
        Find::Range { last, step, limit } => {
            kind(reply, "range", 3);
            number(reply, "lastkey", last.into());
            number(reply, "keystep", step.into());
            number(reply, "limit", limit.into());
        }
        Find::KeyNum { count, first, step } => {
            kind(reply, "keynum", 3);
            number(reply, "keynumidx", count.into());
            number(reply, "firstkey", first.into());
            number(reply, "keystep", step.into());
        }
        Find::Unknown => kind(reply, "unknown", 0),
    }
}

/// The value for a command's name in the reply of COMMAND DOCS.
fn docs(reply: &mut Reply<'_>, row: &'static Command) {
    let docs = row.docs;
    let mut fields = Fields::begin(reply);
    fields.text("summary", docs.summary);
    fields.text("since", docs.since);
    fields.text("group", row.group.name());
    if !docs.complexity.is_empty() {
        fields.text("complexity", docs.complexity);
    }
    let deprecated = docs.deprecated.map(|_| "deprecated");
    fields.statuses("doc_flags", deprecated.into_iter().chain(docs.syscmd.then_some("syscmd")));
    if let Some((since, replacement)) = docs.deprecated {
        fields.text("deprecated_since", since);
        fields.text("replaced_by", replacement);
    }
    if !docs.history.is_empty() {
        let reply = fields.value("history");
        reply.set(docs.history.len());
        for (version, change) in docs.history {
            reply.array(2);
            reply.bulk(version.as_bytes());
            reply.bulk(change.as_bytes());
        }
    }
    fields.arguments(&syntax::parse(row.syntax));
    if row.subcommand_count > 0 {
        let reply = fields.value("subcommands");
        reply.map(row.subcommands().len());
        for row in row.subcommands() {
            reply.bulk(row.name.as_bytes());
            self::docs(reply, row);
        }
    }
    fields.end();
}

fn argument(reply: &mut Reply<'_>, argument: &Argument) {
    let mut fields = Fields::begin(reply);
    fields.text("name", &argument.name);
    fields.text("type", argument.kind.name());
    if let Some(display) = argument.display_text() {
        fields.text("display_text", display);
    }
    if let Some(index) = argument.key_spec {
        fields.value("key_spec_index").int(index.into());
    }
    if let Some(token) = argument.token {
        fields.text("token", token);
    }
    if let Some(version) = argument.since {
        fields.text("since", version);
    }
    if let Some(version) = argument.deprecated_since {
        fields.text("deprecated_since", version);
    }
    let flags = [
        argument.optional.then_some("optional"),
        argument.multiple.then_some("multiple"),
        argument.multiple_token.then_some("multiple_token"),
    ];
    fields.statuses("flags", flags.into_iter().flatten());
    fields.arguments(&argument.arguments);
    fields.end();
}

/// A map that leaves out what does not apply, so that its size is known only at its end.
struct Fields<'r, 'a> {
    reply: &'r mut Reply<'a>,
    start: Mark,
    count: usize,
}

impl<'r, 'a> Fields<'r, 'a> {
    fn begin(reply: &'r mut Reply<'a>) -> Fields<'r, 'a> {
        let start = reply.deferred_array();
        Fields { reply, start, count: 0 }
    }

    /// Writes the name of a field, whose value is to be written next.
    fn value(&mut self, name: &str) -> &mut Reply<'a> {
        self.count += 1;
        self.reply.bulk(name.as_bytes());
        self.reply
    }

    fn text(&mut self, name: &str, value: &str) {
        self.value(name).bulk(value.as_bytes());
    }

    fn statuses(&mut self, name: &str, names: impl Iterator<Item = &'static str> + Clone) {
        if names.clone().next().is_some() {
            statuses(self.value(name), names);
        }
    }

    fn arguments(&mut self, arguments: &[Argument]) {
        if !arguments.is_empty() {
            let reply = self.value("arguments");
            reply.array(arguments.len());
            arguments.iter().for_each(|argument| self::argument(reply, argument));
        }
    }

    fn end(self) {
        self.reply.set_deferred(self.start, self.count, Aggregate::Map);
    }
}

fn text(reply: &mut Reply<'_>, name: &str, value: &str) {
    reply.bulk(name.as_bytes());
    reply.bulk(value.as_bytes());
}

fn statuses(reply: &mut Reply<'_>, names: impl Iterator<Item = &'static str> + Clone) {
    reply.set(names.clone().count());
    names.for_each(|name| reply.simple(name));
}

const HELP: &[&str] = &[
    "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "(no subcommand)",
    "    Return details about all Redis commands.",
    "COUNT",
    "    Return the total number of commands in this Redis server.",
    "LIST",
    "    Return a list of all commands in this Redis server.",
    "INFO [<command-name> ...]",
    "    Return details about multiple Redis commands.",
    "    If no command names are given, documentation details for all",
    "    commands are returned.",
    "DOCS [<command-name> ...]",
    "    Return documentation details about multiple Redis commands.",
    "    If no command names are given, documentation details for all",
    "    commands are returned.",
    "GETKEYS <full-command>",
    "    Return the keys from a full Redis command.",
    "GETKEYSANDFLAGS <full-command>",
    "    Return the keys and the access flags from a full Redis command.",
    "HELP",
    "    Print this help.",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::{Access, Data, Effects, Keyspace, Settings};
    use crate::resp::{Argv, Protocol};

    /// What `line` answers, with line ends shown as spaces.
    fn answer(protocol: Protocol, line: &str) -> String {
        let argv = Argv::of(line.split(' '));
        let args = argv.as_args();
        let container = lookup(args.at(0)).expect("a command");
        let command = args.get(1).and_then(|name| subcommand(container, name)).unwrap_or(container);
        let mut out = Vec::new();
        let (mut keyspace, mut effects, settings) =
            (Keyspace::new(1, 1), Effects::default(), Settings::default());
        let (keyspace, effects, settings) = (&mut keyspace, &mut effects, &settings);
        let data = Data {
            keyspace,
            settings,
            effects,
            db: 0,
            now: 0,
            now_micros: 0,
            access: Access::default(),
            brought: None,
        };
        let reply = Reply::new(&mut out, protocol);
        let mut call = Call { command, args, data, reply, may_block: false, block: None };
        _ = super::super::execute(&mut call);
        String::from_utf8(out).expect("text").replace("\r\n", " ")
    }

    #[test]
    fn command_info() {
        let line = "COMMAND INFO GET nope client|nope";
        assert_eq!(
            answer(Protocol::Resp3, line),
            "*3 *10 $3 get :2 ~2 +readonly +fast :1 :1 :1 ~3 +@read +@string +@fast ~0 ~1 %3 $5 flags ~2 +RO +access \
             $12 begin_search %2 $4 type $5 index $4 spec %1 $5 index :1 \
             $9 find_keys %2 $4 type $5 range $4 spec %3 $7 lastkey :0 $7 keystep :1 $5 limit :0 ~0 _ _ "
        );
        assert!(answer(Protocol::Resp2, line).ends_with("$5 limit :0 *0 $-1 $-1 "));
        assert!(
            answer(Protocol::Resp2, "COMMAND INFO LMOVE").contains(" lmove :5 *2 +write +denyoom :1 :2 :1 ")
        );
        assert!(answer(Protocol::Resp2, "COMMAND INFO ZDIFF").contains(" +readonly +movablekeys :0 :0 :0 "));
        let all = format!("*{} *10 ", top_level().count());
        assert!(answer(Protocol::Resp2, "COMMAND").starts_with(&all));
        assert!(answer(Protocol::Resp2, "COMMAND INFO").starts_with(&all));
        assert_eq!(answer(Protocol::Resp2, "COMMAND COUNT"), format!(":{} ", top_level().count()));
    }

    #[test]
    fn command_docs() {
        assert_eq!(answer(Protocol::Resp3, "COMMAND DOCS nope get|nope"), "%0 ");
        let docs = answer(Protocol::Resp3, "COMMAND DOCS LPOP object|freq");
        assert!(docs.starts_with("%2 $4 lpop %6 $7 summary "), "{docs}");
        assert!(docs.contains(
            " $9 arguments *2 %4 $4 name $3 key $4 type $3 key $12 display_text $3 key $14 key_spec_index :0 \
             %5 $4 name $5 count $4 type $7 integer $12 display_text $5 count $5 since $5 6.2.0 $5 flags ~1 +optional "
        ));
        let docs = answer(Protocol::Resp2, "COMMAND DOCS quit");
        assert!(
            docs.contains(" $9 doc_flags *1 +deprecated $16 deprecated_since $5 7.2.0 $11 replaced_by "),
            "{docs}"
        );
        assert!(
            answer(Protocol::Resp2, "COMMAND DOCS").starts_with(&format!("*{} ", top_level().count() * 2))
        );
    }

    #[test]
    fn command_list() {
        let list = |line: &str| answer(Protocol::Resp3, &format!("COMMAND LIST{line}"));
        assert!(list("").starts_with(&format!("*{} ", TABLE.len())));
        assert_eq!(list(" FILTERBY PATTERN OBJECT|?R*"), "*1 $11 object|freq ");
        assert_eq!(
            list(" filterby aclcat TRANSACTION"),
            "*5 $5 multi $4 exec $7 discard $5 watch $7 unwatch "
        );
        assert_eq!(list(" FILTERBY ACLCAT nope"), "*0 ");
        assert_eq!(list(" FILTERBY MODULE m"), "*0 ");
        for wrong in
            [" FILTERBY", " FILTERBY MODULE", " FILTERBY NOPE x", " NOPE MODULE x", " FILTERBY MODULE m m"]
        {
            assert_eq!(list(wrong), "-ERR syntax error ", "{wrong}");
        }
    }

    #[test]
    fn command_getkeys() {
        let keys = |line: &str| answer(Protocol::Resp2, &format!("COMMAND GETKEYS {line}"));
        assert_eq!(keys("MSET a 1 b 2"), "*2 $1 a $1 b ");
        assert_eq!(keys("nope a"), "-ERR Invalid command specified ");
        assert_eq!(keys("object nope a"), "-ERR Invalid command specified ");
        assert_eq!(keys("ping"), "-ERR The command has no key arguments ");
        assert_eq!(keys("ssubscribe a"), "-ERR The command has no key arguments ");
        assert_eq!(keys("get"), "-ERR Invalid number of arguments specified for command ");
        assert_eq!(keys("zdiff 2 a"), "-ERR Invalid arguments specified for command ");
        assert_eq!(
            answer(Protocol::Resp3, "COMMAND GETKEYSANDFLAGS LMOVE a b LEFT RIGHT"),
            "*2 *2 $1 a ~3 +RW +access +delete *2 $1 b ~2 +RW +insert "
        );
    }
}
