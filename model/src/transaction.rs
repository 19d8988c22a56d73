//! MULTI, EXEC, DISCARD, WATCH, UNWATCH.
//!
//! A transaction runs its commands one after the other with nothing between them; an error of one does not stop the
//! others. It is given up if a command was refused while queueing (an error), or if a watched key was modified since
//! (a null): modified by whom, and whether to the same value, does not matter.

use kevy::resp::Frame;

use crate::{Answer, Ask, Model, Session, Want};

impl Session {
    /// Forgets queue and watched keys.
    pub(crate) fn end_transaction(&mut self) {
        self.queue = None;
        self.refused = false;
        self.asks_memory = false;
        self.unwatch();
    }

    fn unwatch(&mut self) {
        self.watching.clear();
        self.dirty = false;
    }
}

pub fn multi(m: &mut Model, ask: &Ask) -> Answer {
    let session = m.session(ask.conn);
    if session.queue.is_some() {
        return Err("ERR MULTI calls can not be nested".into());
    }
    session.queue = Some(Vec::new());
    Ok(Want::ok())
}

pub fn discard(m: &mut Model, ask: &Ask) -> Answer {
    let session = m.session(ask.conn);
    if session.queue.is_none() {
        return Err("ERR DISCARD without MULTI".into());
    }
    session.end_transaction();
    Ok(Want::ok())
}

pub fn exec(m: &mut Model, ask: &Ask) -> Answer {
    if m.session(ask.conn).queue.is_none() {
        return Err("ERR EXEC without MULTI".into());
    }
    // A watched key that expired meanwhile counts as modified, unless it was expired already.
    let watching = m.session(ask.conn).watching.clone();
    let expired = watching.iter().any(|((db, key), was)| !was && m.is_expired(*db, key, ask.now));
    let session = m.session(ask.conn);
    let (refused, dirty) = (session.refused, session.dirty || expired);
    let queue = session.queue.clone().unwrap_or_default();
    session.end_transaction();
    if refused {
        return Err("EXECABORT Transaction discarded because of previous errors.".into());
    }
    if dirty {
        return Ok(Want::NilArray);
    }
    m.session(ask.conn).executing = Some(queue.len());
    let replies = ask.reply.and_then(Frame::elements).unwrap_or_default();
    let mut frames = Vec::new();
    for argv in &queue {
        let reply = replies.get(frames.len());
        let want = m.call(ask.conn, ask.now, argv, false, reply).unwrap_or_else(Want::Error);
        let spoken = m.protocol(ask.conn);
        frames.extend(want.into_frames().into_iter().map(|want| Want::In(spoken, Box::new(want))));
    }
    if let Some(session) = m.sessions.get_mut(&ask.conn) {
        session.executing = None;
    }
    // The header promises as many replies as there are commands. SUBSCRIBE sends a frame for each channel all the
    // same, so that the last frames come after the array.
    let after = frames.split_off(queue.len().min(frames.len()));
    frames = vec![Want::Array(frames)];
    frames.extend(after);
    Ok(Want::Frames(frames))
}

pub fn watch(m: &mut Model, ask: &Ask) -> Answer {
    if m.session(ask.conn).queue.is_some() {
        return Err("ERR WATCH inside MULTI is not allowed".into());
    }
    for key in &ask.argv[1..] {
        let expired = m.is_expired(ask.db, key, ask.now);
        m.session(ask.conn).watching.entry((ask.db, key.clone())).or_insert(expired);
    }
    Ok(Want::ok())
}

pub fn unwatch(m: &mut Model, ask: &Ask) -> Answer {
    m.session(ask.conn).unwatch();
    Ok(Want::ok())
}
