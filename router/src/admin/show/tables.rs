//! SHOW TABLES: every table and rule: sharded, reference, local, planned.

use super::{super::some, ColumnSpec, Row, View};
use crate::{cluster::Snapshot, topology::schema::RelationKind};
use pgring_config::tables::{TableKind, TableName};
use std::collections::BTreeSet;

pub(super) const COLUMNS: &[ColumnSpec] = &[
    ColumnSpec::text("schema"),
    ColumnSpec::text("name"),
    ColumnSpec::text("kind"),
    ColumnSpec::text("group"),
    ColumnSpec::text("key"),
    ColumnSpec::text("strategy"),
    ColumnSpec::text("state"),
    ColumnSpec::text("key_type"),
    ColumnSpec::text("database"),
];

pub(super) fn rows(view: &View) -> Vec<Row> {
    let mut rows = Vec::new();
    for database in &view.databases {
        let snapshot = database.snapshot();
        let existing = snapshot.schema.relations.values().filter(|relation| relation.kind == RelationKind::Table);
        let mut names: BTreeSet<&TableName> = existing.map(|relation| &relation.name).collect();
        names.extend(snapshot.topology.tables.keys());
        rows.extend(names.into_iter().map(|name| {
            let mut row = row(&snapshot, name);
            row.push(some(&database.name));
            row
        }));
    }
    rows
}

fn row(snapshot: &Snapshot, name: &TableName) -> Row {
    let topology = &snapshot.topology;
    let known = topology.table(name);
    let state = known.map_or("ready", |table| table.state.as_str());
    let (kind, sharded) = match topology.kind(name) {
        TableKind::Sharded(sharded) => ("sharded", Some(sharded)),
        TableKind::Reference => ("reference", None),
        TableKind::Local => ("local", None),
    };
    let group = sharded.and_then(|sharded| topology.group(sharded.group));
    vec![
        some(&name.schema),
        some(&name.name),
        some(kind),
        group.map(|group| group.name.to_string()),
        sharded.map(|sharded| sharded.key.to_string()),
        group.map(|group| group.placement.strategy().to_string()),
        some(state),
        sharded.and_then(|sharded| sharded.key_type).map(|key_type| key_type.to_string()),
    ]
}
