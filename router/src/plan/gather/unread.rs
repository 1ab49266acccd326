//! Unread: a gather of a statement whose grammar is not known here, by its words alone. In: tokens. Out: the inputs
//! of a gather, whole tables. Never: a statement that could write, lock, look at storage, or call what is not
//! listed: each word is taken for the worst that it can be.

use super::{KEEPS_ORDER, Needed, OBJECTS, gathered, knows, no, point, put, time, touches_nothing, views};
use crate::{
    error::catalogue,
    plan::{
        Gather, GatherInput, GatherSource, Recipe, Refusal, Timed,
        build::Input,
        names::{self, Meaning},
        read::{Class, class},
        refuse::refusal,
        view::Definitions,
    },
    sql::{
        facts::Name,
        parse::{Kind, Lexeme, Tokens},
        volatility::{BARE, Builtin},
        words::is_reserved,
    },
};
use pgring_config::tables::TableName;
use std::collections::HashSet;

/// Words with which a statement may do more than read rows, or tell a table's copy from the table.
const REFUSED: &[&str] = &[
    "cmax",
    "cmin",
    "copy",
    "ctid",
    "delete",
    "insert",
    "into",
    "merge",
    "nowait",
    "only",
    "refresh",
    "returning",
    "tableoid",
    "tablesample",
    "truncate",
    "update",
    "xmax",
    "xmin",
];

/// Words that may stand before a parenthesis without being the name of a function.
const SYNTAX: &[&str] = &[
    "between",
    "bit",
    "bpchar",
    "by",
    "char",
    "character",
    "cube",
    "dec",
    "decimal",
    "escape",
    "exists",
    "extract",
    "filter",
    "float",
    "from",
    "grouping",
    "ilike",
    "interval",
    "is",
    "join",
    "json_table",
    "like",
    "materialized",
    "nchar",
    "numeric",
    "overlay",
    "over",
    "position",
    "precision",
    "rollup",
    "row",
    "rows",
    "search",
    "sets",
    "similar",
    "substring",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "to",
    "treat",
    "trim",
    "values",
    "varchar",
    "varying",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
    "zone",
    "passing",
    "columns",
    "path",
    "wrapper",
];

/// Plans a gather of a statement that could not be parsed, without inputs if it reaches no sharded table; None if it is
/// no query.
///
/// # Errors
/// Why it cannot be gathered.
pub(crate) fn plan(input: &Input<'_>, tokens: &Tokens, first: usize) -> Result<Option<Gather>, Refusal> {
    let lexemes = &tokens.lexemes[first..];
    let begins = ["select", "with", "values", "table"].iter().any(|word| lexemes.first().is_some_and(|l| l.is(word)));
    if !begins && !lexemes.first().is_some_and(|lexeme| lexeme.is_symbol("(")) {
        return Ok(None);
    }
    if let Some(word) = (0..lexemes.len()).find_map(|at| refused(lexemes, at)) {
        return Err(no(format!("{word:?} in a form that is not read here")));
    }
    if locks(lexemes) {
        return Err(no("a locking clause"));
    }
    let (mut timed, mut in_views) = (false, false);
    for at in 0..lexemes.len() {
        timed |= judge(input, lexemes, at)?;
    }
    let (mut inputs, named) = inputs(input, lexemes)?;
    let definitions = Definitions::of(input, tokens);
    let mut views = vec![];
    for view in &named {
        views::add_all(input, &definitions, view, (&mut inputs, &mut views), &mut in_views)?;
    }
    point(input, &tokens.lexemes, &mut inputs, &mut views)?;
    if !inputs.iter().any(|input| matches!(input.source, GatherSource::Sharded { .. })) {
        return Ok(Some(Gather {
            inputs: vec![],
            views: vec![],
            timed: Timed::No,
            temporary: false,
            rows: false,
            otherwise: None,
        }));
    }
    let timed = match (timed, in_views) {
        (_, true) => Timed::Hidden,
        (true, false) => time::timed(input, &tokens.lexemes, first),
        (false, false) => Timed::No,
    };
    Ok(Some(Gather { inputs, views, timed, temporary: false, rows: false, otherwise: None }))
}

fn refused(lexemes: &[Lexeme], at: usize) -> Option<&str> {
    // `FETCH FIRST 5 ROWS ONLY`
    let of_fetch = at > 0 && ["row", "rows"].iter().any(|word| lexemes[at - 1].is(word)) && lexemes[at].is("only");
    lexemes[at].identifier().filter(|word| !of_fetch && (REFUSED.contains(word) || OBJECTS.contains(word)))
}

/// FOR UPDATE, FOR SHARE and such; `FOR` alone may be a part of `substring`.
fn locks(lexemes: &[Lexeme]) -> bool {
    lexemes
        .windows(2)
        .any(|pair| pair[0].is("for") && ["update", "no", "share", "key"].iter().any(|word| pair[1].is(word)))
}

/// Looks at what may be a call. Returns whether its value depends on when the transaction began.
fn judge(input: &Input<'_>, lexemes: &[Lexeme], at: usize) -> Result<bool, Refusal> {
    let Some(word) = lexemes[at].identifier() else { return Ok(false) };
    let quoted = matches!(lexemes[at].kind, Kind::Quoted(_));
    let dot = |at: usize| lexemes.get(at).is_some_and(|lexeme| lexeme.is_symbol("."));
    let bare = !quoted && BARE.contains(&word) && time::is_of_time(word);
    let called = lexemes.get(at + 1).is_some_and(|next| next.is_symbol("("));
    let is_array = !quoted && word == "array";
    if !called || !quoted && !is_array && (is_reserved(word) || SYNTAX.contains(&word)) {
        return Ok(bare);
    }
    let schema = (at >= 2 && dot(at - 1)).then(|| lexemes[at - 2].identifier().map(str::to_owned)).flatten();
    let name = Name { schema, name: word.to_owned() };
    let close = closing(lexemes, at + 1);
    if KEEPS_ORDER.contains(&word) {
        let inside = &lexemes[at + 1..close.min(lexemes.len())];
        let behind = lexemes.get(close + 1);
        let ordered = inside.iter().any(|lexeme| lexeme.is("order") || !is_array && lexeme.is("distinct"))
            || behind.is_some_and(|next| next.is("over") || next.is("within"));
        if !ordered {
            let hint = format!("Add ORDER BY to the arguments of {word}.");
            return Err(refusal(catalogue::MANY_SHARDS, format!("{word}(…) without an order of its rows"), hint));
        }
    }
    if word == time::OF_STATEMENT {
        return Err(no(time::OF_STATEMENT));
    }
    match class(input, &name) {
        Class::Builtin(Builtin::Pure | Builtin::Aggregate | Builtin::Window) => {}
        Class::Builtin(Builtin::Stable) => return Ok(time::is_of_time(word)),
        Class::Builtin(Builtin::Volatile) if word != "setseed" => {}
        Class::User(_) if touches_nothing(input, &name) => {}
        Class::Builtin(Builtin::Unknown) if is_column_list(lexemes, at, close) => {}
        _ => return Err(no(format!("{word}, a function that may look at tables,"))),
    }
    Ok(bare)
}

/// The token of the parenthesis that closes the one at `open`.
fn closing(lexemes: &[Lexeme], open: usize) -> usize {
    let mut depth = 0_i32;
    for (at, lexeme) in lexemes.iter().enumerate().skip(open) {
        if lexeme.is_symbol("(") {
            depth += 1;
        } else if lexeme.is_symbol(")") {
            depth -= 1;
            if depth == 0 {
                return at;
            }
        }
    }
    lexemes.len()
}

/// `name (a, b)` names the columns of a CTE or of an alias.
fn is_column_list(lexemes: &[Lexeme], at: usize, close: usize) -> bool {
    let plain = |lexeme: &Lexeme| lexeme.identifier().is_some() || lexeme.is_symbol(",");
    if !lexemes.get(at + 2..close).is_some_and(|inside| inside.iter().all(plain)) {
        return false;
    }
    let before = at.checked_sub(1).and_then(|at| lexemes.get(at));
    let is = |words: &[&str]| before.is_some_and(|before| words.iter().any(|word| before.is(word)));
    let comma = before.is_some_and(|before| before.is_symbol(","));
    let cte = (is(&["with", "recursive"]) || comma) && lexemes.get(close + 1).is_some_and(|next| next.is("as"));
    cte || is(&["as", "ordinality"]) || before.is_some_and(|before| before.is_symbol(")"))
}

/// Every relation that a word of the statement can mean.
fn inputs(input: &Input<'_>, lexemes: &[Lexeme]) -> Result<(Vec<GatherInput>, Vec<TableName>), Refusal> {
    let needed = Needed { all: true, grouped: lexemes.iter().any(|lexeme| lexeme.is("group")), words: HashSet::new() };
    let (mut inputs, mut views): (Vec<GatherInput>, Vec<TableName>) = (vec![], vec![]);
    for (at, lexeme) in lexemes.iter().enumerate() {
        let Some(word) = lexeme.identifier() else { continue };
        let behind_dot = at >= 2 && lexemes[at - 1].is_symbol(".");
        let schema = behind_dot.then(|| lexemes[at - 2].identifier()).flatten();
        let keyword = matches!(lexeme.kind, Kind::Word(_)) && is_reserved(word);
        if keyword && !behind_dot {
            continue;
        }
        let with_database = behind_dot && at >= 4 && lexemes[at - 3].is_symbol(".");
        let (table, source) = match names::resolve(input, schema, word) {
            Meaning::ShardedView(view) if !with_database => {
                if !views.contains(&view) {
                    views.push(view);
                }
                continue;
            }
            Meaning::Sharded(table, sharded) => {
                let source = GatherSource::Sharded { group: sharded.group, recipe: Recipe::Every };
                (table, source)
            }
            Meaning::Reference(table) => (table, GatherSource::Anywhere),
            Meaning::Local(table) if is_known(input, &table) => (table, GatherSource::Default),
            Meaning::Local(_) => continue,
            Meaning::Temporary => return Err(no("a sharded table and a temporary one")),
            // `pg_catalog.lower(…)`
            Meaning::System if lexemes.get(at + 1).is_some_and(|next| next.is_symbol("(")) => continue,
            Meaning::System => return Err(no("a sharded table and a system catalog")),
            Meaning::ShardedView(_) => return Err(no("a name with its database")),
        };
        if with_database {
            return Err(no("a name with its database"));
        }
        if !knows(&mut inputs, &table, true, false) {
            let one = gathered(input, &table, source, &needed)?;
            put(&mut inputs, one, true, false);
        }
    }
    Ok((inputs, views))
}

fn is_known(input: &Input<'_>, table: &TableName) -> bool {
    input.schema.relation(table).is_some_and(|relation| !relation.columns.is_empty())
}
