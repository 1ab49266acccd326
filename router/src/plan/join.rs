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
    parted::Rows,
    predicate,
    read::{Class, class},
    scope::{Found, Scope, Tree},
    view::{self, Definitions, View},
};
use crate::sql::facts::{
    self, Action, Alias, Block, Body, Call, Expr, From, Item, JoinKind, Match, Name, Query, Rows as Inserted, Write,
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
    /// It stands in the definition of a view.
    pub(crate) in_view: bool,
    /// It is the target of an INSERT: its rows are found by what is inserted.
    pub(crate) inserted: bool,
    /// The name it goes by; None: its columns go by other names too.
    pub(crate) alias: Option<String>,
    /// Not a table: it stands for the rows of a sub-select or set operation, which come from the shards of these.
    pub(crate) members: Vec<usize>,
}

/// A local or reference relation at one place of a statement.
#[derive(Clone, Debug)]
pub(crate) struct Other {
    /// Relation.
    pub(crate) table: TableName,
    /// It is on every shard alike.
    pub(crate) reference: bool,
    /// It stands in the definition of a view.
    pub(crate) in_view: bool,
}

/// Where a SELECT stands.
struct Outer<'p> {
    scope: &'p Scope<'p>,
    top: bool,
}

/// The recipe of an INSERT's rows, or why there is none.
#[derive(Clone, Debug)]
pub(crate) enum InsertRows {
    /// Known keys.
    Keys(Recipe),
    /// The key of this instance's rows.
    Follow(usize),
    /// Their values tell.
    Elsewhere,
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

impl Push {
    /// Where it stands.
    pub(super) fn place(&self) -> (usize, usize, usize) {
        (self.select_at, self.nth, self.of)
    }
}

/// A call, where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Called<'a> {
    /// The call.
    pub(crate) call: &'a Call,
    /// What its function is.
    pub(crate) class: Class,
    /// It stands in the definition of a view.
    pub(crate) in_view: bool,
    /// It is one of the outermost SELECT's own.
    pub(crate) top: bool,
    /// The rows of its SELECT come from one sub-select that puts them in order.
    pub(crate) in_order: bool,
    /// First byte of its SELECT.
    pub(super) at: usize,
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
    /// Names a view on a sharded table that could not be looked into.
    pub(crate) sharded_view: Option<TableName>,
    /// Writes to a view on a sharded table that is not one table's rows.
    pub(crate) writes_view: Option<TableName>,
    /// Views on sharded tables that were looked into, those in others first.
    pub(crate) views: Vec<View>,
    /// A view, or a sub-select or CTE whose rows are a FROM's only ones, puts its rows in order.
    pub(crate) in_order_below: bool,
    /// Definitions of views.
    pub(super) definitions: Option<&'a Definitions>,
    /// How many views the walk is in.
    pub(super) in_views: usize,
    /// What is added to places in a text, so that those of different texts differ.
    pub(super) place: usize,
    /// Views looked into so far.
    pub(super) looked_into: usize,
    /// Writes something.
    pub(crate) writes: bool,
    /// Reference tables that it writes.
    pub(crate) writes_reference: Vec<TableName>,
    /// Assigns a shard key that is not known.
    pub(crate) assigns_key: Option<TableName>,
    /// Shard keys that it assigns.
    pub(crate) assigned: Vec<Recipe>,
    /// An INSERT would take a volatile default: table and column.
    pub(crate) volatile_default: Option<(TableName, String)>,
    /// Keys of the rows that INSERTs write into sharded tables.
    pub(crate) inserts: Vec<InsertRows>,
    /// The targets of writes, where they are sharded, in the order in which the writes were looked through.
    pub(crate) targets: Vec<Option<usize>>,
    /// The rows of an INSERT's query.
    pub(crate) inserted: Option<Rows>,
    /// Locks rows.
    pub(crate) locks: bool,
    /// Locks rows in a sub-select or CTE.
    pub(crate) locks_inside: bool,
    /// Makes a table.
    pub(crate) into: bool,
    /// Every call.
    pub(crate) calls: Vec<Called<'a>>,
    /// Something that must not be split over shards, such as `ctid` or TABLESAMPLE.
    pub(crate) unsplittable: Option<String>,
    /// Why a sub-select needs rows of several shards at once, if one does.
    pub(crate) apart: Option<&'static str>,
    /// Slots whose text shapes what was found.
    pub(crate) fixed: Vec<u32>,
    /// A CTE is referred to more often than can be followed.
    pub(crate) too_deep: bool,
    /// Local and reference relations.
    pub(crate) others: Vec<Other>,
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
    /// Whole rows of sub-selects as values.
    pub(crate) derived_rows: bool,
    /// A whole row is a part of another value, or an argument of a user's function.
    pub(crate) rows_inside: bool,
    /// NATURAL joins, or a table whose columns go by other names.
    pub(crate) by_place: bool,
    pub(super) ctes: Vec<Cte<'a>>,
    inlined: usize,
}

/// A CTE that can be seen.
#[derive(Clone)]
pub(super) struct Cte<'a> {
    pub(super) name: &'a str,
    columns: &'a [String],
    /// What it stands for, looked through where it is referred to; None: it was looked through where it stands.
    query: Option<&'a Query>,
    /// How many scopes are around it.
    depth: usize,
    /// How many CTEs it sees.
    sees: usize,
    used: bool,
}

/// References to CTEs that are looked through.
const MOST_INLINED: usize = 200;

impl<'a> Analysis<'a> {
    /// Looks through a statement. The outermost SELECT's scope is handed to `top`.
    pub(crate) fn of(
        input: &Input<'_>,
        query: &'a Query,
        definitions: &'a Definitions,
        top: &mut dyn FnMut(&mut Self, &Scope<'_>),
    ) -> (Self, Rows) {
        let mut analysis = Self::empty(definitions);
        let rows = analysis.query(input, query, &Scope::default(), true, top);
        (analysis, rows)
    }

    /// Nothing found yet.
    pub(super) fn empty(definitions: &'a Definitions) -> Self {
        Self { definitions: Some(definitions), ..Self::default() }
    }

    /// The tables among the instances.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (usize, &Instance)> {
        self.instances.iter().enumerate().filter(|(_, instance)| instance.members.is_empty())
    }

    /// The recipe of one instance's relevant rows.
    pub(crate) fn recipe(&self, instance: usize) -> Recipe {
        self.recipe_but(instance, &[])
    }

    /// The same; what these sets consist of is not looked at again.
    fn recipe_but(&self, instance: usize, done: &[usize]) -> Recipe {
        let reached = self.reached(instance);
        let mut all: Vec<Recipe> = vec![];
        let mut add = |recipe: Recipe| {
            if recipe != Recipe::Every && !all.contains(&recipe) {
                all.push(recipe);
            }
        };
        self.atoms.iter().filter(|(at, _)| reached.contains(at)).for_each(|(_, recipe)| add(recipe.clone()));
        let sets = reached.iter().filter(|at| self.instances[**at].members.len() > 1 && !done.contains(at));
        for set in sets {
            let done: Vec<usize> = done.iter().chain([set]).copied().collect();
            let members = self.instances[*set].members.iter();
            add(predicate::either(members.map(|member| self.recipe_but(*member, &done)).collect()));
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

    pub(super) fn query(
        &mut self,
        input: &Input<'_>,
        query: &'a Query,
        outer: &Scope<'_>,
        top: bool,
        see: &mut dyn FnMut(&mut Self, &Scope<'_>),
    ) -> Rows {
        let (visible, before) = (self.ctes.len(), self.before());
        self.name_ctes(input, query, outer);
        self.locks |= query.locks;
        self.locks_inside |= query.locks && !top;
        let mut rows = self.body(input, query, &query.body, outer, top, see);
        let picks = self.reads_copies_only(&before);
        if (query.limit.is_some() || query.offset.is_some()) && !top && (picks || rows.anchor.is_some()) {
            self.apart = Some("LIMIT in a sub-select");
            rows.hide_keys();
        }
        for at in visible..self.ctes.len() {
            if !self.ctes[at].used {
                self.reference(input, at, outer);
            }
        }
        self.ctes.truncate(visible);
        rows
    }

    fn before(&self) -> Before {
        Before { instances: self.instances.len(), calls: self.calls.len(), others: self.others.len() }
    }

    /// Takes in the CTEs of a query. Those of WITH RECURSIVE, and what writes, are looked through here, all others where
    /// they are referred to.
    fn name_ctes(&mut self, input: &Input<'_>, query: &'a Query, outer: &Scope<'_>) {
        let first = self.ctes.len();
        let named = |cte: &'a facts::Cte, sees: usize| Cte {
            name: &cte.name,
            columns: &cte.columns,
            query: None,
            depth: outer.depth,
            sees,
            used: true,
        };
        if query.recursive {
            self.ctes.extend(query.ctes.iter().map(|cte| named(cte, first)));
        }
        for cte in &query.ctes {
            let sees = self.ctes.len();
            if query.recursive || matches!(cte.query.body, Body::Write(_)) {
                let before = self.instances.len();
                self.query(input, &cte.query, outer, false, &mut |_, _| {});
                if self.instances.len() > before {
                    self.apart = Some("a CTE that writes, or of WITH RECURSIVE");
                }
                self.ctes.truncate(sees);
                if !query.recursive {
                    self.ctes.push(named(cte, sees));
                }
            } else {
                self.ctes.push(Cte { query: Some(&cte.query), used: false, ..named(cte, sees) });
            }
        }
    }

    /// Looks through a CTE where it is referred to, as if it stood there.
    fn reference(&mut self, input: &Input<'_>, at: usize, scope: &Scope<'_>) -> Rows {
        self.ctes[at].used = true;
        let Cte { query: Some(query), depth, sees, columns, .. } = self.ctes[at].clone() else {
            return Rows::default();
        };
        self.inlined += 1;
        if self.inlined > MOST_INLINED {
            self.too_deep = true;
            return Rows::default();
        }
        let rest = self.ctes.split_off(sees);
        let mut rows = self.query(input, query, scope.at_depth(depth), false, &mut |_, _| {});
        self.ctes.truncate(sees);
        self.ctes.extend(rest);
        rows.rename(columns);
        rows
    }

    fn body(
        &mut self,
        input: &Input<'_>,
        query: &'a Query,
        body: &'a Body,
        outer: &Scope<'_>,
        top: bool,
        see: &mut dyn FnMut(&mut Self, &Scope<'_>),
    ) -> Rows {
        let whole = std::ptr::eq(body, &query.body);
        match body {
            Body::Select(block) => self.block(input, query, block, &Outer { scope: outer, top }, see),
            Body::Query(inner) => {
                let rows = self.query(input, inner, outer, false, &mut |_, _| {});
                if whole {
                    self.tail(input, query, outer);
                }
                rows
            }
            Body::Set(set) => {
                let left = self.body(input, query, &set.left, outer, false, &mut |_, _| {});
                let right = self.body(input, query, &set.right, outer, false, &mut |_, _| {});
                if whole {
                    self.tail(input, query, outer);
                }
                self.united(set, left, right, top)
            }
            Body::Values(rows) => {
                let scope = Scope { at: usize::MAX, ..Scope::inside(outer) };
                rows.iter().flatten().for_each(|expr| self.expr(input, expr, &scope));
                if whole {
                    self.tail(input, query, &scope);
                }
                Rows::of_values(rows.first().map_or(0, Vec::len))
            }
            Body::Write(write) => {
                self.write(input, write, outer);
                Rows::default()
            }
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
    ) -> Rows {
        let before = self.before();
        let mut scope = Scope { top: outer.top, at: self.place + block.at, ..Scope::inside(outer.scope) };
        let mut matches = vec![];
        self.into |= block.into;
        scope.in_order = match block.from.as_slice() {
            [From::Derived(query, ..)] => !query.order.is_empty(),
            [From::Table { name, .. }] => self.is_cte_in_order(name) || self.is_view_in_order(input, name),
            _ => false,
        };
        self.in_order_below |= scope.in_order;
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
        self.rows(input, block, &scope, &before)
    }

    /// The name is that of a CTE whose rows come in an order.
    fn is_cte_in_order(&self, name: &Name) -> bool {
        let cte = self.ctes.iter().rfind(|cte| name.schema.is_none() && *cte.name == *name.name);
        cte.and_then(|cte| cte.query).is_some_and(|query| !query.order.is_empty())
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
            From::Table { name, alias, special, only } => {
                self.table(input, name, alias, (*special, *only), scope, nullable)
            }
            From::Derived(query, alias, lateral) => {
                let outer = if *lateral { scope.lateral() } else { scope.beside() };
                let rows = self.query(input, query, &outer, false, &mut |_, _| {});
                self.stand_for(rows, alias, nullable, scope)
            }
            From::Call(calls, alias) => {
                let outer = Scope { at: usize::MAX, ..scope.lateral() };
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
        (special, only): (bool, bool),
        scope: &mut Scope<'_>,
        nullable: bool,
    ) -> (Tree, Vec<usize>) {
        if name.schema.is_none()
            && let Some(cte) = self.ctes.iter().rposition(|cte| *cte.name == *name.name)
        {
            let rows = self.reference(input, cte, scope);
            return self.stand_for(rows, &named(alias, name), nullable, scope);
        }
        let meaning = names::resolve(input, name.schema.as_deref(), &name.name);
        if let Meaning::ShardedView(view) = &meaning
            && let Some(definition) = self.definition(view)
        {
            self.special |= special || only;
            let place = view::Place { alias, name, nullable };
            return self.view(input, definition, &place, scope);
        }
        let table = match &meaning {
            Meaning::Sharded(table, _) | Meaning::Reference(table) | Meaning::Local(table) => Some(table.clone()),
            _ => None,
        };
        let columns = table.as_ref().and_then(|table| columns(input, table));
        let mut instances = vec![];
        // Without children they are the rows as they are.
        let special = special || only && table.as_ref().is_none_or(|table| has_children(input, table));
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
            let (top, in_view, members) = (scope.top, self.in_views > 0, vec![]);
            self.instances.push(Instance { table, sharded, nullable, top, in_view, inserted: false, alias, members });
        }
        self.note(meaning);
        let leaf = scope.leaf(table.clone(), &named(alias, name), columns);
        let source = scope.sources.last_mut();
        if let (Some(source), Some(&instance)) = (source, instances.first()) {
            source.schema = (alias.name.is_none()).then(|| self.instances[instance].table.schema.to_string());
            source.instance = Some(instance);
            source.keys = visible_key(input, &self.instances[instance], alias).into_iter().collect();
        }
        (leaf, instances)
    }

    fn note(&mut self, meaning: Meaning) {
        match meaning {
            Meaning::Temporary => self.temporary = true,
            Meaning::Sharded(..) => {}
            Meaning::Reference(table) => {
                self.reference = true;
                self.others.push(Other { table, reference: true, in_view: self.in_views > 0 });
            }
            Meaning::ShardedView(view) => self.sharded_view = Some(view),
            Meaning::Local(table) => {
                self.local = true;
                self.others.push(Other { table, reference: false, in_view: self.in_views > 0 });
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
                    let keys = scope.sources.iter().flat_map(|source| &source.keys);
                    keys.for_each(|name| self.merged(scope, left, right, name, &restricted));
                }
            }
        }
    }

    fn merged(&mut self, scope: &Scope<'_>, left: &Tree, right: &Tree, name: &str, restricted: &[usize]) {
        let key = |tree: &Tree| match scope.look(tree, name) {
            Found::At(source) => {
                let source = &scope.sources[source];
                source.instance.filter(|_| source.keys.iter().any(|key| key == name))
            }
            _ => None,
        };
        if let (Some(left), Some(right)) = (key(left), key(right)) {
            self.follow(left, right, restricted);
        }
    }

    pub(super) fn follow(&mut self, left: usize, right: usize, restricted: &[usize]) {
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
            let mut recipe = predicate::recipe(input.lexed, condition, key_type, nullable, &is_key);
            if self.in_views > 0 {
                recipe = view::fixed(input, recipe);
            }
            if recipe != Recipe::Every {
                self.atoms.push((instance, recipe));
            }
        }
    }

    /// Notes the conditions of a WHERE that one instance can judge by itself.
    fn push(&mut self, input: &Input<'_>, filter: &Expr, select_at: usize, scope: &Scope<'_>) {
        if self.in_views > 0 {
            // It is not in the client's text.
            return;
        }
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
                fits &= class(input, &call.name) == Class::Builtin(crate::sql::volatility::Builtin::Pure);
                fits &= call.over.is_none() && call.filter.is_none();
            }
            Expr::Query(_) | Expr::InQuery(..) | Expr::Default => fits = false,
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
            Expr::Query(query) => {
                self.query(input, query, scope, false, &mut |_, _| {});
            }
            Expr::InQuery(left, query) => {
                let rows = self.query(input, query, scope, false, &mut |_, _| {});
                self.looked_up(left, &rows, scope);
            }
            Expr::Call(call) => {
                let row = |argument: &&Expr| matches!(argument, Expr::Column { qualifier, name } if scope.is_row(qualifier, name));
                let rows = call.arguments.iter().filter(row).count();
                self.rows_in_calls += rows;
                self.rows_inside |= rows > 0 && matches!(class(input, &call.name), Class::User(_));
                self.level(input, call, scope);
                let (top, in_order, at) = (scope.top, scope.in_order, scope.at);
                let (class, in_view) = (class(input, &call.name), self.in_views > 0);
                self.calls.push(Called { call, class, in_view, top, in_order, at });
            }
            Expr::Column { qualifier, name } => self.column(qualifier, name, scope),
            Expr::Row(parts) | Expr::Array(parts) => {
                let row =
                    |part: &Expr| matches!(part, Expr::Column { qualifier, name } if scope.is_row(qualifier, name));
                self.rows_inside |= parts.iter().any(row);
            }
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
        if scope.is_derived_row(qualifier, name) {
            // It may hold one of a table.
            self.derived_rows = true;
            self.unsplittable = Some("a whole row as a value".into());
        }
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
            self.writes_reference.push(table.clone());
        }
        let mut scope = Scope::inside(outer);
        let alias = Alias { name: write.alias.clone(), columns: vec![] };
        let view = match &meaning {
            Meaning::ShardedView(view) => Some(view),
            _ => None,
        };
        if let Some(view) = view.filter(|view| self.shown_columns(input, view).is_none()) {
            self.writes_view = Some(view.clone());
        }
        let first = self.instances.len();
        // The target of a write is never a CTE.
        let ctes = std::mem::take(&mut self.ctes);
        let (tree, mut own) = self.table(input, &write.table, &alias, (false, false), &mut scope, false);
        self.ctes = ctes;
        scope.trees.push(tree);
        // Of a view the table in its FROM comes first.
        let target = if view.is_some() { Some(first) } else { own.first().copied() };
        let target = target.filter(|target| *target < self.instances.len());
        if let Some(target) = target.filter(|_| matches!(write.action, Action::Insert { .. })) {
            self.instances[target].inserted = true;
            // What stands for the rows of the view.
            self.instances[first..].iter_mut().for_each(|instance| instance.inserted |= !instance.members.is_empty());
        }
        self.targets.push(target);
        match &write.action {
            Action::Insert { columns, rows, assignments, rest } => {
                let shown = view.map(|view| self.inserted_columns(input, view, columns).ok_or(view));
                let shown = shown.transpose().unwrap_or_else(|view| {
                    self.writes_view = Some(view.clone());
                    None
                });
                let columns = shown.as_deref().unwrap_or(columns);
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
            let mut keys = scope.sources.first().into_iter().flat_map(|source| &source.keys);
            if let Some(target) = target
                && let Some(key) = keys.find(|key| assignment.columns.contains(key))
            {
                let table = &self.instances[target].table;
                match self.assigned_key(input, assignment, (target, key), scope) {
                    Assigned::Own => {}
                    Assigned::Value(recipe) => self.assigned.push(recipe),
                    Assigned::Unknown => self.assigns_key = Some(table.clone()),
                }
            }
            self.expr(input, &assignment.value, scope);
        }
    }

    /// What an assignment makes of the shard key.
    fn assigned_key(
        &self,
        input: &Input<'_>,
        assignment: &facts::Assignment,
        (target, key): (usize, &str),
        scope: &Scope<'_>,
    ) -> Assigned {
        let instance = &self.instances[target];
        match &assignment.value {
            _ if assignment.columns.len() != 1 => Assigned::Unknown,
            // What the row has, or what was to be inserted where it was found.
            Expr::Column { qualifier, name } if *qualifier == ["excluded"] && name == key && instance.inserted => {
                Assigned::Own
            }
            value if scope.key(value) == Some(target) => Assigned::Own,
            value => {
                let column =
                    input.schema.relation(&instance.table).and_then(|table| table.column(&instance.sharded.key));
                let Some(key_type) = instance.sharded.key_type.filter(|_| column.is_some_and(|column| column.not_null))
                else {
                    return Assigned::Unknown;
                };
                match predicate::value(input.lexed, value, key_type) {
                    Recipe::Every | Recipe::Nothing => Assigned::Unknown,
                    recipe => Assigned::Value(recipe),
                }
            }
        }
    }

    fn insert(
        &mut self,
        input: &Input<'_>,
        columns: &[String],
        rows: &'a Inserted,
        target: Option<usize>,
        outer: &Scope<'_>,
    ) {
        let scope = Scope::inside(outer);
        let instance = target.map(|target| self.instances[target].clone());
        let mut selected = None;
        match rows {
            Inserted::Default => {}
            Inserted::Values(rows) => rows.iter().flatten().for_each(|expr| self.expr(input, expr, &scope)),
            Inserted::Query(query) => {
                let mut see = |_: &mut Self, scope: &Scope<'_>| selected = super::write::selected(query, scope);
                self.inserted = Some(self.query(input, query, &scope, false, &mut see));
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

/// The shard key that an assignment gives.
enum Assigned {
    /// One that leads to where the row is.
    Own,
    /// This one.
    Value(Recipe),
    /// Not known.
    Unknown,
}

/// What there was before a SELECT.
pub(super) struct Before {
    /// Instances.
    pub(super) instances: usize,
    /// Calls.
    pub(super) calls: usize,
    /// Local and reference relations.
    pub(super) others: usize,
}

pub(super) fn named(alias: &Alias, name: &Name) -> Alias {
    let shown = alias.name.clone().unwrap_or_else(|| name.name.clone());
    Alias { name: Some(shown), columns: alias.columns.clone() }
}

pub(super) fn columns(input: &Input<'_>, table: &TableName) -> Option<Vec<String>> {
    let relation = input.schema.relation(table)?;
    Some(relation.columns.iter().map(|column| column.name.to_string()).collect())
}

/// Other tables inherit from it, or are its partitions.
fn has_children(input: &Input<'_>, table: &TableName) -> bool {
    input.schema.relations.values().any(|relation| relation.parents.contains(table))
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
