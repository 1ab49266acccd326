//! Facts: what a statement says, as far as the planner must know it. In: nothing; these are the types that
//! `parse` fills. Out: a small tree in which every node is understood. Never: a schema, a kind of table.

/// A name of one or more parts, folded as PostgreSQL stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Schema, if it is written.
    pub schema: Option<String>,
    /// Name.
    pub name: String,
}

/// A literal that may be a value of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiteralKind {
    /// Decimal digits.
    Integer,
    /// A plain string, of unknown type to PostgreSQL.
    String,
    /// Anything else: decimals, escapes, bits, typed strings.
    Other,
}

/// An expression. What has no meaning for planning is [`Expr::Other`] with its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// A column, perhaps qualified; or a whole row.
    Column {
        /// Schema, table and such, outermost first.
        qualifier: Vec<String>,
        /// Column.
        name: String,
    },
    /// A literal that begins at this byte of the text.
    Literal {
        /// Its kind.
        kind: LiteralKind,
        /// First byte.
        at: usize,
        /// A minus sign stands before it.
        negative: bool,
    },
    /// `$n`
    Parameter(u16),
    /// NULL
    Null,
    /// DEFAULT, as a value.
    Default,
    /// A cast to a type, in PostgreSQL's short spelling, lower case.
    Cast(Box<Expr>, String),
    /// `a = b`
    Equal(Box<Expr>, Box<Expr>),
    /// AND
    And(Vec<Expr>),
    /// OR
    Or(Vec<Expr>),
    /// `x IN (…)`
    In(Box<Expr>, Vec<Expr>),
    /// `x = ANY (…)` over an array.
    EqualAny(Box<Expr>, Box<Expr>),
    /// `x IS NULL`
    IsNull(Box<Expr>),
    /// A row.
    Row(Vec<Expr>),
    /// `ARRAY[…]`
    Array(Vec<Expr>),
    /// A call.
    Call(Box<Call>),
    /// A sub-select, whatever is done with its rows.
    Query(Box<Query>),
    /// `x IN (SELECT …)`, `x NOT IN (SELECT …)`, `x = ANY (SELECT …)`.
    InQuery(Box<Expr>, Box<Query>),
    /// A COLLATE clause.
    Collate(Box<Expr>, String),
    /// Anything else that is understood.
    Other(Vec<Expr>),
}

/// A call of a function or aggregate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Function.
    pub name: Name,
    /// Arguments; `*` has none.
    pub arguments: Vec<Expr>,
    /// `f(*)`
    pub star: bool,
    /// Called without parentheses (`current_date`).
    pub bare: bool,
    /// DISTINCT, ORDER BY or WITHIN GROUP.
    pub ordered_or_distinct: bool,
    /// FILTER
    pub filter: Option<Expr>,
    /// OVER: the PARTITION BY list; None inside when the window is named.
    pub over: Option<Option<Vec<Expr>>>,
    /// Everything else in the call that holds expressions.
    pub rest: Vec<Expr>,
}

/// One item of a select list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// `*` or `t.*`
    Wildcard(Option<String>),
    /// An expression, perhaps with an alias.
    Expr(Expr, Option<String>),
}

/// Kind of a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// INNER, CROSS
    Inner,
    /// LEFT
    Left,
    /// RIGHT
    Right,
    /// FULL
    Full,
}

/// How a join matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// Everything.
    All,
    /// ON
    On(Expr),
    /// USING
    Using(Vec<String>),
    /// NATURAL
    Natural,
}

/// An alias, perhaps with names for columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alias {
    /// Alias.
    pub name: Option<String>,
    /// Names of the first columns.
    pub columns: Vec<String>,
}

/// An item of FROM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// A relation or CTE.
    Table {
        /// Its name.
        name: Name,
        /// Its alias.
        alias: Alias,
        /// TABLESAMPLE: not the rows as they are.
        special: bool,
        /// ONLY: not those of its children.
        only: bool,
    },
    /// A sub-select; the flag says LATERAL.
    Derived(Box<Query>, Alias, bool),
    /// A function.
    Call(Vec<Expr>, Alias),
    /// A join.
    Join {
        /// Left side.
        left: Box<From>,
        /// Right side.
        right: Box<From>,
        /// Kind.
        kind: JoinKind,
        /// Match.
        matching: Match,
    },
}

/// DISTINCT of a SELECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distinct {
    /// None, or ALL.
    No,
    /// DISTINCT
    All,
    /// DISTINCT ON
    On,
}

/// One SELECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// First byte of its SELECT.
    pub at: usize,
    /// DISTINCT
    pub distinct: Distinct,
    /// Expressions of DISTINCT ON.
    pub distinct_on: Vec<Expr>,
    /// Select list.
    pub items: Vec<Item>,
    /// FROM
    pub from: Vec<From>,
    /// WHERE
    pub filter: Option<Expr>,
    /// GROUP BY
    pub group_by: Vec<Expr>,
    /// GROUPING SETS, ROLLUP, CUBE.
    pub grouping_sets: bool,
    /// HAVING
    pub having: Option<Expr>,
    /// WINDOW
    pub windows: bool,
    /// INTO
    pub into: bool,
}

/// What a query is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// SELECT
    Select(Box<Block>),
    /// VALUES
    Values(Vec<Vec<Expr>>),
    /// UNION, INTERSECT, EXCEPT
    Set(Box<Set>),
    /// A query in parentheses.
    Query(Box<Query>),
    /// INSERT, UPDATE or DELETE, in a CTE or at the top.
    Write(Box<Write>),
}

/// A set operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// Which one.
    pub operator: SetOperator,
    /// ALL
    pub all: bool,
    /// Left side.
    pub left: Body,
    /// Right side.
    pub right: Body,
}

/// Which set operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetOperator {
    /// UNION
    Union,
    /// INTERSECT
    Intersect,
    /// EXCEPT
    Except,
}

/// One sort key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub expr: Expr,
    /// DESC
    pub descending: bool,
    /// NULLS FIRST, LAST; PostgreSQL's default filled in.
    pub nulls_first: bool,
    /// USING operator.
    pub using: bool,
}

/// A query with all its clauses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// WITH
    pub ctes: Vec<Cte>,
    /// WITH RECURSIVE
    pub recursive: bool,
    /// Its body.
    pub body: Body,
    /// ORDER BY
    pub order: Vec<Sort>,
    /// LIMIT or FETCH FIRST.
    pub limit: Option<Limit>,
    /// OFFSET
    pub offset: Option<Expr>,
    /// FETCH FIRST … WITH TIES
    pub with_ties: bool,
    /// FOR UPDATE and such.
    pub locks: bool,
}

/// LIMIT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Limit {
    /// LIMIT n, FETCH FIRST n ROWS ONLY
    Rows(Expr),
    /// FETCH FIRST ROW ONLY
    One,
}

/// A common table expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cte {
    /// Its name.
    pub name: String,
    /// Names of its first columns.
    pub columns: Vec<String>,
    /// Its query.
    pub query: Query,
}

/// An assignment of UPDATE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Columns.
    pub columns: Vec<String>,
    /// Value.
    pub value: Expr,
}

/// Where an INSERT takes its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rows {
    /// DEFAULT VALUES
    Default,
    /// VALUES
    Values(Vec<Vec<Expr>>),
    /// A query.
    Query(Box<Query>),
}

/// A statement that writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Table.
    pub table: Name,
    /// Its alias.
    pub alias: Option<String>,
    /// What it does.
    pub action: Action,
    /// RETURNING
    pub returning: Vec<Item>,
}

/// What a write does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// INSERT
    Insert {
        /// Columns, as written.
        columns: Vec<String>,
        /// Rows.
        rows: Rows,
        /// Assignments of ON CONFLICT DO UPDATE.
        assignments: Vec<Assignment>,
        /// Other expressions of ON CONFLICT.
        rest: Vec<Expr>,
    },
    /// UPDATE
    Update {
        /// SET
        assignments: Vec<Assignment>,
        /// FROM
        from: Vec<From>,
        /// WHERE
        filter: Option<Expr>,
    },
    /// DELETE
    Delete {
        /// USING
        using: Vec<From>,
        /// WHERE
        filter: Option<Expr>,
    },
}

impl Expr {
    /// The parts of this expression, sub-selects and windows left out.
    pub fn parts(&self) -> Vec<&Expr> {
        match self {
            Self::Column { .. } | Self::Literal { .. } | Self::Parameter(_) | Self::Null | Self::Default => vec![],
            Self::Query(_) => vec![],
            Self::InQuery(inner, _) | Self::Cast(inner, _) | Self::IsNull(inner) | Self::Collate(inner, _) => {
                vec![inner]
            }
            Self::Equal(left, right) | Self::EqualAny(left, right) => vec![left, right],
            Self::And(all) | Self::Or(all) | Self::Row(all) | Self::Array(all) | Self::Other(all) => {
                all.iter().collect()
            }
            Self::In(left, list) => std::iter::once(&**left).chain(list).collect(),
            Self::Call(call) => {
                let windows = call.over.iter().flatten().flatten();
                call.arguments.iter().chain(&call.filter).chain(&call.rest).chain(windows).collect()
            }
        }
    }

    /// Calls `see` with this expression and all parts of it, sub-selects entered by the caller.
    pub fn walk<'a>(&'a self, see: &mut dyn FnMut(&'a Expr)) {
        see(self);
        for part in self.parts() {
            part.walk(see);
        }
    }
}
