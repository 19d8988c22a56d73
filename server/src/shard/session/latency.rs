//! The LATENCY family and the monitor behind it: events that took at least `latency-monitor-threshold` milliseconds,
//! the last `SAMPLES` seconds of each in which there was one, and per-command histograms (`latency-tracking`). Every shard
//! notes its own; answers are about all of them.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;

use kevy::command::table::{TABLE, lookup_full_name};
use kevy::command::{Command, CommandError, Flags};

use super::{Outcome, Session};
use crate::shard::Shard;
use crate::shard::stats::Histogram;

/// Samples kept of an event; also how many columns a graph can have at most.
const SAMPLES: usize = 160;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sample {
    unix_seconds: u64,
    millis: u64,
}

/// One kind of event: at most one sample a second, the worst.
#[derive(Clone, Default)]
struct Event {
    samples: VecDeque<Sample>,
    max: u64,
}

impl Event {
    /// Takes in what another shard has noted of the same kind.
    fn merge(&mut self, other: &Event) {
        self.max = self.max.max(other.max);
        let mut worst: BTreeMap<u64, u64> = BTreeMap::new();
        for sample in self.samples.iter().chain(&other.samples) {
            let millis = worst.entry(sample.unix_seconds).or_default();
            *millis = sample.millis.max(*millis);
        }
        let samples = worst.into_iter().map(|(unix_seconds, millis)| Sample { unix_seconds, millis });
        self.samples = samples.rev().take(SAMPLES).collect();
        self.samples.make_contiguous().reverse();
    }
}

/// See the module documentation.
#[derive(Default)]
pub struct State {
    events: Events,
}

type Events = BTreeMap<&'static str, Event>;

impl Shard {
    /// What all shards that are here have noted.
    fn latency_events(&self) -> Events {
        let mut all = Events::new();
        for shard in self.present() {
            for (name, event) in &shard.session.latency.events {
                all.entry(name).or_default().merge(event);
            }
        }
        all
    }

    /// Notes that something took `micros`, if that is long.
    pub(in crate::shard) fn sample_latency(&mut self, event: &'static str, micros: u64) {
        let threshold = self.config.latency.monitor_threshold;
        let millis = micros / 1000;
        if threshold == 0 || millis < threshold {
            return;
        }
        let unix_seconds = self.now.unix / 1000;
        let event = self.session.latency.events.entry(event).or_default();
        event.max = event.max.max(millis);
        match event.samples.back_mut() {
            Some(last) if last.unix_seconds == unix_seconds => last.millis = last.millis.max(millis),
            _ => {
                if event.samples.len() == SAMPLES {
                    event.samples.pop_front();
                }
                event.samples.push_back(Sample { unix_seconds, millis });
            }
        }
    }
}

/// The event that a slow command is counted under.
pub(in crate::shard) fn event_of(command: &Command) -> &'static str {
    if command.flags.contains(Flags::FAST) { "fast-command" } else { "command" }
}

pub fn latest(s: &mut Session<'_>) -> Outcome {
    let events = s.shard.latency_events();
    let r = &mut s.reply;
    r.array(events.len());
    for (name, event) in &events {
        let last = event.samples.back().expect("an event begins with a sample");
        r.array(4);
        r.bulk(name.as_bytes());
        r.int(last.unix_seconds as i64);
        r.int(last.millis as i64);
        r.int(event.max as i64);
    }
    Ok(())
}

pub fn history(s: &mut Session<'_>) -> Outcome {
    let event = event(s.shard, s.args.at(2)).map(|(_, event)| event);
    let r = &mut s.reply;
    r.array(event.as_ref().map_or(0, |event| event.samples.len()));
    for sample in event.iter().flat_map(|event| &event.samples) {
        r.array(2);
        r.int(sample.unix_seconds as i64);
        r.int(sample.millis as i64);
    }
    Ok(())
}

fn event(shard: &Shard, name: &[u8]) -> Option<(&'static str, Event)> {
    shard.latency_events().into_iter().find(|(known, _)| known.as_bytes() == name)
}

pub fn reset(s: &mut Session<'_>) -> Outcome {
    let before = s.shard.latency_events().len();
    let (all, args) = (s.args.len() == 2, s.args);
    let given = |name: &str| all || args.iter().skip(2).any(|given| given == name.as_bytes());
    s.shard.everywhere(|shard| shard.session.latency.events.retain(|name, _| !given(name)));
    let gone = before - s.shard.latency_events().len();
    s.reply.int(gone as i64);
    Ok(())
}

pub fn graph(s: &mut Session<'_>) -> Outcome {
    let Some((name, event)) = event(s.shard, s.args.at(2)) else {
        return Err(CommandError::quoting("ERR No samples available for event '", s.args.at(2), "'"));
    };
    let text = draw(name, &event, s.shard.now.unix / 1000);
    s.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}

/// The graph: a title, a line, four rows of columns filled from the bottom, an empty row, and each sample's age written
/// downwards.
fn draw(name: &str, event: &Event, unix_seconds: u64) -> String {
    const ROWS: usize = 4;
    /// A cell a third, two thirds and wholly filled at its top.
    const FILL: [char; 3] = ['_', 'o', '#'];
    let low = event.samples.iter().map(|sample| sample.millis).min().unwrap_or(0);
    let high = event.samples.iter().map(|sample| sample.millis).max().unwrap_or(0);
    let mut text = format!(
        "{name} - high {high} ms, low {low} ms (all time high {} ms)\n{}\n",
        event.max,
        "-".repeat(80)
    );
    let range = if high == low { 1.0 } else { (high - low) as f64 };
    let steps = FILL.len() * ROWS;
    let heights: Vec<usize> = (event.samples.iter())
        .map(|sample| ((((sample.millis - low) as f64 * steps as f64) / range) as usize).min(steps - 1))
        .collect();
    let labels: Vec<Vec<char>> =
        event.samples.iter().map(|sample| age(unix_seconds.saturating_sub(sample.unix_seconds))).collect();
    for row in (0..ROWS).rev() {
        let base = row * FILL.len();
        text.extend(heights.iter().map(|&height| match height.checked_sub(base) {
            None => ' ',
            Some(above) => FILL.get(above).copied().unwrap_or('|'),
        }));
        text.push('\n');
    }
    text.push_str(&" ".repeat(heights.len()));
    text.push('\n');
    for row in 0..labels.iter().map(Vec::len).max().unwrap_or(0) {
        text.extend(labels.iter().map(|label| label.get(row).copied().unwrap_or(' ')));
        text.push('\n');
    }
    text
}

fn age(seconds: u64) -> Vec<char> {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
    .chars()
    .collect()
}

pub fn doctor(s: &mut Session<'_>) -> Outcome {
    let mut text = String::new();
    let events = s.shard.latency_events();
    if s.shard.config.latency.monitor_threshold == 0 {
        text.push_str(
            "The latency monitor is off, so there is nothing to diagnose. Turn it on with \"CONFIG SET \
             latency-monitor-threshold <milliseconds>\".\n",
        );
    } else if events.is_empty() {
        text.push_str(
            "No event has taken longer than latency-monitor-threshold since the monitor was turned on.\n",
        );
    } else {
        text.push_str("Events that took longer than latency-monitor-threshold:\n\n");
        for (at, (name, event)) in events.iter().enumerate() {
            let count = event.samples.len() as u64;
            let sum: u64 = event.samples.iter().map(|sample| sample.millis).sum();
            let (first, last) =
                (event.samples[0].unix_seconds, event.samples[count as usize - 1].unix_seconds);
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{}. {name}: {count} seconds with latency spikes, average {} ms, one every {} seconds, worst ever {} ms.",
                at + 1,
                sum / count,
                (last - first) / count,
                event.max,
            );
        }
        text.push_str("\nWhat to look at:\n\n");
        if events.contains_key("command") {
            text.push_str(
                "- Slow commands: see SLOWLOG GET; large collections are better read in parts (SCAN, HSCAN, SSCAN, \
                 ZSCAN, LRANGE with bounds).\n",
            );
        }
        if events.contains_key("fast-command") {
            text.push_str(
                "- Fast commands were slow: the machine may be overloaded, swapping, or a noisy neighbour's guest.\n",
            );
        }
        if events.keys().any(|name| name.contains("cycle")) {
            text.push_str(
                "- Expiry or eviction took long: spread the deadlines of keys, or raise maxmemory.\n",
            );
        }
    }
    s.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}

pub fn histogram(s: &mut Session<'_>) -> Outcome {
    let mut wanted: Vec<&'static Command> = Vec::new();
    if s.args.len() == 2 {
        wanted.extend(TABLE.iter());
    }
    for name in s.args.iter().skip(2) {
        if let Some(command) = lookup_full_name(name) {
            wanted.push(command);
            wanted.extend(command.subcommands());
        }
    }
    let r = &mut s.reply;
    s.shard.with_all_counters(|shard| {
        let stats = &shard.stats.by_command;
        wanted.retain(|command| stats[command.id as usize].latency.total() > 0);
        r.map(wanted.len());
        for command in wanted {
            let histogram = &stats[command.id as usize].latency;
            r.bulk(command.name.as_bytes());
            r.map(2);
            r.bulk(b"calls");
            r.int(histogram.total() as i64);
            r.bulk(b"histogram_usec");
            r.map(histogram.counts.iter().filter(|&&count| count > 0).count());
            let mut cumulative = 0u64;
            for (bucket, &count) in histogram.counts.iter().enumerate() {
                if count > 0 {
                    cumulative += u64::from(count);
                    r.int(Histogram::bound_nanos(bucket) as i64 / 1000);
                    r.int(cumulative as i64);
                }
            }
        }
    });
    Ok(())
}

pub fn help(s: &mut Session<'_>) -> Outcome {
    s.help(&[
        "DOCTOR",
        "    Return a human readable latency analysis report.",
        "GRAPH <event>",
        "    Return an ASCII latency graph for the <event> class.",
        "HISTORY <event>",
        "    Return time-latency samples for the <event> class.",
        "LATEST",
        "    Return the latest latency samples for all events.",
        "RESET [<event> ...]",
        "    Reset latency data of one or more <event> classes.",
        "    (default: reset all data for all event classes)",
        "HISTOGRAM [COMMAND ...]",
        "    Return a cumulative distribution of latencies in the format of a histogram for the specified command names.",
        "    If no commands are specified then all histograms are replied.",
    ]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shards_have_noted_is_one_event() {
        let event = |samples: &[(u64, u64)], max| {
            let sample = |&(unix_seconds, millis): &(u64, u64)| Sample { unix_seconds, millis };
            Event { samples: samples.iter().map(sample).collect(), max }
        };
        let mut one = event(&[(10, 5), (12, 7)], 9);
        one.merge(&event(&[(10, 6), (11, 1), (12, 2)], 8));
        let expected = event(&[(10, 6), (11, 1), (12, 7)], 9);
        assert_eq!((one.samples, one.max), (expected.samples, expected.max));
        let many = |from: u64| event(&(from..from + 100).map(|second| (second, 1)).collect::<Vec<_>>(), 1);
        let mut one = many(0);
        one.merge(&many(100));
        assert_eq!((one.samples.len(), one.samples[0].unix_seconds), (SAMPLES, 40));
    }

    #[test]
    fn a_graph_as_redis_draws_it() {
        let mut event = Event { max: 30, ..Event::default() };
        for (unix_seconds, millis) in [(10, 20), (11, 30), (12, 13)] {
            event.samples.push_back(Sample { unix_seconds, millis });
        }
        let expected = format!(
            "command - high 30 ms, low 13 ms (all time high 30 ms)\n{}\n # \n | \no| \n||_\n   \n210\nsss\n",
            "-".repeat(80)
        );
        assert_eq!(draw("command", &event, 12), expected);
    }
}
