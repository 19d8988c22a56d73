//! CONFIG: the configuration at run time. What values may be is the business of [`crate::config`]; here changes are made
//! to happen.

use kevy::command::CommandError;

use super::{Outcome, Session};
use crate::config::{ConfigError, os_reason};
use crate::log::Level;
use crate::shard::{Request, Shard};

pub fn get(s: &mut Session<'_>) -> Outcome {
    let patterns: Vec<&[u8]> = s.args.iter().skip(2).collect();
    let found = s.shard.config.get(&patterns);
    s.reply.map(found.len());
    for (name, value) in found {
        s.reply.bulk(&name);
        s.reply.bulk(&value);
    }
    Ok(())
}

pub fn set(s: &mut Session<'_>) -> Outcome {
    if !s.args.len().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    let pairs: Vec<(&[u8], &[u8])> =
        (2..s.args.len()).step_by(2).map(|at| (s.arg(at), s.arg(at + 1))).collect();
    let local = s.conn().peer.local;
    let mut next = s.shard.config.clone();
    let failed = |error: ConfigError| CommandError::Owned(error.message());
    let changed = next.set(&pairs, local);
    if kevy::bug!(ConfigSetKeepsPart) && changed.is_err() {
        let _ = s.shard.config.set(&pairs[..1], local);
    }
    let changed = changed.map_err(failed)?;
    if !changed.is_empty() {
        let applied = (s.shard.env.apply_config)(&s.shard.config, &mut next, &changed);
        applied.map_err(|(name, reason)| failed(ConfigError::failed(name.as_bytes(), &reason)))?;
        s.shard.everywhere(|shard| {
            shard.config = next.clone();
            shard.configured(&changed);
        });
    }
    s.reply.ok();
    Ok(())
}

pub fn rewrite(s: &mut Session<'_>) -> Outcome {
    if s.shard.config.process.config_file.is_none() {
        return Err(CommandError::Text("ERR The server is running without a config file"));
    }
    match (s.shard.env.rewrite_config)(&s.shard.config) {
        Ok(()) => {
            crate::log!(Level::Notice, "CONFIG REWRITE executed with success.");
            s.reply.ok();
            Ok(())
        }
        Err(error) => {
            let reason = os_reason(&error);
            crate::log!(Level::Warning, "CONFIG REWRITE failed: {reason}");
            Err(CommandError::Owned(format!("ERR Rewriting config file: {reason}").into_bytes()))
        }
    }
}

pub fn resetstat(s: &mut Session<'_>) -> Outcome {
    s.shard.everywhere(Shard::reset_statistics);
    s.reply.ok();
    Ok(())
}

pub fn help(s: &mut Session<'_>) -> Outcome {
    s.help(&[
        "GET <pattern>",
        "    Return parameters matching the glob-like <pattern> and their values.",
        "SET <directive> <value>",
        "    Set the configuration <directive> to <value>.",
        "RESETSTAT",
        "    Reset statistics reported by the INFO command.",
        "REWRITE",
        "    Rewrite the configuration file.",
    ]);
    Ok(())
}

impl Shard {
    /// The configuration is another one now: what was derived from the old one follows.
    fn configured(&mut self, changed: &[&str]) {
        self.observe_latency();
        for &name in changed {
            match name {
                "slowlog-max-len" => {
                    let len = self.config.latency.slowlog_max_len;
                    self.session.slowlog.shorten(len);
                }
                "latency-tracking" if !self.config.latency.tracking => {
                    for stats in &mut self.stats.by_command {
                        stats.latency = Default::default();
                    }
                }
                "hz" => self.next_cron = self.now.mono,
                _ => {}
            }
        }
        self.request = self.request.or(Some(Request::Reconfigure));
    }

    /// CONFIG RESETSTAT: counters of events start again from 0.
    fn reset_statistics(&mut self) {
        self.stats = Default::default();
        self.realm.keyspace.stats = Default::default();
        self.cron.reset_rates();
    }
}
