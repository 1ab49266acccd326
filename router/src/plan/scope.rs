//! Scope: which columns the expressions of a SELECT see, and whose they are. In: sources of FROM, in the shape of its
//! joins. Out: the source that a name surely means. Never: a guess where a column may be another's.

use crate::sql::facts::{Alias, Expr, Item, JoinKind};
use pgring_config::tables::TableName;

/// A source of columns in a FROM.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    /// The schema of its table, where it may be named with it.
    pub(super) schema: Option<String>,
    /// The name it goes by.
    pub(crate) name: String,
    /// Its columns as they are called here; None: not known.
    pub(crate) columns: Option<Vec<String>>,
    /// Its table, for facts of columns.
    pub(crate) table: Option<TableName>,
    /// The sharded table it is, or what stands for the sub-select.
    pub(crate) instance: Option<usize>,
    /// The columns that are the shard key of `instance`.
    pub(super) keys: Vec<String>,
    /// It is a sub-select or a CTE.
    pub(super) derived: bool,
    /// Some of its columns have names that are not known here.
    pub(super) unnamed: bool,
}

/// The shape of a FROM item.
#[derive(Clone, Debug)]
pub(super) enum Tree {
    Leaf(usize),
    Join { left: Box<Tree>, right: Box<Tree>, kind: JoinKind, using: Vec<String>, natural: bool },
}

/// The sources that a SELECT's expressions see.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope<'p> {
    /// The scope around it.
    pub(super) parent: Option<&'p Scope<'p>>,
    /// How many scopes are around it.
    pub(super) depth: usize,
    /// First byte of its SELECT.
    pub(super) at: usize,
    /// Its own sources.
    pub(crate) sources: Vec<Source>,
    /// The items of its FROM.
    pub(super) trees: Vec<Tree>,
    /// It is the outermost SELECT's.
    pub(super) top: bool,
    /// Its rows come from one sub-select that puts them in order.
    pub(super) in_order: bool,
}

/// One column of a select list.
#[derive(Clone, Debug)]
pub(super) struct Selected {
    /// The item that it is; None: one of those that `*` stands for.
    pub(super) item: Option<usize>,
    /// Its alias, or its name under `*`.
    pub(super) name: Option<String>,
    /// What it is.
    pub(super) expr: Expr,
}

/// What was found for a name.
pub(super) enum Found {
    No,
    Perhaps,
    At(usize),
}

impl<'p> Scope<'p> {
    /// An empty scope inside another.
    pub(super) fn inside(parent: &'p Scope<'p>) -> Self {
        Self { parent: Some(parent), depth: parent.depth + 1, ..Self::default() }
    }

    /// What a LATERAL item sees: the sources before it as well.
    pub(super) fn lateral(&self) -> Self {
        Self { sources: self.sources.clone(), trees: self.trees.clone(), ..self.beside() }
    }

    /// What an item of FROM sees that is not LATERAL.
    pub(super) fn beside(&self) -> Self {
        Self { parent: self.parent, depth: self.depth, ..Self::default() }
    }

    /// The scope around this one that has so many around itself.
    pub(super) fn at_depth(&self, depth: usize) -> &Scope<'p> {
        let mut scope = self;
        while let Some(parent) = scope.parent.filter(|_| scope.depth > depth) {
            scope = parent;
        }
        scope
    }

    /// Puts a source into the scope.
    pub(super) fn leaf(&mut self, table: Option<TableName>, alias: &Alias, columns: Option<Vec<String>>) -> Tree {
        let columns = columns.map(|mut columns| {
            for (column, renamed) in columns.iter_mut().zip(&alias.columns) {
                column.clone_from(renamed);
            }
            columns
        });
        let name = alias.name.clone().unwrap_or_default();
        self.sources.push(Source { name, columns, table, ..Source::default() });
        Tree::Leaf(self.sources.len() - 1)
    }

    /// The instance whose bare key column this expression is.
    pub(crate) fn key(&self, expr: &Expr) -> Option<usize> {
        let Expr::Column { qualifier, name } = expr else { return None };
        let source = self.source(qualifier, name)?;
        source.instance.filter(|_| source.keys.contains(name))
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

    /// The source of this part of FROM that an unqualified name means.
    pub(super) fn look(&self, tree: &Tree, name: &str) -> Found {
        match tree {
            Tree::Leaf(source) => match &self.sources[*source] {
                known if known.keys.iter().any(|key| key == name) => Found::At(*source),
                Source { columns: Some(columns), .. } if columns.iter().any(|column| column == name) => {
                    Found::At(*source)
                }
                Source { columns: Some(_), unnamed: false, .. } => Found::No,
                Source { .. } => Found::Perhaps,
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
    pub(super) fn is_row(&self, qualifier: &[String], name: &str) -> bool {
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

    /// The name of a sub-select of its own stands for a whole row.
    pub(super) fn is_derived_row(&self, qualifier: &[String], name: &str) -> bool {
        let column = |source: &Source| source.columns.iter().flatten().any(|column| column == name);
        let named = |source: &Source| source.derived && source.table.is_none() && source.name == name;
        qualifier.is_empty() && self.sources.iter().any(named) && !self.sources.iter().any(column)
    }

    /// The source, of these and none further out, that a column surely comes from.
    pub(super) fn own(&self, qualifier: &[String], name: &str) -> Option<&Source> {
        let source = self.source(qualifier, name)?;
        self.sources.iter().any(|own| std::ptr::eq(own, source)).then_some(source)
    }

    /// What a select list gives; None if `*` stands for columns that are not known.
    pub(super) fn selected(&self, items: &[Item]) -> Option<Vec<Selected>> {
        let mut all = vec![];
        for (at, item) in items.iter().enumerate() {
            match item {
                Item::Expr(expr, alias) => {
                    all.push(Selected { item: Some(at), name: alias.clone(), expr: expr.clone() });
                }
                Item::Wildcard(table) => {
                    for (name, source) in self.expand(table.as_deref())? {
                        let qualifier = vec![self.sources[source].name.clone()];
                        let expr = Expr::Column { qualifier, name: name.clone() };
                        all.push(Selected { item: None, name: Some(name), expr });
                    }
                }
            }
        }
        Some(all)
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
