//! `rename-command`: which names commands answer to, where that is not the table's own name.
//!
//! A client that uses a name that was taken away gets the answer for a command that does not exist. Errors,
//! statistics and the replies of COMMAND keep the table's names, as in Redis.

use std::collections::BTreeMap;

use kevy::command::{Command, lookup};

/// Commands of Redis 8.0 that kevy does not have. Configurations that take them away ask for nothing, and are no
/// mistake.
const ABSENT: &str = "\
    asking bgrewriteaof bgsave cluster dump eval eval_ro evalsha evalsha_ro failover fcall fcall_ro \
    geoadd geodist geohash geopos georadius georadius_ro georadiusbymember georadiusbymember_ro \
    geosearch geosearchstore hexpire hexpireat hexpiretime hgetex hpersist hpexpire hpexpireat \
    hpexpiretime hpttl hsetex httl migrate pfadd pfcount pfdebug pfmerge pfselftest psync \
    replconf replicaof restore restore-asking save script slaveof sync xack xadd xautoclaim \
    xclaim xdel xgroup xinfo xlen xpending xrange xread xreadgroup xrevrange xsetid xtrim";

/// See the module documentation. Logarithmic in the number of names changed; free if there are none.
#[derive(Clone, Debug, Default)]
pub struct Renames {
    /// From names in lower case to the table's name; `None` for a name that was taken away.
    names: BTreeMap<Vec<u8>, Option<&'static str>>,
}

impl Renames {
    /// The command that `name`, in any case, stands for.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<&'static Command> {
        if self.names.is_empty() {
            return lookup(name);
        }
        match self.names.get(&name.to_ascii_lowercase()) {
            Some(renamed) => lookup(renamed.as_ref()?.as_bytes()),
            None => lookup(name),
        }
    }

    /// Gives the command `from` the name `to`, or none at all if that is empty. Errors are Redis's reasons for a
    /// line of the configuration that is wrong.
    pub fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<(), &'static str> {
        let (from, to) = (from.to_ascii_lowercase(), to.to_ascii_lowercase());
        let Some(command) = self.find(&from) else {
            let absent = ABSENT.split(' ').any(|name| name.as_bytes() == from);
            return if absent { Ok(()) } else { Err("No such command in rename-command") };
        };
        self.names.insert(from, None);
        if to.is_empty() {
            return Ok(());
        }
        if self.find(&to).is_some() {
            return Err("Target command name already exists");
        }
        self.names.insert(to, Some(command.name));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renamed_command_answers_to_its_last_name_only() {
        let mut renames = Renames::default();
        renames.rename(b"GET", b"First").unwrap();
        renames.rename(b"first", b"second").unwrap();
        renames.rename(b"set", b"").unwrap();
        renames.rename(b"incr", b"GET").unwrap();
        renames.rename(b"del", b"Del").unwrap();
        let name = |name: &str| renames.find(name.as_bytes()).map(|command| command.name);
        assert_eq!(
            ["SECOND", "get", "DEL", "Append"].map(name),
            [Some("get"), Some("incr"), Some("del"), Some("append")]
        );
        assert_eq!(["first", "set", "incr", ""].map(name), [None; 4]);
    }

    #[test]
    fn names_must_exist_and_must_be_free() {
        let mut renames = Renames::default();
        assert_eq!(renames.rename(b"nosuch", b"x"), Err("No such command in rename-command"));
        assert_eq!(renames.rename(b"get", b"SET"), Err("Target command name already exists"));
        renames.rename(b"append", b"").unwrap();
        assert_eq!(renames.rename(b"append", b"x"), Err("No such command in rename-command"));
        for absent in ABSENT.split(' ') {
            assert!(
                lookup(absent.as_bytes()).is_none(),
                "{absent} is here now: it is to be renamed like any other"
            );
            renames.rename(absent.as_bytes(), b"").unwrap();
        }
    }
}
