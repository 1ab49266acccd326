//! Process: `SELECT pg_backend_pid()` and signals to one process, alone in their statement: clients know each other by
//! the ids that pgring gave them. In: tokens. Out: a plan. Never: such a call inside a larger statement.

use super::{
    Builtin, BuiltinCall, BuiltinColumn, Plan, PlanKind, Signal,
    build::Input,
    refuse::plan,
    utility::{self, words_at},
};
use crate::sql::{
    parse::{Lexeme, Tokens},
    rewrite::{self, Range},
};

/// The plan of a statement that is one such call.
pub(super) fn call(input: &Input<'_>, tokens: &Tokens, first: usize) -> Option<Plan> {
    let lexemes = &tokens.lexemes;
    if !lexemes.get(first)?.is("select") {
        return None;
    }
    let at = if words_at(lexemes, first + 1, &["pg_catalog", "."]) { first + 3 } else { first + 1 };
    let function = lexemes.get(at)?.identifier()?;
    if !matches!(function, "pg_backend_pid" | "pg_terminate_backend" | "pg_cancel_backend")
        || !lexemes.get(at + 1)?.is_symbol("(")
    {
        return None;
    }
    let end = utility::end(lexemes);
    let close = (at..end).find(|at| lexemes[*at].is_symbol(")"))?;
    let name = name(lexemes.get(close + 1..end)?, function)?;
    let arguments = Range { first: at + 2, last: close };
    let builtin = if function == "pg_backend_pid" {
        (arguments.first == arguments.last).then_some(())?;
        Builtin::Select(vec![BuiltinColumn { name, call: BuiltinCall::BackendPid }])
    } else {
        let [id] = rewrite::split(lexemes, arguments)[..] else { return None };
        let id = utility::argument(input, lexemes, id)?;
        Builtin::Signal(Signal { id, name, terminate: function == "pg_terminate_backend" })
    };
    Some(plan(PlanKind::Builtin(builtin), false))
}

/// The column's name: the function's, or its alias.
fn name(rest: &[Lexeme], function: &str) -> Option<String> {
    match rest {
        [] => Some(function.to_owned()),
        [alias] => alias.identifier().map(str::to_owned),
        [word, alias] if word.is("as") => alias.identifier().map(str::to_owned),
        _ => None,
    }
}
