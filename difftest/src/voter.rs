//! The model as the third voter of a live run: it judges what the reference answered, and where reference and kevy
//! disagree it says which of the two it sides with.
//!
//! A reply on which reference and kevy agree is judged once. The clock is the machine's: a batch is given the time at
//! which it was sent, and whatever took effect may have done so until its replies were read ([`Model::slack`]). Where
//! that leaves open whether a deadline had passed, or after a difference that is known, the model's state means nothing
//! any more: it abstains until the plan ends, and what it judged is counted.

use std::collections::{BTreeMap, VecDeque};
use std::time::{SystemTime, UNIX_EPOCH};

use kevy::command::CommandId;
use kevy::resp::Frame;
use kevy_model::generator::CHANGED;
use kevy_model::{Delivery, Divergence, Model, Request};

use crate::compare;
use crate::runner::{Argv, Event};
use crate::state;
use crate::wire::decode;

/// Milliseconds by the clock that the servers also read.
pub fn wall_clock() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    since.as_millis() as i64
}

/// The connection on which the data are asked for at the end.
const CONTROL: usize = usize::MAX;

/// Frames that arrived and were not judged yet, by connection.
type Arrived = BTreeMap<usize, VecDeque<Frame>>;

/// What the model does not allow.
pub struct Objection {
    /// Which command of the batch, where it is about a reply.
    pub index: Option<usize>,
    pub wanted: String,
    pub got: String,
}

pub struct Voter {
    /// `None` when it abstains.
    model: Option<Model>,
    /// Replies and deliveries it has judged.
    pub votes: u64,
}

/// One batch and when it was under way.
pub struct Ballot<'b> {
    pub conn: usize,
    pub argvs: &'b [&'b Argv],
    /// Pages of one iteration: the same command again, with the cursor that the page before gave.
    pub pages: Option<CommandId>,
    pub sent: i64,
    pub read: i64,
}

impl Default for Voter {
    fn default() -> Voter {
        Voter::new()
    }
}

impl Voter {
    /// For a plan that begins on servers that have been cleared ([`state::clear`]).
    pub fn new() -> Voter {
        let mut model = Model::new(16);
        for (name, value) in state::DEFAULTS.iter().chain(&CHANGED) {
            model.config.insert((*name).to_owned(), (*value).to_owned());
        }
        Voter { model: Some(model), votes: 0 }
    }

    /// One that has no opinion, for what is not live.
    pub fn absent() -> Voter {
        Voter { model: None, votes: 0 }
    }

    pub fn abstain(&mut self) {
        self.model = None;
    }

    /// Tells it the number of a connection that others will be told of.
    pub fn introduce(&mut self, conn: usize, id: i64, now: i64) {
        let Some(model) = &mut self.model else { return };
        if !model.sessions.contains_key(&conn) {
            let request = Request { conn, now, argv: vec![b"PING".to_vec()] };
            // It is answered on a new connection, whatever else is the case.
            let _ = model.step(&request, Some(&Frame::simple("PONG")));
        }
        if let Some(session) = model.sessions.get_mut(&conn) {
            session.id = Some(id);
        }
    }

    pub fn close(&mut self, conn: usize) {
        if let Some(model) = &mut self.model {
            model.disconnect(conn);
        }
    }

    /// Which of two replies to a command about the data the model allows, at the end of a plan. `None` if it abstains.
    pub fn judge_state(
        &mut self,
        argv: &Argv,
        now: i64,
        replies: [&[u8]; 2],
    ) -> Option<[Result<(), Divergence>; 2]> {
        let model = self.model.as_mut()?;
        if model.next_deadline(now).is_some_and(|deadline| deadline <= wall_clock() + 1) {
            self.model = None;
            return None;
        }
        let request = Request { conn: CONTROL, now, argv: argv.clone() };
        let [reference, other] = replies.map(|reply| decode(reply).ok());
        let before = (reference != other).then(|| model.clone());
        let allows = |mut model: Model, reply| model.step(&request, Some(&reply)).map(|_| ());
        let own = model.step(&request, reference.as_ref()).map(|_| ());
        let others = match (before, other) {
            (Some(before), Some(other)) => allows(before, other),
            _ => own.clone(),
        };
        // Nothing of this changes anything, so that the model can go on whatever was answered.
        self.votes += u64::from(own.is_ok());
        Some([own, others])
    }

    /// Judges what the reference answered to a batch.
    pub fn vote(&mut self, ballot: &Ballot<'_>, events: &[Event]) -> Result<(), Objection> {
        let Some(mut model) = self.model.take() else { return Ok(()) };
        if !settle_time(&mut model, ballot) || is_open(&model, ballot) {
            return Ok(());
        }
        let mut arrived = Arrived::new();
        for event in events {
            match decode(&event.frame) {
                Ok(frame) => arrived.entry(event.conn).or_default().push_back(frame),
                Err(_) => return Ok(()),
            }
        }
        self.votes += judge_batch(&mut model, ballot, &mut arrived)?;
        self.model = Some(model);
        Ok(())
    }

    /// Which of two replies to the last of these commands the model allows. `None` if it abstains or got lost before.
    pub fn verdict(
        &self,
        ballot: &Ballot<'_>,
        events: &[Event],
        reference: &[u8],
        other: &[u8],
    ) -> Option<[bool; 2]> {
        let mut model = self.model.clone()?;
        let (last, before) = ballot.argvs.split_last()?;
        if ballot.pages.is_some() || !settle_time(&mut model, ballot) || is_open(&model, ballot) {
            return None;
        }
        let own =
            events.iter().filter(|event| event.conn == ballot.conn && event.frame.first() != Some(&b'>'));
        for (argv, event) in before.iter().zip(own) {
            model.step(&ballot.request(argv), Some(&decode(&event.frame).ok()?)).ok()?;
        }
        let allows = |reply: &[u8]| {
            let frame = decode(reply).ok();
            frame.is_some_and(|frame| model.clone().step(&ballot.request(last), Some(&frame)).is_ok())
        };
        Some([allows(reference), allows(other)])
    }
}

impl Ballot<'_> {
    fn request(&self, argv: &Argv) -> Request {
        Request { conn: self.conn, now: self.sent, argv: argv.clone() }
    }
}

/// Takes note of how exactly the time of the batch is known. Whether it is known well enough.
fn settle_time(model: &mut Model, ballot: &Ballot<'_>) -> bool {
    model.slack = model.slack.max(ballot.read - ballot.sent + 1);
    model.next_deadline(ballot.sent).is_none_or(|deadline| deadline > ballot.read + 1)
}

/// Whether the batch has what the model leaves open, or what a transaction of the batch would.
fn is_open(model: &Model, ballot: &Ballot<'_>) -> bool {
    let waits = |conn: &usize| model.sessions.get(conn).is_some_and(|session| session.waits());
    waits(&ballot.conn)
}

/// Returns how many frames were judged.
fn judge_batch(model: &mut Model, ballot: &Ballot<'_>, arrived: &mut Arrived) -> Result<u64, Objection> {
    let mut judged = 0;
    let rounds = match ballot.pages {
        Some(_) => arrived.get(&ballot.conn).map_or(0, VecDeque::len),
        None => ballot.argvs.len(),
    };
    let mut page = ballot.argvs[0].clone();
    for round in 0..rounds {
        let argv = if ballot.pages.is_some() { &page } else { ballot.argvs[round] };
        let index = Some(if ballot.pages.is_some() { 0 } else { round });
        let request = ballot.request(argv);
        let reply = match model.frames(&request) {
            0 => None,
            _ => arrived.get_mut(&ballot.conn).and_then(VecDeque::pop_front),
        };
        let step = model.step(&request, reply.as_ref());
        let step =
            step.map_err(|divergence| Objection { index, wanted: divergence.wanted, got: divergence.got })?;
        judged += u64::from(reply.is_some());
        for delivery in &step.deliveries {
            judged += judge_delivery(delivery, arrived, index)?;
        }
        if let (Some(at), Some(reply)) = (ballot.pages.and_then(compare::cursor_index), reply)
            && let Some(cursor) = compare::next_cursor(&reply.to_bytes())
        {
            page[at] = cursor;
        }
    }
    // A client whose patience is short has been answered in the meantime.
    for delivery in &model.advance(ballot.read).deliveries {
        judged += judge_delivery(delivery, arrived, None)?;
    }
    match arrived.iter().find(|(_, frames)| !frames.is_empty()) {
        None => Ok(judged),
        Some((conn, frames)) => Err(Objection {
            index: None,
            wanted: format!("nothing more on connection {conn}"),
            got: format!("{frames:?}"),
        }),
    }
}

/// Frames that must have arrived on a connection, in any order.
fn judge_delivery(
    delivery: &Delivery,
    arrived: &mut Arrived,
    index: Option<usize>,
) -> Result<u64, Objection> {
    let queue = arrived.entry(delivery.conn).or_default();
    let mut frames: Vec<Frame> = (0..delivery.frames.len()).map_while(|_| queue.pop_front()).collect();
    for want in &delivery.frames {
        match frames.iter().position(|frame| want.allows(frame, delivery.protocol)) {
            Some(place) => _ = frames.swap_remove(place),
            None => {
                let wanted = format!("on connection {}: {want:?}", delivery.conn);
                return Err(Objection { index, wanted, got: format!("{frames:?}") });
            }
        }
    }
    Ok(delivery.frames.len() as u64)
}
