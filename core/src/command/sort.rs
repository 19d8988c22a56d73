//! SORT and SORT_RO.
//!
//! The elements are copied out first, because each weight (BY) and each column (GET) is a lookup of its own, which
//! may remove an expired key. Then: weights, one stable sort, and the rows that LIMIT leaves are answered or stored.
//!
//! Deterministic, so that SORT ... STORE can be replayed as it was sent: what compares equal keeps the order of a list,
//! and is ordered by its bytes where the collection's own order depends on the hash seed.
//!
//! O(n log n) for n elements, and a lookup for each weight and each column of the rows answered.

use std::cmp::Ordering;
use std::ops::Range;

use super::{Call, CommandError, Outcome, until_nul};
use crate::keyspace::{Class, Data};
use crate::number::{parse_i64, parse_range_f64};
use crate::value::list::List;
use crate::value::listpack::Item;
use crate::value::{Object, Value, ValueRef};

const NOT_DOUBLE: CommandError = CommandError::Text("ERR One or more scores can't be converted into double");

pub fn sort(c: &mut Call<'_>) -> Outcome {
    let options = Options::parse(c, true)?;
    run(c, options)
}

pub fn sort_ro(c: &mut Call<'_>) -> Outcome {
    let options = Options::parse(c, false)?;
    run(c, options)
}

struct Options<'a> {
    order: Order<'a>,
    descending: bool,
    alpha: bool,
    /// LIMIT: rows to skip, and how many to take; all if negative.
    skip: i64,
    take: i64,
    gets: Vec<Pattern<'a>>,
    store: Option<&'a [u8]>,
}

#[derive(Clone, Copy)]
enum Order<'a> {
    /// By the elements themselves.
    Element,
    /// By what the pattern leads to.
    By(Pattern<'a>),
    /// BY a pattern without `*`: as the collection has them.
    Native,
}

impl<'a> Options<'a> {
    fn parse(c: &Call<'a>, may_store: bool) -> Result<Options<'a>, CommandError> {
        let mut options = Options {
            order: Order::Element,
            descending: false,
            alpha: false,
            skip: 0,
            take: -1,
            gets: Vec::new(),
            store: None,
        };
        // The rules of a constant BY stay in force whatever BY follows it.
        let mut native = false;
        let mut at = 2;
        while at < c.args.len() {
            let has = |arguments: usize| at + arguments < c.args.len();
            let int = |index: usize| parse_i64(c.arg(index)).ok_or(CommandError::NotInteger);
            if c.is(at, "ASC") {
                options.descending = false;
            } else if c.is(at, "DESC") {
                options.descending = true;
            } else if c.is(at, "ALPHA") {
                options.alpha = true;
            } else if c.is(at, "LIMIT") && has(2) {
                (options.skip, options.take) = (int(at + 1)?, int(at + 2)?);
                at += 2;
            } else if may_store && c.is(at, "STORE") && has(1) {
                options.store = Some(c.arg(at + 1));
                at += 1;
            } else if c.is(at, "BY") && has(1) {
                let pattern = Pattern::parse(c.arg(at + 1));
                let constant = !matches!(pattern, Pattern::Key { .. });
                native = if crate::bug!(SortByLastAlone) { constant } else { native | constant };
                options.order = Order::By(pattern);
                at += 1;
            } else if c.is(at, "GET") && has(1) {
                options.gets.push(Pattern::parse(c.arg(at + 1)));
                at += 1;
            } else {
                return Err(CommandError::Syntax);
            }
            at += 1;
        }
        if native {
            options.order = Order::Native;
        }
        Ok(options)
    }

    /// The rows that LIMIT leaves of `len`.
    fn rows(&self, len: usize) -> Range<usize> {
        let start = usize::try_from(self.skip).unwrap_or(0).min(len);
        let take = usize::try_from(self.take).unwrap_or(len).min(len - start);
        start..start + take
    }
}

/// The argument of BY or GET. Redis reads it as a C string, except that all of it goes into the key.
#[derive(Clone, Copy)]
enum Pattern<'a> {
    /// `#`: the element itself.
    Element,
    /// No `*`: leads to nothing.
    Constant,
    /// The key with the element in the place of `*`; its string, or a field of its hash.
    Key { prefix: &'a [u8], suffix: &'a [u8], field: Option<&'a [u8]> },
}

impl<'a> Pattern<'a> {
    fn parse(pattern: &'a [u8]) -> Pattern<'a> {
        let text = until_nul(pattern);
        if text == b"#" {
            return Pattern::Element;
        }
        let Some(star) = memchr::memchr(b'*', text) else { return Pattern::Constant };
        let (prefix, suffix) = (&pattern[..star], &pattern[star + 1..]);
        let arrow = memchr::memmem::find(&text[star + 1..], b"->");
        match arrow {
            Some(arrow) if star + 1 + arrow + 2 < text.len() => {
                Pattern::Key { prefix, suffix: &suffix[..arrow], field: Some(&suffix[arrow + 2..]) }
            }
            _ => Pattern::Key { prefix, suffix, field: None },
        }
    }

    /// What the pattern leads to from `element`. `key` is a buffer to build the key in.
    fn look_up<'d>(self, data: &'d mut Data<'_>, element: &'d [u8], key: &mut Vec<u8>) -> Option<Item<'d>> {
        let (prefix, suffix, field) = match self {
            Pattern::Element => return Some(Item::Bytes(element)),
            Pattern::Constant => return None,
            Pattern::Key { prefix, suffix, field } => (prefix, suffix, field),
        };
        key.clear();
        for part in [prefix, element, suffix] {
            key.extend_from_slice(part);
        }
        match (data.read(key)?.value(), field) {
            (ValueRef::Int(value), None) => Some(Item::Int(value)),
            (ValueRef::String { bytes, .. }, None) => Some(Item::Bytes(bytes)),
            (ValueRef::Object(Object::Hash(hash)), Some(field)) => hash.get(field),
            _ => None,
        }
    }
}

/// Byte strings, one after the other in one buffer.
#[derive(Default)]
struct Texts(Vec<u8>);

impl Texts {
    fn push(&mut self, item: Item<'_>) -> Range<usize> {
        let start = self.0.len();
        item.write_to(&mut self.0);
        start..self.0.len()
    }

    fn get(&self, text: &Range<usize>) -> &[u8] {
        &self.0[text.clone()]
    }
}

struct Row {
    element: Range<usize>,
    weight: Weight,
}

enum Weight {
    Number(f64),
    Text(Range<usize>),
    /// Before all texts.
    Missing,
}

fn run(c: &mut Call<'_>, mut options: Options<'_>) -> Outcome {
    let key = c.arg(1);
    let mut texts = Texts::default();
    let mut rows = Vec::new();
    // Whether the order of the collection means something.
    let mut ordered = true;
    let mut limit = 0..0;
    let mut packed_zset = false;
    match c.data.read(key).map(|entry| entry.value()) {
        None => {}
        Some(ValueRef::Object(object)) => {
            let mut add =
                |item: Item<'_>| rows.push(Row { element: texts.push(item), weight: Weight::Missing });
            let len = object.len();
            limit = options.rows(len);
            // What is in the order wanted is cut out at once.
            let mut native = None;
            if matches!(options.order, Order::Native) && matches!(object, Object::List(_) | Object::Zset(_)) {
                let wanted =
                    if options.descending { len - limit.end..len - limit.start } else { limit.clone() };
                native = Some(wanted);
                limit = 0..limit.len();
            }
            match object {
                Object::List(list) => {
                    let wanted = native.clone().unwrap_or(0..len);
                    if !wanted.is_empty() {
                        list.range(wanted.start as i64, wanted.end as i64 - 1).for_each(&mut add);
                    }
                }
                Object::Zset(zset) => {
                    packed_zset = zset.as_listpack().is_some();
                    zset.range(native.clone().unwrap_or(0..len))
                        .for_each(|(member, _)| add(Item::Bytes(&member)));
                    ordered = native.is_some();
                }
                Object::Set(set) => {
                    set.iter().for_each(&mut add);
                    ordered = false;
                    if matches!(options.order, Order::Native) && options.store.is_some() {
                        // What is stored must be the same wherever this is replayed.
                        options.order = Order::Element;
                        options.alpha = true;
                    }
                }
                Object::Hash(_) => return Err(CommandError::WrongType),
            }
            if native.is_some() && options.descending {
                rows.reverse();
            }
        }
        Some(_) => return Err(CommandError::WrongType),
    }
    if packed_zset {
        // As in Redis, a sorted set that was sorted is in the large encoding from then on.
        let access = std::mem::replace(&mut c.data.access.no_touch, true);
        if let Some(zset) = c.data.zset_mut(key)? {
            zset.unpack();
        }
        c.data.access.no_touch = access;
    }

    let mut key = Vec::new();
    weigh(c, &options, &mut rows, &mut texts, &mut key)?;
    if !matches!(options.order, Order::Native) {
        let tie = |a: &Row, b: &Row| match ordered {
            true => Ordering::Equal,
            false => texts.get(&a.element).cmp(texts.get(&b.element)),
        };
        rows.sort_by(|a, b| {
            let order = compare(&options, &texts, a, b).then_with(|| tie(a, b));
            if options.descending { order.reverse() } else { order }
        });
    }
    let rows = &rows[limit];
    match options.store {
        None => answer(c, &options, rows, &texts, &mut key),
        Some(target) => store(c, target, &options, rows, &texts, &mut key),
    }
    Ok(())
}

/// Finds out what each row is sorted by. All are looked up before a weight that is no number is an error.
fn weigh(
    c: &mut Call<'_>,
    options: &Options<'_>,
    rows: &mut [Row],
    texts: &mut Texts,
    key: &mut Vec<u8>,
) -> Outcome {
    let number = |item: Item<'_>| match item {
        Item::Int(value) => Some(value as f64),
        Item::Bytes(bytes) => parse_range_f64(bytes),
    };
    let mut all_numbers = true;
    let mut convert = |item: Item<'_>| {
        let number = number(item);
        all_numbers &= number.is_some();
        Weight::Number(number.unwrap_or(0.0))
    };
    match options.order {
        Order::Native => {}
        Order::Element if options.alpha => {
            rows.iter_mut().for_each(|row| row.weight = Weight::Text(row.element.clone()));
        }
        Order::Element => {
            for row in rows {
                row.weight = convert(Item::Bytes(texts.get(&row.element)));
            }
        }
        Order::By(pattern) => {
            let mut weights = Texts::default();
            let start = texts.0.len();
            for row in rows {
                let found = pattern.look_up(&mut c.data, texts.get(&row.element), key);
                row.weight = match found {
                    None if options.alpha => Weight::Missing,
                    None => Weight::Number(0.0),
                    Some(item) if options.alpha => {
                        let text = weights.push(item);
                        Weight::Text(start + text.start..start + text.end)
                    }
                    Some(item) => convert(item),
                };
            }
            texts.0.append(&mut weights.0);
        }
    }
    if all_numbers { Ok(()) } else { Err(NOT_DOUBLE) }
}

/// Ascending order. What is answered to a client is compared as C strings, what is stored by all its bytes.
fn compare(options: &Options<'_>, texts: &Texts, a: &Row, b: &Row) -> Ordering {
    match (&a.weight, &b.weight) {
        (Weight::Number(x), Weight::Number(y)) => match x.partial_cmp(y) {
            Some(Ordering::Equal) | None => texts.get(&a.element).cmp(texts.get(&b.element)),
            Some(order) => order,
        },
        (Weight::Text(x), Weight::Text(y)) => {
            let (x, y) = (texts.get(x), texts.get(y));
            if options.store.is_some() { x.cmp(y) } else { until_nul(x).cmp(until_nul(y)) }
        }
        (Weight::Missing, Weight::Text(_)) => Ordering::Less,
        (Weight::Text(_), Weight::Missing) => Ordering::Greater,
        _ => Ordering::Equal,
    }
}

fn answer(c: &mut Call<'_>, options: &Options<'_>, rows: &[Row], texts: &Texts, key: &mut Vec<u8>) {
    c.reply.array(rows.len() * options.gets.len().max(1));
    let mut digits = itoa::Buffer::new();
    for row in rows {
        let element = texts.get(&row.element);
        if options.gets.is_empty() {
            c.reply.bulk(element);
        }
        for pattern in &options.gets {
            match pattern.look_up(&mut c.data, element, key) {
                Some(item) => c.reply.bulk(item.as_bytes(&mut digits)),
                None => c.reply.null(),
            }
        }
    }
}

/// STORE: the rows become a list, or the target is removed if there are none.
fn store(
    c: &mut Call<'_>,
    target: &[u8],
    options: &Options<'_>,
    rows: &[Row],
    texts: &Texts,
    key: &mut Vec<u8>,
) {
    let mut columns = Texts::default();
    let mut values = Vec::with_capacity(rows.len() * options.gets.len().max(1));
    for row in rows {
        let element = texts.get(&row.element);
        if options.gets.is_empty() {
            values.push(columns.push(Item::Bytes(element)));
        }
        for pattern in &options.gets {
            let found = pattern.look_up(&mut c.data, element, key).unwrap_or(Item::Bytes(b""));
            values.push(columns.push(found));
        }
    }
    if values.is_empty() {
        c.data.delete_target(target);
    } else {
        let list = List::from_values(values.iter().map(|value| columns.get(value)), &c.data.settings.list);
        c.data.put(target, Value::from(Object::List(list)), None);
        c.data.changed(target, Class::LIST, "sortstore");
        c.data.dirty(values.len() as u64 - 1);
    }
    c.reply.int(values.len() as i64);
}

#[cfg(test)]
mod tests {
    use crate::command::testing::{Db, argv};
    use crate::resp::Frame;

    /// The elements answered, joined by spaces; `nil` for null.
    fn row(db: &mut Db, line: &str) -> String {
        let Some(frame) = db.argv(&argv(line)) else { panic!("SORT never waits") };
        let Frame::Array(elements) = frame else { return frame.to_string() };
        let text = |frame: &Frame| match frame.as_bytes() {
            Some(bytes) => bytes.escape_ascii().to_string(),
            None => String::from("nil"),
        };
        elements.iter().map(text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn numbers_and_texts() {
        let mut db = Db::new();
        db.ok("RPUSH l 3 10 1e1 2 -1 ''");
        assert_eq!(row(&mut db, "SORT l"), "-1  2 3 10 1e1");
        assert_eq!(row(&mut db, "SORT l DESC"), "1e1 10 3 2  -1");
        assert_eq!(row(&mut db, "SORT l ALPHA LIMIT 1 3"), "-1 10 1e1");
        assert_eq!(row(&mut db, "SORT l LIMIT -5 2"), "-1 ");
        assert_eq!(row(&mut db, "SORT l LIMIT 4 100"), "10 1e1");
        assert_eq!(row(&mut db, "SORT l LIMIT 6 1"), "");
        assert_eq!(row(&mut db, "SORT none"), "");
        db.ok("RPUSH l x");
        assert_eq!(row(&mut db, "SORT l"), "(error) ERR One or more scores can't be converted into double");
    }

    #[test]
    fn native_order_is_cut_before_it_is_read() {
        let mut db = Db::new();
        db.ok("RPUSH l c a b");
        db.ok("ZADD z 1 c 2 a 3 b");
        for key in ["l", "z"] {
            assert_eq!(row(&mut db, &format!("SORT {key} BY nosort")), "c a b");
            assert_eq!(row(&mut db, &format!("SORT {key} BY nosort DESC LIMIT 0 2")), "b a");
            assert_eq!(row(&mut db, &format!("SORT {key} BY nosort LIMIT 1 -1")), "a b");
        }
        assert_eq!(db.run("OBJECT ENCODING z"), "\"skiplist\"");
    }

    #[test]
    fn weights_and_columns_are_looked_up() {
        let mut db = Db::new();
        db.ok("RPUSH l 1 2 3");
        db.ok("HSET w_1 f 30 g one");
        db.ok("HSET w_2 f 20 g two");
        assert_eq!(row(&mut db, "SORT l BY w_*->f"), "3 2 1");
        assert_eq!(row(&mut db, "SORT l BY w_*->f GET # GET w_*->g"), "3 nil 2 two 1 one");
        assert_eq!(row(&mut db, "SORT l BY w_*->f ALPHA DESC"), "1 2 3");
        assert_eq!(row(&mut db, "SORT l GET w_* GET constant LIMIT 0 1"), "nil nil");
        db.forget();
        assert_eq!(row(&mut db, "SORT l BY w_*->f GET w_*->g STORE l"), "(integer) 3");
        assert_eq!(row(&mut db, "SORT l BY nosort"), " two one");
        assert_eq!(db.events(), ["keymiss w_3", "keymiss w_3", "sortstore l"]);
        assert_eq!(db.journal(), ["SORT l BY w_*->f GET w_*->g STORE l"]);
    }

    #[test]
    fn an_empty_result_removes_the_target() {
        let mut db = Db::new();
        db.ok("RPUSH target 1");
        db.forget();
        assert_eq!(row(&mut db, "SORT none STORE target"), "(integer) 0");
        assert_eq!(db.events(), ["keymiss none", "del target"]);
        assert_eq!(row(&mut db, "SORT none STORE target"), "(integer) 0");
        assert_eq!(db.journal(), ["SORT none STORE target"]);
        assert_eq!(row(&mut db, "SORT_RO none STORE target"), "(error) ERR syntax error");
    }

    #[test]
    fn a_stored_set_has_one_order_only() {
        let mut db = Db::new();
        db.ok("SADD s c a b x y z");
        assert_eq!(row(&mut db, "SORT s BY nosort STORE l"), "(integer) 6");
        assert_eq!(row(&mut db, "SORT l BY nosort"), "a b c x y z");
        assert_eq!(row(&mut db, "SORT s BY none_* ALPHA DESC"), "z y x c b a");
    }

    #[test]
    fn options_are_read_before_the_type_is_looked_at() {
        let mut db = Db::new();
        db.ok("HSET h f v");
        assert_eq!(row(&mut db, "SORT h LIMIT 0"), "(error) ERR syntax error");
        assert_eq!(
            row(&mut db, "SORT h LIMIT x 1 FOO"),
            "(error) ERR value is not an integer or out of range"
        );
        assert_eq!(
            row(&mut db, "SORT h"),
            "(error) WRONGTYPE Operation against a key holding the wrong kind of value"
        );
    }
}
