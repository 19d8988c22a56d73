//! Clients that wait for a key, and how they are served.
//!
//! After a command (after all of a transaction), every key that was added meanwhile is offered to the clients waiting
//! for it, the longest-waiting first, in the order in which the keys were added. A client served runs its command
//! again from the start, so that a command with several keys takes from the first of them that has something. What it
//! adds (BLMOVE) is offered after those that were added before.

use std::collections::BTreeSet;

use crate::gates::{OUT_OF_MEMORY, resolve};
use crate::number::{LongDouble, int, int_from};
use crate::{Answer, Ask, Bytes, Delivery, Millis, Model, Step, Value, Want};

/// A client in a blocking command.
#[derive(Clone, Debug)]
pub struct Blocked {
    /// Its place in the order in which clients blocked.
    pub since: u64,
    pub argv: Vec<Bytes>,
    pub db: usize,
    pub keys: Vec<Bytes>,
    pub on: BlockedOn,
    /// The answer when its time is up.
    pub too_late: Want,
    /// Forever if none.
    pub deadline: Option<Millis>,
}

/// A key that was added, and is to be offered to those who wait for it.
#[derive(Clone, Debug)]
pub struct Ready {
    db: usize,
    key: Bytes,
    /// The [`Model::command`] that it was added by, or that has served who has added it.
    by: u64,
    /// Since its turn has come: the place of who was offered it last, and how many clients had blocked by then.
    offering: Option<(Option<u64>, u64)>,
}

/// Who is offered a key next.
struct Offer {
    /// Of the key, among those that are ready.
    place: usize,
    conn: usize,
    since: u64,
    last: u64,
}

/// The type of value that a client waits for, or none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BlockedOn {
    List,
    Zset,
    /// No key: what WAIT and WAITAOF wait for does not come.
    Replicas,
}

impl BlockedOn {
    fn is(self, value: &Value) -> bool {
        match self {
            BlockedOn::List => matches!(value, Value::List(_)),
            BlockedOn::Zset => matches!(value, Value::Zset(_)),
            BlockedOn::Replicas => false,
        }
    }
}

/// A timeout in seconds, with fractions, as a moment; `None` for 0, which waits forever.
pub fn deadline(ask: &Ask, timeout: &[u8]) -> Result<Option<Millis>, String> {
    let seconds = LongDouble::parse(timeout).ok_or("ERR timeout is not a float or out of range")?;
    let millis = seconds.times_1000().ceil_to_i64().ok_or("ERR timeout is out of range")?;
    match millis {
        ..0 => Err("ERR timeout is negative".into()),
        0 => Ok(None),
        _ => Ok(Some(ask.now.checked_add(millis).ok_or("ERR timeout is out of range")?)),
    }
}

/// A timeout in milliseconds, as WAIT has it.
pub fn deadline_in_millis(ask: &Ask, timeout: &[u8]) -> Result<Option<Millis>, String> {
    match int(timeout).ok_or("ERR timeout is not an integer or out of range")? {
        ..0 => Err("ERR timeout is negative".into()),
        0 => Ok(None),
        millis => Ok(Some(ask.now.checked_add(millis).ok_or("ERR timeout is out of range")?)),
    }
}

/// A count of keys and where they end: `LMPOP 2 a b …`.
pub fn counted_keys<'a>(ask: &Ask<'a>, at: usize) -> Result<(&'a [Bytes], usize), String> {
    let count = int_from(ask.arg(at), 1..=i64::MAX).ok_or("ERR numkeys should be greater than 0")?;
    let end = (at as i64 + 1).checked_add(count).filter(|&end| end <= ask.argc() as i64);
    let end = end.ok_or(crate::keyspace::SYNTAX)? as usize;
    Ok((&ask.argv[at + 1..end], end))
}

impl Model {
    /// Makes the client wait.
    pub(crate) fn block(
        &mut self,
        ask: &Ask,
        keys: &[Bytes],
        on: BlockedOn,
        deadline: Option<Millis>,
    ) -> Answer {
        self.block_until(ask, keys, on, deadline, Want::NilArray)
    }

    /// Makes the client wait; at the deadline it is answered `too_late`.
    pub(crate) fn block_until(
        &mut self,
        ask: &Ask,
        keys: &[Bytes],
        on: BlockedOn,
        deadline: Option<Millis>,
        too_late: Want,
    ) -> Answer {
        let since = self.blocked_so_far;
        self.blocked_so_far += 1;
        let (argv, keys) = (ask.argv.to_vec(), keys.to_vec());
        self.session(ask.conn).blocked =
            Some(Blocked { since, argv, db: ask.db, keys, on, too_late, deadline });
        Ok(Want::Blocks)
    }

    /// Remembers that a key was added, if someone waits for it.
    pub(crate) fn offer(&mut self, db: usize, key: &[u8]) {
        let mut blocked = self.sessions.values().filter_map(|session| session.blocked.as_ref());
        if self.dbs[db].get(key).is_some_and(|entry| !blocked.any(|blocked| blocked.on.is(&entry.value))) {
            // Nobody anywhere waits for a value of this type. What the key holds by the end of a transaction does not matter.
            return;
        }
        let ready = Ready { db, key: key.to_vec(), by: self.command, offering: None };
        let known = |other: &Ready| {
            (other.by, other.db, &other.key, other.offering) == (ready.by, db, &ready.key, None)
        };
        if !self.ready.iter().any(known) && !self.waiting_for(db, key).is_empty() {
            self.ready.push(ready);
        }
    }

    /// Who waits for a key, with his place in its queue, the longest waiting first.
    fn waiting_for(&self, db: usize, key: &[u8]) -> Vec<(u64, usize)> {
        let waits = |blocked: &Blocked| blocked.db == db && blocked.keys.iter().any(|one| one == key);
        let mut waiting: Vec<_> = (self.sessions.iter())
            .filter_map(|(&conn, session)| {
                session.blocked.as_ref().filter(|b| waits(b)).map(|b| (b.since, conn))
            })
            .collect();
        waiting.sort_unstable();
        waiting
    }

    pub(crate) fn serve_blocked(&mut self, now: Millis) {
        if self.serves_later {
            return;
        }
        while let Some(offer) = self.next_offer(self.command) {
            self.serve_offered(&offer, now);
        }
        self.ready.clear();
    }

    /// Who is served next by what this command has made ready, itself or by those who were served. Keys come in the order in
    /// which they became ready, and each is offered once to everybody who waited for it when its turn came.
    fn next_offer(&self, by: u64) -> Option<Offer> {
        let of_command = self.ready.iter().enumerate().filter(|(_, ready)| ready.by == by);
        let mut offers = of_command.flat_map(|(place, ready)| {
            let (after, last) = ready.offering.unwrap_or((None, self.blocked_so_far));
            let waiting = self.waiting_for(ready.db, &ready.key).into_iter();
            let waiting = waiting.filter(move |&(since, _)| Some(since) > after && since < last);
            waiting.map(move |(since, conn)| Offer { place, conn, since, last })
        });
        offers.find(|offer| {
            let Ready { db, key, .. } = &self.ready[offer.place];
            let blocked = self.sessions[&offer.conn].blocked.as_ref();
            blocked.zip(self.dbs[*db].get(key)).is_some_and(|(blocked, entry)| blocked.on.is(&entry.value))
        })
    }

    fn serve_offered(&mut self, offer: &Offer, now: Millis) {
        let ready = &mut self.ready[offer.place];
        ready.offering = Some((Some(offer.since), offer.last));
        let by = ready.by;
        // Those before it have held nothing for anybody.
        let mut place = 0;
        self.ready.retain(|ready| {
            place += 1;
            ready.by != by || place > offer.place
        });
        self.command = by;
        if let Some(blocked) = self.session(offer.conn).blocked.clone() {
            self.serve(offer.conn, blocked, now);
        }
    }

    /// Serves a client that waits, for a runner to whom a server tells when it does so. It must be the next one to be served
    /// by what one of the commands has made ready whose [`Model::command`] is still remembered: those may have been executed
    /// at the same time.
    pub fn serve_now(&mut self, conn: usize, now: Millis) -> Result<Step, String> {
        let commands: BTreeSet<u64> = self.ready.iter().map(|ready| ready.by).collect();
        let mut offers = commands.into_iter().filter_map(|by| self.next_offer(by));
        let offer = offers.find(|offer| offer.conn == conn);
        self.serve_offered(&offer.ok_or("others come before it, or there is nothing for it")?, now);
        Ok(self.take_step())
    }

    /// Whoever could be served by what these commands have made ready has been.
    pub fn forget_ready(&mut self, by: impl Fn(u64) -> bool) {
        self.ready.retain(|ready| !by(ready.by));
    }

    /// Runs the command of a client that waits again although nothing is left for it: what was offered to it was evicted
    /// when room was made for that command.
    pub fn serve_in_vain(&mut self, conn: usize, now: Millis) -> Result<Step, String> {
        let blocked = self.session(conn).blocked.clone().ok_or("it waits for nothing")?;
        let held =
            |key: &Bytes| self.dbs[blocked.db].get(key).is_some_and(|entry| blocked.on.is(&entry.value));
        if blocked.keys.iter().any(held) {
            return Err("there is something for it".into());
        }
        self.serve(conn, blocked, now);
        Ok(self.take_step())
    }

    /// Keys that hold something for a client that waits.
    pub fn owed(&self) -> Vec<(usize, Bytes)> {
        let blocked = self.sessions.values().filter_map(|session| session.blocked.as_ref());
        let keys = blocked.flat_map(|blocked| blocked.keys.iter().map(move |key| (blocked, key)));
        let held = keys.filter(|(blocked, key)| {
            self.dbs[blocked.db].get(*key).is_some_and(|entry| blocked.on.is(&entry.value))
        });
        held.map(|(blocked, key)| (blocked.db, key.clone())).collect()
    }

    fn serve(&mut self, conn: usize, blocked: Blocked, now: Millis) {
        self.session(conn).blocked = None;
        if resolve(&blocked.argv).is_ok_and(|command| self.must_wait(conn, command, now)) {
            // Its command is as one that comes while clients are paused.
            self.hold_back(conn, blocked.argv);
            return;
        }
        let before = self.deliveries.len();
        let want = self.call_served(conn, now, &blocked.argv).unwrap_or_else(Want::Error);
        match &mut self.session(conn).blocked {
            // It waits again: at the end of the queue, but not for longer.
            Some(again) => again.deadline = blocked.deadline,
            None => {
                // As everywhere, the reply comes before messages about what it did.
                let messages = self.deliveries.split_off(before);
                self.deliver_reply(conn, want);
                self.deliveries.extend(messages);
            }
        }
    }

    /// Whether there is memory for what a command may add is looked at again when it is served.
    fn call_served(&mut self, conn: usize, now: Millis, argv: &[Bytes]) -> Answer {
        if self.out_of_memory && self.needs_memory(conn, resolve(argv)?) {
            return Err(OUT_OF_MEMORY.into());
        }
        self.call(conn, now, argv, true, None)
    }

    pub(crate) fn time_out_blocked(&mut self, now: Millis) {
        let late = |blocked: &Blocked| blocked.deadline.is_some_and(|deadline| now >= deadline);
        let conns: Vec<usize> = (self.sessions.iter())
            .filter(|(_, session)| session.blocked.as_ref().is_some_and(late))
            .map(|(&conn, _)| conn)
            .collect();
        for conn in conns {
            self.unblock(conn, None);
        }
    }

    /// Ends the wait with this error, or as if its time were up.
    pub(crate) fn unblock(&mut self, conn: usize, error: Option<&str>) {
        let Some(blocked) = self.session(conn).blocked.take() else { return };
        self.deliver_reply(conn, error.map_or(blocked.too_late, |error| Want::Error(error.into())));
    }

    pub(crate) fn deliver_reply(&mut self, conn: usize, reply: Want) {
        let protocol = self.protocol(conn);
        for frame in self.audible(conn, reply) {
            self.deliveries.push(Delivery { conn, protocol, frames: vec![frame] });
        }
    }
}
