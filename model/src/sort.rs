//! SORT: the elements of a list, set or sorted set in the order of their numbers, of their bytes, or of other keys.

use std::cmp::Ordering;

use crate::keyspace::{NOT_INTEGER, SYNTAX, WRONG_TYPE};
use crate::{Answer, Ask, Bytes, Model, Value, Want, number};
use kevy::command::CommandId;

/// SORT key [BY pattern] [LIMIT offset count] [GET pattern]… [ASC | DESC] [ALPHA] [STORE destination]
struct Options<'a> {
    by: Option<&'a Bytes>,
    /// Some BY named a constant, and nothing is sorted, whatever BY follows it.
    by_constant: bool,
    limit: (i64, i64),
    get: Vec<&'a Bytes>,
    descending: bool,
    alpha: bool,
    store: Option<&'a Bytes>,
}

fn options<'a>(ask: &Ask<'a>) -> Result<Options<'a>, String> {
    let mut options = Options {
        by: None,
        by_constant: false,
        limit: (0, -1),
        get: vec![],
        descending: false,
        alpha: false,
        store: None,
    };
    let mut at = 2;
    while at < ask.argc() {
        let value = ask.argv.get(at + 1);
        match value {
            _ if ask.is(at, "ASC") => options.descending = false,
            _ if ask.is(at, "DESC") => options.descending = true,
            _ if ask.is(at, "ALPHA") => options.alpha = true,
            Some(offset) if ask.is(at, "LIMIT") && at + 2 < ask.argc() => {
                let offset = number::int(offset).ok_or(NOT_INTEGER)?;
                options.limit = (offset, number::int(ask.arg(at + 2)).ok_or(NOT_INTEGER)?);
                at += 2;
            }
            Some(key) if ask.is(at, "STORE") && ask.id == CommandId::Sort => {
                options.store = Some(key);
                at += 1;
            }
            Some(pattern) if ask.is(at, "BY") => {
                options.by = Some(pattern);
                options.by_constant |= !pattern.contains(&b'*');
                at += 1;
            }
            Some(pattern) if ask.is(at, "GET") => {
                options.get.push(pattern);
                at += 1;
            }
            _ => return Err(SYNTAX.into()),
        }
        at += 1;
    }
    Ok(options)
}

/// What an element is sorted by.
enum Weight {
    Number(f64),
    Bytes(Bytes),
    /// ALPHA BY a key that is not there: before all others.
    Missing,
}

/// Elements that may stand in any order among themselves.
type Tie = Vec<Bytes>;

pub fn sort(m: &mut Model, ask: &Ask) -> Answer {
    let options = options(ask)?;
    let (elements, is_set) = match m.read(ask, ask.arg(1)) {
        None => (vec![], false),
        Some(Value::List(list)) => (list, false),
        Some(Value::Set(set)) => (set.into_iter().collect(), true),
        Some(Value::Zset(zset)) => {
            m.may_be_skiplist(ask, ask.arg(1));
            (by_score(zset), false)
        }
        Some(_) => return Err(WRONG_TYPE.into()),
    };
    let ties: Vec<Tie> = if !options.by_constant {
        sorted(m, ask, &options, elements)?
    } else if is_set && options.store.is_some() {
        // A set has no order of its own to store: it is stored as ALPHA sorts it.
        let alpha = Options { by: None, alpha: true, get: vec![], ..options };
        sorted(m, ask, &alpha, elements)?
    } else if is_set {
        vec![elements].into_iter().filter(|tie| !tie.is_empty()).collect()
    } else if options.descending {
        elements.into_iter().rev().map(|element| vec![element]).collect()
    } else {
        elements.into_iter().map(|element| vec![element]).collect()
    };
    let rows = limited(&ties, options.limit);
    let events_before = m.deliveries.len();
    match options.store {
        Some(key) => Ok(store(m, ask, &options.get, key, rows)),
        None => {
            let want = reply(m, ask, &options.get, rows);
            if ties.iter().any(|tie| tie.iter().any(|element| *element != tie[0])) {
                m.merge_deliveries(events_before);
            }
            Ok(want)
        }
    }
}

pub fn sort_ro(m: &mut Model, ask: &Ask) -> Answer {
    sort(m, ask)
}

fn by_score(zset: std::collections::BTreeMap<Bytes, f64>) -> Vec<Bytes> {
    let mut members: Vec<(Bytes, f64)> = zset.into_iter().collect();
    // Both zeros are equal, and no score is not a number.
    members.sort_by(|(_, a), (_, b)| a.partial_cmp(b).unwrap_or(Ordering::Equal));
    members.into_iter().map(|(member, _)| member).collect()
}

/// Sorts, numbers of equal weight by the elements' bytes. Weights that are texts are compared up to a zero byte, as C
/// does, unless the result is stored, and elements of equal text are a tie.
fn sorted(m: &mut Model, ask: &Ask, options: &Options, elements: Vec<Bytes>) -> Result<Vec<Tie>, String> {
    let mut weighed = Vec::new();
    let events_before = m.deliveries.len();
    let mut bad_weight = None;
    for element in elements {
        match weight(m, ask, options, &element) {
            Ok(weight) => weighed.push((weight, element)),
            Err(error) => bad_weight = Some(error),
        }
    }
    m.merge_deliveries(events_before);
    bad_weight.map_or(Ok(()), Err)?;
    let compare = |(a, a_element): &(Weight, Bytes), (b, b_element): &(Weight, Bytes)| {
        let ordering = match (a, b) {
            (Weight::Number(a), Weight::Number(b)) => {
                a.partial_cmp(b).unwrap_or(Ordering::Equal).then(a_element.cmp(b_element))
            }
            (Weight::Bytes(a), Weight::Bytes(b)) => a.cmp(b),
            (Weight::Missing, Weight::Missing) => Ordering::Equal,
            (Weight::Missing, _) => Ordering::Less,
            _ => Ordering::Greater,
        };
        if options.descending { ordering.reverse() } else { ordering }
    };
    weighed.sort_by(compare);
    let ties = weighed.chunk_by(|a, b| compare(a, b) == Ordering::Equal);
    Ok(ties.map(|tie| tie.iter().map(|(_, element)| element.clone()).collect()).collect())
}

impl Model {
    /// In which order a set's or sorted set's elements are weighed is open, and so is the order of events about it.
    fn merge_deliveries(&mut self, from: usize) {
        for delivery in self.deliveries.split_off(from) {
            match self.deliveries[from..].iter_mut().find(|other| other.conn == delivery.conn) {
                Some(other) => other.frames.extend(delivery.frames),
                None => self.deliveries.push(delivery),
            }
        }
    }
}

fn weight(m: &mut Model, ask: &Ask, options: &Options, element: &Bytes) -> Result<Weight, String> {
    let text = match options.by {
        Some(pattern) => pointed_to(m, ask, pattern, element),
        None => Some(element.clone()),
    };
    match text {
        None if options.alpha => Ok(Weight::Missing),
        None => Ok(Weight::Number(0.0)),
        Some(text) if options.alpha && options.store.is_some() => Ok(Weight::Bytes(text)),
        Some(text) if options.alpha => {
            Ok(Weight::Bytes(text.split(|&b| b == 0).next().unwrap_or(&[]).to_vec()))
        }
        Some(text) => match sort_number(&text) {
            Some(number) => Ok(Weight::Number(number)),
            None => Err("ERR One or more scores can't be converted into double".into()),
        },
    }
}

/// Nothing at all is zero, and a zero byte ends the number.
fn sort_number(text: &[u8]) -> Option<f64> {
    let text = text.split(|&byte| byte == 0).next()?;
    if text.is_empty() { Some(0.0) } else { number::decimal_double(text) }
}

/// What a pattern of BY or GET means for an element: `#` itself, else the string at the key with the element in the
/// place of the first `*`, or the field after `->` of the hash there.
fn pointed_to(m: &mut Model, ask: &Ask, pattern: &[u8], element: &Bytes) -> Option<Bytes> {
    if pattern == b"#" {
        return Some(element.clone());
    }
    let star = pattern.iter().position(|&byte| byte == b'*')?;
    let (before, after) = (&pattern[..star], &pattern[star + 1..]);
    let arrow = after.windows(2).position(|pair| pair == b"->").filter(|&arrow| arrow + 2 < after.len());
    let (after, field) = match arrow {
        Some(arrow) => (&after[..arrow], Some(&after[arrow + 2..])),
        None => (after, None),
    };
    match (m.read(ask, &[before, element, after].concat())?, field) {
        (Value::String(value), None) => Some(value),
        (Value::Hash(hash), Some(field)) => hash.get(field).cloned(),
        _ => None,
    }
}

/// The elements that LIMIT selects, each with the tie it could have come from. A negative count means no limit.
fn limited(ties: &[Tie], (offset, count): (i64, i64)) -> Vec<(&Bytes, &Tie)> {
    let all = ties.iter().flat_map(|tie| tie.iter().map(move |element| (element, tie)));
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    all.skip(offset.max(0) as usize).take(count).collect()
}

fn reply(m: &mut Model, ask: &Ask, get: &[&Bytes], rows: Vec<(&Bytes, &Tie)>) -> Want {
    if get.is_empty() && rows.first().is_some_and(|(_, tie)| tie.len() == rows.len()) {
        return Want::AnyOrder(rows.into_iter().map(|(element, _)| Want::bulk(element)).collect());
    }
    let get_itself = [&b"#".to_vec()];
    let get = if get.is_empty() { &get_itself } else { get };
    // Looking at what the others of a tie point to is not the server's, and no event.
    let mut quiet = m.clone();
    let mut wants = Vec::new();
    for (element, tie) in rows {
        for pattern in get {
            let own = pointed_to(m, ask, pattern, element);
            let others = tie.iter().filter(|&other| other != element);
            let mut candidates: Vec<Want> =
                others.map(|other| Want::bulk_or_nil(pointed_to(&mut quiet, ask, pattern, other))).collect();
            candidates.push(Want::bulk_or_nil(own));
            wants.push(if candidates.len() == 1 { candidates.remove(0) } else { Want::OneOf(candidates) });
        }
    }
    Want::Array(wants)
}

/// What is missing is stored as an empty string; an empty result removes the destination.
fn store(m: &mut Model, ask: &Ask, get: &[&Bytes], key: &[u8], rows: Vec<(&Bytes, &Tie)>) -> Want {
    let get_itself = [&b"#".to_vec()];
    let get = if get.is_empty() { &get_itself } else { get };
    let mut list = Vec::new();
    for (element, _) in rows {
        for pattern in get {
            list.push(pointed_to(m, ask, pattern, element).unwrap_or_default());
        }
    }
    let length = list.len();
    if length > 0 {
        m.put(ask, key, Value::List(list));
        m.notify('l', "sortstore", ask.db, key);
    } else if m.remove(ask, key) {
        m.notify('g', "del", ask.db, key);
    }
    Want::count(length)
}
