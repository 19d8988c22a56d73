//! CLIENT PAUSE: commands are held back for a time, and go on in the order in which they came.
//!
//! A command that is held back stays in its connection's query buffer, and the connection gets a *ticket*: a number that all
//! shards draw from one counter. Who is held back again gets another one and, as in Redis, comes behind those who were held
//! back with him.
//!
//! One shard ends a pause between two turns and reads again what was held back, the first first. Of several shards each
//! has a [`Pause`] of its own, and all are alike at one position of the order, because a pause begins, changes and ends
//! only where all boxes have met:
//!
//! - It has two positions. At the first it is *announced*: what arrives from then on is held back. What others had let in
//!   before they knew of it is executed before the second, where clients are paused and the answer is given.
//! - When its time is up, or at CLIENT UNPAUSE, what was held back is *let go*: with all boxes in one hand what each
//!   connection has sent is executed, in the order of the tickets, and who waits for what a command did comes before the
//!   next. What arrives is held back until all of them have gone, and so comes behind them. If one needs a further position, or
//!   it is too much to be done at once, the rest has a further position.

use std::collections::BTreeMap;

use kevy::command::{Command, CommandId, Flags};
use kevy::keyspace::UnixMillis;
use kevy::resp::{Args, Decoder};

use super::conn::{ClientId, ConnId, Multi, Waiting};
use super::links::{hosted, serve_ready};
use super::session::client;
use super::witness::Happened;
use super::{Now, Shard};
use crate::order::place::Hand;

/// What a shard knows of pauses.
#[derive(Default)]
pub struct Pause {
    /// Nothing is paused at or after this.
    until: UnixMillis,
    /// Everything waits, not only what could write.
    all: bool,
    /// Clients are paused, or what was held back has not been let go.
    on: bool,
    /// Pauses that were announced. They hold back what arrives, and do nothing else.
    announced: Vec<Announced>,
    /// What was held back is to be let go at a position that is in the order already.
    ends: bool,
    /// Only some of it was let go: the rest has a position of its own, behind that of the command that needs a further one.
    interrupted: bool,
}

struct Announced {
    /// Whose command it is; nobody's once it was executed, or will not be.
    client: Option<ClientId>,
    /// It is about everything.
    all: bool,
}

impl Pause {
    /// Pauses; a pause that is already on never gets shorter or laxer.
    fn start(&mut self, now: UnixMillis, until: UnixMillis, all: bool) {
        if self.is_in_force(now) {
            self.until = if kevy::bug!(PauseShortens) { until } else { self.until.max(until) };
            self.all |= all;
        } else {
            (self.on, self.until, self.all) = (true, until, all);
        }
    }

    /// Whether commands have been paused: who waits is not served, and the data stays as it is, with keys that are to
    /// expire or to be evicted.
    pub fn is_in_force(&self, now: UnixMillis) -> bool {
        self.on && now + u64::from(kevy::bug!(PauseEndsEarly)) < self.until
    }

    /// Whether its time is up, and what it has held back has not been let go.
    fn is_over(&self, now: UnixMillis) -> bool {
        self.on && !self.is_in_force(now)
    }

    /// Whether there is something to be let go: what nothing but a pause that is over has held back.
    fn lets_go(&self, now: UnixMillis) -> bool {
        self.is_over(now) || self.announced.iter().any(|announced| announced.client.is_none())
    }

    /// Everything has been let go.
    fn let_go(&mut self, now: UnixMillis) {
        self.on = self.is_in_force(now);
        self.announced.retain(|announced| announced.client.is_some());
    }

    /// Whether some command may have to wait.
    pub fn is_on(&self) -> bool {
        self.on || !self.announced.is_empty()
    }

    /// Whether a command has to wait that arrives, or that is let go.
    pub fn holds(&self, let_go: bool, now: UnixMillis, command: &Command, multi: Option<&Multi>) -> bool {
        let announced = self.announced.iter().filter(|announced| !let_go || announced.client.is_some());
        let by_announced = announced.map(|announced| announced.all).any(|all| concerns(all, command, multi));
        let on = if let_go || kevy::bug!(HeldAreOvertaken) { self.is_in_force(now) } else { self.on };
        by_announced || on && concerns(self.all, command, multi)
    }

    /// Whether everything has to wait.
    fn is_about_all(&self) -> bool {
        self.on && self.all || self.announced.iter().any(|announced| announced.all)
    }

    /// When the pause ends by itself.
    pub fn deadline(&self) -> Option<UnixMillis> {
        (self.on && !self.ends).then_some(self.until)
    }
}

/// Whether a pause, of everything or of what could write, is about a command.
fn concerns(all: bool, command: &Command, multi: Option<&Multi>) -> bool {
    let writes = |command: &Command| command.is_write() || command.flags.contains(Flags::MAY_REPLICATE);
    let in_exec = command.id == CommandId::Exec
        && multi.is_some_and(|multi| multi.queue.iter().any(|queued| writes(queued.command)));
    all || writes(command) || (in_exec && !kevy::bug!(PauseMissesExec))
}

impl Shard {
    // --- What is held back ------------------------------------------------------------------------------------

    /// Holds back a connection's command, which is read again when the pause is over.
    pub(super) fn postpone(&mut self, id: ConnId) {
        let by_all = self.session.pause.is_about_all();
        let Self { common, conns, paused, paused_again, .. } = self;
        let paused = if self.letting_go && !kevy::bug!(HeldAgainGoOn) { paused_again } else { paused };
        let Some(conn) = conns[id.0 as usize].as_deref_mut() else { return };
        conn.waiting = Waiting::Paused;
        let ticket = common.next_ticket();
        paused.insert(ticket, id);
        conn.held = Some(ticket);
        self.testify_that(id, Happened::HeldBack { by_all });
        self.conn_mut(id).expect("just seen").commands -= 1;
    }

    /// The same for a command that was let in before: of a client that waited and could be served, or at a second position in
    /// the order. It goes back to where it was read from, as if it came when the pause is over; until then it has no deadline
    /// and no place in a queue.
    pub(super) fn hold_back(&mut self, id: ConnId, args: Args<'_>) {
        let Some(conn) = self.conn_mut(id) else { return };
        let mut query = Vec::new();
        args.encode(&mut query);
        query.extend_from_slice(&conn.query);
        (conn.query, conn.decoder) = (query.into(), Decoder::new());
        self.postpone(id);
    }

    /// Whether a command that was let in would be held back by now.
    pub(super) fn is_held(&self, id: ConnId, command: &Command) -> bool {
        let (now, pause) = (self.data_now(), &self.session.pause);
        let multi = self.conn(id).and_then(|conn| conn.multi.as_ref());
        pause.is_in_force(now) && concerns(pause.all, command, multi)
    }

    // --- The pause --------------------------------------------------------------------------------------------

    /// Whether a command pauses clients, or is an EXEC that does; and if so, whether all that they send.
    pub(super) fn pauses(&self, id: ConnId, command: &Command, argv: Args<'_>) -> Option<bool> {
        let all = |args| client::pause_asked(args, self.data_now()).ok().map(|(_, all)| all);
        match command.id {
            _ if kevy::bug!(PauseOverlooksEntries) => None,
            CommandId::ClientPause => all(argv),
            CommandId::Exec => {
                let queue = &self.conn(id)?.multi.as_ref()?.queue;
                let pauses = queue.iter().filter(|queued| queued.command.id == CommandId::ClientPause);
                pauses.filter_map(|queued| all(queued.args.as_args())).reduce(|a, b| a | b)
            }
            _ => None,
        }
    }

    /// A connection's command is about to pause clients; all boxes are here.
    pub(super) fn announce_pause(&mut self, client: ClientId, all: bool) {
        let announce =
            |shard: &mut Shard| shard.session.pause.announced.push(Announced { client: Some(client), all });
        self.everywhere(announce);
    }

    /// What was announced has been executed, or will not be: those whom nothing else holds back are to be let go.
    pub(super) fn withdraw_pause(&mut self, client: ClientId) {
        self.everywhere(|shard| {
            let announced = shard.session.pause.announced.iter_mut();
            announced.filter(|announced| announced.client == Some(client)).for_each(|it| it.client = None);
        });
    }

    /// Holds back commands of all shards; all boxes are here.
    pub(super) fn pause_everywhere(&mut self, until: UnixMillis, all: bool) {
        let now = self.data_now();
        if self.count() == 1 && self.session.pause.is_over(now) {
            // Those whom that one held back ask again: this may be about less.
            self.resume_paused();
        }
        self.everywhere(|shard| {
            shard.session.pause.start(now, until, all);
            shard.reschedule();
        });
    }

    /// CLIENT UNPAUSE; all boxes are here.
    pub(super) fn unpause_everywhere(&mut self) {
        self.everywhere(|shard| shard.session.pause.until = 0);
        if self.count() == 1 {
            self.session.pause.on = false;
            self.resume_paused();
        }
    }

    /// Ends the pause if its time is up.
    pub(super) fn end_pause(&mut self) {
        let pause = &mut self.session.pause;
        if !pause.on || pause.ends || kevy::bug!(PauseNeverEnds) {
            return;
        }
        let now = self.data_now().max(self.now.unix);
        if !self.session.pause.is_over(now) {
            return;
        }
        if self.count() > 1 {
            self.session.pause.ends = true;
            self.post_letting_go(false);
        } else {
            self.session.pause.on = false;
            self.resume_paused();
            // Before anything that arrives.
            self.run_runnable();
        }
    }

    /// What one shard has held back is read again, the first first.
    fn resume_paused(&mut self) {
        let mut paused: Vec<ConnId> = std::mem::take(&mut self.paused).into_values().collect();
        if kevy::bug!(PausedGoOnBySlot) {
            paused.sort_by_key(|id| id.0);
        }
        for id in paused {
            if let Some(conn) = self.conn_mut(id) {
                (conn.waiting, conn.held) = (Waiting::No, None);
                self.resume(id);
            }
        }
    }

    /// Executes the next command that a connection has sent, which was held back, or came behind one that was.
    fn let_go(&mut self, id: ConnId, ticket: u64) -> LetGo {
        let Some(conn) = self.conn_mut(id).filter(|conn| conn.held == Some(ticket)) else {
            return LetGo::Done;
        };
        match conn.waiting {
            Waiting::Order => return LetGo::NeedsPosition,
            Waiting::Blocked | Waiting::Room => return LetGo::Done,
            Waiting::Paused | Waiting::No => conn.waiting = Waiting::No,
        }
        conn.held = None;
        let before = conn.query.len();
        self.run_query(id, 1);
        let Some(conn) = self.conn_mut(id) else { return LetGo::Done };
        let more = !conn.query.is_empty() && conn.query.len() != before;
        let outcome = match conn.waiting {
            Waiting::Order if !kevy::bug!(LetGoPastPositions) => LetGo::NeedsPosition,
            Waiting::No if more && conn.can_execute() => {
                conn.waiting = Waiting::Paused;
                LetGo::More
            }
            waiting => {
                if waiting == Waiting::No {
                    self.resume(id);
                }
                return LetGo::Done;
            }
        };
        conn.held = Some(ticket);
        outcome
    }
}

/// What becomes of a connection that was let go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LetGo {
    Done,
    /// There is more behind the command that was executed, which comes next.
    More,
    /// The command needs a further position, and what is behind it comes next.
    NeedsPosition,
}

/// What is held back, by order: box and connection.
type HeldBack = BTreeMap<(usize, u64), (usize, ConnId)>;

fn take_held(boxes: &mut [Hand<Shard>], held: &mut HeldBack, again: bool) {
    for (at, hand) in boxes.iter_mut().enumerate() {
        let mut paused = std::mem::take(&mut hand.paused);
        if again {
            paused.append(&mut hand.paused_again);
        }
        let paused = paused.into_iter();
        let in_order = |ticket: u64| if kevy::bug!(LetGoByShard) { (at, ticket) } else { (0, ticket) };
        held.extend(paused.map(|(ticket, id)| (in_order(ticket), (at, id))));
    }
}

/// All boxes are here: lets go what nothing holds back any more, or the rest of it at that one's position.
pub(super) fn let_go(mut boxes: Vec<Hand<Shard>>, now: Now, rest: bool) -> Vec<Hand<Shard>> {
    let time = boxes[0].data_now();
    if boxes[0].session.pause.interrupted && !rest {
        return boxes;
    }
    for hand in &mut boxes {
        hand.session.pause.interrupted = false;
        if std::mem::take(&mut hand.session.pause.ends) {
            // Others may have made it longer meanwhile: then it ends later.
            hand.reschedule();
        }
    }
    if !boxes[0].session.pause.lets_go(time) {
        return boxes;
    }
    boxes.sort_by_key(|hand| hand.me());
    for hand in &mut boxes {
        hand.set_now(now);
        hand.letting_go = true;
    }
    let mut held = BTreeMap::new();
    // Who was held back again as the others were let go does not belong to the rest, or there would always be one; unless
    // what has held him back is over, too.
    let again = !rest || boxes[0].session.pause.is_over(time);
    take_held(&mut boxes, &mut held, again);
    let most = boxes[0].links.as_deref().map_or(usize::MAX, |links| links.limits().let_go);
    let (mut goes_on, mut last, mut left) = (true, 0, most);
    while goes_on && let Some((order, (at, id))) = held.pop_first() {
        if left == 0 {
            held.insert(order, (at, id));
            goes_on = false;
            continue;
        }
        (last, left) = (at, left - 1);
        let was_in_force = boxes[0].session.pause.is_in_force(time);
        let mut outcome = LetGo::Done;
        boxes = hosted(boxes, at, |host| outcome = host.let_go(id, order.1));
        boxes = serve_ready(boxes);
        if outcome != LetGo::Done {
            held.insert(order, (at, id));
            goes_on = outcome == LetGo::More;
        }
        if was_in_force && !boxes[0].session.pause.is_in_force(time) && !kevy::bug!(UnpausedStayHeld) {
            // That was CLIENT UNPAUSE: also for those who have been held back again.
            take_held(&mut boxes, &mut held, true);
        }
    }
    for ((_, ticket), (at, id)) in held {
        boxes[at].paused.insert(ticket, id);
    }
    for hand in &mut boxes {
        hand.letting_go = false;
        if goes_on {
            hand.session.pause.let_go(time);
        } else {
            (hand.session.pause.ends, hand.session.pause.interrupted) = (true, true);
        }
    }
    if !goes_on && !kevy::bug!(RestIsNotLetGo) {
        // If the order is full, what one shard is to append is appended in order.
        boxes[last].post_letting_go(true);
    }
    boxes
}
