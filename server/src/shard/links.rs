//! What several shards do together: the order they follow, visits, and commands that need more than one of them.
//!
//! The box that travels is the whole [`Shard`]: its slice of the keyspace and its connections. Only sockets stay with
//! the thread, so whoever holds several boxes can run any command over them with the handler it has. A connection has
//! one command under way at a time:
//!
//! - on the own slice alone: run at once, as on a server with one shard;
//! - on other slices whose boxes are at home: they are taken, brought up to date, and lend their databases; see
//!   `visit`;
//! - on one other slice whose box is busy, or on several that it does not need at once, as MGET, MSET and DEL do: an entry
//!   of the order whose *parts* run independently, see [`together`](super::together). So does a pipeline of such commands;
//! - anything else is an entry of the order too, a *gather*, that names the connection's box and those of the keys. Every
//!   box is dropped into the entry's mailbox by whoever brings it up to date to that position; the last to arrive runs
//!   the command over all of them and puts them back.
//!
//! Why this is right. A command runs while all boxes it touches are in one hand, each having applied every entry below
//! the tail that was loaded after the command was read: so it sees what was answered before it was sent, and commands
//! that share a box run one after the other there. Something that touched two boxes at two positions could be half before
//! an entry and half behind it: so a gather has all its boxes at one position, and so have boxes that are visited together.
//! Parts have one position too, and none of them looks at another's box.
//!
//! There is no other way for a message from box to box than the order. A message that is an entry needs no credit, no
//! second queue beside the order that each box would have to merge with it, and no rule for a connection that changes
//! from one to the other. What it costs is that boxes that are not named step over it.
//!
//! *Time is in the order.* Entries carry the clock of their author, a box's clock is the latest it has applied, and who
//! finds the real clock ahead of it appends a tick first. So a key that is seen to have expired on one box is not seen
//! alive afterwards on another.
//!
//! *Who hears of a command has a part in it.* While somebody is subscribed and keyspace events are published, or somebody
//! monitors, a command that may cause an event or be shown needs the boxes of those connections too: events and lines are
//! delivered where it is executed, at its position, and one that was published behind it could be overtaken by what it
//! caused. Who begins to listen says so at a first position and listens from a second on, so that everything appended
//! without knowing of it lies before: see `Shard::announces`. (Keys that are evicted to make room are told of by messages
//! in the order instead, after the fact.)
//!
//! *Who waits is served where the key becomes ready.* A client that waits for keys of other shards has a *claim* in their
//! queues. A command that may add something to such a key is a gather, with the boxes of those whom it may serve as well (see
//! `Shard::waited_for`), and what it makes ready is offered at its position: keys in the order in which they became ready,
//! by numbers from one counter, each to those who waited for it by then, as Redis does it. Sometimes that cannot be foreseen: a
//! batch was appended before somebody began to wait, or more wait than are looked at. Then the keys stay, and an entry is
//! appended that *calls* for the boxes; until that has been executed nobody begins a command.
//!
//! *A connection's commands have ascending positions.* What a visit has shown of another box may lie ahead of the own one:
//! nothing runs on the own slice before it has caught up. (The answer of a batch is written once the own box has passed it.)
//!
//! Rules that everything here keeps: append first, then notify; nobody waits while holding a box; a box is synced after
//! own appends before it leaves a hand.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Deref;
use std::sync::atomic::Ordering;

use kevy::command::{Command, CommandError, CommandId, Flags, Handler};
use kevy::keyspace::{Class, EvictionPolicy, UnixMillis};
use kevy::resp::Argv;

use super::conn::{ClientId, Conn, ConnId, Waiting};
use super::pause::let_go;
use super::realm::{Call, Claim, DbKey, Kinds, Offer};
use super::together::{Together, is_plain};
use super::witness::Witness;
use super::{Now, Shard};
use crate::order::log::{Cursor, Log, Position};
use crate::order::mailbox::Mailbox;
use crate::order::place::{Hand, Visitor};
use crate::order::sleep::Waker;
use crate::order::tally::Tally;
use crate::order::word::Left;
use crate::reactor::several::{Bell, Limits};
use crate::sync::{Arc, AtomicBool, AtomicU64, AtomicUsize};

/// Number of a shard, its thread and its box.
pub type ShardId = usize;

/// A set of shards.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Shards(u64);

impl Shards {
    /// The most shards that a server can have.
    pub const MAX: usize = 64;

    pub const NONE: Shards = Shards(0);

    pub fn one(shard: ShardId) -> Self {
        Self(1 << shard)
    }

    pub fn all(count: usize) -> Self {
        Self(u64::MAX >> (Self::MAX - count))
    }

    pub fn with(self, other: Shards) -> Self {
        Self(self.0 | other.0)
    }

    pub fn minus(self, other: Shards) -> Self {
        Self(self.0 & !other.0)
    }

    pub fn without(self, shard: ShardId) -> Self {
        Self(self.0 & !(1 << shard))
    }

    pub fn contains(self, shard: ShardId) -> bool {
        self.0 >> shard & 1 == 1
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The only one, if there is one.
    pub fn single(self) -> Option<ShardId> {
        (self.len() == 1).then(|| self.0.trailing_zeros() as usize)
    }

    pub fn iter(self) -> impl Iterator<Item = ShardId> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let next = (left != 0).then(|| left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(next)
        })
    }
}

impl fmt::Debug for Shards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// A connection of this server, wherever it was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    pub shard: ShardId,
    pub conn: ConnId,
    pub client: ClientId,
}

/// What happens at one position of the order.
pub struct Entry {
    /// Its author's clock.
    clock: UnixMillis,
    /// Whom it concerns.
    shards: Shards,
    what: What,
}

enum What {
    /// Time passes.
    Tick,
    Gather(Gather),
    /// A connection's commands, each at home in one slice.
    Together(Together),
    /// A message to the subscribers of a channel: a keyspace event.
    Publish {
        channel: Vec<u8>,
        message: Vec<u8>,
    },
    /// A connection watches these keys no more.
    Unwatch(Vec<DbKey>),
    /// A connection's wait with this number is over.
    Unwait(Origin, u64),
}

/// A command that needs several boxes.
struct Gather {
    mailbox: Mailbox<Hand<Shard>>,
    origin: Origin,
    task: Task,
}

enum Task {
    Command(&'static Command, Argv, Option<Announced>),
    /// The same, of a command that pauses clients, which has been announced.
    Pausing(&'static Command, Argv, Option<Announced>),
    /// An EXEC that was refused, with the error: it is shown to monitors.
    Abort(&'static Command, Argv, CommandError),
    /// A [call](Call): keys that are ready are offered to those who wait for them.
    Serve,
    /// Keys whose time is up are removed from the origin's slice, and somebody elsewhere hears of it.
    Expire,
    /// What CLIENT PAUSE has held back is let go, as wherever all boxes have met, or the rest of it.
    LetGo {
        rest: bool,
    },
}

/// That somebody is about to listen was announced when it had been taken back so often: in his shard, and that keyspace
/// events are about to be published.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Announced {
    taken_back: u64,
    unpublished: u64,
}

/// What all shards of a server share beside the order: numbers.
pub struct Common {
    pub clients: AtomicUsize,
    last_client: AtomicU64,
    last_slowlog: AtomicU64,
    /// See [`pause`](super::pause).
    last_ticket: AtomicU64,
    /// The shards where somebody is subscribed, and where somebody monitors.
    subscribed: AtomicU64,
    monitored: AtomicU64,
    /// Keyspace events are about to be published, and how often that was over.
    to_publish: AtomicBool,
    unpublished: AtomicU64,
    /// Clients that wait for keys of other shards.
    pub away: AtomicUsize,
    /// [Calls](Call) that have not been executed yet. As long as there is one, nobody begins a command: it might come between a
    /// push and those who are served by it.
    debts: AtomicUsize,
    last_ready: AtomicU64,
    pub(super) kinds: std::sync::Arc<Kinds>,
    /// By shard, the bytes that its clients hold.
    pub(super) client_memory: [AtomicU64; Shards::MAX],
    /// By shard, the batches of its connections that are complete.
    completed: [Tally; Shards::MAX],
}

impl Default for Common {
    fn default() -> Self {
        Self {
            clients: AtomicUsize::new(0),
            last_client: AtomicU64::new(0),
            last_slowlog: AtomicU64::new(0),
            last_ticket: AtomicU64::new(0),
            subscribed: AtomicU64::new(0),
            monitored: AtomicU64::new(0),
            to_publish: AtomicBool::new(false),
            unpublished: AtomicU64::new(0),
            away: AtomicUsize::new(0),
            debts: AtomicUsize::new(0),
            last_ready: AtomicU64::new(0),
            kinds: std::sync::Arc::default(),
            client_memory: std::array::from_fn(|_| AtomicU64::new(0)),
            completed: std::array::from_fn(|_| Tally::default()),
        }
    }
}

impl Common {
    pub fn next_client(&self) -> ClientId {
        self.last_client.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub fn completed(&self, shard: ShardId) -> &Tally {
        &self.completed[shard]
    }

    pub(super) fn next_ticket(&self) -> u64 {
        self.last_ticket.fetch_add(1, Ordering::Relaxed)
    }

    /// The number of a commit that has made keys ready, or of a call.
    pub(super) fn next_ready(&self) -> u64 {
        self.last_ready.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub fn next_slowlog(&self) -> u64 {
        self.last_slowlog.fetch_add(1, Ordering::Relaxed)
    }
}

/// Wakes a shard's thread.
#[derive(Clone)]
pub struct Ringer {
    pub waker: Waker,
    pub bell: std::sync::Arc<dyn Bell>,
}

/// A shard's ties to the others.
pub struct Links {
    me: ShardId,
    count: usize,
    log: Arc<Log<Entry>>,
    cursor: Cursor<Entry>,
    visitors: Vec<Visitor<Shard>>,
    ringers: Vec<Ringer>,
    /// The time of the order at the cursor.
    clock: UnixMillis,
    /// The latest of all boxes in this hand.
    clock_here: UnixMillis,
    /// See [`Shard::is_undisturbed`].
    undisturbed: bool,
    /// Shards to be notified of what was appended.
    notify: Shards,
    /// Where the order ended when it was found full last.
    refused: Option<Position>,
    /// What could not be appended yet because the log was full, in order.
    unsent: VecDeque<Arc<Entry>>,
    /// Connections whose command is to be read again.
    stalled: Vec<ConnId>,
    /// Batches of this shard's connections that are not answered yet.
    outstanding: VecDeque<Arc<Entry>>,
    /// How many were complete when they were last looked through.
    answered: usize,
    /// How far the order was followed by other boxes, as connections of this shard have seen.
    seen: Position,
    /// An entry is executed: who hears of it is here, or listens from a later position on. What is done otherwise, as keys
    /// that are evicted, is told to subscribers elsewhere by messages in the order.
    in_entry: bool,
    /// The thread was told to wait until some time, and may have to look earlier.
    rescheduled: bool,
    last_wait: u64,
    /// Whose turn it is to make room.
    evicts_next: ShardId,
    /// Where there was nothing to evict when it was looked there last.
    had_nothing: Shards,
    /// Boxes of others that were wanted for a stay.
    sought: Shards,
    /// Batches executed in the stay that is under way.
    stayed: usize,
    limits: Limits,
    /// Which command of the batch at the cursor is being executed, counted from 1.
    member: usize,
    /// How often nobody of this shard listened any more.
    taken_back: u64,
    witness: Option<std::sync::Arc<Witness>>,
}

impl Links {
    pub fn new(
        me: ShardId,
        log: Arc<Log<Entry>>,
        cursor: Cursor<Entry>,
        visitors: Vec<Visitor<Shard>>,
        ringers: Vec<Ringer>,
        limits: Limits,
        witness: Option<std::sync::Arc<Witness>>,
    ) -> Self {
        Self {
            me,
            count: visitors.len(),
            log,
            cursor,
            visitors,
            ringers,
            clock: 0,
            clock_here: 0,
            undisturbed: false,
            notify: Shards::NONE,
            refused: None,
            unsent: VecDeque::new(),
            stalled: Vec::new(),
            outstanding: VecDeque::new(),
            answered: 0,
            seen: 0,
            in_entry: false,
            rescheduled: false,
            last_wait: 0,
            evicts_next: me,
            had_nothing: Shards::NONE,
            sought: Shards::NONE,
            stayed: 0,
            limits,
            member: 0,
            taken_back: 0,
            witness,
        }
    }

    pub(super) fn witness(&self) -> Option<&Witness> {
        self.witness.as_deref()
    }

    pub(super) fn position(&self) -> Position {
        self.cursor.position()
    }

    /// See [`At::member`](super::witness::At::member).
    pub(super) fn member(&self) -> usize {
        self.member
    }

    /// Whether the boxes that are here belong to an entry of the order.
    pub(super) fn in_entry(&self) -> bool {
        self.in_entry
    }

    pub(super) fn set_member(&mut self, member: usize) {
        self.member = member;
    }

    /// Connections of this shard have seen another box at this position.
    pub(super) fn see(&mut self, position: Position) {
        self.seen = self.seen.max(position);
    }

    /// Whether the own box stands where connections of this shard have seen others.
    pub(super) fn has_caught_up(&self) -> bool {
        self.position() >= self.seen
    }

    /// A stay is about to begin over these boxes, if they are at home.
    pub(super) fn seek(&mut self, boxes: Shards) {
        self.sought = self.sought.with(boxes.without(self.me));
        self.stayed = 0;
    }

    /// The boxes that stays were over, or would have been, since this was asked last.
    pub fn take_sought(&mut self) -> Shards {
        std::mem::take(&mut self.sought)
    }

    /// Whether one more batch belongs to the stay that is under way: boxes of others are not kept for ever, nor while the
    /// order goes on.
    pub(super) fn stay_goes_on(&mut self) -> bool {
        self.stayed += 1;
        self.stayed < self.limits.stay_batches && !self.cursor.is_behind()
    }

    /// Another shard's box, if it is at home.
    pub(super) fn take_other(&self, other: ShardId) -> Option<Hand<Shard>> {
        self.visitors[other].take()
    }

    pub fn me(&self) -> ShardId {
        self.me
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether [`notify`] has something to do.
    pub fn has_to_notify(&self) -> bool {
        !self.notify.is_empty()
    }

    /// Appends an entry, notes whom to notify, and gives its position. A full log gives it back and notes the boxes that
    /// are behind.
    fn append(&mut self, entry: Arc<Entry>) -> Result<Position, Arc<Entry>> {
        if !self.unsent.is_empty() {
            return Err(entry);
        }
        let shards = entry.shards;
        match self.log.append(entry) {
            Ok(position) => {
                self.notify = match shards {
                    _ if kevy::bug!(AppendNotifiesNobody) => self.notify,
                    shards if kevy::bug!(AppendNotifiesOne) => {
                        self.notify.with(shards.iter().next().map_or(Shards::NONE, Shards::one))
                    }
                    shards => self.notify.with(shards),
                };
                Ok(position)
            }
            Err(full) => {
                // Once is enough: who is notified follows the order to its end, or lies in a gather that was notified of.
                // To go on notifying would be to wait for them.
                if self.refused.replace(full.position) != Some(full.position)
                    || kevy::bug!(FullOrderIsWaitedFor)
                {
                    let most = if kevy::bug!(LaggardsStay) { 0 } else { usize::MAX };
                    for laggard in full.laggards.into_iter().take(most) {
                        self.notify = self.notify.with(Shards::one(laggard));
                    }
                }
                Err(full.entry)
            }
        }
    }

    /// Appends an entry now or, if the log is full, as soon as it is not.
    fn post(&mut self, clock: UnixMillis, shards: Shards, what: What) {
        let entry = Arc::new(Entry { clock, shards, what });
        if let Err(entry) = self.append(entry)
            && !kevy::bug!(MessagesLostWhenFull)
        {
            self.unsent.push_back(entry);
        }
    }

    fn post_unsent(&mut self) {
        while let Some(entry) = self.unsent.pop_front() {
            let rest = std::mem::take(&mut self.unsent);
            let outcome = self.append(entry);
            self.unsent = rest;
            if let Err(entry) = outcome {
                self.unsent.push_front(entry);
                return;
            }
        }
    }
}

/// Brings a box up to date, and all boxes that meet in gathers on the way. `None`: the box lies in the mailbox of a
/// gather, whose last arrival will put it back and wake its owner.
pub fn settle(first: Hand<Shard>, now: Now) -> Option<Hand<Shard>> {
    let keep = first.me();
    let mut kept = None;
    let mut next = Some(first);
    let mut others: Vec<Hand<Shard>> = Vec::new();
    while let Some(mut hand) = next.take().or_else(|| others.pop()) {
        match hand.follow(now) {
            Some(entry) => {
                let What::Gather(gather) = &entry.what else { unreachable!("only a gather takes the box") };
                // Whoever has to come to the meeting must know of it before this hand is empty.
                if !kevy::bug!(GatherBeforeNotice) {
                    notify(&mut hand, now);
                }
                if let Some(boxes) = gather.mailbox.arrive(hand) {
                    let boxes = run_gather(&entry, gather, boxes, now);
                    if kevy::bug!(GatherLeavesUnsynced) {
                        for hand in boxes {
                            if hand.me() == keep && others.is_empty() {
                                others.push(hand);
                            } else if hand.leave() == Left::WakeOwner {
                                // Nobody looks what came meanwhile.
                            }
                        }
                    } else {
                        others.extend(boxes);
                    }
                }
            }
            None if hand.me() == keep => kept = Some(hand),
            None => leave(hand, now),
        }
    }
    kept
}

/// Puts a box that is another thread's, after everything that its stay in this hand has left to do.
pub fn leave(mut hand: Hand<Shard>, now: Now) {
    loop {
        notify(&mut hand, now);
        let links = hand.links.as_deref().expect("a box that is visited is one of several");
        if !links.cursor.is_behind() || kevy::bug!(LeftBehind) {
            break;
        }
        match settle(hand, now) {
            Some(settled) => hand = settled,
            None => return,
        }
    }
    let links = hand.links.as_deref().expect("as above");
    let ringer = links.ringers[links.me].clone();
    if hand.wants_thread() && !kevy::bug!(LeftWithWork) {
        hand.mark();
    }
    if hand.leave() == Left::WakeOwner && !kevy::bug!(HandedSilently) && ringer.waker.must_wake() {
        ringer.bell.ring();
    }
}

/// Notifies the boxes that were named by what this one appended. Those at home are brought up to date at once.
pub fn notify(hand: &mut Shard, now: Now) {
    while let Some(links) = hand.links.as_deref_mut()
        && let Some(shard) = links.notify.iter().next()
    {
        links.notify = links.notify.without(shard);
        if shard != links.me
            && let Some(visited) = links.visitors[shard].notify()
            && let Some(settled) = settle(visited, now)
        {
            leave(settled, now);
        }
    }
}

/// All boxes of a gather are here: runs it and gives them back, past its position.
fn run_gather(entry: &Entry, gather: &Gather, mut boxes: Vec<Hand<Shard>>, now: Now) -> Vec<Hand<Shard>> {
    for hand in boxes.iter_mut().take(if kevy::bug!(GatherPassedByOne) { 1 } else { usize::MAX }) {
        hand.pass(entry.clock);
    }
    // In order of their numbers, whoever arrived first: what is listed over all shards has one order.
    boxes.sort_by_key(|hand| hand.me());
    let origin = gather.origin.shard;
    let at = boxes.iter().position(|hand| hand.me() == origin).expect("a gather names its origin");
    boxes[at].set_now(now);
    // Who waits for what was done before comes first, if all that this takes is here.
    if !kevy::bug!(CallsComeLater) || matches!(gather.task, Task::Serve) {
        come_to_call(&mut boxes);
        boxes = serve_ready(boxes);
    }
    boxes = hosted(boxes, at, |primary| match &gather.task {
        Task::Command(command, argv, announced) => {
            primary.run_gathered(gather.origin, command, argv, *announced);
        }
        Task::Pausing(command, argv, announced) => {
            primary.run_pausing(gather.origin, command, argv, *announced);
        }
        Task::Abort(command, argv, error) => primary.answer_gathered(gather.origin, |shard, id, out| {
            shard.abort(id, command, argv.as_args(), error, out);
        }),
        Task::Serve => {}
        Task::Expire => primary.run_expiry(),
        Task::LetGo { .. } => {}
    });
    // Who waits for what was done is served before anybody can know of it, where those are who hear of that.
    if !kevy::bug!(ServedAfterGather) {
        boxes = serve_ready(boxes);
    }
    if boxes.len() > 1 && boxes.len() == boxes[0].count() {
        let rest = matches!(gather.task, Task::LetGo { rest: true });
        boxes = let_go(boxes, now, rest);
    }
    if matches!(gather.task, Task::Serve) {
        // What was left is called for.
        boxes[0].common.debts.fetch_sub(1, Ordering::SeqCst);
    }
    boxes
}

/// Has one of the boxes do something over the keyspaces of all, at an entry of the order.
pub(super) fn hosted(
    mut boxes: Vec<Hand<Shard>>,
    at: usize,
    act: impl FnOnce(&mut Shard),
) -> Vec<Hand<Shard>> {
    let mut host = boxes.remove(at);
    host.take_in(boxes);
    host.set_in_entry(true);
    act(&mut host);
    host.set_in_entry(false);
    let mut boxes = host.send_home();
    boxes.insert(at, host);
    boxes
}

/// Serves those who wait for what was done in these boxes: keys in the order in which they became ready. As soon as somebody
/// needs a box that is not here, everything else waits for a [`call`].
pub(super) fn serve_ready(mut boxes: Vec<Hand<Shard>>) -> Vec<Hand<Shard>> {
    if !boxes.iter().any(|hand| hand.realm.is_ready()) {
        return boxes;
    }
    let here = boxes.iter().fold(Shards::NONE, |here, hand| here.with(Shards::one(hand.me())));
    // What other boxes' keys became ready with comes in the order of all of them.
    if called_shards(&boxes).minus(here).is_empty() || kevy::bug!(CallsOfOthersIgnored) {
        loop {
            let first = |(at, hand): (usize, &Hand<Shard>)| {
                let (turn, key) = hand.realm.offers.first()?;
                Some((if kevy::bug!(ReadyByShard) { (0, at) } else { turn }, key.clone(), at))
            };
            let Some((_, _, at)) = boxes.iter().enumerate().filter_map(first).min() else {
                boxes.iter_mut().for_each(|hand| hand.realm.offers.called());
                return boxes;
            };
            let now = boxes[at].data_now();
            match boxes[at].realm.offer(now, here) {
                None => {}
                Some(Offer::Here(id)) => boxes = hosted(boxes, at, |host| host.serve(id)),
                Some(Offer::Claim(claim)) => {
                    let origin = boxes.iter().position(|hand| hand.me() == claim.origin.shard);
                    let at = origin.expect("what a claim needs is here");
                    boxes = hosted(boxes, at, |host| host.serve_claim(&claim));
                }
                Some(Offer::Needs) => break,
            }
        }
    }
    call(&mut boxes.iter_mut().map(|hand| &mut **hand).collect::<Vec<_>>());
    boxes
}

/// The boxes that are in hand where the ready keys of these boxes are offered anyway.
fn called_shards<'s>(boxes: impl IntoIterator<Item = &'s (impl Deref<Target = Shard> + 's)>) -> Shards {
    let calls = boxes.into_iter().filter_map(|shard| shard.realm.offers.call());
    calls.fold(Shards::NONE, |shards, call| shards.with(call.shards))
}

/// Appends that the keys which are ready in these boxes are offered where all boxes are in hand that this takes, as far as can
/// be foreseen, and those of earlier calls for the same keys: what became ready together is offered in one order.
pub(super) fn call(boxes: &mut [&mut Shard]) {
    let mut ready: Vec<&mut Shard> = Vec::with_capacity(boxes.len());
    ready.extend(boxes.iter_mut().map(|shard| &mut **shard).filter(|shard| !shard.realm.offers.is_empty()));
    let numbers = ready.iter().map(|shard| shard.realm.offers.call().map(|call| call.number));
    let number = numbers.reduce(|all, one| all.filter(|_| all == one)).flatten();
    if number.is_some() {
        // They are all called for: what became ready since comes behind that.
        ready.iter_mut().for_each(|shard| shard.realm.offers.await_call());
        return;
    }
    let mut shards = called_shards(ready.iter());
    for shard in &ready {
        shards = shards.with(Shards::one(shard.me())).with(shard.realm.needs());
    }
    let Some(poster) = ready.first() else { return };
    let (me, common) = (poster.me(), poster.common.clone());
    if poster.events_are_heard() {
        shards = shards.with(poster.subscribed_shards());
    }
    let number = common.next_ready();
    ready.iter_mut().for_each(|shard| shard.realm.offers.wait_for(Call { number, shards }));
    // Before anybody can execute it.
    common.debts.fetch_add(1, Ordering::SeqCst);
    let origin = Origin { shard: me, conn: ConnId(0), client: 0 };
    let gather = Gather { mailbox: Mailbox::new(shards.len()), origin, task: Task::Serve };
    ready[0].post(shards, What::Gather(gather));
}

/// What is ready in these boxes is offered, if all boxes are here that were called for that: it need not wait for the call.
fn come_to_call(boxes: &mut [Hand<Shard>]) {
    let here = boxes.iter().fold(Shards::NONE, |here, hand| here.with(Shards::one(hand.me())));
    for hand in boxes {
        let call = hand.realm.offers.call();
        if call.is_some_and(|call| call.shards.minus(here).is_empty()) && !kevy::bug!(CalledForEver) {
            hand.realm.offers.called();
        }
    }
}

impl Shard {
    /// The shard's number; 0 of a server with one.
    pub fn me(&self) -> ShardId {
        self.links.as_deref().map_or(0, |links| links.me)
    }

    /// Applies what the order has for this box, up to a tail that is loaded here. Gives the gather that needs the box
    /// itself, if it has come to one.
    fn follow(&mut self, now: Now) -> Option<Arc<Entry>> {
        self.set_now(now);
        self.links.as_deref_mut()?.post_unsent();
        if self.realm.is_ready() {
            // Who waits for what was just done comes before anything else that happens here.
            self.serve_blocked();
        }
        loop {
            let links = self.links.as_deref_mut().expect("seen above");
            if links.cursor.look() == 0 {
                if now.unix <= links.clock || kevy::bug!(TimeStandsStill) {
                    break;
                }
                let tick = Arc::new(Entry { clock: now.unix, shards: Shards::NONE, what: What::Tick });
                if links.append(tick).is_err() {
                    // Time stands still for the moment: nobody is ahead of it.
                    break;
                }
                continue;
            }
            while let Some(entry) = self.links.as_deref_mut().and_then(|links| links.cursor.share()) {
                if entry.shards.contains(self.me()) {
                    match &entry.what {
                        What::Tick => {}
                        What::Gather(_) => return Some(entry),
                        What::Together(together) => {
                            self.set_in_entry(true);
                            let completed = self.run_part(together);
                            self.set_in_entry(false);
                            if let Some(origin) = completed
                                && let Some(links) = self.links.as_deref_mut()
                                && !kevy::bug!(BatchDoneUntold)
                            {
                                links.notify = links.notify.with(Shards::one(origin));
                            }
                        }
                        What::Publish { channel, message } => {
                            self.deliver(channel, message);
                        }
                        What::Unwatch(keys) => {
                            let me = self.me();
                            let Self { realm, .. } = self;
                            keys.iter()
                                .filter(|at| realm.keyspace.dbs.home(&at.key) == me)
                                .for_each(|at| realm.versions.unwatch(at));
                        }
                        What::Unwait(origin, number) if !kevy::bug!(UnwaitIgnored) => {
                            self.realm.waiters.take_claim(*origin, *number);
                        }
                        What::Unwait(..) => {}
                    }
                }
                self.pass(entry.clock);
            }
        }
        if self.realm.is_ready() {
            self.serve_blocked();
        }
        self.answer_outstanding();
        None
    }

    /// Answers the batches that are complete. Whoever completes one notifies this box after he has counted it.
    fn answer_outstanding(&mut self) {
        let completed = self.common.completed(self.me()).look();
        let Some(links) = self.links.as_deref_mut().filter(|links| links.answered != completed) else {
            return;
        };
        links.answered = completed;
        for entry in std::mem::take(&mut links.outstanding) {
            let What::Together(together) = &entry.what else { unreachable!("only batches are outstanding") };
            if together.done.get().is_some() {
                self.answer_together(together);
            } else if let Some(links) = self.links.as_deref_mut() {
                links.outstanding.push_back(entry);
            }
        }
    }

    /// Appends a batch. False: the order is full.
    pub(super) fn append_together(&mut self, shards: Shards, together: Together) -> bool {
        let clock = self.data_now();
        let Some(links) = self.links.as_deref_mut() else { return false };
        let entry = Arc::new(Entry { clock, shards, what: What::Together(together) });
        let appended = links.append(entry.clone()).is_ok();
        if appended {
            links.outstanding.push_back(entry);
        }
        appended
    }

    /// Whether nothing may run here before somebody is served.
    pub(super) fn owes(&self) -> bool {
        let owes = if kevy::bug!(DebtsOfOthersIgnored) {
            self.realm.offers.call().is_some()
        } else {
            self.links.is_some() && self.has_debts()
        };
        owes && !kevy::bug!(CallsAreNoDebts)
    }

    /// Whether there is a call, anywhere, that has not been executed.
    pub(super) fn has_debts(&self) -> bool {
        self.common.debts.load(Ordering::SeqCst) > 0
    }

    /// Moves past the entry at the cursor.
    fn pass(&mut self, clock: UnixMillis) {
        debug_assert!(self.guests.is_empty(), "boxes go on one by one");
        if let Some(links) = self.links.as_deref_mut() {
            if !kevy::bug!(EntryTimeIgnored) {
                links.clock = links.clock.max(clock);
                links.clock_here = links.clock;
            }
            links.cursor.advance();
        }
    }

    /// Whether there is something that only the own thread can do.
    pub fn wants_thread(&self) -> bool {
        !self.send_queue.is_empty()
            || !self.close_queue.is_empty()
            || !self.closed_next.is_empty()
            || !self.input_queue.is_empty()
            || !self.runnable.is_empty()
            || !self.garbage.is_empty()
            || self.request.is_some()
            || self.evicting
            || self.realm.is_ready()
            || (self.links.as_deref()).is_some_and(|links| {
                !links.unsent.is_empty() || !links.stalled.is_empty() || links.rescheduled
            })
    }

    /// Something is due at a time that the thread may not know of, if it sleeps: it has to ask again until when.
    pub(super) fn reschedule(&mut self) {
        if let Some(links) = self.links.as_deref_mut() {
            links.rescheduled = true;
        }
    }

    /// The thread is about to ask until when it may sleep.
    pub fn scheduled(&mut self) {
        if let Some(links) = self.links.as_deref_mut() {
            links.rescheduled = false;
        }
    }

    /// The instant at which commands run: one for all boxes in this hand.
    #[inline]
    pub(super) fn data_now(&self) -> UnixMillis {
        match self.links.as_deref() {
            None => self.now.unix,
            Some(_) if kevy::bug!(TimeOfExecutor) => self.now.unix,
            Some(links) => links.clock_here,
        }
    }

    // --- Guests -----------------------------------------------------------------------------------------------

    /// Runs what follows over the keyspace of these boxes too.
    pub(super) fn take_in(&mut self, boxes: Vec<Hand<Shard>>) {
        debug_assert!(self.guests.is_empty());
        self.guests = boxes;
        let clock = self.links.as_deref().map_or(0, |links| links.clock);
        let latest = self.guests.iter_mut().fold(clock, |latest, guest| {
            self.realm.keyspace.dbs.gather(&mut guest.realm.keyspace.dbs);
            latest.max(guest.links.as_deref().map_or(0, |links| links.clock))
        });
        if let Some(links) = self.links.as_deref_mut() {
            links.clock_here = latest;
        }
    }

    pub(super) fn send_home(&mut self) -> Vec<Hand<Shard>> {
        for guest in self.guests.iter_mut().skip(usize::from(kevy::bug!(GuestKeptKeyspace))) {
            self.realm.keyspace.dbs.scatter(&mut guest.realm.keyspace.dbs);
        }
        if let Some(links) = self.links.as_deref_mut() {
            links.clock_here = links.clock;
            links.undisturbed = false;
        }
        std::mem::take(&mut self.guests)
    }

    /// The shards whose boxes are in this hand.
    pub(super) fn here(&self) -> Shards {
        self.guests.iter().fold(Shards::one(self.me()), |shards, guest| shards.with(Shards::one(guest.me())))
    }

    /// Whether plain commands can be executed in this stay without looking what else they need: all boxes are here, and up to
    /// date; nobody hears, and nobody waits for keys from elsewhere. To begin to do so takes a box, so it stays like that.
    #[inline]
    fn is_undisturbed(&self) -> bool {
        self.links.as_deref().is_some_and(|links| links.undisturbed)
    }

    /// All boxes are here, in a stay.
    pub(super) fn note_undisturbed(&mut self) {
        // Of a single shard's boxes none was taken, and nobody ends the stay.
        let stays = !self.guests.is_empty();
        let disturbed = self.is_heard() || self.common.away.load(Ordering::Relaxed) > 0;
        if let Some(links) = self.links.as_deref_mut() {
            links.undisturbed = stays && !disturbed && links.has_caught_up();
        }
    }

    /// Whether somebody waits for what was just done here.
    #[inline]
    fn is_anybody_ready(&self) -> bool {
        self.realm.is_ready() || self.guests.iter().any(|guest| guest.realm.is_ready())
    }

    /// This shard and its guests, in the order of their numbers.
    pub(super) fn present(&self) -> Vec<&Shard> {
        let mut present: Vec<&Shard> =
            std::iter::once(self).chain(self.guests.iter().map(|guest| &**guest)).collect();
        present.sort_by_key(|shard| shard.me());
        present
    }

    /// Does something to this shard and to its guests.
    pub(super) fn everywhere(&mut self, mut act: impl FnMut(&mut Shard)) {
        act(self);
        self.guests.iter_mut().for_each(|guest| act(guest));
    }

    /// The shard among those present that a key is at home in.
    pub(super) fn home_of(&mut self, key: &[u8]) -> Option<&mut Shard> {
        let home = self.realm.keyspace.dbs.home(key);
        self.shard(home)
    }

    /// A shard among those present.
    pub(super) fn at_hand(&self, shard: ShardId) -> Option<&Shard> {
        if shard == self.me() {
            return Some(self);
        }
        self.guests.iter().find(|guest| guest.me() == shard).map(|guest| &**guest)
    }

    fn shard(&mut self, shard: ShardId) -> Option<&mut Shard> {
        if shard == self.me() {
            return Some(self);
        }
        self.guests.iter_mut().find(|guest| guest.me() == shard).map(|guest| &mut **guest)
    }

    // --- Commands that need other boxes -----------------------------------------------------------------------

    /// Runs an admitted command over the boxes it needs, or appends it to the order. False: it has to be read again once
    /// the order has been followed.
    pub(super) fn run_over(
        &mut self,
        id: ConnId,
        command: &'static Command,
        args: kevy::resp::Args<'_>,
        out: &mut Vec<u8>,
    ) -> bool {
        let plain = is_plain(command);
        if plain && self.is_undisturbed() {
            debug_assert!(!self.is_heard() && self.common.away.load(Ordering::Relaxed) == 0);
            self.run_here(id, command, args, out);
            return true;
        }
        let heard = self.who_hears(command);
        if !plain || self.is_heard() {
            self.end_stay();
        }
        let (me, here) = (self.me(), self.here());
        // Where all boxes are, it need not be known which of them.
        let further = self.further(id, command, args);
        let whole = plain && here == self.all_shards() && further.is_empty();
        let needs = if whole { Shards::NONE } else { self.route(id, command, args).with(heard.always) };
        let runs = needs.minus(here).is_empty() && further.is_empty();
        if runs && !self.is_heard_elsewhere(id, heard, args, command) {
            if self.links.as_deref().is_some_and(|links| !links.has_caught_up()) && !kevy::bug!(SeenIgnored) {
                self.stall(id);
                return false;
            }
            self.run_here(id, command, args, out);
            return true;
        }
        self.end_stay();
        // What is heard comes in the order of the own box: who hears must not be answered from another one ahead of it.
        let listens = self.conn(id).is_some_and(Conn::listens);
        let mut needs = needs.with(further);
        let visits = match needs.single() {
            Some(other) if other != me => (!listens || kevy::bug!(ListenersVisit)) && self.visit_one(other),
            _ => plain && self.stay(id, needs),
        };
        if visits {
            let further = self.further(id, command, args);
            needs = needs.with(further);
            let runs = further.is_empty() && !self.is_heard_elsewhere(id, heard, args, command);
            if runs {
                let _ = self.call(id, command, args, out);
                self.testify(id);
            }
            self.end_stay();
            if runs {
                return true;
            }
        }
        if self.run_apart(id, command, args) {
            return true;
        }
        let needs = needs.with(heard.if_expired);
        self.append_task(id, needs, Task::Command(command, Argv::from(args), None))
    }

    /// Runs a command over the boxes that are here.
    #[inline]
    fn run_here(
        &mut self,
        id: ConnId,
        command: &'static Command,
        args: kevy::resp::Args<'_>,
        out: &mut Vec<u8>,
    ) {
        let _ = self.call(id, command, args, out);
        self.testify(id);
        if self.is_anybody_ready() {
            // Who waits for what was done comes before the next command.
            self.end_stay();
        }
    }

    /// Ends a transaction whose EXEC was refused: in the order, if somebody elsewhere is shown it. False: as above.
    pub(super) fn abort_over(
        &mut self,
        id: ConnId,
        command: &'static Command,
        args: kevy::resp::Args<'_>,
        error: CommandError,
        out: &mut Vec<u8>,
    ) -> bool {
        let monitored = self.monitored_shards();
        if self.absent(monitored).is_empty() {
            self.abort(id, command, args, &error, out);
            return true;
        }
        self.append_task(id, monitored, Task::Abort(command, Argv::from(args), error))
    }

    /// Appends to the order what a connection's command comes to, which needs these boxes and the connection's. False: the
    /// order is full, and the command has to be read again.
    fn append_task(&mut self, id: ConnId, needs: Shards, task: Task) -> bool {
        let Some(client) = self.conn(id).map(|conn| conn.client) else { return true };
        let me = self.me();
        let origin = Origin { shard: me, conn: id, client };
        let appended = self.append_gather(needs.with(Shards::one(me)), origin, task);
        if appended {
            self.conn_mut(id).expect("just seen").waiting = Waiting::Order;
        } else {
            self.stall(id);
        }
        appended
    }

    /// The shards whose connections hear of what a command does, by a line or by keyspace events.
    fn who_hears(&self, command: &Command) -> Heard {
        let mut heard = Heard { always: self.monitored_shards(), if_expired: Shards::NONE };
        if kevy::bug!(HearersNotNeeded) {
            return Heard { always: Shards::NONE, if_expired: Shards::NONE };
        }
        if !self.events_are_heard() {
            return heard;
        }
        let (flags, subscribed) = (self.config.settings.notify_keyspace_events, self.subscribed_shards());
        let (data, exec) = (matches!(command.handler, Handler::Data(_)), command.id == CommandId::Exec);
        let others = Class::KEYSPACE | Class::KEYEVENT | Class::EXPIRED | Class::EVICTED;
        // Whatever a command is about may turn out to have expired; that alone can be seen before.
        let only_expires =
            flags & !others == 0 || !command.flags.contains(Flags::WRITE) && flags & Class::KEY_MISS == 0;
        // Which events there will be is not known while they are only announced.
        let only_expires = only_expires && flags != 0;
        if data && only_expires && !command.keys.is_empty() {
            heard.if_expired = subscribed;
        } else if data || exec {
            heard.always = heard.always.with(subscribed);
        }
        heard
    }

    /// Whether one of a command's keys has expired that are here, and somebody elsewhere hears of that.
    fn is_heard_elsewhere(
        &self,
        id: ConnId,
        heard: Heard,
        args: kevy::resp::Args<'_>,
        command: &Command,
    ) -> bool {
        if heard.if_expired.without(self.me()).is_empty() {
            return false;
        }
        let (now, db) = (self.data_now(), self.conn(id).map_or(0, |conn| conn.db));
        let Ok(mut keys) = kevy::command::getkeys::keys(command, args) else { return false };
        keys.any(|(index, _)| {
            let entry = self.realm.keyspace.dbs.find(db, args.at(index));
            entry.is_some_and(|entry| entry.is_expired(now))
        })
    }

    /// Announces a command by which a connection begins to listen, and gives what was announced if the command has to wait
    /// until everybody knows: all boxes are here, so whatever was appended in ignorance of it has been appended, and is
    /// executed before the command's next position. It need not wait if somebody of this shard listens already, nor once it
    /// was announced, unless somebody has taken that back meanwhile.
    ///
    /// CLIENT PAUSE is much the same, see [`Shard::run_pausing`]: what was appended before everybody knew of it is executed before
    /// its answer.
    fn announces(
        &mut self,
        id: ConnId,
        command: &Command,
        argv: kevy::resp::Args<'_>,
        announced: Option<Announced>,
    ) -> Option<Announced> {
        let multi = self.conn(id).and_then(|conn| conn.multi.as_ref());
        let queue =
            multi.filter(|_| command.id == CommandId::Exec).into_iter().flat_map(|multi| &multi.queue);
        let (mut subscribes, mut configures) = (false, false);
        let queued = queue.map(|queued| (queued.command.id, queued.args.as_args()));
        for (id, args) in std::iter::once((command.id, argv)).chain(queued) {
            subscribes |= matches!(id, CommandId::Subscribe | CommandId::PSubscribe);
            configures |= id == CommandId::ConfigSet
                && args.iter().any(|arg| arg.eq_ignore_ascii_case(b"notify-keyspace-events"));
        }
        subscribes &= self.publishes_events();
        configures &= !self.config_publishes_events();
        let (me, common) = (self.me(), &self.common);
        let announce =
            |shards: &AtomicU64| Shards(shards.fetch_or(Shards::one(me).0, Ordering::SeqCst)).contains(me);
        // Where nobody listens, that it was announced already may have been just now.
        let mut waits = configures;
        if subscribes {
            let announced = announce(&common.subscribed);
            waits |= if kevy::bug!(SecondListenerUnannounced) {
                !announced
            } else {
                self.subscriptions.is_empty()
            };
        }
        if command.id == CommandId::Monitor {
            let announced = announce(&common.monitored);
            waits |=
                if kevy::bug!(SecondListenerUnannounced) { !announced } else { self.monitors.is_empty() };
        }
        let taken_back = self.links.as_deref().map_or(0, |links| links.taken_back);
        let now = Announced { taken_back, unpublished: common.unpublished.load(Ordering::SeqCst) };
        if waits && announced != Some(now) && !kevy::bug!(ListensUnannounced) {
            if configures {
                common.to_publish.store(true, Ordering::SeqCst);
            }
            return Some(now);
        }
        if configures && common.to_publish.load(Ordering::SeqCst) {
            common.to_publish.store(false, Ordering::SeqCst);
            // It is executed, and may fail: others who are about to do the same announce it again.
            common.unpublished.fetch_add(1, Ordering::SeqCst);
        }
        None
    }

    /// Whether keyspace events are published, or will be.
    pub(super) fn publishes_events(&self) -> bool {
        self.config_publishes_events() || self.common.to_publish.load(Ordering::SeqCst)
    }

    fn config_publishes_events(&self) -> bool {
        self.config.settings.notify_keyspace_events & (Class::KEYSPACE | Class::KEYEVENT) != 0
    }

    /// Whether somebody may hear of a command, anywhere.
    pub(super) fn is_heard(&self) -> bool {
        self.is_monitored() || self.events_are_heard()
    }

    /// Whether somebody is subscribed, anywhere, and keyspace events are published.
    pub(super) fn events_are_heard(&self) -> bool {
        self.publishes_events() && !self.subscribed_shards().is_empty()
    }

    /// Sees to it that keys whose time is up are removed where others can hear of it. False: nobody elsewhere hears.
    pub(super) fn expires_elsewhere(&mut self) -> bool {
        let heard = self.subscribed_shards();
        let me = self.me();
        if !self.guests.is_empty()
            || !self.publishes_events()
            || heard.without(me).is_empty()
            || !(0..self.realm.keyspace.dbs.len()).any(|db| self.realm.keyspace.dbs.own(db).volatile() > 0)
        {
            return false;
        }
        let origin = Origin { shard: me, conn: ConnId(0), client: 0 };
        // If the order is full, there is a next time.
        let _ = self.append_gather(heard.with(Shards::one(me)), origin, Task::Expire);
        true
    }

    fn append_gather(&mut self, shards: Shards, origin: Origin, task: Task) -> bool {
        let clock = self.data_now();
        let Some(links) = self.links.as_deref_mut() else { return false };
        let mailbox = Mailbox::new(shards.len());
        let what = What::Gather(Gather { mailbox, origin, task });
        links.append(Arc::new(Entry { clock, shards, what })).is_ok()
    }

    /// A connection's command is read again once the order has been followed.
    fn stall(&mut self, id: ConnId) {
        if let Some(links) = self.links.as_deref_mut() {
            links.stalled.push(id);
        }
        if let Some(conn) = self.conn_mut(id) {
            conn.waiting = Waiting::Room;
        }
    }

    /// The connections that were stalled may try again.
    pub(super) fn retry_stalled(&mut self) {
        let Some(links) = self.links.as_deref_mut() else { return };
        for id in std::mem::take(&mut links.stalled) {
            if let Some(conn) = self.conn_mut(id)
                && conn.waiting == Waiting::Room
                && !kevy::bug!(StalledForGood)
            {
                conn.waiting = Waiting::No;
                self.resume(id);
            }
        }
    }

    /// The command of a connection of this shard, at its position, with all boxes it needs.
    fn run_gathered(
        &mut self,
        origin: Origin,
        command: &'static Command,
        argv: &Argv,
        announced: Option<Announced>,
    ) {
        let (id, args) = (origin.conn, argv.as_args());
        if self.waits_in_order(origin) {
            if let Some(all) = self.pauses(id, command, args) {
                self.announce_pause(origin.client, all);
                self.post_again(origin, self.all_shards(), Task::Pausing(command, argv.clone(), None));
                return;
            }
            if let Some(announced) = self.announces(id, command, args, announced) {
                self.post_again(
                    origin,
                    self.all_shards(),
                    Task::Command(command, argv.clone(), Some(announced)),
                );
                return;
            }
            let missing = self.absent(self.further(id, command, args));
            if !missing.is_empty() {
                // The data are not what they were where it was appended: somebody waits now, or SCAN comes upon fewer keys. Who
                // has begun to listen meanwhile does so from a position that the new one may lie behind.
                let heard = self.who_hears(command);
                let heard =
                    if kevy::bug!(AgainUnheard) { Shards::NONE } else { heard.always.with(heard.if_expired) };
                let shards = self.here().with(missing).with(heard);
                self.post_again(origin, shards, Task::Command(command, argv.clone(), announced));
                return;
            }
        }
        self.run_let_in(origin, command, args);
    }

    /// A command that CLIENT PAUSE lets go, as at a position of its own.
    pub(super) fn run_let_go(&mut self, id: ConnId, command: &'static Command, args: kevy::resp::Args<'_>) {
        let client = self.conn(id).map_or(0, |conn| conn.client);
        self.run_gathered(Origin { shard: self.me(), conn: id, client }, command, &Argv::from(args), None);
    }

    /// The same for a command that pauses clients, behind everything that was let in without knowing of it.
    fn run_pausing(
        &mut self,
        origin: Origin,
        command: &'static Command,
        argv: &Argv,
        announced: Option<Announced>,
    ) {
        let args = argv.as_args();
        if self.waits_in_order(origin)
            && let Some(announced) = self.announces(origin.conn, command, args, announced)
        {
            let task = Task::Pausing(command, argv.clone(), Some(announced));
            self.post_again(origin, self.all_shards(), task);
            return;
        }
        self.run_let_in(origin, command, args);
        self.withdraw_pause(origin.client);
    }

    fn run_let_in(&mut self, origin: Origin, command: &'static Command, args: kevy::resp::Args<'_>) {
        let id = origin.conn;
        if self.waits_in_order(origin) && self.is_held(id, command) && !kevy::bug!(PausesOvertake) {
            // Others have paused clients since: who pauses, too, or begins to listen has a second position.
            self.hold_back(id, args);
            self.finished(id);
            return;
        }
        self.answer_gathered(origin, |shard, id, out| {
            let _ = shard.call(id, command, args, out);
            shard.testify(id);
        });
    }

    /// A command needs a further position, with these boxes.
    fn post_again(&mut self, origin: Origin, shards: Shards, task: Task) {
        self.post(shards, What::Gather(Gather { mailbox: Mailbox::new(shards.len()), origin, task }));
    }

    /// Lets go what CLIENT PAUSE has held back, at the next position that it can have. Whoever sees that the time of a pause is
    /// up sees it by his own clock, so that is the entry's time.
    pub(super) fn post_letting_go(&mut self, rest: bool) {
        let (me, shards) = (self.me(), self.all_shards());
        let clock = self.data_now().max(self.now.unix);
        let origin = Origin { shard: me, conn: ConnId(0), client: 0 };
        let gather = Gather { mailbox: Mailbox::new(shards.len()), origin, task: Task::LetGo { rest } };
        if let Some(links) = self.links.as_deref_mut() {
            links.post(clock, shards, What::Gather(gather));
        }
    }

    /// A connection of this shard whose command was in the order gets what `answer` writes, and goes on.
    fn answer_gathered(&mut self, origin: Origin, answer: impl FnOnce(&mut Shard, ConnId, &mut Vec<u8>)) {
        let id = origin.conn;
        if !self.waits_in_order(origin) {
            return;
        }
        self.stopwatch = (self.env.stopwatch)();
        let mut out = self.take_out(id);
        let start = out.len();
        self.conn_mut(id).expect("just seen").waiting = Waiting::No;
        answer(self, id, &mut out);
        self.put_back(id, out, start);
        self.finished(id);
    }

    /// Whether a connection's command that has come up in the order is still to be executed: not if it was killed.
    fn waits_in_order(&self, origin: Origin) -> bool {
        self.conn(origin.conn)
            .is_some_and(|conn| conn.client == origin.client && conn.waiting == Waiting::Order)
    }

    /// CLIENT KILL: all boxes are here, and nothing that a connection has sent is executed behind this.
    pub(super) fn kill(&mut self, id: ConnId) {
        // What was executed before has been answered.
        self.answer_outstanding();
        let Some(conn) = self.conn_mut(id) else { return };
        if conn.waiting == Waiting::Order && !kevy::bug!(KilledGoOn) {
            conn.waiting = Waiting::No;
            let client = conn.client;
            if let Some(links) = self.links.as_deref_mut() {
                links.outstanding.retain(|entry| {
                    let What::Together(together) = &entry.what else { return true };
                    let its = together.origin.client == client;
                    if its {
                        together.cancel();
                    }
                    !its
                });
            }
        }
        if self.count() > 1
            && let Some(conn) = self.conn_mut(id).filter(|conn| !conn.closing)
        {
            // Its thread may not have sent what others have caused and been answered for.
            conn.last_words = (!kevy::bug!(KilledUnheard)).then_some(u64::MAX);
        }
        match self.conn(id) {
            // Who has left was only here for its command.
            Some(conn) if conn.gone => self.remove(id),
            Some(conn) if conn.closing => self.forget(id),
            _ => self.close(id),
        }
    }

    /// A connection's command in the order is done: it goes on, or goes.
    pub(super) fn finished(&mut self, id: ConnId) {
        let Some(conn) = self.conn(id) else { return };
        if conn.gone {
            self.remove(id);
        } else if conn.waiting == Waiting::No {
            self.resume(id);
        } else {
            self.review_input(id);
        }
    }

    /// A connection of this shard is offered a key that it claims; everything it needs is here.
    fn serve_claim(&mut self, claim: &Claim) {
        let &Claim { origin, number, .. } = claim;
        // Its time may be up, or it may have left: what it claims elsewhere is given up at a position that is still to come.
        let waits = self
            .conn(origin.conn)
            .is_some_and(|conn| conn.client == origin.client && conn.waiting == Waiting::Blocked)
            && (self.realm.waiters.number(origin.conn) == Some(number) || kevy::bug!(CallsOutliveWaits));
        if waits {
            self.everywhere(|shard| shard.realm.waiters.take_claim(origin, number));
            self.serve(origin.conn);
        }
    }

    /// Whether a command has to wait for somebody who waited longer. Then its connection is stalled, and tries again when
    /// the order has been followed. Without this, one pipeline could push to a key and take away what it pushed.
    pub(super) fn stalls(&mut self, id: ConnId) -> bool {
        let stalls = !self.letting_go && self.owes() && !kevy::bug!(DebtsIgnored);
        if stalls {
            self.stall(id);
        }
        stalls
    }

    /// A number for a connection's wait on other boxes.
    pub(super) fn next_wait(&mut self) -> u64 {
        let links = self.links.as_deref_mut().expect("there are other boxes");
        links.last_wait += 1;
        links.last_wait
    }

    // --- Messages to all --------------------------------------------------------------------------------------

    /// How many shards there are.
    pub(super) fn count(&self) -> usize {
        self.links.as_deref().map_or(1, |links| links.count)
    }

    pub(super) fn all_shards(&self) -> Shards {
        Shards::all(self.count())
    }

    fn post(&mut self, shards: Shards, what: What) {
        let clock = self.data_now();
        if let Some(links) = self.links.as_deref_mut() {
            links.post(clock, shards, what);
        }
    }

    /// Publishes a keyspace event. Its subscribers are here, or began to listen behind the position of this command.
    pub(super) fn publish_event(&mut self, channel: Vec<u8>, message: &[u8]) {
        if kevy::bug!(GuestsHearNothing) {
            self.deliver(&channel, message);
        } else {
            self.everywhere(|shard| _ = shard.deliver(&channel, message));
        }
        let in_entry = self.links.as_deref().is_none_or(|links| links.in_entry);
        if !in_entry || kevy::bug!(ToldAfterwards) {
            let absent = self.absent(self.subscribed_shards());
            if !absent.is_empty() {
                self.post(absent, What::Publish { channel, message: message.to_vec() });
            }
        }
    }

    fn set_in_entry(&mut self, in_entry: bool) {
        if let Some(links) = self.links.as_deref_mut() {
            links.in_entry = in_entry;
        }
    }

    /// Those of these shards whose boxes are not here.
    fn absent(&self, shards: Shards) -> Shards {
        shards.minus(self.here())
    }

    /// The shards that have subscribers.
    pub(super) fn subscribed_shards(&self) -> Shards {
        Shards(self.common.subscribed.load(Ordering::SeqCst))
    }

    fn monitored_shards(&self) -> Shards {
        Shards(self.common.monitored.load(Ordering::SeqCst))
    }

    /// Whether somebody monitors, anywhere.
    #[inline]
    pub(super) fn is_monitored(&self) -> bool {
        if self.links.is_none() { !self.monitors.is_empty() } else { !self.monitored_shards().is_empty() }
    }

    pub(super) fn monitor_line(&mut self, line: Vec<u8>) {
        self.everywhere(|shard| shard.deliver_line(&line));
    }

    /// Subscriptions or monitors of this shard's connections have changed.
    pub(super) fn listeners_changed(&mut self) {
        let me = Shards::one(self.me()).0;
        let set = |shards: &AtomicU64, listening: bool| {
            if listening {
                shards.fetch_or(me, Ordering::SeqCst);
            }
            !listening && shards.fetch_and(!me, Ordering::SeqCst) & me != 0
        };
        let unsubscribed = set(&self.common.subscribed, !self.subscriptions.is_empty());
        let unmonitored = set(&self.common.monitored, !self.monitors.is_empty());
        if let Some(links) = self.links.as_deref_mut()
            && (unsubscribed || unmonitored)
        {
            links.taken_back += 1;
        }
    }

    /// A connection does not watch these keys any more.
    pub(super) fn unwatch(&mut self, keys: impl IntoIterator<Item = DbKey>) {
        let (mut elsewhere, mut shards) = (Vec::new(), Shards::NONE);
        for at in keys {
            let home = self.realm.keyspace.dbs.home(&at.key);
            match self.shard(home) {
                Some(shard) => shard.realm.versions.unwatch(&at),
                None => {
                    shards = shards.with(Shards::one(home));
                    elsewhere.push(at);
                }
            }
        }
        if !elsewhere.is_empty() && !kevy::bug!(WatchedElsewhereForEver) {
            self.post(shards, What::Unwatch(elsewhere));
        }
    }

    /// A connection's wait on other boxes is over.
    pub(super) fn unwait(&mut self, id: ConnId, client: ClientId, number: u64, shards: Shards) {
        let origin = Origin { shard: self.me(), conn: id, client };
        self.realm.waiters.take_claim(origin, number);
        let elsewhere = shards.without(self.me());
        if !elsewhere.is_empty() && !kevy::bug!(ClaimsElsewhereForEver) {
            self.post(elsewhere, What::Unwait(origin, number));
        }
    }

    /// Evicts a key of one shard after the other in turn, so that no shard's keys go before others that have been used less.
    /// `None`: nothing can be evicted where it could be looked, but a box is busy that had something last.
    pub(super) fn evict_anywhere(&mut self) -> Option<bool> {
        let Some(links) = self.links.as_deref_mut() else { return Some(self.evict_here()) };
        if self.config.settings.maxmemory_policy == EvictionPolicy::NoEviction {
            return Some(false);
        }
        let (me, count, first) = (links.me, links.count, links.evicts_next);
        links.evicts_next = (first + 1) % count;
        let mut busy = Shards::NONE;
        for other in (first..count).chain(0..first) {
            let evicted = if other == me { Some(self.evict_here()) } else { self.evict_at(other) };
            let links = self.links.as_deref_mut().expect("seen above");
            match evicted {
                Some(true) => {
                    links.had_nothing = links.had_nothing.without(other);
                    return Some(true);
                }
                Some(false) => links.had_nothing = links.had_nothing.with(Shards::one(other)),
                None => busy = busy.with(Shards::one(other)),
            }
        }
        let had_nothing = self.links.as_deref().map_or(Shards::NONE, |links| links.had_nothing);
        busy.minus(had_nothing).is_empty().then_some(false)
    }

    /// Evicts a key of another shard. `None`: its box is not at home.
    fn evict_at(&mut self, other: ShardId) -> Option<bool> {
        let hand = self.links.as_deref().and_then(|links| links.take_other(other))?;
        let mut hand = settle(hand, self.now)?;
        let evicted = hand.evict_here();
        if kevy::bug!(EvictorLeavesUnsynced) {
            let _ = hand.leave();
        } else {
            leave(hand, self.now);
        }
        Some(evicted)
    }
}

/// The shards whose connections hear of a command.
#[derive(Clone, Copy)]
struct Heard {
    /// Whatever it does.
    always: Shards,
    /// If one of its keys turns out to have expired.
    if_expired: Shards,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_shards() {
        let some = Shards::one(3).with(Shards::one(63));
        assert!(some.contains(3) && some.contains(63) && !some.contains(4));
        assert_eq!((some.len(), some.single(), some.without(3).single()), (2, None, Some(63)));
        assert_eq!(some.iter().collect::<Vec<_>>(), [3, 63]);
        assert_eq!(
            (Shards::all(64).len(), Shards::all(1), Shards::NONE.is_empty()),
            (64, Shards::one(0), true)
        );
    }
}
