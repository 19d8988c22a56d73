//! Commands: the table, the one door, and the handlers, one file a type.

pub mod spec;
pub mod syntax;
pub mod table;

/// A handler of the command table.
pub type HandlerFn = for<'a> fn(&mut Call<'a>) -> Result<(), CommandError>;

pub struct Call<'a>(std::marker::PhantomData<&'a ()>);
pub struct CommandError;
