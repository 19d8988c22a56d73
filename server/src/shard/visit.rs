//! Visits: boxes of other shards that are at home are taken, and commands run over them at once.
//!
//! A *visit* is to one box, for one command that needs no other. It may stand further on in the order than the own one:
//! then the connection has seen more than the own box, and runs nothing on it before it has caught up.
//!
//! A *stay* is to several boxes, or for several commands, the own box among them. All must stand at one position, and so
//! nothing of what is done here can be half before an entry and half behind it: as in a gather, but nobody had to be told,
//! and nobody waits. It ends before a command that is not plain or needs somebody who is not here, or as soon as somebody
//! waits for what was done; else it goes on over what other connections have sent, as long as nothing has been appended,
//! up to [a number of batches](crate::reactor::several::Limits::stay_batches), and at the latest when the thread has executed what it had
//! received: the tail that the boxes stand at was loaded after all of that had been received.
//!
//! Boxes are taken only where they are at home, and given back when one of them is not: nobody waits with a box in hand.
//! A thread whose connections need boxes of others looks before it begins, its own at home, whether those come home
//! presently (see [`several`](crate::reactor::several)). Else two threads would hold a box each, find the
//! other's busy, and everything would have to go through the order.

use kevy::resp::Decoder;

use super::conn::{Conn, ConnId};
use super::links::{Links, ShardId, Shards, call, leave, settle};
use super::together::is_plain;
use super::{Batch, Shard, gates};
use crate::order::place::Hand;

impl Shard {
    /// Takes another shard's box, if it is at home and nothing keeps a visitor's command waiting there.
    fn visit(&mut self, other: ShardId) -> Option<Hand<Shard>> {
        let hand = self.links.as_deref().and_then(|links| links.take_other(other))?;
        let hand = if kevy::bug!(VisitedUnsynced) { hand } else { settle(hand, self.now)? };
        if hand.owes() {
            leave(hand, self.now);
            return None;
        }
        Some(hand)
    }

    /// Takes in one box, for a command that needs no other. False: it cannot be visited.
    pub(super) fn visit_one(&mut self, other: ShardId) -> bool {
        let Some(hand) = self.visit(other) else { return false };
        let position = hand.links.as_deref().map_or(0, |links| links.position());
        if let Some(links) = self.links.as_deref_mut()
            && !kevy::bug!(VisitUnseen)
        {
            links.see(position);
        }
        self.take_in(vec![hand]);
        true
    }

    /// Takes in boxes for commands of a connection that may need several of them and the own one. False: one cannot be
    /// visited, or stands elsewhere in the order.
    pub(super) fn stay(&mut self, id: ConnId, needs: Shards) -> bool {
        let listens = self.conn(id).is_none_or(Conn::listens);
        // Who hears of a command hears of those that it serves, too: that takes an entry.
        let heard = self.is_heard() && !kevy::bug!(StayersAreHeard);
        let owes = self.owes();
        let Some(links) = self.links.as_deref_mut() else { return false };
        if !links.has_caught_up() || listens || heard || owes {
            return false;
        }
        links.seek(needs);
        let (me, position) = (links.me(), links.position());
        let mut hands = Vec::with_capacity(needs.len());
        for other in needs.without(me).iter() {
            let stands =
                |hand: &Hand<Shard>| hand.links.as_deref().is_some_and(|links| links.position() == position);
            match self.visit(other) {
                Some(hand) if stands(&hand) || kevy::bug!(StaysAnywhere) => hands.push(hand),
                other => {
                    hands.into_iter().chain(other).for_each(|hand| leave(hand, self.now));
                    return false;
                }
            }
        }
        self.take_in(hands);
        true
    }

    /// A batch begins: ends the stay in which others were executed, unless it goes on.
    pub(super) fn renew_stay(&mut self) {
        if self.has_guests() && !self.links.as_deref_mut().is_some_and(Links::stay_goes_on) {
            self.end_stay();
        }
    }

    /// Whether boxes of others are here.
    pub(crate) fn has_guests(&self) -> bool {
        !self.guests.is_empty()
    }

    /// As [`stay`](Self::stay), with the boxes of the decoded commands from the first on that are plain.
    pub(super) fn stay_for(&mut self, id: ConnId, bytes: &[u8], batch: &Batch, decoder: &Decoder) -> bool {
        if self.conn(id).is_none_or(|conn| conn.multi.is_some()) {
            return false;
        }
        let (mut needs, me, all) = (Shards::NONE, self.me(), self.all_shards());
        if self.here() == all {
            self.note_undisturbed();
            return true;
        }
        for decoded in &batch.commands {
            let args = decoded.args(bytes, batch, decoder);
            match gates::find(&self.config.security.renames, args) {
                Ok(command) if is_plain(command) && command.accepts_arity(args.len()) => {
                    needs = needs.with(self.route(id, command, args));
                }
                _ => break,
            }
            if needs.with(Shards::one(me)) == all {
                break;
            }
        }
        if needs.minus(self.here()).is_empty() {
            return self.has_guests();
        }
        self.end_stay();
        let stays = self.stay(id, needs);
        if stays && self.here() == all {
            self.note_undisturbed();
        }
        stays
    }

    /// Boxes that were visited go home, once they have served those who wait for what was done there. (Their threads would,
    /// before anything else, but would have to be woken.)
    pub(crate) fn end_stay(&mut self) {
        if self.guests.is_empty() || self.links.as_deref().is_some_and(Links::in_entry) {
            return;
        }
        let mut hands = self.send_home();
        let ready = hands.iter().filter(|hand| hand.realm.is_ready()).count();
        if ready + usize::from(self.realm.is_ready()) > 1 {
            let mut boxes: Vec<&mut Shard> = vec![self];
            boxes.extend(hands.iter_mut().map(|hand| &mut **hand));
            call(&mut boxes);
        }
        for mut hand in hands {
            if hand.realm.is_ready() {
                hand.serve_blocked();
            }
            leave(hand, self.now);
        }
    }
}
