//! Utility: statements that are no queries and change no schema, those that pgring answers itself, and those that
//! could not be read. In: tokens. Out: a plan. Never: lets a statement through that names a sharded table and was
//! not understood.

use super::{
    AdminText, Builtin, BuiltinCall, BuiltinColumn, Many, Plan, PlanKind, SessionEffect, Source, Written,
    build::{self, Input},
    copy, ddl,
    names::{self, Meaning},
    predicate, reference,
    refuse::{plan, refusal, refuse},
    traces,
};
use crate::{
    error::catalogue,
    sql::{
        fingerprint::SlotKind,
        parse::{Kind, Lexeme, Tokens},
        rewrite::{self, Range},
        verb::first_word,
        words::Words,
    },
};

/// Plans a statement that begins with `word`, which is no query.
pub(super) fn statement(input: &Input<'_>, tokens: &Tokens, first: usize, word: &str) -> Plan {
    match word {
        "explain" => explain(input, tokens, first),
        "copy" => copy::plan(input, tokens, first),
        "truncate" => truncate(input, tokens),
        "lock" => lock(input),
        "call" => builtin(input, tokens, first).unwrap_or_else(|| code(input)),
        "do" => code(input),
        "load" => pinned(plan(PlanKind::Local, false), "LOAD"),
        _ if ddl::VERBS.contains(&word) => ddl::plan(input, tokens, first, word),
        _ => not_understood(input, "its verb is not known here"),
    }
}

fn pinned(mut plan: Plan, reason: &'static str) -> Plan {
    plan.session.pin = Some(reason);
    plan
}

/// LOCK: on every shard, which has the local tables too.
fn lock(input: &Input<'_>) -> Plan {
    match mentioned(input) {
        (false, false) => plan(PlanKind::Local, false),
        _ => plan(PlanKind::Lock, false),
    }
}

/// TRUNCATE, which empties every shard's part of a table and every copy, all or none.
fn truncate(input: &Input<'_>, tokens: &Tokens) -> Plan {
    let cascades = tokens.lexemes.iter().any(|lexeme| lexeme.is("cascade"));
    match mentioned(input) {
        (false, false) if !cascades || input.topology.tables.is_empty() => plan(PlanKind::Local, false),
        _ => ddl::contents(input),
    }
}

/// DO and CALL: code sees its own server's rows only.
fn code(input: &Input<'_>) -> Plan {
    if mentioned(input).0 {
        let hint = "Run its statements one by one.";
        return refuse(refusal(catalogue::UNSUPPORTED, "code that names a sharded table", hint));
    }
    let mut plan = match reference::of_text(input) {
        Some(Ok(kind)) => plan(kind, false),
        Some(Err(refusal)) => return refuse(refusal),
        None => plan(PlanKind::Local, false),
    };
    traces::note(input, words(input.text), &mut plan.session);
    plan
}

fn explain(input: &Input<'_>, tokens: &Tokens, first: usize) -> Plan {
    let lexemes = &tokens.lexemes;
    let is = |at: usize, word: &str| lexemes.get(at).is_some_and(|lexeme: &Lexeme| lexeme.is(word));
    let (mut at, mut analyze, mut route) = (first + 1, false, false);
    if lexemes.get(at).is_some_and(|lexeme| lexeme.is_symbol("(")) {
        let close = (at..lexemes.len()).find(|at| lexemes[*at].is_symbol(")"));
        let Some(close) = close else { return not_understood(input, "EXPLAIN without its closing parenthesis") };
        route = (at..close).any(|at| is(at, "route"));
        analyze = (at..close).any(|at| is(at, "analyze") && !is(at + 1, "false") && !is(at + 1, "off"));
        at = close + 1;
        if lexemes.get(at).is_some_and(|lexeme| lexeme.is_symbol("(")) && lexemes.get(at + 1).is_none() {
            return not_understood(input, "EXPLAIN without a statement");
        }
    } else {
        while is(at, "analyze") || is(at, "verbose") {
            analyze |= is(at, "analyze");
            at += 1;
        }
    }
    let Some(start) = lexemes.get(at) else { return not_understood(input, "EXPLAIN without a statement") };
    if route {
        let Some(statement_at) = input.lexed.shape_at(start.start) else {
            return not_understood(input, "EXPLAIN in an unknown form");
        };
        return plan(PlanKind::ExplainRoute { analyze, statement_at }, !analyze);
    }
    if is(at, "execute") {
        let mut plan = plan(PlanKind::Local, !analyze);
        plan.session.executes = true;
        return plan;
    }
    if !["select", "with", "insert", "update", "delete", "values", "table"].iter().any(|word| is(at, word))
        && !start.is_symbol("(")
    {
        return not_understood(input, "EXPLAIN of this verb");
    }
    let Some(statement_at) = input.lexed.shape_at(start.start) else {
        return not_understood(input, "EXPLAIN in an unknown form");
    };
    explained(build::statement(input, tokens, at), analyze, statement_at)
}

/// The plan of an EXPLAIN from that of its statement: never merged, and without effect unless it is executed.
fn explained(mut inner: Plan, analyze: bool, statement_at: u32) -> Plan {
    match &mut inner.kind {
        PlanKind::Gather(_) => inner.kind = PlanKind::Explain(statement_at),
        PlanKind::ReferenceWrite(write) if analyze => write.written = Written::Compared,
        PlanKind::ReferenceWrite(_) => inner.kind = PlanKind::Local,
        _ => {}
    }
    if let PlanKind::Sharded(sharded) = &mut inner.kind {
        if !matches!(sharded.many, Many::Refuse(_)) {
            sharded.many = Many::Explain(statement_at);
        }
        inner.fixed_slots.clear();
    }
    if let PlanKind::Generate(generate) = &mut inner.kind {
        generate.otherwise =
            generate.otherwise.take().map(|plan| explained(Plan::clone(&plan), analyze, statement_at).into());
    }
    if matches!(inner.kind, PlanKind::Builtin(_)) {
        inner = refuse(refusal(catalogue::UNSUPPORTED, "EXPLAIN of a function of pgring", "Call it itself."));
    }
    if !analyze {
        inner.reads_only = true;
        inner.session = SessionEffect::default();
    }
    inner
}

/// Calls of pgring's own functions, if the statement names any.
pub(super) fn builtin(input: &Input<'_>, tokens: &Tokens, first: usize) -> Option<Plan> {
    let lexemes = &tokens.lexemes;
    if let Some(name) = channels(lexemes, first) {
        return Some(plan(PlanKind::Builtin(Builtin::Channels(name)), false));
    }
    let own = |at: usize| {
        let function = lexemes.get(at + 2).and_then(Lexeme::identifier);
        lexemes[at].identifier() == Some("pgring")
            && lexemes.get(at + 1).is_some_and(|lexeme| lexeme.is_symbol("."))
            && matches!(function, Some("version" | "token" | "shard_of" | "show" | "admin"))
            && lexemes.get(at + 3).is_some_and(|lexeme| lexeme.is_symbol("("))
    };
    (first..lexemes.len()).find(|at| own(*at))?;
    let found = admin(input, lexemes, first).or_else(|| show(input, lexemes, first));
    let found = found.or_else(|| columns(input, lexemes, first).map(Builtin::Select));
    Some(match found {
        Some(builtin) => plan(PlanKind::Builtin(builtin), false),
        None => refuse(refusal(
            catalogue::UNSUPPORTED,
            "a function of pgring inside a larger statement",
            "Call it alone, with literals or parameters.",
        )),
    })
}

/// Number of tokens up to the semicolons at the end.
pub(super) fn end(lexemes: &[Lexeme]) -> usize {
    lexemes.len() - lexemes.iter().rev().take_while(|lexeme| lexeme.is_symbol(";")).count()
}

/// Whether these words and symbols stand at `first`.
pub(super) fn words_at(lexemes: &[Lexeme], first: usize, expected: &[&str]) -> bool {
    expected.iter().enumerate().all(|(at, word)| {
        lexemes.get(first + at).is_some_and(|lexeme| lexeme.identifier() == Some(word) || lexeme.is_symbol(word))
    })
}

/// `CALL pgring.admin('…')`
fn admin(input: &Input<'_>, lexemes: &[Lexeme], first: usize) -> Option<Builtin> {
    let fits = words_at(lexemes, first, &["call", "pgring", ".", "admin", "("]) && end(lexemes) == first + 7;
    let text = argument(input, lexemes, Range { first: first + 5, last: first + 6 });
    text.filter(|_| fits).map(|text| Builtin::Admin(AdminText(text)))
}

/// `SELECT * FROM pgring.show('…')`
fn show(input: &Input<'_>, lexemes: &[Lexeme], first: usize) -> Option<Builtin> {
    let fits =
        words_at(lexemes, first, &["select", "*", "from", "pgring", ".", "show", "("]) && end(lexemes) == first + 9;
    let text = argument(input, lexemes, Range { first: first + 7, last: first + 8 });
    text.filter(|_| fits).map(|text| Builtin::Show(AdminText(text)))
}

/// `SELECT [* FROM] pg_listening_channels() [[AS] name]`; returns the column's name.
fn channels(lexemes: &[Lexeme], first: usize) -> Option<String> {
    const CALL: [&str; 3] = ["pg_listening_channels", "(", ")"];
    let mut at = first + 1;
    words_at(lexemes, first, &["select"]).then_some(())?;
    let from = words_at(lexemes, at, &["*", "from"]);
    at += if from { 2 } else { 0 };
    at += if words_at(lexemes, at, &["pg_catalog", "."]) { 2 } else { 0 };
    words_at(lexemes, at, &CALL).then_some(())?;
    let name = match lexemes.get(at + CALL.len()..end(lexemes))? {
        [] => CALL[0],
        [alias] => alias.identifier()?,
        [word, alias] if word.is("as") => alias.identifier()?,
        _ => return None,
    };
    Some(name.to_owned())
}

fn columns(input: &Input<'_>, lexemes: &[Lexeme], first: usize) -> Option<Vec<BuiltinColumn>> {
    if !lexemes.get(first)?.is("select") {
        return None;
    }
    let items = rewrite::split(lexemes, Range { first: first + 1, last: end(lexemes) });
    items.into_iter().map(|item| column(input, lexemes, item)).collect()
}

fn column(input: &Input<'_>, lexemes: &[Lexeme], item: Range) -> Option<BuiltinColumn> {
    if !words_at(lexemes, item.first, &["pgring", "."]) || !lexemes.get(item.first + 3)?.is_symbol("(") {
        return None;
    }
    let function = lexemes.get(item.first + 2)?.identifier()?;
    let close = (item.first..item.last).find(|at| lexemes[*at].is_symbol(")"))?;
    let arguments = rewrite::split(lexemes, Range { first: item.first + 4, last: close });
    let mut sources = arguments.into_iter().map(|range| argument(input, lexemes, range));
    let call = match (function, sources.next(), sources.next(), sources.next()) {
        ("version", None, None, None) => BuiltinCall::Version,
        ("token", Some(table), Some(key), None) => BuiltinCall::Token(table?, key?),
        ("shard_of", Some(table), Some(key), None) => BuiltinCall::ShardOf(table?, key?),
        _ => return None,
    };
    let alias = match &lexemes[close + 1..item.last] {
        [] => None,
        [alias] => Some(alias.identifier()?),
        [word, alias] if word.is("as") => Some(alias.identifier()?),
        _ => return None,
    };
    Some(BuiltinColumn { name: alias.unwrap_or(function).to_owned(), call })
}

/// A literal or parameter, perhaps with a cast.
pub(super) fn argument(input: &Input<'_>, lexemes: &[Lexeme], range: Range) -> Option<Source> {
    let mut range = range;
    if let Some(cast) = (range.first..range.last.min(lexemes.len())).find(|at| lexemes[*at].is_symbol("::")) {
        let plain = lexemes[cast + 1..range.last].iter().all(|lexeme| lexeme.identifier().is_some());
        plain.then_some(())?;
        range.last = cast;
    }
    let negative = lexemes.get(range.first)?.is_symbol("-");
    let at = range.first + usize::from(negative);
    (range.last == at + 1).then_some(())?;
    let lexeme = lexemes.get(at)?;
    match lexeme.kind {
        Kind::Parameter if !negative => {
            let digits = input.text.get(lexeme.start + 1..lexeme.end)?;
            digits.parse().ok().filter(|n| *n > 0).map(Source::Parameter)
        }
        Kind::Number => predicate::slot(input.lexed, lexeme.start, SlotKind::Integer, negative),
        Kind::String if !negative => predicate::slot(input.lexed, lexeme.start, SlotKind::String, false),
        _ => None,
    }
}

/// Whether the words of the text name a sharded table (or a view on one), and whether a reference table.
pub(super) fn mentioned(input: &Input<'_>) -> (bool, bool) {
    let words = words(input.text);
    let found = words.iter().map(|word| names::mentions(input, word));
    let mut all = found.fold((false, false), |all, one| (all.0 || one.0, all.1 || one.1));
    // Names that no word of the text can spell, or that are spelt with escapes.
    let escapes = input.text.to_ascii_lowercase().contains("u&\"");
    for table in input.topology.tables.keys() {
        let odd = table.name.contains(|c: char| c == '"' || !(c.is_alphanumeric() || c == '_' || c == '$'));
        if escapes || odd && input.text.contains(&table.name.replace('"', "\"\"")) {
            match names::meaning(input, table.clone()) {
                Meaning::Sharded(..) => all.0 = true,
                Meaning::Reference(_) => all.1 = true,
                _ => {}
            }
        }
    }
    all
}

/// Plans a statement that was not understood: by the tables its words name, never by a guess at its meaning.
pub(super) fn not_understood(input: &Input<'_>, why: &str) -> Plan {
    if first_word(input.text) == "LISTEN" && input.text.to_ascii_lowercase().contains("u&\"") {
        // The other forms are verbs, or errors. A pooled backend must not listen.
        let hint = "Write the name plainly, or between double quotes.";
        let what = "LISTEN on a channel whose name is written with escapes";
        return plan(PlanKind::Judge(refusal(catalogue::UNSUPPORTED, what, hint)), false);
    }
    let (sharded, reference) = mentioned(input);
    let reads = surely_reads(&words(input.text));
    if !sharded
        && !reads
        && is_write(input.text)
        && let Some(Ok(kind)) = reference::of_text(input)
    {
        // Whatever it does to them, they are compared afterwards.
        let mut written = plan(kind, false);
        traces::note(input, words(input.text), &mut written.session);
        return written;
    }
    if sharded || (reference && !reads) {
        let hint = "Write the statement in a simpler form, or reach the tables one by one.";
        return plan(PlanKind::Judge(refusal(catalogue::NOT_UNDERSTOOD, why, hint)), false);
    }
    let mut passed = plan(PlanKind::Local, false);
    traces::note(input, words(input.text), &mut passed.session);
    passed
}

/// INSERT, UPDATE, DELETE or MERGE, perhaps behind a WITH.
fn is_write(text: &str) -> bool {
    let is_verb = |word: &str| ["insert", "update", "delete", "merge"].contains(&word);
    match Words::new(text).name() {
        Some(first) => is_verb(&first) || (first == "with" && words(text).iter().any(|word| is_verb(word))),
        None => false,
    }
}

fn surely_reads(words: &[String]) -> bool {
    const WRITES: &[&str] = &["insert", "update", "delete", "merge", "into", "analyze", "truncate", "call", "do"];
    matches!(words.first().map(String::as_str), Some("select" | "table" | "values" | "show" | "explain" | "with"))
        && !words.iter().any(|word| WRITES.contains(&word.as_str()))
}

/// Every run of identifier characters and everything between two quotes, as PostgreSQL folds it, literals and
/// comments included: a superset of the words of the statement, so that nothing named is missed.
pub(super) fn words(text: &str) -> Vec<String> {
    let letter = |c: char| c.is_alphanumeric() || c == '_' || !c.is_ascii();
    // A `$` may be part of a name or the end of a dollar quote.
    let whole = text.split(|c: char| !(letter(c) || c == '$'));
    let parts = text.split(|c: char| !letter(c));
    let mut words: Vec<String> =
        whole.chain(parts).filter(|word| !word.is_empty()).map(crate::sql::parse::fold).collect();
    let mut quoted: Vec<&str> = text.split('"').skip(1).collect();
    quoted.pop();
    words.extend(quoted.into_iter().map(crate::sql::parse::truncate));
    words
}
