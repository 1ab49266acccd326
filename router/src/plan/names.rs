//! Names: what a relation's name means here. In: names as SQL wrote them, search path, schema, kinds of tables.
//! Out: the relation and the kind of its rows' home. Never: reads text.

use super::build::Input;
use crate::{sql::parse::Lexeme, topology::schema::RelationKind};
use pgring_config::tables::{ShardedTable, TableKind, TableName};

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// A temporary relation of this session.
    Temporary,
    /// A sharded table.
    Sharded(TableName, ShardedTable),
    /// A reference table, or a view that reads reference tables only.
    Reference(TableName),
    /// A view whose rule reads a sharded table.
    ShardedView(TableName),
    /// A relation on the default shard, or none at all.
    Local(TableName),
    /// A system relation.
    System,
}

/// Resolves a name of one or two parts as PostgreSQL does (`pg_temp`, `pg_catalog`, then the search path).
pub(crate) fn resolve(input: &Input<'_>, schema: Option<&str>, name: &str) -> Meaning {
    match schema {
        Some(schema) if schema.starts_with("pg_temp") => Meaning::Temporary,
        Some(schema) => {
            let full = TableName::new(schema, name);
            if input.schema.system_relations.contains(&full) || is_system(schema) {
                Meaning::System
            } else {
                meaning(input, full)
            }
        }
        None => unqualified(input, name),
    }
}

fn is_system(schema: &str) -> bool {
    matches!(schema, "pg_catalog" | "information_schema" | "pg_toast" | "pgring")
}

fn unqualified(input: &Input<'_>, name: &str) -> Meaning {
    if input.temp_tables.iter().any(|temp| &**temp == name) {
        return Meaning::Temporary;
    }
    if !input.search_path.iter().any(|schema| &**schema == "pg_catalog")
        && input.schema.system_relations.contains(&TableName::new("pg_catalog", name))
    {
        return Meaning::System;
    }
    for schema in input.search_path {
        let full = TableName::new(schema.clone(), name);
        if input.schema.system_relations.contains(&full) {
            return Meaning::System;
        }
        if input.schema.relation(&full).is_some() || input.topology.table(&full).is_some() {
            return meaning(input, full);
        }
    }
    let home = input.search_path.first().map_or("public", |schema| schema);
    Meaning::Local(TableName::new(home, name))
}

/// What a resolved name stands for.
pub(crate) fn meaning(input: &Input<'_>, name: TableName) -> Meaning {
    match kind(input, &name, 0) {
        TableKind::Sharded(sharded) => return Meaning::Sharded(name, sharded),
        TableKind::Reference => return Meaning::Reference(name),
        TableKind::Local => {}
    }
    let Some(relation) = input.schema.relation(&name) else { return Meaning::Local(name) };
    if relation.kind != RelationKind::View {
        return Meaning::Local(name);
    }
    let kinds: Vec<TableKind> = relation.reads.iter().map(|read| kind(input, read, 0)).collect();
    if kinds.iter().any(|kind| matches!(kind, TableKind::Sharded(_))) {
        Meaning::ShardedView(name)
    } else if !kinds.is_empty() && kinds.iter().all(|kind| *kind == TableKind::Reference) {
        Meaning::Reference(name)
    } else {
        Meaning::Local(name)
    }
}

/// Kind of a table; a partition or child is of its parent's kind.
pub(crate) fn kind(input: &Input<'_>, name: &TableName, depth: u8) -> TableKind {
    if let Some(table) = input.topology.table(name) {
        return table.kind.clone();
    }
    let parents = input.schema.relation(name).map_or(&[][..], |relation| &relation.parents);
    if depth < 16 {
        for parent in parents {
            let kind = kind(input, parent, depth + 1);
            if kind != TableKind::Local {
                return kind;
            }
        }
    }
    TableKind::Local
}

/// Whether any relation of this bare name, in any schema, is sharded (or a view on a sharded table), and whether any
/// is a reference table. Used where the statement cannot be read.
pub(crate) fn mentions(input: &Input<'_>, word: &str) -> (bool, bool) {
    let mut found = (false, false);
    let known = input.topology.tables.keys().chain(input.schema.relations.keys());
    for name in known.filter(|name| &*name.name == word) {
        match meaning(input, name.clone()) {
            Meaning::Sharded(..) | Meaning::ShardedView(_) => found.0 = true,
            Meaning::Reference(_) => found.1 = true,
            Meaning::Temporary | Meaning::Local(_) | Meaning::System => {}
        }
    }
    found
}

/// Reads a name of one or two parts at token `at`: schema, name, the token behind it.
pub(crate) fn read(lexemes: &[Lexeme], at: usize) -> Option<(Option<String>, String, usize)> {
    let first = lexemes.get(at)?.identifier()?.to_owned();
    if !lexemes.get(at + 1).is_some_and(|lexeme| lexeme.is_symbol(".")) {
        return Some((None, first, at + 1));
    }
    let second = lexemes.get(at + 2)?.identifier()?.to_owned();
    let more = lexemes.get(at + 3).is_some_and(|lexeme| lexeme.is_symbol("."));
    (!more).then_some((Some(first), second, at + 3))
}

/// The full name of a relation that a statement names to make, change or drop it.
pub(crate) fn full(input: &Input<'_>, schema: Option<&str>, name: &str) -> TableName {
    if let Some(schema) = schema {
        return TableName::new(schema, name);
    }
    let known = |full: &TableName| input.schema.relation(full).is_some() || input.topology.table(full).is_some();
    let mut found = input.search_path.iter().map(|schema| TableName::new(schema.clone(), name));
    found.find(known).unwrap_or_else(|| created(input, None, name))
}

/// The full name of a relation that is yet to be made: in the first schema of the search path that exists.
pub(crate) fn created(input: &Input<'_>, schema: Option<&str>, name: &str) -> TableName {
    let existing = &input.schema.schemas;
    let mut path = input.search_path.iter();
    let home = path.find(|schema| existing.is_empty() || existing.contains(schema)).map_or("public", |schema| schema);
    TableName::new(schema.unwrap_or(home), name)
}
