//! A generator of statements: a grammar with a seed, over the tables of `cases/random`.
//! In: a seed. Out: SELECTs and writes whose answers do not depend on chance. Never: an order among equals that anybody compares.

mod combined;
mod expression;
mod far;
mod function;
mod partition;
mod query;
mod scope;
mod window;
mod write;

pub use partition::Partition;

/// A statement with its parameters, and what may be compared of its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its text.
    pub sql: String,
    /// Its parameters, as text.
    pub parameters: Vec<Option<String>>,
    /// Whether its ORDER BY leaves no ties between different rows.
    pub ordered: bool,
    /// Whether equal numbers of different scales may meet in it: which of them stands for a group is chance.
    pub mixes_scales: bool,
    /// Whether floats in it may differ in their last digits, since they hang on the order of rows.
    pub floats: bool,
}

impl Statement {
    /// A statement without parameters, whose rows have no order.
    pub fn plain(sql: &str) -> Statement {
        Statement { sql: sql.to_owned(), parameters: Vec::new(), ordered: false, mixes_scales: false, floats: false }
    }
}

/// What an expression is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Integer,
    Numeric,
    Float,
    Date,
    Timestamp,
    /// Text that orders by bytes.
    Bytes,
    /// Text that orders by a language.
    Text,
    Boolean,
    Interval,
    /// With a time zone.
    Instant,
    /// Of integers.
    Array,
    Json,
    Uuid,
    /// An enum.
    Mood,
    Time,
    Binary,
}

impl Type {
    /// Whether PostgreSQL 15 has min and max of it.
    fn has_extremes(self) -> bool {
        !matches!(self, Type::Boolean | Type::Json | Type::Uuid | Type::Binary)
    }
}

/// The types that expressions have whatever the tables offer.
const TYPES: [Type; 8] =
    [Type::Integer, Type::Integer, Type::Numeric, Type::Float, Type::Date, Type::Timestamp, Type::Bytes, Type::Text];

/// A table of `cases/random/setup.sql`.
struct Table {
    columns: &'static [(&'static str, Type)],
    /// What tells its rows apart; nothing when rows may be equal.
    identity: &'static [&'static str],
}

const A: Table = Table {
    columns: &[
        ("k", Type::Integer),
        ("id", Type::Integer),
        ("s", Type::Integer),
        ("n", Type::Numeric),
        ("f", Type::Float),
        ("d", Type::Date),
        ("t", Type::Text),
        ("c", Type::Bytes),
    ],
    identity: &["k", "id"],
};
const B: Table = Table {
    columns: &[
        ("k", Type::Integer),
        ("id", Type::Integer),
        ("v", Type::Integer),
        ("q", Type::Numeric),
        ("f", Type::Float),
        ("ts", Type::Timestamp),
        ("c", Type::Bytes),
        ("ok", Type::Boolean),
    ],
    identity: &["k", "id"],
};
const E: Table = Table {
    columns: &[("k", Type::Bytes), ("id", Type::Integer), ("s", Type::Integer), ("f", Type::Float)],
    identity: &["k", "id"],
};
const G: Table = Table {
    columns: &[
        ("k", Type::Integer),
        ("id", Type::Integer),
        ("iv", Type::Interval),
        ("at", Type::Instant),
        ("arr", Type::Array),
        ("j", Type::Json),
        ("u", Type::Uuid),
        ("m", Type::Mood),
        ("tm", Type::Time),
        ("by", Type::Binary),
        ("de", Type::Text),
        ("w", Type::Integer),
    ],
    identity: &["k", "id"],
};
const R: Table = Table {
    columns: &[("rid", Type::Integer), ("label", Type::Text), ("w", Type::Numeric), ("s", Type::Integer)],
    identity: &["rid"],
};

const L: Table = Table {
    columns: &[("lid", Type::Integer), ("s", Type::Integer), ("t", Type::Text), ("d", Type::Date)],
    identity: &["lid"],
};
/// A view of rows of `a`.
const VA: Table = Table {
    columns: &[("k", Type::Integer), ("id", Type::Integer), ("s", Type::Integer), ("t", Type::Text)],
    identity: &["k", "id"],
};
/// A view of groups of `b`.
const VB: Table =
    Table { columns: &[("k", Type::Integer), ("n", Type::Integer), ("v", Type::Integer)], identity: &["k"] };

/// What a FROM clause offers.
#[derive(Default)]
struct Scope {
    from: String,
    columns: Vec<(String, Type)>,
    identity: Vec<String>,
    keys: Vec<(String, Type)>,
    conditions: Vec<String>,
}

impl Scope {
    fn add(&mut self, table: &Table, alias: &str) {
        self.columns.extend(table.columns.iter().map(|(name, kind)| (format!("{alias}.{name}"), *kind)));
        self.identity.extend(table.identity.iter().map(|name| format!("{alias}.{name}")));
        if let Some((name, kind)) = table.columns.first().filter(|(name, _)| *name == "k") {
            self.keys.push((format!("{alias}.{name}"), *kind));
        }
    }
}

/// Makes statements from a seed.
#[derive(Debug)]
pub struct Generator {
    state: u64,
    /// Whether values may be parameters.
    with_parameters: bool,
    parameters: Vec<Option<String>>,
    mixes_scales: bool,
    floats: bool,
}

impl Generator {
    /// A generator whose statements depend on the seed alone.
    pub fn new(seed: u64) -> Generator {
        Generator { state: seed, with_parameters: false, parameters: Vec::new(), mixes_scales: false, floats: false }
    }

    /// splitmix64: the same statements for a seed, whatever becomes of other crates' generators.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound.max(1) as u64)).unwrap_or_default()
    }

    /// True in this many of a hundred cases.
    fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn begin(&mut self, with_parameters: bool) {
        self.with_parameters = with_parameters;
        self.parameters.clear();
        self.mixes_scales = false;
        self.floats = false;
    }

    fn end(&mut self, sql: String, ordered: bool) -> Statement {
        let (sql, parameters) = renumbered(&sql, &self.parameters);
        Statement { sql, parameters, ordered, mixes_scales: self.mixes_scales, floats: self.floats }
    }

    /// The next SELECT, with parameters or without.
    pub fn select(&mut self, with_parameters: bool) -> Statement {
        self.begin(with_parameters);
        let (sql, ordered) = match self.below(100) {
            0..10 => self.set_operation(),
            10..18 => self.common_table(),
            18..20 => (self.values(), true),
            20..30 => self.window(),
            30..40 => self.outer_query(),
            40..66 => self.grouped(),
            _ => self.plain(),
        };
        self.end(sql, ordered)
    }

    /// The same statement with other parameters.
    pub fn again(&mut self, statement: &Statement) -> Statement {
        let mut statement = statement.clone();
        for value in &mut statement.parameters {
            let other = match value.as_deref() {
                Some(array) if array.starts_with('{') => Some("{2,11,NULL}".to_owned()),
                Some(number) if number.trim().parse::<i64>().is_ok() => Some(self.below(26).to_string()),
                Some(_) => Some(self.pick(&["a", "7", "zz"]).to_owned()),
                None => Some("5".to_owned()),
            };
            *value = if self.percent(10) { None } else { other };
        }
        statement
    }

    /// The next write of a few rows.
    pub fn write(&mut self, with_parameters: bool) -> Statement {
        self.begin(with_parameters);
        let sql = match self.below(4) {
            0 => self.update(),
            1 => self.delete(),
            _ => self.insert(),
        };
        self.end(sql, false)
    }
}

/// Leaves out parameters that no part of the statement mentions.
fn renumbered(sql: &str, values: &[Option<String>]) -> (String, Vec<Option<String>>) {
    let (mut text, mut kept, mut places) = (String::new(), Vec::new(), std::collections::BTreeMap::new());
    let mut rest = sql;
    while let Some(at) = rest.find('$') {
        let digits = rest[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
        let end = at + 1 + digits;
        text.push_str(&rest[..at]);
        match rest[at + 1..end].parse::<usize>().ok().and_then(|number| Some((number, values.get(number - 1)?))) {
            Some((number, value)) => {
                let place = *places.entry(number).or_insert_with(|| {
                    kept.push(value.clone());
                    kept.len()
                });
                text.push_str(&format!("${place}"));
            }
            None => text.push_str(&rest[at..end]),
        }
        rest = &rest[end..];
    }
    text.push_str(rest);
    (text, kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_that_nothing_mentions_are_left_out() {
        let values: Vec<Option<String>> = ["a", "b", "c"].map(|value| Some(value.to_owned())).to_vec();
        let (sql, kept) = renumbered("SELECT $3, $q$x$q$, $1, $3", &values);
        assert_eq!((sql.as_str(), kept), ("SELECT $1, $q$x$q$, $2, $1", vec![values[2].clone(), values[0].clone()]));
    }

    #[test]
    fn a_seed_makes_the_same_statements() {
        let made = |seed| {
            let mut generator = Generator::new(seed);
            (0..200).map(|at| generator.select(at % 2 == 0)).collect::<Vec<_>>()
        };
        assert_eq!(made(7), made(7));
        assert_ne!(made(7), made(8));
    }
}
