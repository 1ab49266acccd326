//! Known: what was read of a schema, by OID, and how the rest is brought up to date with a part of it. In: what has changed.
//! Out: a [`Schema`], and what is to be read for it. Never: a connection; a new version for equal content.

use super::rows::{Changes, Details, FunctionRow, Key, Link, RelationRow};
use crate::topology::schema::{ByName, Relation, RelationKind, Schema, Trigger, Volatility};
use pgring_config::tables::TableName;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

/// Transaction numbers of four bytes are compared: an older reading says nothing.
const OLDEST: u64 = 1 << 30;

/// What was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    since: Option<u64>,
    schemas: HashMap<u32, Box<str>>,
    relations: HashMap<u32, Entry>,
    active: HashMap<u32, Vec<Trigger>>,
    parents: HashMap<u32, Vec<u32>>,
    functions: HashMap<u32, Function>,
    types: Box<str>,
    system: Box<str>,
    schema: Arc<Schema>,
}

/// What is to be read before a schema is complete.
pub(super) enum Missing {
    /// These relations.
    Relations(Vec<u32>),
    /// Something changed that anything may hang on.
    Everything,
}

/// A relation.
#[derive(Clone, Debug)]
struct Entry {
    keys: Vec<Key>,
    links: Vec<Link>,
    relation: Arc<Relation>,
    hash: u64,
}

#[derive(Clone, Debug)]
struct Function {
    name: (Box<str>, Box<str>),
    volatility: Volatility,
    body: Option<Arc<str>>,
}

impl Known {
    /// The oldest transaction that was running when it was read.
    pub(super) fn since(&self) -> Option<u64> {
        self.since
    }

    pub(super) fn schema(&self) -> Arc<Schema> {
        self.schema.clone()
    }

    /// What is to be read beside the changes.
    pub(super) fn missing(&self, changes: &Changes) -> Missing {
        let Some(since) = self.since else { return Missing::Relations(changes.relations.iter().copied().collect()) };
        let renamed = self.schemas.iter().any(|(oid, name)| changes.schemas.get(oid).is_some_and(|now| now != name));
        // Defaults that call it are of another kind now.
        let other =
            |row: &FunctionRow| self.functions.get(&row.oid).is_some_and(|known| known.volatility != row.volatility());
        let recent = changes.since.checked_sub(since).is_some_and(|age| age < OLDEST);
        if !recent || renamed || changes.system != self.system || changes.changed_functions.iter().any(other) {
            return Missing::Everything;
        }
        let changed = changes.changed_relations.iter().filter(|oid| changes.relations.contains(oid));
        let new = changes.relations.iter().filter(|oid| !self.relations.contains_key(oid));
        let mut missing: BTreeSet<u32> = changed.chain(new).copied().collect();
        let views: Vec<u32> = self.reworded(changes, &missing).collect();
        missing.extend(views);
        Missing::Relations(missing.into_iter().collect())
    }

    /// Views whose text may be another one though they are the same: names in it have changed, or it was not to be had.
    fn reworded<'a>(&'a self, changes: &'a Changes, changed: &'a BTreeSet<u32>) -> impl Iterator<Item = u32> + 'a {
        let renamed = |row: &FunctionRow| {
            let known = self.functions.get(&row.oid).map(|known| &known.name);
            let schema = changes.schemas.get(&row.namespace);
            known.is_some_and(|(space, name)| Some(space) != schema || *name != row.name)
        };
        let all = changes.types != self.types || changes.changed_functions.iter().any(renamed);
        let is_reworded = move |entry: &Entry| {
            let mut read =
                entry.links.iter().map(|link| link.target).filter(|target| self.relations.contains_key(target));
            entry.relation.kind == RelationKind::View
                && read.any(|target| all || entry.relation.definition.is_none() || changed.contains(&target))
        };
        let present = self.relations.iter().filter(|(oid, _)| changes.relations.contains(oid));
        present.filter(move |(_, entry)| is_reworded(entry)).map(|(oid, _)| *oid)
    }

    /// Takes in what has changed.
    pub(super) fn take(&mut self, changes: Changes, details: Vec<Details>) {
        self.since = Some(changes.since);
        self.schemas = changes.schemas;
        let mut names = Vec::new();
        let mut stale = self.forget(&changes.relations, &mut names);
        let mut moved = false;
        for mut part in details {
            for row in std::mem::take(&mut part.relations) {
                stale.insert(row.oid);
                moved |= self.put(row, &mut part, &mut names);
            }
        }
        let active = self.active.keys().chain(changes.active.keys());
        stale.extend(active.filter(|oid| self.active.get(oid) != changes.active.get(oid)));
        let family = self.parents.keys().chain(changes.parents.keys());
        stale.extend(family.filter(|oid| self.parents.get(oid) != changes.parents.get(oid)));
        self.active = changes.active;
        self.parents = changes.parents;
        if moved {
            // Others tell their names.
            let linked = self.relations.iter().filter(|(_, entry)| !entry.links.is_empty()).map(|(oid, _)| *oid);
            stale.extend(linked.chain(self.parents.keys().copied()));
        }
        let rebuilt = self.rebuild(&stale);
        let functions = self.take_functions(&changes.functions, changes.changed_functions);
        self.types = changes.types;
        self.system = changes.system;
        self.publish(&names, rebuilt, functions, changes.system_relations);
    }

    /// Forgets relations that are gone; returns those that had something of them.
    fn forget(&mut self, present: &HashSet<u32>, names: &mut Vec<TableName>) -> HashSet<u32> {
        let gone: Vec<u32> = self.relations.keys().filter(|oid| !present.contains(oid)).copied().collect();
        let mut stale = HashSet::new();
        for oid in &gone {
            let Some(entry) = self.relations.remove(oid) else { continue };
            names.push(entry.relation.name.clone());
            for link in &entry.links {
                let Some(table) = self.relations.get_mut(&link.target) else { continue };
                table.keys.retain(|key| key.index != *oid);
                stale.insert(link.target);
            }
        }
        stale
    }

    /// Puts a relation in its place; true if others may know it by another name or for another thing.
    fn put(&mut self, row: RelationRow, part: &mut Details, names: &mut Vec<TableName>) -> bool {
        let schema = self.schemas.get(&row.namespace).cloned().unwrap_or_default();
        let relation = Relation {
            oid: row.oid,
            kind: row.kind(),
            name: TableName::new(schema, row.name),
            columns: part.columns.remove(&row.oid).unwrap_or_default(),
            unique_keys: Vec::new(),
            reads: Vec::new(),
            definition: part.definitions.remove(&row.oid),
            triggers: Vec::new(),
            parents: Vec::new(),
        };
        let keys = part.keys.remove(&row.oid).unwrap_or_default();
        let links = part.links.remove(&row.oid).unwrap_or_default();
        let before = self.relations.get(&row.oid);
        let moved = before.is_some_and(|before| {
            (&before.relation.name, before.relation.kind, &before.links) != (&relation.name, relation.kind, &links)
        });
        let before_it = before.map(|before| &before.relation.name);
        names.extend(before_it.filter(|name| **name != relation.name).cloned());
        let hash = before.map_or(0, |before| before.hash);
        self.relations.insert(row.oid, Entry { keys, links, relation: Arc::new(relation), hash });
        moved
    }

    /// Brings these relations up to date with the others; returns those that are otherwise than before.
    fn rebuild(&mut self, stale: &HashSet<u32>) -> Vec<Arc<Relation>> {
        let mut rebuilt = Vec::new();
        for oid in stale {
            let Some(entry) = self.relations.get(oid) else { continue };
            let parents = self.parents.get(oid).into_iter().flatten().filter_map(|parent| self.relations.get(parent));
            let relation = Relation {
                unique_keys: entry.keys.iter().map(|key| key.columns.clone()).collect(),
                reads: self.reached(*oid),
                triggers: self.active.get(oid).cloned().unwrap_or_default(),
                parents: parents.map(|parent| parent.relation.name.clone()).collect(),
                ..Relation::clone(&entry.relation)
            };
            let hash = hash_of(&(oid, &relation));
            if let Some(entry) = self.relations.get_mut(oid) {
                entry.relation = Arc::new(relation);
                if entry.hash != hash {
                    rebuilt.push(entry.relation.clone());
                }
                entry.hash = hash;
            }
        }
        rebuilt
    }

    /// Everything that is reached from `start`, sorted by name: through views of views down to tables. A materialized
    /// view has rows of its own, so nothing is read through it.
    fn reached(&self, start: u32) -> Vec<TableName> {
        let mut seen = BTreeSet::from([start]);
        let mut names = BTreeSet::new();
        let mut open = vec![start];
        while let Some(at) = open.pop() {
            for link in self.relations.get(&at).into_iter().flat_map(|entry| &entry.links) {
                if !seen.insert(link.target) {
                    continue;
                }
                let target = self.relations.get(&link.target).map(|entry| &entry.relation);
                let written = || TableName::new(link.schema.clone(), link.name.clone());
                names.insert(target.map_or_else(written, |target| target.name.clone()));
                if target.is_some_and(|target| target.kind == RelationKind::View) {
                    open.push(link.target);
                }
            }
        }
        names.into_iter().collect()
    }

    /// True if functions are others than before.
    fn take_functions(&mut self, present: &HashSet<u32>, changed: Vec<FunctionRow>) -> bool {
        let before = self.functions.len();
        self.functions.retain(|oid, _| present.contains(oid));
        let mut other = self.functions.len() != before;
        for row in changed {
            let schema = self.schemas.get(&row.namespace).cloned().unwrap_or_default();
            let (oid, volatility) = (row.oid, row.volatility());
            let function = Function { name: (schema, row.name), volatility, body: row.body.map(Into::into) };
            let known = self.functions.insert(oid, function.clone());
            other |= known.is_none_or(|known| {
                known.name != function.name || known.volatility != volatility || known.body != function.body
            });
        }
        other
    }

    /// Makes the schema that says all this.
    fn publish(
        &mut self,
        gone: &[TableName],
        rebuilt: Vec<Arc<Relation>>,
        functions: bool,
        system: Option<Vec<(Box<str>, Box<str>)>>,
    ) {
        let mut schemas: Vec<Box<str>> = self.schemas.values().cloned().collect();
        schemas.sort_unstable();
        let version = self.version(&schemas);
        if version == self.schema.version {
            return;
        }
        let mut schema = Schema::clone(&self.schema);
        schema.version = version;
        schema.schemas = schemas;
        for name in gone {
            schema.relations.remove(name);
        }
        schema.relations.extend(rebuilt.into_iter().map(|relation| (relation.name.clone(), relation)));
        if functions {
            let (functions, bodies) = self.by_name();
            schema.functions = Arc::new(functions);
            schema.bodies = Arc::new(bodies);
        }
        if let Some(system) = system {
            let names = system.into_iter().map(|(schema, name)| TableName::new(schema, name));
            schema.system_relations = Arc::new(names.collect());
        }
        self.schema = Arc::new(schema);
    }

    /// A number for all that was read: equal content gives an equal one, whatever order it was read in.
    fn version(&self, schemas: &[Box<str>]) -> u64 {
        let function =
            |(oid, function): (&u32, &Function)| hash_of(&(oid, &function.name, function.volatility, &function.body));
        let relations = self.relations.values().map(|entry| entry.hash);
        let all = relations.chain(self.functions.iter().map(function)).fold(0_u64, u64::wrapping_add);
        hash_of(&(all, schemas, &self.types, &self.system)).max(1)
    }

    /// Functions by name; of overloads the worst counts, and their bodies stand one after the other.
    fn by_name(&self) -> (ByName<Volatility>, ByName<String>) {
        let (mut functions, mut bodies) = (ByName::new(), ByName::<String>::new());
        let mut in_order: Vec<_> = self.functions.iter().collect();
        in_order.sort_unstable_by_key(|(oid, _)| **oid);
        for (_, function) in in_order {
            let worst = functions.entry(function.name.clone()).or_insert(function.volatility);
            *worst = function.volatility.max(*worst);
            if let Some(body) = &function.body {
                let all = bodies.entry(function.name.clone()).or_default();
                all.push_str(body);
                all.push('\n');
            }
        }
        (functions, bodies)
    }
}

fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
