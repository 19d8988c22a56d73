//! Unions, intersections and differences of sorted sets: ZUNION ZINTER ZDIFF, their STORE forms, ZINTERCARD. Sets take
//! part as sorted sets whose scores are all 1.
//!
//! Results depend on the order in which scores are added up, so inputs are combined in Redis's order: the smaller ones
//! first, in the order given among equals. With N members in all inputs and M in the result, a union takes
//! O(N + M log M), the others one lookup for each member of one input in each other input, and O(M log M).

use super::{Rows, store};
use crate::command::{Call, CommandError, Outcome};
use crate::keyspace::Data;
use crate::keyspace::entry;
use crate::number::{parse_f64, parse_i64};
use crate::resp::Args;
use crate::value::Object;
use crate::value::set::Set;
use crate::value::zset::{Member, Zset};
use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasher;
use std::ops::Range;

const WEIGHT: CommandError = CommandError::Text("ERR weight value is not a float");
const LIMIT: CommandError = CommandError::Text("ERR LIMIT can't be negative");

#[derive(Clone, Copy, PartialEq, Eq)]
enum Combination {
    Union,
    Intersection,
    Difference,
}

/// How the scores of a member that several inputs have become one.
#[derive(Clone, Copy, Default)]
enum Aggregate {
    #[default]
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn parse(word: &[u8]) -> Result<Self, CommandError> {
        match word {
            _ if word.eq_ignore_ascii_case(b"SUM") => Ok(Self::Sum),
            _ if word.eq_ignore_ascii_case(b"MIN") => Ok(Self::Min),
            _ if word.eq_ignore_ascii_case(b"MAX") => Ok(Self::Max),
            _ => Err(CommandError::Syntax),
        }
    }

    /// `score` is a number and so is the result; `other`, a score times its weight, may not be.
    fn apply(self, score: f64, other: f64) -> f64 {
        match self {
            Self::Sum => number_or_zero(score + other),
            // Not f64::min: which of 0 and -0 stays is visible.
            Self::Min if other < score => other,
            Self::Max if other > score && !crate::bug!(AggregateMaxKeepsFirst) => other,
            Self::Min | Self::Max => score,
        }
    }
}

/// Infinity times a weight of 0, and infinities that cancel out, are 0.
fn number_or_zero(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

pub fn zunion(c: &mut Call<'_>) -> Outcome {
    answer(c, Combination::Union)
}

pub fn zinter(c: &mut Call<'_>) -> Outcome {
    answer(c, Combination::Intersection)
}

pub fn zdiff(c: &mut Call<'_>) -> Outcome {
    answer(c, Combination::Difference)
}

fn answer(c: &mut Call<'_>, combination: Combination) -> Outcome {
    let request = Request::parse(c, 1, combination, Purpose::Answer)?;
    let Call { data, reply, args, .. } = c;
    let rows = request.rows(&request.inputs(data, *args));
    Rows::announce(reply, rows.len(), request.with_scores).extend(rows.into_iter());
    Ok(())
}

pub fn zunionstore(c: &mut Call<'_>) -> Outcome {
    store_result(c, Combination::Union, "zunionstore")
}

pub fn zinterstore(c: &mut Call<'_>) -> Outcome {
    store_result(c, Combination::Intersection, "zinterstore")
}

pub fn zdiffstore(c: &mut Call<'_>) -> Outcome {
    store_result(c, Combination::Difference, "zdiffstore")
}

fn store_result(c: &mut Call<'_>, combination: Combination, event: &'static str) -> Outcome {
    let request = Request::parse(c, 2, combination, Purpose::Store)?;
    let limits = c.data.settings.zset;
    let rows = request.rows(&request.inputs(&c.data, c.args));
    let longest = rows.iter().map(|(member, _)| member.len()).max().unwrap_or(0);
    let mut result = Zset::with_hint(rows.len(), longest, &limits, c.data.keyspace.seed());
    for (member, score) in &rows {
        result.push_last(member, *score, &limits);
    }
    drop(rows);
    store(c, c.args.at(1), result, event);
    Ok(())
}

pub fn zintercard(c: &mut Call<'_>) -> Outcome {
    let request = Request::parse(c, 1, Combination::Intersection, Purpose::Count)?;
    let inputs = request.inputs(&c.data, c.args);
    let limit = if request.limit == 0 { usize::MAX } else { request.limit };
    let count = request.intersection(&inputs).take(limit).count();
    c.reply.int(count as i64);
    Ok(())
}

// --- Reading the command ------------------------------------------------------------------------------------------

/// What a command does with the result: it decides which options there are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Answer,
    Store,
    Count,
}

/// A command, read; its keys hold what can be combined.
struct Request {
    combination: Combination,
    /// Argument indexes.
    keys: Range<usize>,
    /// Empty if all are 1.
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
    /// 0 is none.
    limit: usize,
    /// For the hash function of a union.
    seed: u64,
}

impl Request {
    /// Reads the command from its number of keys, at argument `at`, on. The keys are looked at before the options.
    fn parse(
        c: &mut Call<'_>,
        at: usize,
        combination: Combination,
        purpose: Purpose,
    ) -> Result<Self, CommandError> {
        let count = c.int(at)?;
        if count < 1 {
            let text = format!("ERR at least 1 input key is needed for '{}' command", c.command.name);
            return Err(CommandError::Owned(text.into()));
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let keys = at + 1..count.saturating_add(at + 1);
        if keys.end > c.args.len() {
            return Err(CommandError::Syntax);
        }
        for at in keys.clone() {
            match c.data.read(c.args.at(at)).map(entry::Entry::object) {
                None | Some(Some(Object::Set(_) | Object::Zset(_))) => {}
                Some(_) => return Err(CommandError::WrongType),
            }
        }
        let mut at = keys.end;
        let mut request = Self {
            combination,
            keys,
            weights: Vec::new(),
            aggregate: Aggregate::default(),
            with_scores: false,
            limit: 0,
            seed: c.data.keyspace.seed(),
        };
        let weighted = combination != Combination::Difference && purpose != Purpose::Count;
        while at < c.args.len() {
            let following = c.args.len() - at - 1;
            if weighted && following >= count && c.is(at, "WEIGHTS") {
                let weights = (1..=count).map(|weight| parse_f64(c.arg(at + weight)).ok_or(WEIGHT));
                request.weights = weights.collect::<Result<_, _>>()?;
                at += 1 + count;
            } else if weighted && following >= 1 && c.is(at, "AGGREGATE") {
                request.aggregate = Aggregate::parse(c.arg(at + 1))?;
                at += 2;
            } else if purpose == Purpose::Answer && c.is(at, "WITHSCORES") {
                request.with_scores = true;
                at += 1;
            } else if purpose == Purpose::Count && following >= 1 && c.is(at, "LIMIT") {
                let limit = parse_i64(c.arg(at + 1)).and_then(|limit| usize::try_from(limit).ok());
                request.limit = limit.ok_or(LIMIT)?;
                at += 2;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(request)
    }

    /// The inputs in the order in which they are combined.
    fn inputs<'a>(&self, data: &'a Data<'_>, args: Args<'_>) -> Vec<Input<'a>> {
        let input = |(index, at)| {
            let source = match data.again(args.at(at)).and_then(entry::Entry::object) {
                Some(Object::Zset(zset)) => Source::Zset(zset),
                Some(Object::Set(set)) => Source::Set(set),
                _ => Source::Missing,
            };
            Input {
                source,
                weight: self
                    .weights
                    .get(if crate::bug!(WeightsFirstForAll) { 0 } else { index })
                    .copied()
                    .unwrap_or(1.0),
            }
        };
        let mut inputs: Vec<_> = self.keys.clone().enumerate().map(input).collect();
        if self.combination != Combination::Difference {
            inputs.sort_by_key(|input| input.source.len());
        }
        inputs
    }

    // --- Combining ------------------------------------------------------------------------------------------------

    /// The members of the result and their scores, in order.
    fn rows<'a>(&self, inputs: &[Input<'a>]) -> Vec<(Member<'a>, f64)> {
        let mut rows = match self.combination {
            Combination::Union => self.union(inputs),
            Combination::Intersection => self.intersection(inputs).collect(),
            Combination::Difference => difference(inputs).collect(),
        };
        // Runs that ascend already, as each sorted set does, cost nothing.
        rows.sort_by(|(member, score), (other_member, other_score)| {
            score.partial_cmp(other_score).unwrap_or(Ordering::Equal).then_with(|| member.cmp(other_member))
        });
        rows
    }

    fn union<'a>(&self, inputs: &[Input<'a>]) -> Vec<(Member<'a>, f64)> {
        if let [input] = inputs {
            return input.weighted().collect();
        }
        let hashing = Hashing { seed: self.seed, secrets: &SharedSeed::from_u64(self.seed) };
        let most = inputs.iter().map(|input| input.source.len()).max().unwrap_or(0);
        let mut places: HashMap<Member<'a>, usize, _> = HashMap::with_capacity_and_hasher(most, hashing);
        let mut rows: Vec<(Member<'a>, f64)> = Vec::with_capacity(most);
        for (member, score) in inputs.iter().flat_map(Input::weighted) {
            match places.entry(member) {
                Entry::Occupied(place) => {
                    let sum = &mut rows[*place.get()].1;
                    *sum = self.aggregate.apply(*sum, score);
                }
                Entry::Vacant(place) => {
                    place.insert(rows.len());
                    rows.push((member, score));
                }
            }
        }
        rows
    }

    fn intersection<'a>(&self, inputs: &[Input<'a>]) -> impl Iterator<Item = (Member<'a>, f64)> {
        let (smallest, others) = inputs.split_first().unzip();
        let others = others.unwrap_or_default();
        smallest.into_iter().flat_map(Input::weighted).filter_map(move |(member, score)| {
            let score = others.iter().try_fold(score, |score, other| {
                Some(self.aggregate.apply(score, other.source.score(&member)? * other.weight))
            });
            Some((member, score?))
        })
    }
}

/// The members of the first input that no other has.
fn difference<'a>(inputs: &[Input<'a>]) -> impl Iterator<Item = (Member<'a>, f64)> {
    let (first, others) = inputs.split_first().unzip();
    let others = others.unwrap_or_default();
    first
        .into_iter()
        .flat_map(|input| input.source.iter())
        .filter(|(member, _)| others.iter().all(|other| other.source.score(member).is_none()))
}

/// What is stored at one of the keys, with its weight.
struct Input<'a> {
    source: Source<'a>,
    weight: f64,
}

#[derive(Clone, Copy)]
enum Source<'a> {
    Zset(&'a Zset),
    Set(&'a Set),
    Missing,
}

impl<'a> Input<'a> {
    fn weighted(&self) -> impl Iterator<Item = (Member<'a>, f64)> + use<'a> {
        let weight = self.weight;
        self.source.iter().map(move |(member, score)| (member, number_or_zero(score * weight)))
    }
}

impl<'a> Source<'a> {
    fn len(self) -> usize {
        match self {
            Self::Zset(zset) => zset.len(),
            Self::Set(set) => set.len(),
            Self::Missing => 0,
        }
    }

    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Zset(zset) => zset.score(member),
            Self::Set(set) => set.contains(member).then_some(1.0),
            Self::Missing => None,
        }
    }

    fn iter(self) -> impl Iterator<Item = (Member<'a>, f64)> {
        let (zset, set) = match self {
            Self::Zset(zset) => (Some(zset), None),
            Self::Set(set) => (None, Some(set)),
            Self::Missing => (None, None),
        };
        let members = set.into_iter().flat_map(Set::iter).map(|item| (Member::from(item), 1.0));
        zset.into_iter().flat_map(Zset::iter).chain(members)
    }
}

/// Keys the hash table of a union: clients choose the members.
#[derive(Clone)]
struct Hashing<'s> {
    seed: u64,
    secrets: &'s SharedSeed,
}

impl<'s> BuildHasher for Hashing<'s> {
    type Hasher = FoldHasher<'s>;

    fn build_hasher(&self) -> FoldHasher<'s> {
        FoldHasher::with_seed(self.seed, self.secrets)
    }
}
