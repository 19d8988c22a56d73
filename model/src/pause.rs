//! CLIENT PAUSE: commands are held back for a time.
//!
//! While it lasts, commands that pass the gates and that it is about (all, or those that write or may reach replicas)
//! are kept, one a connection, and run in the order in which they came when it ends. Keys whose time is up answer as
//! missing, but do not go. A further pause can only make it longer and stricter.

use kevy::command::spec::Command;
use kevy::command::{CommandId, Flags};

use crate::gates::resolve;
use crate::{Answer, Ask, Bytes, Millis, Model, Request, Want, number};

/// A pause in force.
#[derive(Clone, Copy, Debug)]
pub struct Pause {
    pub until: Millis,
    /// Reading commands too.
    all: bool,
}

/// A command that is held back.
#[derive(Clone, Debug)]
pub struct Postponed {
    /// Its place in the order in which they run.
    since: u64,
    argv: Vec<Bytes>,
}

/// CLIENT PAUSE milliseconds [WRITE | ALL]
pub fn client_pause(m: &mut Model, ask: &Ask) -> Answer {
    if ask.argc() > 4 {
        return Err(crate::gates::wrong_subcommand(ask));
    }
    let write = ask.is(3, "WRITE");
    if ask.argc() == 4 && !write && !ask.is(3, "ALL") {
        return Err("ERR CLIENT PAUSE mode must be WRITE or ALL".into());
    }
    let timeout = number::int(ask.arg(2)).ok_or("ERR timeout is not an integer or out of range")?;
    if timeout < 0 {
        return Err("ERR timeout is negative".into());
    }
    let until = ask.now.checked_add(timeout).ok_or("ERR timeout is out of range")?;
    let before = m.pause.filter(|pause| ask.now < pause.until);
    m.pause = Some(Pause {
        until: before.map_or(until, |pause| pause.until.max(until)),
        all: !write || before.is_some_and(|pause| pause.all),
    });
    Ok(Want::ok())
}

pub fn client_unpause(m: &mut Model, _: &Ask) -> Answer {
    m.pause = None;
    Ok(Want::ok())
}

impl Model {
    /// Whether commands are held back, and keys stay.
    pub fn is_paused(&self, now: Millis) -> bool {
        self.pause.is_some_and(|pause| now < pause.until)
    }

    pub(crate) fn must_wait(&self, conn: usize, command: &Command, now: Millis) -> bool {
        self.is_paused(now) && self.pause.is_some_and(|pause| self.concerns(pause.all, conn, command))
    }

    /// Whether a pause, of everything or of what could write, is about a command.
    fn concerns(&self, all: bool, conn: usize, command: &Command) -> bool {
        let reaches_replicas =
            |command: &Command| command.flags.intersects(Flags::WRITE.with(Flags::MAY_REPLICATE));
        let queue = self.sessions.get(&conn).and_then(|session| session.queue.as_ref());
        let queued = || queue.into_iter().flatten().filter_map(|argv| resolve(argv).ok());
        all || reaches_replicas(command) || command.id == CommandId::Exec && queued().any(reaches_replicas)
    }

    /// Whether a pause, of everything or of what could write, would hold back a request.
    pub fn would_be_held_back(&mut self, all: bool, request: &Request) -> bool {
        let command = self.check(request.conn, &request.argv);
        command.is_ok_and(|command| self.concerns(all, request.conn, command))
    }

    /// Whether a request is held back as long as it goes on like this.
    pub fn is_held_back(&mut self, request: &Request) -> bool {
        let command = self.check(request.conn, &request.argv);
        command.is_ok_and(|command| self.must_wait(request.conn, command, request.now))
    }

    pub(crate) fn postpone(&mut self, request: &Request) -> Answer {
        self.hold_back(request.conn, request.argv.clone());
        Ok(Want::Blocks)
    }

    pub(crate) fn hold_back(&mut self, conn: usize, argv: Vec<Bytes>) {
        let since = self.blocked_so_far;
        self.blocked_so_far += 1;
        self.session(conn).postponed = Some(Postponed { since, argv });
    }

    /// Runs what was held back, if the pause has ended.
    pub(crate) fn resume(&mut self, now: Millis) {
        if self.is_paused(now) {
            return;
        }
        self.pause = None;
        let waiting =
            |(&conn, session): (&usize, &crate::Session)| Some((session.postponed.as_ref()?.since, conn));
        let mut waiting: Vec<(u64, usize)> = self.sessions.iter().filter_map(waiting).collect();
        waiting.sort_unstable();
        for (_, conn) in waiting {
            let Some(postponed) = self.sessions.get_mut(&conn).and_then(|session| session.postponed.take())
            else {
                continue;
            };
            let request = Request { conn, now, argv: postponed.argv };
            let want = self.admit(&request, None).unwrap_or_else(Want::Error);
            self.deliver_reply(conn, want);
            self.serve_blocked(now);
        }
    }
}
