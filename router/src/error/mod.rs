//! Errors: the one place where what went wrong becomes SQLSTATE, message, detail and hint.

pub mod catalogue;
