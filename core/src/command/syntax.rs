//! The syntax line of a row and the tree of arguments that it stands for.
//!
//! The notation is that of the command reference, completed so that nothing in `COMMAND DOCS` is written elsewhere:
//!
//! ```text
//! line     = item*
//! item     = argument ["+" version] ["-" version] ["..."]      "..." is: one or more
//!          | "[" item "]"                                      may be left out
//!          | "[" item "]..."                                   may be left out or given several times, token included
//! argument = TOKEN                    a word that is given as it stands; its name is the token in lower case
//!          | name "=" TOKEN           the same with a name of its own
//!          | [TOKEN] name ["<" display ">"] [":" type]         a value; a string unless a type is given
//!          | [TOKEN] name "(" item* ")"                        a block: all of these, in order
//!          | [TOKEN] name "(" item ("|" item)+ ")"             one of these
//! type     = ("key" | "pattern") ["@" key spec] | "int" | "double" | "time"
//! ```
//!
//! A word whose first character is not a lower-case letter is a token. A key belongs to the first key spec of the row if
//! no other is given. `+` and `-` are the versions that introduced and deprecated an argument.
//!
//! Lines come from the table only and every one is parsed by a test, so [`parse`] panics on a line that is not in the
//! notation.

/// A node of the argument tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    pub name: String,
    pub kind: Kind,
    /// How a value is shown, where that is not its name.
    pub display: Option<&'static str>,
    pub token: Option<&'static str>,
    pub since: Option<&'static str>,
    pub deprecated_since: Option<&'static str>,
    pub optional: bool,
    pub multiple: bool,
    /// When given several times, the token is repeated too.
    pub multiple_token: bool,
    /// Which of the row's key specs finds this key.
    pub key_spec: Option<u8>,
    /// The parts of a block, the alternatives of a choice.
    pub arguments: Vec<Argument>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    String,
    Integer,
    Double,
    Key,
    Pattern,
    UnixTime,
    PureToken,
    OneOf,
    Block,
}

impl Kind {
    /// The name of this kind in `COMMAND DOCS`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::Integer => "integer",
            Kind::Double => "double",
            Kind::Key => "key",
            Kind::Pattern => "pattern",
            Kind::UnixTime => "unix-time",
            Kind::PureToken => "pure-token",
            Kind::OneOf => "oneof",
            Kind::Block => "block",
        }
    }

    fn is_container(self) -> bool {
        matches!(self, Kind::OneOf | Kind::Block)
    }
}

impl Argument {
    /// How `COMMAND DOCS` displays the argument; blocks and choices are not displayed.
    pub fn display_text(&self) -> Option<&str> {
        (!self.kind.is_container()).then(|| self.display.unwrap_or(&self.name))
    }

    /// The least number of words with which this argument can be given.
    pub fn min_words(&self) -> usize {
        if self.optional { 0 } else { self.min_words_if_given() }
    }

    fn min_words_if_given(&self) -> usize {
        let value = match self.kind {
            Kind::PureToken => return 1,
            Kind::OneOf => self.arguments.iter().map(Argument::min_words_if_given).min().unwrap_or(0),
            Kind::Block => min_words(&self.arguments),
            _ => 1,
        };
        value + usize::from(self.token.is_some())
    }
}

/// The least number of words that a sequence of arguments can be given with.
pub fn min_words(arguments: &[Argument]) -> usize {
    arguments.iter().map(Argument::min_words).sum()
}

/// The tree that a syntax line of the table stands for.
pub fn parse(line: &'static str) -> Vec<Argument> {
    let mut parser = Parser { line, rest: line.trim_start() };
    let mut arguments = Vec::new();
    while !parser.rest.is_empty() {
        arguments.push(parser.item());
    }
    arguments
}

struct Parser {
    line: &'static str,
    rest: &'static str,
}

impl Parser {
    fn item(&mut self) -> Argument {
        if !self.eat("[") {
            return self.argument();
        }
        let mut argument = self.item();
        self.expect("]");
        argument.optional = true;
        if self.eat("...") {
            argument.multiple = true;
            argument.multiple_token = argument.token.is_some();
        }
        argument
    }

    fn argument(&mut self) -> Argument {
        let mut argument = self.bare_argument();
        if self.eat("+") {
            argument.since = Some(self.word());
        }
        if self.eat("-") {
            argument.deprecated_since = Some(self.word());
        }
        argument.multiple = self.eat("...");
        argument
    }

    fn bare_argument(&mut self) -> Argument {
        let word = self.word();
        if is_name(word) {
            return self.named(word, None);
        }
        match self.rest.chars().next() {
            Some(next) if next.is_ascii_lowercase() => {
                let name = self.word();
                self.named(name, Some(word))
            }
            _ => pure_token(word.to_ascii_lowercase(), word),
        }
    }

    fn named(&mut self, name: &'static str, token: Option<&'static str>) -> Argument {
        if self.eat("=") {
            assert!(token.is_none(), "two tokens for {name} in {:?}", self.line);
            let token = self.word();
            return pure_token(name.to_owned(), token);
        }
        let mut argument = Argument { token, ..leaf(name.to_owned(), Kind::String) };
        if self.eat("(") {
            (argument.kind, argument.arguments) = self.parts();
            return argument;
        }
        if self.eat("<") {
            let end = self.rest.find('>').unwrap_or_else(|| panic!("unclosed < in {:?}", self.line));
            argument.display = Some(&self.rest[..end]);
            self.rest = &self.rest[end..];
            self.expect(">");
        }
        if self.eat(":") {
            argument.kind = match self.word() {
                "key" => Kind::Key,
                "pattern" => Kind::Pattern,
                "int" => Kind::Integer,
                "double" => Kind::Double,
                "time" => Kind::UnixTime,
                other => panic!("unknown type {other} in {:?}", self.line),
            };
        }
        if self.eat("@") {
            let index = self.word().parse();
            argument.key_spec = Some(index.unwrap_or_else(|_| panic!("bad key spec in {:?}", self.line)));
        } else if argument.kind == Kind::Key {
            argument.key_spec = Some(0);
        }
        argument
    }

    /// What stands between parentheses: alternatives if there is a `|`, else the parts of a block.
    fn parts(&mut self) -> (Kind, Vec<Argument>) {
        let mut kind = Kind::Block;
        let mut arguments = Vec::new();
        while !self.eat(")") {
            assert!(!self.rest.is_empty(), "unclosed ( in {:?}", self.line);
            if self.eat("|") {
                kind = Kind::OneOf;
            } else {
                arguments.push(self.item());
            }
        }
        (kind, arguments)
    }

    fn eat(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, text: &str) {
        assert!(self.eat(text), "expected {text:?} before {:?} in {:?}", self.rest, self.line);
    }

    /// A name, token, type, number or version: everything up to white space or punctuation of the notation. A single
    /// `=` is a word where one is expected, because it is a token of its own.
    fn word(&mut self) -> &'static str {
        let end = if self.rest.starts_with('=') {
            1
        } else {
            let stop = |c: char| c.is_whitespace() || "[]()|<>:@=".contains(c);
            let end = self.rest.find(stop).unwrap_or(self.rest.len());
            self.rest[..end].find("...").unwrap_or(end)
        };
        let (word, rest) = self.rest.split_at(end);
        assert!(!word.is_empty(), "expected a word before {rest:?} in {:?}", self.line);
        self.rest = rest.trim_start();
        word
    }
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase())
}

fn leaf(name: String, kind: Kind) -> Argument {
    Argument {
        name,
        kind,
        display: None,
        token: None,
        since: None,
        deprecated_since: None,
        optional: false,
        multiple: false,
        multiple_token: false,
        key_spec: None,
        arguments: Vec::new(),
    }
}

fn pure_token(name: String, token: &'static str) -> Argument {
    Argument { token: Some(token), ..leaf(name, Kind::PureToken) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::table::TABLE;

    /// Prints a tree back in the notation.
    fn print(arguments: &[Argument], between: &str) -> String {
        arguments.iter().map(print_one).collect::<Vec<_>>().join(between)
    }

    fn print_one(a: &Argument) -> String {
        let mut text = match a.token {
            Some(token) if a.kind == Kind::PureToken && a.name == token.to_ascii_lowercase() => {
                token.to_owned()
            }
            Some(token) if a.kind == Kind::PureToken => format!("{}={token}", a.name),
            Some(token) => format!("{token} {}", a.name),
            None => a.name.clone(),
        };
        if let Some(display) = a.display {
            text += &format!("<{display}>");
        }
        match a.kind {
            Kind::Key => text += ":key",
            Kind::Pattern => text += ":pattern",
            Kind::Integer => text += ":int",
            Kind::Double => text += ":double",
            Kind::UnixTime => text += ":time",
            Kind::Block => text += &format!("({})", print(&a.arguments, " ")),
            Kind::OneOf => text += &format!("({})", print(&a.arguments, " | ")),
            Kind::String | Kind::PureToken => {}
        }
        match (a.kind, a.key_spec) {
            (Kind::Key, Some(0)) | (_, None) => {}
            (_, Some(index)) => text += &format!("@{index}"),
        }
        if let Some(version) = a.since {
            text += &format!(" +{version}");
        }
        if let Some(version) = a.deprecated_since {
            text += &format!(" -{version}");
        }
        let inside = a.multiple && !a.multiple_token;
        match (a.optional, inside, a.multiple_token) {
            (true, true, _) => format!("[{text} ...]"),
            (true, _, true) => format!("[{text}]..."),
            (true, _, false) => format!("[{text}]"),
            (false, true, _) => format!("{text} ..."),
            (false, ..) => text,
        }
    }

    #[test]
    fn every_syntax_line_of_the_table_parses_and_prints_back() {
        for command in TABLE {
            assert_eq!(print(&parse(command.syntax), " "), command.syntax, "{}", command.name);
        }
    }

    #[test]
    fn a_choice_with_values_tokens_and_versions() {
        let arguments = parse("key:key [condition(NX | XX) +2.6.12] [expiration(EX seconds:int | KEEPTTL)]");
        assert_eq!(arguments.len(), 3);
        assert_eq!((arguments[0].kind, arguments[0].key_spec), (Kind::Key, Some(0)));
        let condition = &arguments[1];
        assert_eq!(
            (condition.kind, condition.since, condition.optional),
            (Kind::OneOf, Some("2.6.12"), true)
        );
        assert_eq!(condition.arguments[1], pure_token("xx".into(), "XX"));
        let seconds = &arguments[2].arguments[0];
        assert_eq!(
            (seconds.name.as_str(), seconds.token, seconds.kind),
            ("seconds", Some("EX"), Kind::Integer)
        );
    }

    #[test]
    fn repetition_inside_brackets_repeats_the_value_and_outside_the_token_too() {
        let arguments =
            parse("[KEYS key:key ...] [GET get-pattern<pattern>:pattern@1]... data(field value) ...");
        let flags = |a: &Argument| (a.optional, a.multiple, a.multiple_token);
        assert_eq!(flags(&arguments[0]), (true, true, false));
        assert_eq!(flags(&arguments[1]), (true, true, true));
        assert_eq!(arguments[1].display_text(), Some("pattern"));
        assert_eq!(flags(&arguments[2]), (false, true, false));
        assert_eq!(arguments[2].kind, Kind::Block);
    }

    #[test]
    fn symbols_can_be_tokens() {
        let arguments = parse("operator(equal== | approximately=~) id(auto-id=* | id)");
        assert_eq!(arguments[0].arguments[0], pure_token("equal".into(), "="));
        assert_eq!(arguments[0].arguments[1], pure_token("approximately".into(), "~"));
        assert_eq!(arguments[1].arguments[0].token, Some("*"));
        assert_eq!(arguments[1].arguments[1].kind, Kind::String);
    }

    #[test]
    #[should_panic(expected = "unclosed (")]
    fn an_unclosed_block_is_refused() {
        parse("key:key data(field value");
    }

    /// The greatest number of words, unless there is none.
    fn max_words(arguments: &[Argument]) -> Option<usize> {
        arguments.iter().map(max_words_of_one).sum()
    }

    fn max_words_of_one(a: &Argument) -> Option<usize> {
        if a.multiple {
            return None;
        }
        let value = match a.kind {
            Kind::PureToken => return Some(1),
            Kind::OneOf => {
                a.arguments.iter().map(max_words_of_one).collect::<Option<Vec<_>>>()?.into_iter().max()?
            }
            Kind::Block => max_words(&a.arguments)?,
            _ => 1,
        };
        Some(value + usize::from(a.token.is_some()))
    }

    #[test]
    fn arity_agrees_with_the_number_of_words() {
        // QUIT ignores arguments for the sake of old clients; the arguments of DEBUG are undocumented.
        let known = ["quit", "debug"];
        for command in TABLE.iter().filter(|command| command.subcommand_count == 0) {
            let arguments = parse(command.syntax);
            let least = command.name_args() + min_words(&arguments);
            let most = max_words(&arguments).map(|words| command.name_args() + words);
            let arity = if most == Some(least) { least as i8 } else { -(least as i8) };
            assert_eq!(arity != command.arity, known.contains(&command.name), "{}: {arity}", command.name);
        }
    }
}
