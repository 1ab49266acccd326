//! Join: which sharded rows a statement reaches, and by which keys. In: facts, and what names mean. Out: every
//! sharded table of the statement with the recipe that its *relevant* rows obey, and which of them share a key.
//! Never: takes a key from a mere mention.
//!
//! A row is relevant if it can change the statement's answer. A condition restricts the tables in its scope: WHERE
//! all tables of its SELECT, an inner join's ON both sides, an outer join's ON its nullable side only. `x.key =
//! y.key` in the scope of x lets x *follow* y: relevant rows of x have the key of a relevant row of y. A statement
//! runs on one shard if the relevant rows of all its tables are there.

use super::{
    KeySource, Recipe, Source as ValueSource,
    build::Input,
    names::{self, Meaning},
    predicate,
};
use crate::sql::facts::{
    Action, Alias, Block, Body, Call, Expr, From, Item, JoinKind, Match, Name, Query, Rows, Write,
};
use pgring_config::{
    key::KeyType,
    tables::{ShardedTable, TableName},
};

/// A sharded table at one place of a statement.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    /// Table.
    pub(crate) table: TableName,
    /// How it is spread.
    pub(crate) sharded: ShardedTable,
    /// An outer join may stand NULLs in for its rows.
    pub(crate) nullable: bool,
    /// It stands in the FROM of the statement's outermost SELECT.
    pub(crate) top: bool,
    /// It is the target of an INSERT: its rows are found by what is inserted.
    pub(crate) inserted: bool,
    /// The name it goes by; None: its columns go by other names too.
    pub(crate) alias: Option<String>,
}

/// A source of columns in a FROM.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    schema: Option<String>,
    /// The name it goes by.
    pub(crate) name: String,
    /// Its columns as they are called here; None: not known.
    pub(crate) columns: Option<Vec<String>>,
    /// Its table, for facts of columns.
    pub(crate) table: Option<TableName>,
    /// The sharded table it is.
    pub(crate) instance: Option<usize>,
    key: Option<String>,
}

/// The shape of a FROM item.
#[derive(Clone, Debug)]
enum Tree {
    Leaf(usize),
    Join { left: Box<Tree>, right: Box<Tree>, kind: JoinKind, using: Vec<String>, natural: bool },
}

/// The sources that a SELECT's expressions see.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope<'p> {
    parent: Option<&'p Scope<'p>>,
    /// Its own sources.
    pub(crate) sources: Vec<Source>,
    trees: Vec<Tree>,
    top: bool,
    in_order: bool,
}

/// Where a SELECT stands.
struct Outer<'p> {
    scope: &'p Scope<'p>,
    top: bool,
}

enum Found {
    No,
    Perhaps,
    At(usize),
}

/// The recipe of an INSERT's rows, or why there is none.
#[derive(Clone, Debug)]
pub(crate) enum InsertRows {
    /// Known keys.
    Keys(Recipe),
    /// The key of this instance's rows.
    Follow(usize),
    /// Not known: what, hint.
    Unknown(&'static str, &'static str),
    /// The key would be a volatile default.
    Volatile,
}

/// A condition in a WHERE that looks at the columns of one instance only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Push {
    /// The instance.
    pub(crate) instance: usize,
    /// First byte of the SELECT.
    pub(crate) select_at: usize,
    /// Which of the WHERE's conditions.
    pub(crate) nth: usize,
    /// How many conditions the WHERE has.
    pub(crate) of: usize,
}

/// A call, where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Called<'a> {
    /// The call.
    pub(crate) call: &'a Call,
    /// It is one of the outermost SELECT's own.
    pub(crate) top: bool,
    /// The rows of its SELECT come from one sub-select that puts them in order.
    pub(crate) in_order: bool,
}

/// What was found in a statement.
#[derive(Default)]
pub(crate) struct Analysis<'a> {
    /// Every sharded table, at each place.
    pub(crate) instances: Vec<Instance>,
    follows: Vec<(usize, usize)>,
    atoms: Vec<(usize, Recipe)>,
    /// Names a local relation.
    pub(crate) local: bool,
    /// Names a reference table.
    pub(crate) reference: bool,
    /// Names a system relation.
    pub(crate) system: bool,
    /// Names a temporary relation.
    pub(crate) temporary: bool,
    /// Names a view on a sharded table.
    pub(crate) sharded_view: Option<TableName>,
    /// Writes something.
    pub(crate) writes: bool,
    /// Writes a reference table.
    pub(crate) writes_reference: Option<TableName>,
    /// Assigns a shard key.
    pub(crate) assigns_key: Option<TableName>,
    /// An INSERT would take a volatile default: table and column.
    pub(crate) volatile_default: Option<(TableName, String)>,
    /// Keys of the rows that INSERTs write into sharded tables.
    pub(crate) inserts: Vec<InsertRows>,
    /// Locks rows.
    pub(crate) locks: bool,
    /// Makes a table.
    pub(crate) into: bool,
    /// Every call.
    pub(crate) calls: Vec<Called<'a>>,
    /// Something that must not be split over shards, such as `ctid` or TABLESAMPLE.
    pub(crate) unsplittable: Option<String>,
    /// The statement has sub-selects, CTEs or set operations over sharded tables outside expressions.
    pub(crate) nested_sources: bool,
    /// Local and reference relations by their names.
    pub(crate) others: Vec<(TableName, bool)>,
    /// Conditions that the rows of one instance must meet.
    pub(crate) pushes: Vec<Push>,
    /// ONLY or TABLESAMPLE.
    pub(crate) special: bool,
    /// A system column, or a cast to an object's name.
    pub(crate) looks_at_storage: bool,
    /// Whole rows as values.
    pub(crate) rows: usize,
    /// Of those, how many are arguments of a call.
    pub(crate) rows_in_calls: usize,
    /// NATURAL joins, or a table whose columns go by other names.
    pub(crate) by_place: bool,
    ctes: Vec<(String, bool)>,
}

impl<'a> Analysis<'a> {
    /// Looks through a statement. The outermost SELECT's scope is handed to `top`.
    pub(crate) fn of(input: &Input<'_>, query: &'a Query, top: &mut dyn FnMut(&mut Self, &Scope<'_>)) -> Self {
        let mut analysis = Self::default();
        let root = Scope { top: true, ..Scope::default() };
        analysis.query(input, query, &root, true, top);
        analysis
    }

    /// The recipe of one instance's relevant rows.
    pub(crate) fn recipe(&self, instance: usize) -> Recipe {
        let reached = self.reached(instance);
        let atoms = self.atoms.iter().filter(|(at, _)| reached.contains(at));
        let mut all: Vec<Recipe> = vec![];
        for (_, recipe) in atoms {
            if !all.contains(recipe) {
                all.push(recipe.clone());
            }
        }
        match all.len() {
            0 => Recipe::Every,
            1 => all.remove(0),
            _ => Recipe::All(all),
        }
    }

    /// The instances that this one follows, itself included, in order.
    pub(crate) fn reached(&self, instance: usize) -> Vec<usize> {
        let mut reached = vec![instance];
        let mut at = 0;
        while let Some(&from) = reached.get(at) {
            for &(_, to) in self.follows.iter().filter(|(follower, _)| *follower == from) {
                if !reached.contains(&to) {
                    reached.push(to);
                }
            }
            at += 1;
        }
        reached.sort_unstable();
        reached
    }

    fn query(
        &mut self,
        input: &Input<'_>,
        query: &'a Query,
        outer: &Scope<'_>,
        top: bool,
        see: &mut dyn FnMut(&mut Self, &Scope<'_>),
    ) {
        let visible = self.ctes.len();
        let before = self.instances.len();
        for cte in &query.ctes {
            if query.recursive {
                self.ctes.push((cte.name.clone(), true));
            }
            self.query(input, &cte.query, outer, false, &mut |_, _| {});
            if !query.recursive {
                self.ctes.push((cte.name.clone(), true));
            }
        }
        self.nested_sources |= self.instances.len() > before;
        self.locks |= query.locks;
        self.body(input, query, &query.body, outer, top, see);
        self.ctes.truncate(visible);
    }

    fn body(
        &mut self,
        input: &Input<'_>,
        query: &'a Query,
        body: &'a Body,
        outer: &Scope<'_>,
        top: bool,
        see: &mut dyn FnMut(&mut Self, &Scope<'_>),
    ) {
        match body {
            Body::Select(block) => self.block(input, query, block, &Outer { scope: outer, top }, see),
            Body::Query(inner) => {
                self.query(input, inner, outer, false, &mut |_, _| {});
                if std::ptr::eq(body, &query.body) {
                    self.tail(input, query, outer);
                }
            }
            Body::Set(sides) => {
                for side in sides {
                    self.body(input, query, side, outer, false, &mut |_, _| {});
                }
                if std::ptr::eq(body, &query.body) {
                    self.tail(input, query, outer);
                }
            }
            Body::Values(rows) => {
                let scope = Scope { parent: Some(outer), ..Scope::default() };
                rows.iter().flatten().for_each(|expr| self.expr(input, expr, &scope));
                if std::ptr::eq(body, &query.body) {
                    self.tail(input, query, &scope);
                }
            }
            Body::Write(write) => self.write(input, write, outer),
        }
    }

    /// ORDER BY, LIMIT and OFFSET.
    fn tail(&mut self, input: &Input<'_>, query: &'a Query, scope: &Scope<'_>) {
        let limit = match &query.limit {
            Some(crate::sql::facts::Limit::Rows(expr)) => Some(expr),
            _ => None,
        };
        let sorts = query.order.iter().map(|sort| &sort.expr);
        sorts.chain(limit).chain(&query.offset).for_each(|expr| self.expr(input, expr, scope));
    }

    fn block(
        &mut self,
        input: &Input<'_>,
        query: &'a Query,
        block: &'a Block,
        outer: &Outer<'_>,
        see: &mut dyn FnMut(&mut Self, &Scope<'_>),
    ) {
        let mut scope = Scope { parent: Some(outer.scope), top: outer.top, ..Scope::default() };
        let mut matches = vec![];
        self.into |= block.into;
        scope.in_order = matches!(block.from.as_slice(), [From::Derived(query, ..)] if !query.order.is_empty());
        let own = self.froms(input, &block.from, &mut scope, &mut matches);
        self.conditions(input, matches, &scope);
        if let Some(filter) = &block.filter {
            self.condition(input, filter, &own, &scope);
            self.push(input, filter, block.at, &scope);
            self.expr(input, filter, &scope);
        }
        for item in &block.items {
            if let Item::Expr(expr, _) = item {
                self.expr(input, expr, &scope);
            }
        }
        let others = block.group_by.iter().chain(&block.having).chain(&block.distinct_on);
        others.for_each(|expr| self.expr(input, expr, &scope));
        // ORDER BY and LIMIT of a set operation belong to none of its sides.
        if matches!(&query.body, Body::Select(whole) if std::ptr::eq(&**whole, block)) {
            self.tail(input, query, &scope);
        }
        see(self, &scope);
    }

    /// Puts FROM items into the scope; returns their instances.
    fn froms(
        &mut self,
        input: &Input<'_>,
        from: &'a [From],
        scope: &mut Scope<'_>,
        matches: &mut Vec<(&'a Match, JoinKind, Tree, Vec<usize>)>,
    ) -> Vec<usize> {
        let mut own = vec![];
        for item in from {
            let (tree, instances) = self.from(input, item, scope, matches, false);
            scope.trees.push(tree);
            own.extend(instances);
        }
        own
    }

    fn from(
        &mut self,
        input: &Input<'_>,
        from: &'a From,
        scope: &mut Scope<'_>,
        matches: &mut Vec<(&'a Match, JoinKind, Tree, Vec<usize>)>,
        nullable: bool,
    ) -> (Tree, Vec<usize>) {
        match from {
            From::Table { name, alias, special } => self.table(input, name, alias, *special, scope, nullable),
            From::Derived(query, alias, lateral) => {
                let before = self.instances.len();
                let mut outer = Scope { parent: scope.parent, ..Scope::default() };
                if *lateral {
                    (outer.sources, outer.trees) = (scope.sources.clone(), scope.trees.clone());
                }
                self.query(input, query, &outer, false, &mut |_, _| {});
                self.nested_sources |= self.instances.len() > before;
                (scope.leaf(None, alias, None), vec![])
            }
            From::Call(calls, alias) => {
                let outer = Scope {
                    parent: scope.parent,
                    sources: scope.sources.clone(),
                    trees: scope.trees.clone(),
                    ..Scope::default()
                };
                calls.iter().for_each(|call| self.expr(input, call, &outer));
                (scope.leaf(None, alias, None), vec![])
            }
            From::Join { left, right, kind, matching } => {
                let null_left = matches!(kind, JoinKind::Right | JoinKind::Full);
                let null_right = matches!(kind, JoinKind::Left | JoinKind::Full);
                let (left, mut instances) = self.from(input, left, scope, matches, nullable || null_left);
                let (right, from_right) = self.from(input, right, scope, matches, nullable || null_right);
                let restricted = match kind {
                    JoinKind::Inner => instances.iter().chain(&from_right).copied().collect(),
                    JoinKind::Left => from_right.clone(),
                    JoinKind::Right => instances.clone(),
                    JoinKind::Full => vec![],
                };
                instances.extend(from_right);
                let using = match matching {
                    Match::Using(columns) => columns.clone(),
                    _ => vec![],
                };
                let natural = *matching == Match::Natural;
                self.by_place |= natural;
                let tree = Tree::Join { left: Box::new(left), right: Box::new(right), kind: *kind, using, natural };
                matches.push((matching, *kind, tree.clone(), restricted));
                (tree, instances)
            }
        }
    }

    fn table(
        &mut self,
        input: &Input<'_>,
        name: &Name,
        alias: &Alias,
        special: bool,
        scope: &mut Scope<'_>,
        nullable: bool,
    ) -> (Tree, Vec<usize>) {
        if name.schema.is_none() && self.ctes.iter().any(|(cte, _)| *cte == name.name) {
            return (scope.leaf(None, &named(alias, name), None), vec![]);
        }
        let meaning = names::resolve(input, name.schema.as_deref(), &name.name);
        let table = match &meaning {
            Meaning::Sharded(table, _) | Meaning::Reference(table) | Meaning::Local(table) => Some(table.clone()),
            _ => None,
        };
        let columns = table.as_ref().and_then(|table| columns(input, table));
        let mut instances = vec![];
        self.special |= special;
        self.by_place |= !alias.columns.is_empty();
        if let Meaning::Sharded(table, sharded) = &meaning {
            if special {
                self.unsplittable = Some("ONLY or TABLESAMPLE".into());
            }
            instances.push(self.instances.len());
            let (table, sharded) = (table.clone(), sharded.clone());
            let shown = alias.name.as_ref().unwrap_or(&name.name);
            let alias = alias.columns.is_empty().then(|| shown.clone());
            self.instances.push(Instance { table, sharded, nullable, top: scope.top, inserted: false, alias });
        }
        self.note(meaning);
        let leaf = scope.leaf(table.clone(), &named(alias, name), columns);
        let source = scope.sources.last_mut();
        if let (Some(source), Some(&instance)) = (source, instances.first()) {
            source.schema = (alias.name.is_none()).then(|| self.instances[instance].table.schema.to_string());
            source.instance = Some(instance);
            source.key = visible_key(input, &self.instances[instance], alias);
        }
        (leaf, instances)
    }

    fn note(&mut self, meaning: Meaning) {
        match meaning {
            Meaning::Temporary => self.temporary = true,
            Meaning::Sharded(..) => {}
            Meaning::Reference(table) => {
                self.reference = true;
                self.others.push((table, true));
            }
            Meaning::ShardedView(view) => self.sharded_view = Some(view),
            Meaning::Local(table) => {
                self.local = true;
                self.others.push((table, false));
            }
            Meaning::System => self.system = true,
        }
    }

    fn conditions(
        &mut self,
        input: &Input<'_>,
        matches: Vec<(&'a Match, JoinKind, Tree, Vec<usize>)>,
        scope: &Scope<'_>,
    ) {
        for (matching, _, tree, restricted) in matches {
            let Tree::Join { left, right, .. } = &tree else { continue };
            match matching {
                Match::All => {}
                Match::On(condition) => {
                    self.condition(input, condition, &restricted, scope);
                    self.expr(input, condition, scope);
                }
                Match::Using(names) => names.iter().for_each(|name| self.merged(scope, left, right, name, &restricted)),
                Match::Natural => {
                    let key = |found: Option<usize>| scope.sources[found?].key.clone();
                    let keys: Vec<String> = (0..scope.sources.len()).filter_map(|source| key(Some(source))).collect();
                    keys.iter().for_each(|name| self.merged(scope, left, right, name, &restricted));
                }
            }
        }
    }

    fn merged(&mut self, scope: &Scope<'_>, left: &Tree, right: &Tree, name: &str, restricted: &[usize]) {
        let key = |tree: &Tree| match scope.look(tree, name) {
            Found::At(source) => {
                scope.sources[source].instance.filter(|_| scope.sources[source].key.as_deref() == Some(name))
            }
            _ => None,
        };
        if let (Some(left), Some(right)) = (key(left), key(right)) {
            self.follow(left, right, restricted);
        }
    }

    fn follow(&mut self, left: usize, right: usize, restricted: &[usize]) {
        for (follower, followed) in [(left, right), (right, left)] {
            if follower != followed && restricted.contains(&follower) {
                self.follows.push((follower, followed));
            }
        }
    }

    /// Takes in a condition that the rows of `restricted` must meet to be relevant.
    fn condition(&mut self, input: &Input<'_>, condition: &Expr, restricted: &[usize], scope: &Scope<'_>) {
        match condition {
            Expr::And(all) => all.iter().for_each(|one| self.condition(input, one, restricted, scope)),
            Expr::Equal(left, right) => {
                if let (Expr::Row(left), Expr::Row(right)) = (&**left, &**right)
                    && left.len() == right.len()
                {
                    for (left, right) in left.iter().zip(right) {
                        let pair = Expr::Equal(Box::new(left.clone()), Box::new(right.clone()));
                        self.condition(input, &pair, restricted, scope);
                    }
                } else if let (Some(left), Some(right)) = (scope.key(left), scope.key(right)) {
                    self.follow(left, right, restricted);
                } else {
                    self.atom(input, condition, restricted, scope);
                }
            }
            _ => self.atom(input, condition, restricted, scope),
        }
    }

    fn atom(&mut self, input: &Input<'_>, condition: &Expr, restricted: &[usize], scope: &Scope<'_>) {
        for &instance in restricted {
            let Some(key_type) = self.instances[instance].sharded.key_type else { continue };
            let nullable = self.instances[instance].nullable;
            let is_key = |expr: &Expr| scope.key(expr) == Some(instance);
            let recipe = predicate::recipe(input.lexed, condition, key_type, nullable, &is_key);
            if recipe != Recipe::Every {
                self.atoms.push((instance, recipe));
            }
        }
    }

    /// Notes the conditions of a WHERE that one instance can judge by itself.
    fn push(&mut self, input: &Input<'_>, filter: &Expr, select_at: usize, scope: &Scope<'_>) {
        let all = match filter {
            Expr::And(all) => all.as_slice(),
            one => std::slice::from_ref(one),
        };
        for (nth, condition) in all.iter().enumerate() {
            if let Some(instance) = self.judge(input, condition, scope) {
                self.pushes.push(Push { instance, select_at, nth, of: all.len() });
            }
        }
    }

    /// The only instance whose columns this condition looks at, if its value depends on nothing else.
    fn judge(&self, input: &Input<'_>, condition: &Expr, scope: &Scope<'_>) -> Option<usize> {
        let mut found = None;
        let mut fits = true;
        condition.walk(&mut |part| match part {
            Expr::Column { qualifier, name } => {
                let own = scope.own(qualifier, name).and_then(|source| source.instance);
                fits &= own.is_some() && *found.get_or_insert(own) == own;
            }
            Expr::Call(call) => {
                use super::read::{Class, class};
                fits &= class(input, &call.name) == Class::Builtin(crate::sql::volatility::Builtin::Pure);
                fits &= call.over.is_none() && call.filter.is_none();
            }
            Expr::Query(_) | Expr::Default => fits = false,
            Expr::Cast(_, name) => fits &= !name.starts_with("reg"),
            _ => {}
        });
        let instance = found.flatten().filter(|_| fits)?;
        let known = &self.instances[instance];
        (!known.nullable && known.alias.is_some()).then_some(instance)
    }

    /// Notes the calls, columns and sub-selects of an expression.
    pub(crate) fn expr(&mut self, input: &Input<'_>, expr: &'a Expr, scope: &Scope<'_>) {
        match expr {
            Expr::Query(query) => self.query(input, query, scope, false, &mut |_, _| {}),
            Expr::Call(call) => {
                let row = |argument: &&Expr| matches!(argument, Expr::Column { qualifier, name } if scope.is_row(qualifier, name));
                self.rows_in_calls += call.arguments.iter().filter(row).count();
                self.calls.push(Called { call, top: scope.top, in_order: scope.in_order });
            }
            Expr::Column { qualifier, name } => self.column(qualifier, name, scope),
            Expr::Cast(_, name) if name.starts_with("reg") => {
                self.looks_at_storage = true;
                self.unsplittable = Some(format!("a cast to {name}"));
            }
            _ => {}
        }
        for part in expr.parts() {
            self.expr(input, part, scope);
        }
    }

    fn column(&mut self, qualifier: &[String], name: &str, scope: &Scope<'_>) {
        const SYSTEM: &[&str] = &["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];
        let whole_row = scope.is_row(qualifier, name);
        let written =
            scope.sources.iter().flat_map(|source| source.columns.iter().flatten()).any(|column| column == name);
        self.rows += usize::from(whole_row);
        self.looks_at_storage |= SYSTEM.contains(&name) && !written;
        if whole_row || (SYSTEM.contains(&name) && !written) {
            self.unsplittable = Some(if whole_row { "a whole row as a value".into() } else { format!("{name:?}") });
        }
    }

    fn write(&mut self, input: &Input<'_>, write: &'a Write, outer: &Scope<'_>) {
        self.writes = true;
        let meaning = names::resolve(input, write.table.schema.as_deref(), &write.table.name);
        if let Meaning::Reference(table) = &meaning {
            self.writes_reference = Some(table.clone());
        }
        let mut scope = Scope { parent: Some(outer), ..Scope::default() };
        let alias = Alias { name: write.alias.clone(), columns: vec![] };
        // The target of a write is never a CTE.
        let ctes = std::mem::take(&mut self.ctes);
        let (tree, mut own) = self.table(input, &write.table, &alias, false, &mut scope, false);
        self.ctes = ctes;
        scope.trees.push(tree);
        let target = own.first().copied();
        if let Some(target) = target {
            self.instances[target].inserted = matches!(write.action, Action::Insert { .. });
        }
        match &write.action {
            Action::Insert { columns, rows, assignments, rest } => {
                self.insert(input, columns, rows, target, outer);
                self.assignments(input, assignments, target, &scope);
                rest.iter().for_each(|expr| self.expr(input, expr, &scope));
            }
            Action::Update { assignments, from, filter } => {
                own.extend(self.sources(input, from, filter.as_ref(), &own.clone(), &mut scope));
                self.assignments(input, assignments, target, &scope);
            }
            Action::Delete { using, filter } => {
                own.extend(self.sources(input, using, filter.as_ref(), &own.clone(), &mut scope));
            }
        }
        for item in &write.returning {
            if let Item::Expr(expr, _) = item {
                self.expr(input, expr, &scope);
            }
        }
    }

    fn sources(
        &mut self,
        input: &Input<'_>,
        from: &'a [From],
        filter: Option<&'a Expr>,
        own: &[usize],
        scope: &mut Scope<'_>,
    ) -> Vec<usize> {
        let mut matches = vec![];
        let found = self.froms(input, from, scope, &mut matches);
        self.conditions(input, matches, scope);
        if let Some(filter) = filter {
            let restricted: Vec<usize> = own.iter().chain(&found).copied().collect();
            self.condition(input, filter, &restricted, scope);
            self.expr(input, filter, scope);
        }
        found
    }

    fn assignments(
        &mut self,
        input: &Input<'_>,
        assignments: &'a [crate::sql::facts::Assignment],
        target: Option<usize>,
        scope: &Scope<'_>,
    ) {
        for assignment in assignments {
            if let Some(target) = target.map(|target| &self.instances[target])
                && assignment.columns.iter().any(|column| **column == *target.sharded.key)
            {
                self.assigns_key = Some(target.table.clone());
            }
            self.expr(input, &assignment.value, scope);
        }
    }

    fn insert(
        &mut self,
        input: &Input<'_>,
        columns: &[String],
        rows: &'a Rows,
        target: Option<usize>,
        outer: &Scope<'_>,
    ) {
        let scope = Scope { parent: Some(outer), ..Scope::default() };
        let instance = target.map(|target| self.instances[target].clone());
        let mut selected = None;
        match rows {
            Rows::Default => {}
            Rows::Values(rows) => rows.iter().flatten().for_each(|expr| self.expr(input, expr, &scope)),
            Rows::Query(query) => {
                let mut see = |_: &mut Self, scope: &Scope<'_>| selected = super::write::selected(query, scope);
                self.query(input, query, &scope, false, &mut see);
            }
        }
        if let Some(instance) = instance {
            let (rows, volatile) = super::write::insert_rows(input, &instance, columns, rows, selected.as_deref());
            if let Some(column) = volatile {
                self.volatile_default = Some((instance.table, column));
            }
            self.inserts.push(rows);
        }
    }
}

fn named(alias: &Alias, name: &Name) -> Alias {
    let shown = alias.name.clone().unwrap_or_else(|| name.name.clone());
    Alias { name: Some(shown), columns: alias.columns.clone() }
}

fn columns(input: &Input<'_>, table: &TableName) -> Option<Vec<String>> {
    let relation = input.schema.relation(table)?;
    Some(relation.columns.iter().map(|column| column.name.to_string()).collect())
}

/// The name that the key column goes by, after an alias may have renamed it.
fn visible_key(input: &Input<'_>, instance: &Instance, alias: &Alias) -> Option<String> {
    if alias.columns.is_empty() {
        return Some(instance.sharded.key.to_string());
    }
    let columns = columns(input, &instance.table)?;
    let place = columns.iter().position(|column| **column == *instance.sharded.key)?;
    Some(alias.columns.get(place).cloned().unwrap_or_else(|| instance.sharded.key.to_string()))
}

/// The key type of an instance's column, as a source of a value.
pub(crate) fn key_source(source: ValueSource, key_type: KeyType) -> Recipe {
    Recipe::One(KeySource { source, key_type })
}

impl Scope<'_> {
    fn leaf(&mut self, table: Option<TableName>, alias: &Alias, columns: Option<Vec<String>>) -> Tree {
        let columns = columns.map(|mut columns| {
            for (column, renamed) in columns.iter_mut().zip(&alias.columns) {
                column.clone_from(renamed);
            }
            columns
        });
        let name = alias.name.clone().unwrap_or_default();
        self.sources.push(Source { schema: None, name, columns, table, instance: None, key: None });
        Tree::Leaf(self.sources.len() - 1)
    }

    /// The instance whose bare key column this expression is.
    pub(crate) fn key(&self, expr: &Expr) -> Option<usize> {
        let Expr::Column { qualifier, name } = expr else { return None };
        let source = self.source(qualifier, name)?;
        source.instance.filter(|_| source.key.as_deref() == Some(name))
    }

    /// The source that a column surely comes from.
    pub(crate) fn source(&self, qualifier: &[String], name: &str) -> Option<&Source> {
        let found = match qualifier {
            [] => {
                let mut any = Found::No;
                for tree in &self.trees {
                    match (self.look(tree, name), &any) {
                        (Found::At(_), Found::At(_)) => return None,
                        (Found::At(source), _) => any = Found::At(source),
                        (Found::Perhaps, Found::No) => any = Found::Perhaps,
                        _ => {}
                    }
                }
                any
            }
            [table] => self.sources.iter().position(|source| source.name == *table).map_or(Found::No, Found::At),
            [schema, table] => {
                let named = |source: &Source| source.name == *table && source.schema.as_ref() == Some(schema);
                self.sources.iter().position(named).map_or(Found::No, Found::At)
            }
            _ => return None,
        };
        match found {
            Found::At(source) => Some(&self.sources[source]),
            Found::Perhaps => None,
            Found::No => self.parent?.source(qualifier, name),
        }
    }

    fn look(&self, tree: &Tree, name: &str) -> Found {
        match tree {
            Tree::Leaf(source) => match &self.sources[*source] {
                Source { key: Some(key), .. } if key == name => Found::At(*source),
                Source { columns: Some(columns), .. } if columns.iter().any(|column| column == name) => {
                    Found::At(*source)
                }
                Source { columns: Some(_), .. } => Found::No,
                Source { columns: None, .. } => Found::Perhaps,
            },
            Tree::Join { left, right, kind, using, natural } => {
                let sides = (self.look(left, name), self.look(right, name));
                let merged = using.iter().any(|column| column == name);
                match sides {
                    (Found::At(left), Found::At(right)) if merged || *natural => match kind {
                        JoinKind::Inner | JoinKind::Left => Found::At(left),
                        JoinKind::Right => Found::At(right),
                        JoinKind::Full => Found::Perhaps,
                    },
                    (Found::At(_), Found::At(_)) => Found::Perhaps,
                    (Found::At(_), Found::Perhaps) | (Found::Perhaps, Found::At(_)) if merged || *natural => {
                        Found::Perhaps
                    }
                    (Found::At(source), _) | (_, Found::At(source)) => Found::At(source),
                    (Found::No, Found::No) => Found::No,
                    _ => Found::Perhaps,
                }
            }
        }
    }

    /// The name of a table, here or further out, stands for its whole row.
    fn is_row(&self, qualifier: &[String], name: &str) -> bool {
        if !qualifier.is_empty() {
            return false;
        }
        let column = |source: &Source| source.columns.iter().flatten().any(|column| column == name);
        if self.sources.iter().any(column) {
            return false;
        }
        let named = |source: &Source| source.name == name && source.table.is_some();
        self.sources.iter().any(named) || self.parent.is_some_and(|parent| parent.is_row(qualifier, name))
    }

    /// The source, of these and none further out, that a column surely comes from.
    fn own(&self, qualifier: &[String], name: &str) -> Option<&Source> {
        let source = self.source(qualifier, name)?;
        self.sources.iter().any(|own| std::ptr::eq(own, source)).then_some(source)
    }

    /// Names and sources of the columns that `*` or `t.*` stands for; None if not all are known.
    pub(crate) fn expand(&self, table: Option<&str>) -> Option<Vec<(String, usize)>> {
        match table {
            Some(table) => self.leaf_columns(self.sources.iter().position(|source| source.name == table)?),
            None => {
                let all: Option<Vec<_>> = self.trees.iter().map(|tree| self.tree_columns(tree)).collect();
                Some(all?.concat())
            }
        }
    }

    fn leaf_columns(&self, source: usize) -> Option<Vec<(String, usize)>> {
        let columns = self.sources[source].columns.as_ref()?;
        Some(columns.iter().map(|column| (column.clone(), source)).collect())
    }

    fn tree_columns(&self, tree: &Tree) -> Option<Vec<(String, usize)>> {
        match tree {
            Tree::Leaf(source) => self.leaf_columns(*source),
            Tree::Join { natural: true, .. } => None,
            Tree::Join { left, right, using, .. } => {
                let (left, right) = (self.tree_columns(left)?, self.tree_columns(right)?);
                let merged = |column: &&(String, usize)| using.contains(&column.0);
                let mut all: Vec<(String, usize)> =
                    using.iter().filter_map(|name| left.iter().find(|column| column.0 == *name).cloned()).collect();
                all.extend(left.iter().chain(&right).filter(|column| !merged(column)).cloned());
                Some(all)
            }
        }
    }
}
