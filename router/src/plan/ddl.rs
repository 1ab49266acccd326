//! Ddl: changes of schema. In: tokens, rules for new tables. Out: on which servers a change runs, and what it makes,
//! drops and renames. Never: lets a change through that takes a sharded table its key, or a unique key its meaning.
//!
//! Every table exists on every shard, local ones too (their rows are on the default shard), so that views,
//! functions and foreign keys can be made everywhere. Function bodies are never read.

use super::{
    CreatedTable, Ddl, Elsewhere, Piece, Plan, PlanKind, Reference, Refusal, Splice,
    build::{self, Input, Rules},
    names::{self, Meaning},
    refuse::{plan as planned, refusal, refuse},
    utility,
};
use crate::{
    error::catalogue,
    sql::{
        parse::{Kind, Lexeme, Tokens},
        rewrite::{self, Range},
    },
};
use pgring_config::{
    ids::GroupIndex,
    key::KeyType,
    tables::{ShardedTable, TableKind, TableName},
    topology::Topology,
};

/// Words that a change of schema begins with.
pub(super) const VERBS: &[&str] = &[
    "alter", "analyze", "cluster", "comment", "create", "drop", "grant", "import", "reassign", "refresh", "reindex",
    "revoke", "security", "vacuum",
];

/// The key column of a table that is about to be made, if it will be sharded.
pub fn shard_rule(created: &CreatedTable, rules: &Rules, topology: &Topology) -> Option<Box<str>> {
    match topology.table(&created.name).map(|table| &table.kind) {
        Some(TableKind::Sharded(sharded)) => return Some(sharded.key.clone()),
        Some(TableKind::Reference) => return None,
        _ if is_reference_rule(&created.name, rules) => return None,
        _ => {}
    }
    let has = |column: &&String| created.columns.iter().any(|(name, _)| **name == ***column);
    rules.shard_by.iter().find(has).map(|column| column.as_str().into())
}

/// Whether the configuration makes a new table of this name a reference table.
pub fn is_reference_rule(name: &TableName, rules: &Rules) -> bool {
    rules.reference_tables.iter().any(|rule| **rule == *name.name || *rule == name.to_string())
}

/// What has a name in a schema, beside relations.
const IN_SCHEMAS: &[&str] =
    &["aggregate", "collation", "conversion", "domain", "function", "operator", "procedure", "statistics", "type"];

const HINT: &str = "Make a new table and copy the rows.";

pub(super) fn change(what: impl Into<String>) -> Refusal {
    refusal(catalogue::SCHEMA_CHANGE, what, HINT)
}

pub(super) fn everywhere() -> Ddl {
    Ddl {
        outside_transaction: false,
        creates: vec![],
        drops: vec![],
        renames: vec![],
        elsewhere: Elsewhere::Same,
        default_shard_only: false,
        changes_schema: true,
        empty: vec![],
        detaches: vec![],
    }
}

/// Plans a change of schema.
pub(super) fn plan(input: &Input<'_>, tokens: &Tokens, first: usize, word: &str) -> Plan {
    let statement = Statement { input, tokens, lexemes: &tokens.lexemes };
    let found = match word {
        _ if statement.is_about_a_large_object() => Ok(ddl(Ddl { default_shard_only: true, ..everywhere() })),
        "create" => statement.create(first + 1),
        "alter" => statement.alter(first + 1),
        "drop" => statement.drop(first + 1),
        "refresh" => statement.refresh(first + 1),
        "vacuum" | "cluster" | "reindex" | "analyze" => Ok(statement.maintain(first + 1, word)),
        _ => Ok(ddl(everywhere())),
    };
    let mut plan = found.unwrap_or_else(refuse);
    if let PlanKind::Ddl(ddl) = &mut plan.kind {
        ddl.changes_schema &= !statement.is_beside_the_schema(first, word);
        plan.fixed_slots = (0..input.lexed.slots.len() as u32).collect();
    }
    plan
}

fn ddl(ddl: Ddl) -> Plan {
    planned(PlanKind::Ddl(ddl), false)
}

/// A change of what is in tables, on every shard.
pub(super) fn contents(input: &Input<'_>) -> Plan {
    let mut plan = ddl(Ddl { changes_schema: false, ..everywhere() });
    plan.fixed_slots = (0..input.lexed.slots.len() as u32).collect();
    plan
}

fn default_shard() -> Plan {
    ddl(Ddl { default_shard_only: true, outside_transaction: true, changes_schema: false, ..everywhere() })
}

struct Statement<'s> {
    input: &'s Input<'s>,
    tokens: &'s Tokens,
    lexemes: &'s [Lexeme],
}

type Changed = Result<Plan, Refusal>;

impl Statement<'_> {
    fn is(&self, at: usize, word: &str) -> bool {
        self.lexemes.get(at).is_some_and(|lexeme| lexeme.is(word))
    }

    fn is_symbol(&self, at: usize, symbol: &str) -> bool {
        self.lexemes.get(at).is_some_and(|lexeme| lexeme.is_symbol(symbol))
    }

    fn is_any(&self, at: usize, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(at, word))
    }

    /// It changes nothing that a plan is made from: rights, owners, roles, comments, statistics, the place of rows.
    fn is_beside_the_schema(&self, first: usize, word: &str) -> bool {
        const VERBS: &[&str] = &[
            "analyze", "cluster", "comment", "grant", "reassign", "refresh", "reindex", "revoke", "security", "vacuum",
        ];
        const OBJECTS: &[&str] = &[
            "database",
            "default",
            "event",
            "group",
            "policy",
            "publication",
            "role",
            "statistics",
            "subscription",
            "system",
            "tablespace",
            "user",
        ];
        if VERBS.contains(&word) {
            return true;
        }
        // The only action of an ALTER, and no column of that name.
        let end = self.end().max(4);
        let owner = word == "alter" && self.is(end - 3, "owner") && self.is(end - 2, "to");
        self.is_any(first + 1, OBJECTS) || (owner && !self.is_symbol(end - 4, ",") && !self.has("rename"))
    }

    fn has(&self, word: &str) -> bool {
        self.lexemes.iter().any(|lexeme| lexeme.is(word))
    }

    /// COMMENT, GRANT, ALTER … LARGE OBJECT: these are on the default shard alone.
    fn is_about_a_large_object(&self) -> bool {
        (1..self.lexemes.len()).any(|at| {
            self.is(at, "large") && self.is(at + 1, "object") && (self.is(at - 1, "on") || self.is(at - 1, "alter"))
        })
    }

    fn end(&self) -> usize {
        self.lexemes.len() - self.lexemes.iter().rev().take_while(|lexeme| lexeme.is_symbol(";")).count()
    }

    /// Behind `IF [NOT] EXISTS`.
    fn skip_if(&self, at: usize) -> usize {
        if self.is(at, "if") { at + 2 + usize::from(self.is(at + 1, "not")) } else { at }
    }

    fn matching(&self, open: usize) -> Option<usize> {
        let mut depth = 0_i32;
        (open..self.lexemes.len()).find(|at| {
            depth += i32::from(self.is_symbol(*at, "(")) - i32::from(self.is_symbol(*at, ")"));
            depth == 0
        })
    }

    fn create(&self, at: usize) -> Changed {
        let mut at = at;
        let (mut temporary, mut unique) = (false, false);
        while self
            .is_any(at, &["or", "replace", "temp", "temporary", "local", "global", "unlogged", "unique", "recursive"])
        {
            temporary |= self.is_any(at, &["temp", "temporary"]);
            unique |= self.is(at, "unique");
            at += 1;
        }
        let object = match self.lexemes.get(at).map(|lexeme| &lexeme.kind) {
            Some(Kind::Word(word)) => word.as_str(),
            _ => return Ok(utility::not_understood(self.input, "CREATE in an unknown form")),
        };
        match object {
            "table" | "view" | "sequence" if temporary || self.makes_temporary(at + 1) => self.create_temporary(at + 1),
            "table" => self.create_table(at + 1),
            "materialized" => self.create_as(at + 2, true),
            "index" => self.create_index(at + 1, unique),
            "database" | "tablespace" | "subscription" => Ok(default_shard()),
            "trigger" | "rule" | "policy" | "statistics" if self.names_temporary(at + 1) => {
                Ok(planned(PlanKind::Local, false))
            }
            _ if self.is_in_pg_temp(at + 1) || (IN_SCHEMAS.contains(&object) && self.makes_temporary(at + 1)) => {
                let mut plan = planned(PlanKind::Local, false);
                plan.session.pin = Some("temporary object");
                Ok(plan)
            }
            "rule" => match utility::mentioned(self.input) {
                (false, false) => Ok(ddl(everywhere())),
                _ => Err(change("a rule that names a sharded or reference table")),
            },
            _ => Ok(ddl(everywhere())),
        }
    }

    /// The object's name says that it is the session's own: `pg_temp.name`.
    fn is_in_pg_temp(&self, at: usize) -> bool {
        let at = self.skip_if(at);
        let schema = self.lexemes.get(at).and_then(Lexeme::identifier);
        schema.is_some_and(|schema| schema.starts_with("pg_temp")) && self.is_symbol(at + 1, ".")
    }

    /// An object without schema comes into the session's own: `SET search_path = pg_temp, …`.
    fn makes_temporary(&self, at: usize) -> bool {
        self.input.makes_temporary && !self.is_symbol(self.skip_if(at) + 1, ".")
    }

    fn create_temporary(&self, at: usize) -> Changed {
        let at = self.skip_if(at);
        let Some((_, name, _)) = names::read(self.lexemes, at) else {
            return Ok(utility::not_understood(self.input, "CREATE in an unknown form"));
        };
        if utility::mentioned(self.input).0 {
            let what = "a temporary relation made from a sharded table";
            return Err(refusal(catalogue::MIXED_GROUPS, what, "Make it empty, and fill it with values."));
        }
        let mut plan = planned(PlanKind::Local, false);
        plan.session.pin = Some("temporary table");
        plan.session.creates_temp.push(name.into());
        plan.session.executes = (at..self.end()).any(|at| self.is(at, "as") && self.is(at + 1, "execute"));
        Ok(plan)
    }

    fn create_table(&self, at: usize) -> Changed {
        let at = self.skip_if(at);
        let Some((schema, name, after)) = names::read(self.lexemes, at) else {
            return Ok(utility::not_understood(self.input, "CREATE TABLE in an unknown form"));
        };
        if schema.as_deref().is_some_and(|schema| schema.starts_with("pg_temp")) {
            return self.create_temporary(at);
        }
        let list = self.is_symbol(after, "(").then(|| self.matching(after)).flatten();
        let behind = list.map_or(after, |close| close + 1);
        if self.is(behind, "as") || (behind..self.end()).any(|at| self.is(at, "as") && self.depth(behind, at) == 0) {
            return self.create_as(at, false);
        }
        let name = names::created(self.input, schema.as_deref(), &name);
        let mut created = CreatedTable { name, columns: vec![], unique_keys: vec![], references: vec![] };
        let derived = self.is(after, "partition") || self.is(after, "of") || self.is(behind, "inherits");
        if let Some(close) = list {
            let elements = rewrite::split(self.lexemes, Range { first: after + 1, last: close });
            for element in elements {
                self.element(&mut created, element);
            }
            if elements_unknown(self, after, close) || derived {
                created.columns.clear();
            }
        }
        self.check_parents(&created, after, behind)?;
        self.check_new(&created)?;
        Ok(ddl(Ddl { creates: vec![created], ..everywhere() }))
    }

    /// PARTITION OF and INHERITS: a child is sharded as its parents are.
    fn check_parents(&self, created: &CreatedTable, after: usize, behind: usize) -> Result<(), Refusal> {
        let mut parents = vec![];
        if self.is(after, "partition") && self.is(after + 1, "of") {
            parents.extend(names::read(self.lexemes, after + 2));
        }
        if self.is(behind, "inherits")
            && let Some(close) = self.matching(behind + 1)
        {
            let listed = rewrite::split(self.lexemes, Range { first: behind + 2, last: close });
            parents.extend(listed.into_iter().filter_map(|one| names::read(self.lexemes, one.first)));
        }
        let meanings = parents.iter().map(|(schema, name, _)| names::resolve(self.input, schema.as_deref(), name));
        let mut sharded = None;
        for meaning in meanings {
            match (meaning, &sharded) {
                (Meaning::Sharded(_, parent), None) if parents.len() == 1 => sharded = Some(parent),
                (Meaning::Sharded(..) | Meaning::Reference(_), _) if parents.len() > 1 => {
                    return Err(change("INHERITS from several tables, one of them sharded or a reference table"));
                }
                _ => {}
            }
        }
        let Some(parent) = sharded else { return Ok(()) };
        let list = if self.is(after, "partition") { self.list_behind(after + 2) } else { None };
        let mut own = CreatedTable { unique_keys: created.unique_keys.clone(), ..created.clone() };
        if let Some((open, close)) = list {
            let elements = rewrite::split(self.lexemes, Range { first: open + 1, last: close });
            elements.into_iter().for_each(|element| self.element(&mut own, element));
        }
        let mut keys = own.unique_keys.iter();
        keys.try_for_each(|unique| check_unique(&created.name, &parent.key, parent.allow_local_unique, unique))
    }

    /// The parentheses behind the name at this place.
    fn list_behind(&self, at: usize) -> Option<(usize, usize)> {
        let (_, _, open) = names::read(self.lexemes, at)?;
        self.is_symbol(open, "(").then(|| self.matching(open)).flatten().map(|close| (open, close))
    }

    fn depth(&self, from: usize, to: usize) -> i32 {
        (from..to).map(|at| i32::from(self.is_symbol(at, "(")) - i32::from(self.is_symbol(at, ")"))).sum()
    }

    /// One element of CREATE TABLE's list: a column or a constraint.
    fn element(&self, created: &mut CreatedTable, element: Range) {
        const CONSTRAINTS: &[&str] = &["constraint", "primary", "unique", "check", "foreign", "exclude", "like"];
        if self.is_any(element.first, CONSTRAINTS) {
            self.constraint(created, element);
            return;
        }
        let Some(column) = self.lexemes[element.first].identifier() else { return };
        const ENDS: &[&str] = &[
            "default",
            "not",
            "null",
            "primary",
            "unique",
            "references",
            "check",
            "constraint",
            "generated",
            "collate",
            "storage",
            "compression",
            "with",
            "options",
            "deferrable",
            "initially",
        ];
        let ends = |at: &usize| self.is_any(*at, ENDS) && self.depth(element.first, *at) == 0;
        let type_end = (element.first + 1..element.last).find(ends).unwrap_or(element.last);
        let text = if type_end > element.first + 1 {
            let (start, end) = (self.lexemes[element.first + 1].start, self.lexemes[type_end - 1].end);
            self.input.text.get(start..end).unwrap_or_default()
        } else {
            ""
        };
        created.columns.push((column.into(), text.into()));
        let unique = (type_end..element.last).any(|at| {
            self.depth(type_end, at) == 0 && (self.is(at, "unique") || self.is(at, "primary") && self.is(at + 1, "key"))
        });
        if unique {
            created.unique_keys.push(vec![column.into()]);
        }
        self.references(created, Range { first: type_end, last: element.last }, &[column.into()]);
    }

    fn constraint(&self, created: &mut CreatedTable, element: Range) {
        let top = |words: &[&str]| {
            (element.first..element.last).find(|at| self.is_any(*at, words) && self.depth(element.first, *at) == 0)
        };
        // A constraint may be named like a keyword only when quoted.
        if let Some(at) = top(&["unique", "primary"]) {
            let open = (at..element.last).find(|at| self.is_symbol(*at, "("));
            if let Some((open, close)) = open.and_then(|open| Some((open, self.matching(open)?))) {
                created.unique_keys.push(self.column_list(open, close));
            }
        }
        if let Some(at) = top(&["exclude"]) {
            let open = (at..element.last).find(|at| self.is_symbol(*at, "("));
            if let Some((open, close)) = open.and_then(|open| Some((open, self.matching(open)?))) {
                created.unique_keys.push(self.equal_columns(open, close));
            }
        }
        let open = top(&["foreign"]).and_then(|at| (at..element.last).find(|at| self.is_symbol(*at, "(")));
        let columns = open.and_then(|open| Some(self.column_list(open, self.matching(open)?)));
        self.references(created, element, &columns.unwrap_or_default());
    }

    fn column_list(&self, open: usize, close: usize) -> Vec<Box<str>> {
        let items = rewrite::split(self.lexemes, Range { first: open + 1, last: close });
        let bare = items.into_iter().filter(|item| !self.is_symbol(item.first + 1, "("));
        bare.filter_map(|item| self.lexemes[item.first].identifier().map(Into::into)).collect()
    }

    /// Columns of an EXCLUDE constraint that are compared by `=`.
    fn equal_columns(&self, open: usize, close: usize) -> Vec<Box<str>> {
        let items = rewrite::split(self.lexemes, Range { first: open + 1, last: close });
        let equal = items.into_iter().filter(|item| item.last >= 3 && self.is_symbol(item.last - 1, "="));
        equal.filter_map(|item| self.lexemes[item.first].identifier().map(Into::into)).collect()
    }

    fn references(&self, created: &mut CreatedTable, range: Range, columns: &[Box<str>]) {
        for at in range.first..range.last {
            if self.is(at, "references")
                && let Some((schema, name, after)) = names::read(self.lexemes, at + 1)
            {
                let to = names::full(self.input, schema.as_deref(), &name);
                let list = self.is_symbol(after, "(").then(|| self.matching(after)).flatten();
                let others = list.map(|close| self.column_list(after, close)).unwrap_or_default();
                created.references.push(Reference { to, columns: columns.to_vec(), others });
            }
        }
    }

    /// A foreign key between sharded tables holds on each shard by itself when it pairs their shard keys.
    fn check_pairs(
        &self,
        created: &CreatedTable,
        key: &str,
        reference: &Reference,
        other: &str,
        local_unique: bool,
    ) -> Result<(), Refusal> {
        let at = reference.columns.iter().position(|column| **column == *key);
        let count = reference.columns.len();
        let own = (created.name == reference.to).then_some(&created.unique_keys);
        let known = own.or(self.input.schema.relation(&reference.to).map(|relation| &relation.unique_keys));
        let mut keys = known.into_iter().flatten().filter(|columns| columns.len() == count).peekable();
        let paired = match at {
            None => false,
            Some(at) if !reference.others.is_empty() => reference.others.get(at).is_some_and(|to| **to == *other),
            // A unique key of one column is the shard key.
            Some(_) if count == 1 && !local_unique => true,
            // Made in this transaction: its columns are not known yet, but its primary key has the shard key.
            Some(_) if known.is_none() => !local_unique,
            Some(at) => keys.peek().is_some() && keys.all(|columns| columns.get(at).is_some_and(|to| **to == *other)),
        };
        if paired {
            return Ok(());
        }
        let hint = format!("Pair the shard keys, and name both: FOREIGN KEY ({key}, …) REFERENCES … ({other}, …).");
        let what =
            format!("a foreign key from {} to {} that does not pair their shard keys", created.name, reference.to);
        Err(refusal(catalogue::SCHEMA_CHANGE, what, hint))
    }

    fn check_new(&self, created: &CreatedTable) -> Result<(), Refusal> {
        let input = self.input;
        let planned = input.topology.table(&created.name).map(|table| &table.kind);
        let Some(key) = shard_rule(created, input.rules, input.topology) else {
            let reference = planned == Some(&TableKind::Reference) || is_reference_rule(&created.name, input.rules);
            let mut references = created.references.iter();
            return references.try_for_each(|made| self.check_unsharded(&created.name, reference, &made.to));
        };
        let (group, allowed) = match planned {
            // A planned rule has no group before the type of its key is known.
            Some(TableKind::Sharded(sharded)) => {
                (Some(sharded.group).filter(|group| *group != ShardedTable::UNDECIDED), sharded.allow_local_unique)
            }
            _ => (None, input.rules.local_unique_allowed),
        };
        if !created.columns.is_empty() && !created.columns.iter().any(|(column, _)| *column == key) {
            return Err(change(format!("{} without its shard key {key:?}", created.name)));
        }
        for unique in &created.unique_keys {
            check_unique(&created.name, &key, allowed, unique)?;
        }
        for reference in &created.references {
            let to = &reference.to;
            if *to == created.name {
                self.check_pairs(created, &key, reference, &key, allowed)?;
                continue;
            }
            match names::kind(input, to, 0) {
                TableKind::Reference => {}
                TableKind::Sharded(other)
                    if group == Some(other.group)
                        || group.is_none() && self.joins_default(created, &key, other.group) =>
                {
                    self.check_pairs(created, &key, reference, &other.key, other.allow_local_unique)?;
                }
                _ => return Err(change(format!("a foreign key from {} to {to}", created.name))),
            }
        }
        Ok(())
    }

    /// A new table without a group of its own joins the default group of its key's family: is this that group?
    fn joins_default(&self, created: &CreatedTable, key: &str, group: GroupIndex) -> bool {
        let column = created.columns.iter().find(|(column, _)| **column == *key);
        let family = column.and_then(|(_, text)| KeyType::from_type_name(text)).map(KeyType::family);
        match self.input.topology.group(group) {
            Some(group) => group.name.as_str().starts_with("default_") && family.is_none_or(|own| own == group.family),
            None => group == ShardedTable::UNDECIDED,
        }
    }

    /// A foreign key of a local or reference table.
    fn check_unsharded(&self, from: &TableName, reference: bool, to: &TableName) -> Result<(), Refusal> {
        match names::kind(self.input, to, 0) {
            _ if from == to => Ok(()),
            TableKind::Reference => Ok(()),
            TableKind::Local if !reference => Ok(()),
            _ => Err(change(format!("a foreign key from {from} to {to}"))),
        }
    }

    /// REFRESH MATERIALIZED VIEW: its rows are on the default shard, and so must be those that it is filled from.
    fn refresh(&self, at: usize) -> Changed {
        let at = at + 2;
        let at = at + usize::from(self.is(at, "concurrently"));
        let sharded = |read: &TableName| matches!(names::kind(self.input, read, 0), TableKind::Sharded(_));
        let known = names::read(self.lexemes, at).and_then(|(schema, name, _)| {
            self.input.schema.relation(&names::full(self.input, schema.as_deref(), &name))
        });
        let empty = self.has("no") && self.has("data");
        if let Some(table) = known.and_then(|view| view.reads.iter().find(|read| sharded(read))).filter(|_| !empty) {
            let what = format!("REFRESH of a materialized view that reads {table}, which is sharded");
            return Err(refusal(
                catalogue::MANY_SHARDS,
                what,
                "Fill a plain table from the query, one shard key at a time.",
            ));
        }
        Ok(ddl(Ddl { default_shard_only: true, ..everywhere() }))
    }

    /// CREATE TABLE … AS, CREATE MATERIALIZED VIEW: full on the default shard, empty elsewhere.
    fn create_as(&self, at: usize, materialized: bool) -> Changed {
        let at = self.skip_if(at);
        let if_not_exists = self.is(at - 1, "exists");
        let unread = || Ok(utility::not_understood(self.input, "CREATE … AS in an unknown form"));
        let Some((schema, name, after)) = names::read(self.lexemes, at) else { return unread() };
        let name = names::created(self.input, schema.as_deref(), &name);
        if self.input.topology.table(&name).is_some() || is_reference_rule(&name, self.input.rules) {
            return Err(change(format!("CREATE TABLE {name} AS, when it is to be sharded or a reference table")));
        }
        let found = (after..self.end()).find(|at| self.is(*at, "as") && self.depth(after, *at) == 0);
        let Some(query) = found.map(|at| at + 1) else { return unread() };
        let mut last = self.end();
        let tail = |words: &[&str]| {
            last >= words.len() && words.iter().enumerate().all(|(i, word)| self.is(last - words.len() + i, word))
        };
        let (empty, full) = (tail(&["with", "no", "data"]), tail(&["with", "data"]));
        last -= if empty {
            3
        } else if full {
            2
        } else {
            0
        };
        let Some(inner) = self.tokens.range(query, last) else { return unread() };
        let executes = !materialized && self.is(query, "execute");
        match build::statement(self.input, &inner, 0).kind {
            // What the prepared statement is, is seen when it is executed.
            _ if executes => {}
            PlanKind::Local | PlanKind::Reference | PlanKind::Catalog | PlanKind::Anywhere => {}
            PlanKind::Refuse(refusal) | PlanKind::Judge(refusal) => return Err(refusal),
            _ => {
                let hint = "Make the table, then insert the rows of one shard key at a time.";
                return Err(refusal(catalogue::MANY_SHARDS, "CREATE TABLE … AS from a sharded table", hint));
            }
        }
        let created = CreatedTable { name: name.clone(), columns: vec![], unique_keys: vec![], references: vec![] };
        let mut elsewhere = Elsewhere::Same;
        if !materialized {
            elsewhere = Elsewhere::Empty { table: name, if_not_exists };
        } else if !empty {
            let place = |at: usize| self.input.lexed.shape_at(at);
            let (Some(start), Some(end)) = (place(self.lexemes[last - 1].end), place(self.lexemes[self.end() - 1].end))
            else {
                return unread();
            };
            let no_data = Splice { start, end, with: vec![Piece::Text(" WITH NO DATA".into())] };
            elsewhere = Elsewhere::Spliced(vec![no_data]);
        }
        let mut plan = ddl(Ddl { creates: vec![created], elsewhere, ..everywhere() });
        plan.session.executes = executes;
        Ok(plan)
    }

    fn create_index(&self, at: usize, unique: bool) -> Changed {
        let concurrently = self.is(at, "concurrently");
        let on = (at..self.end()).find(|at| self.is(*at, "on"));
        let Some(mut table) = on.map(|on| on + 1) else {
            return Ok(utility::not_understood(self.input, "CREATE INDEX in an unknown form"));
        };
        table += usize::from(self.is(table, "only"));
        let Some((schema, name, after)) = names::read(self.lexemes, table) else {
            return Ok(utility::not_understood(self.input, "CREATE INDEX in an unknown form"));
        };
        match names::resolve(self.input, schema.as_deref(), &name) {
            Meaning::Temporary => return Ok(planned(PlanKind::Local, false)),
            Meaning::Sharded(table, sharded) if unique => {
                let open = (after..self.end()).find(|at| self.is_symbol(*at, "("));
                let columns = open.and_then(|open| Some(self.column_list(open, self.matching(open)?)));
                check_unique(&table, &sharded.key, sharded.allow_local_unique, &columns.unwrap_or_default())?;
            }
            _ => {}
        }
        Ok(ddl(Ddl { outside_transaction: concurrently, ..everywhere() }))
    }

    fn alter(&self, at: usize) -> Changed {
        if self.is_any(at, &["system", "database", "tablespace", "subscription"]) {
            return Ok(default_shard());
        }
        if !self.is(at, "table") {
            return Ok(self.unless_temporary(at + 1));
        }
        let mut at = self.skip_if(at + 1);
        at += usize::from(self.is(at, "only"));
        let Some((schema, name, mut after)) = names::read(self.lexemes, at) else {
            return Ok(utility::not_understood(self.input, "ALTER TABLE in an unknown form"));
        };
        after += usize::from(self.is_symbol(after, "*"));
        let meaning = names::resolve(self.input, schema.as_deref(), &name);
        if meaning == Meaning::Temporary {
            return Ok(planned(PlanKind::Local, false));
        }
        let table = names::full(self.input, schema.as_deref(), &name);
        let mut ddl = everywhere();
        if self.is(after, "rename") && self.is(after + 1, "to") {
            let to = self.lexemes.get(after + 2).and_then(Lexeme::identifier).unwrap_or_default();
            ddl.renames.push((table.clone(), TableName::new(table.schema.clone(), to)));
        } else if self.is(after, "set") && self.is(after + 1, "schema") {
            let to = self.lexemes.get(after + 2).and_then(Lexeme::identifier).unwrap_or_default();
            ddl.renames.push((table.clone(), TableName::new(to, table.name.clone())));
        }
        for action in rewrite::split(self.lexemes, Range { first: after, last: self.end() }) {
            if let Meaning::Sharded(_, sharded) = &meaning
                && self.is(action.first + 1, "partition")
                && self.is_any(action.first, &["attach", "detach"])
            {
                self.partition(&table, sharded, action, &mut ddl)?;
                continue;
            }
            self.check_action(&meaning, &table, action)?;
        }
        Ok(self::ddl(ddl))
    }

    /// ATTACH PARTITION takes in a table that is sharded alike, or empty; DETACH PARTITION leaves one that is sharded alike.
    fn partition(
        &self,
        table: &TableName,
        sharded: &ShardedTable,
        action: Range,
        ddl: &mut Ddl,
    ) -> Result<(), Refusal> {
        let Some((schema, name, after)) = names::read(self.lexemes, action.first + 2) else {
            return Err(change(format!("this change of {table}")));
        };
        let child = names::full(self.input, schema.as_deref(), &name);
        if self.is(action.first, "detach") {
            ddl.outside_transaction = self.is(after, "concurrently");
            if self.input.topology.table(&child).is_none() {
                ddl.detaches.push((child, table.clone()));
            }
            return Ok(());
        }
        match names::kind(self.input, &child, 0) {
            TableKind::Sharded(other) if other.group == sharded.group && other.key == sharded.key => Ok(()),
            TableKind::Local => {
                ddl.empty.push(child);
                Ok(())
            }
            _ => Err(change(format!("{child}, which is not sharded as {table} is, as a partition of it"))),
        }
    }

    fn check_action(&self, meaning: &Meaning, table: &TableName, action: Range) -> Result<(), Refusal> {
        let mut created =
            CreatedTable { name: table.clone(), columns: vec![], unique_keys: vec![], references: vec![] };
        if self.is(action.first, "add") {
            let mut first = action.first + 1;
            let column = self.is(first, "column");
            first = self.skip_if(first + usize::from(column));
            self.element(&mut created, Range { first, last: action.last });
            self.check_filled(meaning, action)?;
        }
        match meaning {
            Meaning::Sharded(_, sharded) => self.check_sharded(table, sharded, &created, action),
            _ => {
                let reference = matches!(meaning, Meaning::Reference(_));
                created.references.iter().try_for_each(|made| self.check_unsharded(table, reference, &made.to))
            }
        }
    }

    /// A new column whose values each server would make up by itself.
    fn check_filled(&self, meaning: &Meaning, action: Range) -> Result<(), Refusal> {
        const DRAWN: &[&str] =
            &["serial", "bigserial", "smallserial", "serial4", "serial8", "serial2", "identity", "nextval"];
        const VOLATILE: &[&str] =
            &["random", "gen_random_uuid", "uuid_generate_v4", "uuid_generate_v1", "clock_timestamp"];
        const STABLE: &[&str] =
            &["now", "current_timestamp", "current_date", "current_time", "localtimestamp", "localtime"];
        let holds = |words: &[&str]| (action.first..action.last).any(|at| self.is_any(at, words));
        let fault = match meaning {
            Meaning::Sharded(..) => holds(DRAWN),
            Meaning::Reference(_) => holds(DRAWN) || holds(VOLATILE) || holds(STABLE),
            _ => false,
        };
        if fault { Err(change("a new column that each server would fill by itself")) } else { Ok(()) }
    }

    fn check_sharded(
        &self,
        table: &TableName,
        sharded: &ShardedTable,
        created: &CreatedTable,
        action: Range,
    ) -> Result<(), Refusal> {
        let key = |at: usize| self.lexemes.get(at).and_then(Lexeme::identifier) == Some(&*sharded.key);
        let at = action.first;
        let named = at + 1 + usize::from(self.is(at + 1, "column"));
        let named = self.skip_if(named);
        let fault = match self.lexemes.get(at).map(|lexeme| &lexeme.kind) {
            Some(Kind::Word(word)) => match word.as_str() {
                "drop" => key(named) && !self.is_any(at + 1, &["constraint"]),
                "rename" => key(named) && !self.is_any(at + 1, &["constraint", "to"]),
                "alter" => {
                    key(named)
                        && (self.is(named + 1, "type") || self.is(named + 1, "set") && self.is(named + 2, "data"))
                }
                "inherit" => true,
                _ => false,
            },
            _ => false,
        };
        if fault {
            return Err(change(format!("this change of {table}")));
        }
        for unique in &created.unique_keys {
            check_unique(table, &sharded.key, sharded.allow_local_unique, unique)?;
        }
        for made in &created.references {
            let to = &made.to;
            match names::kind(self.input, to, 0) {
                TableKind::Reference => {}
                TableKind::Sharded(other) if other.group == sharded.group => {
                    self.check_pairs(created, &sharded.key, made, &other.key, other.allow_local_unique)?;
                }
                _ => return Err(change(format!("a foreign key from {table} to {to}"))),
            }
        }
        Ok(())
    }

    fn drop(&self, at: usize) -> Changed {
        let object = match self.lexemes.get(at).map(|lexeme| &lexeme.kind) {
            Some(Kind::Word(word)) => word.as_str(),
            _ => return Ok(utility::not_understood(self.input, "DROP in an unknown form")),
        };
        match object {
            "database" | "tablespace" | "subscription" => Ok(default_shard()),
            "table" => self.drop_tables(at + 1),
            "schema" => {
                let names = rewrite::split(self.lexemes, Range { first: self.skip_if(at + 1), last: self.end() });
                let schemas: Vec<&str> =
                    names.into_iter().filter_map(|name| self.lexemes[name.first].identifier()).collect();
                let known = self.input.topology.tables.keys().chain(self.input.schema.relations.keys());
                let mut drops: Vec<TableName> =
                    known.filter(|name| schemas.contains(&&*name.schema)).cloned().collect();
                drops.sort();
                drops.dedup();
                Ok(ddl(Ddl { drops, ..everywhere() }))
            }
            "index" if self.is(at + 1, "concurrently") => Ok(ddl(Ddl { outside_transaction: true, ..everywhere() })),
            _ => Ok(self.unless_temporary(at + 1)),
        }
    }

    fn drop_tables(&self, at: usize) -> Changed {
        let (mut drops, mut temporary) = (vec![], false);
        for name in rewrite::split(self.lexemes, Range { first: self.skip_if(at), last: self.end() }) {
            let Some((schema, name, _)) = names::read(self.lexemes, name.first) else {
                return Ok(utility::not_understood(self.input, "DROP TABLE in an unknown form"));
            };
            match names::resolve(self.input, schema.as_deref(), &name) {
                Meaning::Temporary => temporary = true,
                _ => drops.push(names::full(self.input, schema.as_deref(), &name)),
            }
        }
        match (temporary, drops.is_empty()) {
            (true, true) => Ok(freeing()),
            (true, false) => Err(refusal(
                catalogue::MIXED_GROUPS,
                "DROP of temporary tables together with others",
                "Drop them in statements of their own.",
            )),
            _ => Ok(ddl(Ddl { drops, ..everywhere() })),
        }
    }

    fn names_temporary(&self, from: usize) -> bool {
        let names = self.lexemes.iter().skip(from).filter_map(Lexeme::identifier);
        let temporary = |name: &str| name.starts_with("pg_temp") || self.input.temp_tables.iter().any(|t| **t == *name);
        names.into_iter().any(temporary)
    }

    /// Everywhere, unless the object named first is a temporary one.
    fn unless_temporary(&self, from: usize) -> Plan {
        let named = names::read(self.lexemes, self.skip_if(from));
        let meaning = named.map(|(schema, name, _)| names::resolve(self.input, schema.as_deref(), &name));
        if meaning == Some(Meaning::Temporary) { freeing() } else { ddl(everywhere()) }
    }

    fn maintain(&self, at: usize, word: &str) -> Plan {
        if self.names_temporary(at) {
            return planned(PlanKind::Local, false);
        }
        let outside = match word {
            "vacuum" => true,
            "reindex" => self.has("concurrently") || self.has("database") || self.has("system") || self.has("schema"),
            "cluster" => self.end() <= at + 1,
            _ => false,
        };
        ddl(Ddl { outside_transaction: outside, ..everywhere() })
    }
}

/// A change of a temporary object, which may be gone with it.
fn freeing() -> Plan {
    let mut plan = planned(PlanKind::Local, false);
    plan.session.frees = true;
    plan
}

/// Whether the list holds something that brings columns of its own.
fn elements_unknown(statement: &Statement<'_>, open: usize, close: usize) -> bool {
    let elements = rewrite::split(statement.lexemes, Range { first: open + 1, last: close });
    elements.into_iter().any(|element| statement.is(element.first, "like"))
}

fn check_unique(table: &TableName, key: &str, allowed: bool, columns: &[Box<str>]) -> Result<(), Refusal> {
    if allowed || columns.iter().any(|column| **column == *key) {
        return Ok(());
    }
    let hint = format!("Add {key:?} to the key, or shard the table with ALLOW LOCAL UNIQUE.");
    Err(refusal(catalogue::UNIQUE_WITHOUT_KEY, format!("a unique key of {table}"), hint))
}
