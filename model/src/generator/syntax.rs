//! Argument lists from the syntax trees of the command table.

use std::sync::LazyLock;

use kevy::command::syntax::{Argument, Kind, parse};
use kevy::command::table::TABLE;
use kevy::command::{Command, CommandId};

use super::{Gen, KeyState, values};

/// The parsed syntax line of every row.
pub struct Grammar(Vec<Vec<Argument>>);

impl Grammar {
    pub fn get() -> &'static Grammar {
        static GRAMMAR: LazyLock<Grammar> =
            LazyLock::new(|| Grammar(TABLE.iter().map(|row| parse(row.syntax)).collect()));
        &GRAMMAR
    }

    pub fn arguments(&self, id: CommandId) -> &[Argument] {
        &self.0[id as usize]
    }

    /// Every option of a command: words that are given as they stand, and values that may be left out.
    pub fn options(&'static self, id: CommandId) -> Vec<&'static str> {
        let mut options = Options::default();
        self.0[id as usize].iter().for_each(|argument| collect(argument, &mut options));
        options.0
    }

    /// Whether some argument of a command can be any bytes.
    pub fn takes_values(&self, id: CommandId) -> bool {
        self.0[id as usize].iter().any(is_free)
    }

    /// Every two options that one call can have: not alternatives of one choice.
    pub fn option_pairs(&'static self, id: CommandId) -> Vec<(&'static str, &'static str)> {
        let mut pairs = sequence_pairs(&self.0[id as usize]);
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    }
}

fn is_free(argument: &Argument) -> bool {
    argument.kind == Kind::String && values::is_free(&argument.name) || argument.arguments.iter().any(is_free)
}

/// The name by which an option is counted.
fn label(argument: &'static Argument) -> Option<&'static str> {
    match argument.token {
        Some(token) => Some(token),
        None if argument.optional && argument.kind != Kind::OneOf => Some(&argument.name),
        None => None,
    }
}

fn collect(argument: &'static Argument, into: &mut Options) {
    if let Some(label) = label(argument) {
        into.add(label);
    }
    argument.arguments.iter().for_each(|part| collect(part, into));
}

fn sequence_pairs(arguments: &'static [Argument]) -> Vec<(&'static str, &'static str)> {
    let mut pairs: Vec<_> = arguments.iter().flat_map(inner_pairs).collect();
    for (index, first) in arguments.iter().enumerate() {
        for second in &arguments[index + 1..] {
            pairs.extend(cross(&labels(first), &labels(second)));
        }
    }
    pairs
}

/// The pairs inside one argument.
fn inner_pairs(argument: &'static Argument) -> Vec<(&'static str, &'static str)> {
    let mut pairs = match argument.kind {
        Kind::OneOf => argument.arguments.iter().flat_map(inner_pairs).collect(),
        _ => sequence_pairs(&argument.arguments),
    };
    if let Some(own) = label(argument) {
        let below: Vec<_> = argument.arguments.iter().flat_map(labels).collect();
        pairs.extend(cross(&[own], &below));
    }
    pairs
}

fn labels(argument: &'static Argument) -> Vec<&'static str> {
    let mut all = Options::default();
    collect(argument, &mut all);
    all.0
}

fn cross(first: &[&'static str], second: &[&'static str]) -> Vec<(&'static str, &'static str)> {
    let pairs = first.iter().flat_map(|&a| second.iter().map(move |&b| (a.min(b), a.max(b))));
    pairs.filter(|(a, b)| a != b).collect()
}

/// Labels of options, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options(Vec<&'static str>);

impl Options {
    pub fn add(&mut self, label: &'static str) {
        if !self.0.contains(&label) {
            self.0.push(label);
        }
    }

    pub fn as_slice(&self) -> &[&'static str] {
        &self.0
    }
}

impl Gen<'_> {
    /// Appends arguments for a whole sequence. Returns what is believed of the first key among them.
    pub(super) fn arguments(
        &mut self,
        row: &'static Command,
        arguments: &'static [Argument],
        argv: &mut Vec<Vec<u8>>,
        options: &mut Options,
    ) -> Option<KeyState> {
        let mut first_key = None;
        let mut at = 0;
        while at < arguments.len() {
            // Options that are told apart by their words can stand in any order.
            let movable = |argument: &&Argument| argument.optional && begins_with_token(argument);
            let run = arguments[at..].iter().take_while(movable).count().max(1);
            let mut order: Vec<usize> = (at..at + run).collect();
            self.choices.shuffle(&mut order);
            for index in order {
                let argument = &arguments[index];
                if argument.optional && !self.wants(argument) {
                    // A count announced nothing, or nothing was given that it could announce.
                    continue;
                }
                let key = self.given(row, argument, argv, options);
                first_key = first_key.or(key);
            }
            at += run;
        }
        first_key
    }

    /// Whether to give an optional argument.
    fn wants(&mut self, argument: &Argument) -> bool {
        if argument.multiple
            && !argument.multiple_token
            && argument.token.is_none()
            && self.announced.is_some()
        {
            return true;
        }
        self.choices.chance(35)
    }

    /// Appends an argument that is given, as often as it is.
    fn given(
        &mut self,
        row: &'static Command,
        argument: &'static Argument,
        argv: &mut Vec<Vec<u8>>,
        options: &mut Options,
    ) -> Option<KeyState> {
        let times = self.times(argument);
        let mut first_key = None;
        for time in 0..times {
            if let Some(label) = label(argument) {
                options.add(label);
            }
            if let Some(token) = argument.token
                && (time == 0 || argument.multiple_token)
            {
                let token = self.in_some_case(token);
                argv.push(token);
            }
            let key = self.value(row, argument, argv, options);
            first_key = first_key.or(key);
        }
        first_key
    }

    fn times(&mut self, argument: &Argument) -> usize {
        if !argument.multiple {
            return 1;
        }
        if !argument.multiple_token
            && argument.token.is_none()
            && let Some(count) = self.announced.take()
        {
            return count;
        }
        if argument.name == "weight" {
            return self.last_announced;
        }
        match self.choices.below(20) {
            0..=8 => 1,
            9..=13 => 2,
            14..=16 => 3,
            17 | 18 => 5,
            _ => 20,
        }
    }

    fn value(
        &mut self,
        row: &'static Command,
        argument: &'static Argument,
        argv: &mut Vec<Vec<u8>>,
        options: &mut Options,
    ) -> Option<KeyState> {
        let text = match argument.kind {
            Kind::PureToken => return None,
            Kind::Block => return self.arguments(row, &argument.arguments, argv, options),
            Kind::OneOf => {
                // Now and then two alternatives, which is an error mostly and a different one each time.
                let twice = self.scope.wrong > 0 && self.choices.chance(3);
                let mut first_key = None;
                for _ in 0..1 + usize::from(twice) {
                    let choice =
                        &argument.arguments[self.choices.below(argument.arguments.len() as u32) as usize];
                    let key = self.given(row, choice, argv, options);
                    first_key = first_key.or(key);
                }
                return first_key;
            }
            Kind::Key => {
                let (key, state) = self.key(row, &argument.name);
                argv.push(key);
                return Some(state);
            }
            Kind::Integer => self.integer(row, &argument.name),
            Kind::Double => self.double(&argument.name),
            Kind::UnixTime => self.unix_time(&argument.name),
            Kind::Pattern => self.pattern(&argument.name),
            Kind::String => {
                let text = self.string(row, &argument.name);
                if values::is_free(&argument.name) {
                    self.longest = self.longest.max(Some(text.len()));
                }
                text
            }
        };
        argv.push(text);
        None
    }
}

fn begins_with_token(argument: &Argument) -> bool {
    if argument.token.is_some() {
        return true;
    }
    match argument.kind {
        Kind::OneOf => argument.arguments.iter().all(begins_with_token),
        Kind::Block => {
            argument.arguments.first().is_some_and(|first| !first.optional && begins_with_token(first))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_and_pairs_of_set() {
        let grammar = Grammar::get();
        let options = grammar.options(CommandId::Set);
        for option in ["NX", "XX", "GET", "EX", "PX", "EXAT", "PXAT", "KEEPTTL"] {
            assert!(options.contains(&option), "{option}");
        }
        let pairs = grammar.option_pairs(CommandId::Set);
        assert!(pairs.contains(&("GET", "NX")) && pairs.contains(&("EX", "XX")));
        assert!(!pairs.contains(&("NX", "XX")) && !pairs.contains(&("EX", "PX")));
    }

    #[test]
    fn a_value_that_may_be_left_out_is_an_option() {
        assert_eq!(Grammar::get().options(CommandId::LPop), ["count"]);
        assert!(Grammar::get().option_pairs(CommandId::LPop).is_empty());
    }
}
