//! Visits: boxes of other shards that are at home are taken, and commands run over them at once.
//!
//! A *visit* is to one box, for one command that needs no other. It may stand further on in the order than the own one:
//! then the connection has seen more than the own box, and runs nothing on it before it has caught up.
//!
//! A *stay* is to several boxes, or for several commands, the own box among them. All must stand at one position, and so
//! nothing of what is done here can be half before an entry and half behind it: as in a gather, but nobody had to be told,
//! and nobody waits. It ends with the pipeline's decoded commands, or before the first that is not plain or needs somebody
//! who is not here, or as soon as somebody waits for what was done.
//!
//! Boxes are taken only where they are at home, and given back when one of them is not: nobody waits with a box in hand.

use kevy::resp::Decoder;

use super::conn::{Conn, ConnId};
use super::links::{Links, ShardId, Shards, leave, settle};
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
        let Some(links) = self.links.as_deref() else { return false };
        let (me, position, caught_up) = (self.me(), links.position(), links.has_caught_up());
        let listens = self.conn(id).is_none_or(Conn::listens);
        // Who hears of a command hears of those that it serves, too: that takes an entry.
        let heard = self.is_heard() && !kevy::bug!(StayersAreHeard);
        if !caught_up || listens || heard || self.owes() {
            return false;
        }
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

    /// As [`stay`](Self::stay), with the boxes of the decoded commands from the first on that are plain.
    pub(super) fn stay_for(&mut self, id: ConnId, bytes: &[u8], batch: &Batch, decoder: &Decoder) -> bool {
        if self.conn(id).is_none_or(|conn| conn.multi.is_some()) {
            return false;
        }
        let (mut needs, me, all) = (Shards::NONE, self.me(), self.all_shards());
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
        !needs.without(me).is_empty() && self.stay(id, needs)
    }

    /// Boxes that were visited go home, once they have served those who wait for what was done there. (Their threads would,
    /// before anything else, but would have to be woken.)
    pub(super) fn end_stay(&mut self) {
        if self.guests.is_empty() || self.links.as_deref().is_some_and(Links::in_entry) {
            return;
        }
        for mut hand in self.send_home() {
            if hand.realm.is_ready() {
                hand.serve_blocked();
            }
            leave(hand, self.now);
        }
    }
}
