//! ACL: there is one user, `default`, who may do everything.

use kevy::command::CommandError;
use kevy::command::spec::AclCategories;
use kevy::command::table::TABLE;

use super::{Outcome, Session};

/// The only user there is.
pub const DEFAULT_USER: &[u8] = b"default";

pub fn whoami(s: &mut Session<'_>) -> Outcome {
    s.reply.bulk(DEFAULT_USER);
    Ok(())
}

pub fn users(s: &mut Session<'_>) -> Outcome {
    s.reply.array(1);
    s.reply.bulk(DEFAULT_USER);
    Ok(())
}

/// ACL CAT [category].
pub fn cat(s: &mut Session<'_>) -> Outcome {
    if s.args.len() > 3 {
        return Err(s.wrong_subcommand());
    }
    if s.args.len() == 2 {
        s.reply.array(AclCategories::NAMES.len());
        AclCategories::NAMES.iter().for_each(|(_, name)| s.reply.bulk(name.as_bytes()));
        return Ok(());
    }
    let Some(&(category, _)) = AclCategories::NAMES.iter().find(|(_, name)| s.is(2, name)) else {
        let name = s.arg(2);
        return Err(CommandError::quoting("ERR Unknown category '", &name[..name.len().min(128)], "'"));
    };
    let names = TABLE.iter().filter(|row| row.acl.contains(category)).map(|row| row.name);
    s.reply.array(names.clone().count());
    names.for_each(|name| s.reply.bulk(name.as_bytes()));
    Ok(())
}

pub fn help(s: &mut Session<'_>) -> Outcome {
    s.help(&[
        "CAT [<category>]",
        "    List all commands that belong to <category>, or all command categories",
        "    when no category is specified.",
        "USERS",
        "    List all the registered usernames.",
        "WHOAMI",
        "    Return the current connection username.",
    ]);
    Ok(())
}
