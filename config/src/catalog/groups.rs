//! Groups of the catalog: found, made with their first map, ended; ranges and keys of a group. Never: gives a key
//! that has an owner to another one (that needs its rows moved).

use super::{
    Catalog, Change,
    epoch::{Locked, Numbered, Raise},
};
use crate::{
    error::CatalogError,
    ids::{GroupName, ShardIndex, ShardName},
    key::{KeyFamily, KeyValue},
    ring::Ring,
    tables::{Strategy, TableName},
    topology::{Bound, OwnedRange, Placement},
};
use tokio_postgres::Row;

/// A group as its row has it.
pub(super) struct GroupRow {
    pub(super) number: i32,
    pub(super) name: GroupName,
    /// None before the first of its tables has a key type.
    pub(super) family: Option<KeyFamily>,
    pub(super) strategy: Strategy,
}

/// Name of the group that a HASH table joins when it names none.
pub(super) fn default_group(family: KeyFamily) -> GroupName {
    GroupName::new(format!("default_{family}"))
}

impl Catalog {
    /// Gives the keys `[from, to)` of the RANGE group of `table` to a shard. The same again is
    /// [`Change::Unchanged`].
    ///
    /// # Errors
    /// [`CatalogError::OtherStrategy`], [`CatalogError::OtherFamily`], [`CatalogError::Range`] when it is empty or
    /// overlaps another, [`CatalogError::Undecided`] before the key's type is known.
    pub async fn add_range(
        &self,
        table: &TableName,
        from: &Bound,
        to: &Bound,
        shard: &ShardName,
    ) -> Result<Change, CatalogError> {
        let mut client = self.client().await?;
        let locked = Locked::begin(&mut client).await?;
        let (group, family) = locked.group_of(table).await?;
        if group.strategy != Strategy::Range {
            return Err(CatalogError::OtherStrategy { group: group.name, strategy: group.strategy });
        }
        for bound in [from, to] {
            check_family(&group, family, bound)?;
        }
        let number = locked.shard_number(shard).await?;
        // Stored as NULL, "from MAXVALUE" and "to MINVALUE" could not be told from their opposites: `check` below
        // refuses both as empty.
        let mut ranges = locked.ranges(&group, family).await?;
        let range = OwnedRange { from: from.clone(), to: to.clone(), shard: ShardIndex(number as u16) };
        if ranges.contains(&range) {
            return Ok(Change::Unchanged);
        }
        ranges.push(range);
        ranges.sort_by(|a, b| (&a.from, &a.to).cmp(&(&b.from, &b.to)));
        Placement::Range(ranges).check().map_err(|fault| CatalogError::Range { group: group.name, fault })?;
        const INSERT: &str =
            "INSERT INTO pgring.ranges (group_number, from_key, to_key, shard) VALUES ($1, $2, $3, $4)";
        locked.transaction.execute(INSERT, &[&group.number, &stored(from), &stored(to), &number]).await?;
        locked.commit(Change::Changed, Raise::Placement).await
    }

    /// Gives one key to a shard: an entry of a DIRECTORY group, or a pinned key of a HASH group, which takes every
    /// key of its token along. The caller has made sure that no row of the key lies elsewhere.
    ///
    /// # Errors
    /// [`CatalogError::KeyAssigned`] when the key (or its token) is assigned to another shard,
    /// [`CatalogError::OtherStrategy`] for RANGE, [`CatalogError::OtherFamily`], [`CatalogError::Undecided`].
    pub async fn assign_key(
        &self,
        table: &TableName,
        key: &KeyValue,
        shard: &ShardName,
    ) -> Result<Change, CatalogError> {
        let mut client = self.client().await?;
        let locked = Locked::begin(&mut client).await?;
        let (group, family) = locked.group_of(table).await?;
        check_family(&group, family, &Bound::Key(key.clone()))?;
        const FIND: &str = "SELECT s.name FROM pgring.directory d JOIN pgring.shards s ON s.number = d.shard
            WHERE d.group_number = $1 AND d.token = $2 AND (d.key = $3 OR $4) LIMIT 1";
        let (token, text) = (key.token().0, key.to_string());
        let whole_token = match group.strategy {
            Strategy::Hash => true,
            Strategy::Directory => false,
            Strategy::Range => {
                return Err(CatalogError::OtherStrategy { group: group.name, strategy: group.strategy });
            }
        };
        let number = locked.shard_number(shard).await?;
        let found = locked.transaction.query_opt(FIND, &[&group.number, &token, &text, &whole_token]).await?;
        if let Some(owner) = found.map(|row| row.get::<_, String>(0)) {
            let same = owner == shard.as_str();
            return if same { Ok(Change::Unchanged) } else { Err(CatalogError::KeyAssigned(ShardName::new(owner))) };
        }
        const INSERT: &str = "INSERT INTO pgring.directory (group_number, key, token, shard) VALUES ($1, $2, $3, $4)";
        locked.transaction.execute(INSERT, &[&group.number, &text, &token, &number]).await?;
        locked.commit(Change::Changed, Raise::Placement).await
    }
}

impl Locked<'_> {
    /// The group of this name.
    pub(super) async fn find_group(&self, name: &GroupName) -> Result<Option<GroupRow>, CatalogError> {
        const FIND: &str = "SELECT number, name, family, strategy FROM pgring.groups WHERE name = $1";
        self.transaction.query_opt(FIND, &[&name.as_str()]).await?.map(|row| group_row(&row)).transpose()
    }

    /// The group of this number.
    pub(super) async fn group(&self, number: i32) -> Result<GroupRow, CatalogError> {
        const FIND: &str = "SELECT number, name, family, strategy FROM pgring.groups WHERE number = $1";
        group_row(&self.transaction.query_one(FIND, &[&number]).await?)
    }

    /// The decided group of a sharded table, and its family.
    async fn group_of(&self, table: &TableName) -> Result<(GroupRow, KeyFamily), CatalogError> {
        let row = self.table(table).await?.ok_or_else(|| CatalogError::UnknownTable(table.clone()))?;
        if !row.sharded {
            return Err(CatalogError::NotSharded(table.clone()));
        }
        let undecided = || CatalogError::Undecided(table.clone());
        let group = self.group(row.group.ok_or_else(undecided)?).await?;
        let family = group.family.ok_or_else(undecided)?;
        Ok((group, family))
    }

    /// Makes a group; a HASH group gets the arcs that the ring of the active shards proposes, a DIRECTORY group
    /// the default shard for every key that is not listed.
    pub(super) async fn make_group(
        &self,
        name: &GroupName,
        family: Option<KeyFamily>,
        strategy: Strategy,
    ) -> Result<GroupRow, CatalogError> {
        let number = self.next(Numbered::Group).await?;
        let default_shard = self.default_shard.filter(|_| strategy == Strategy::Directory);
        const INSERT: &str = "INSERT INTO pgring.groups (number, name, family, strategy, default_shard)
            VALUES ($1, $2, $3, $4, $5)";
        let word = family.map(KeyFamily::as_str);
        self.transaction.execute(INSERT, &[&number, &name.as_str(), &word, &strategy.as_str(), &default_shard]).await?;
        if strategy == Strategy::Hash {
            self.propose_arcs(number).await?;
        }
        Ok(GroupRow { number, name: name.clone(), family, strategy })
    }

    async fn propose_arcs(&self, group: i32) -> Result<(), CatalogError> {
        const ACTIVE: &str = "SELECT number, name, weight FROM pgring.shards WHERE state = 'active' ORDER BY number";
        let rows = self.transaction.query(ACTIVE, &[]).await?;
        let numbers: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
        let shards: Vec<(ShardName, f64)> =
            rows.iter().map(|row| (ShardName::new(row.get::<_, &str>(1)), row.get(2))).collect();
        let arcs = Ring::propose(&shards);
        if arcs.is_empty() {
            return Err(CatalogError::NoActiveShard);
        }
        let starts: Vec<i64> = arcs.iter().map(|arc| arc.start.0).collect();
        let ends: Vec<Option<i64>> = arcs.iter().map(|arc| arc.end.map(|end| end.0)).collect();
        let owners: Vec<i32> = arcs.iter().map(|arc| numbers[usize::from(arc.shard.0)]).collect();
        const INSERT: &str = "INSERT INTO pgring.arcs (group_number, arc_start, arc_end, shard)
            SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::integer[])";
        self.transaction.execute(INSERT, &[&group, &starts, &ends, &owners]).await?;
        Ok(())
    }

    /// Gives a group that has no family yet this one.
    ///
    /// # Errors
    /// [`CatalogError::OtherFamily`] when it has another.
    pub(super) async fn settle_family(&self, group: &GroupRow, family: KeyFamily) -> Result<(), CatalogError> {
        match group.family {
            Some(own) if own != family => Err(CatalogError::OtherFamily { group: group.name.clone(), family: own }),
            Some(_) => Ok(()),
            None => {
                const UPDATE: &str = "UPDATE pgring.groups SET family = $2 WHERE number = $1";
                self.transaction.execute(UPDATE, &[&group.number, &family.as_str()]).await?;
                Ok(())
            }
        }
    }

    /// Ends the groups that have no table any more, with their maps.
    pub(super) async fn drop_empty_groups(&self) -> Result<(), CatalogError> {
        const DELETE: &str = "DELETE FROM pgring.groups g
            WHERE NOT EXISTS (SELECT FROM pgring.tables t WHERE t.group_number = g.number)";
        self.transaction.execute(DELETE, &[]).await?;
        Ok(())
    }

    /// The ranges of a group, with numbers of shards for indices.
    async fn ranges(&self, group: &GroupRow, family: KeyFamily) -> Result<Vec<OwnedRange>, CatalogError> {
        const SELECT: &str = "SELECT from_key, to_key, shard FROM pgring.ranges WHERE group_number = $1";
        let rows = self.transaction.query(SELECT, &[&group.number]).await?;
        rows.iter()
            .map(|row| {
                let (from, to) = read_bounds(family, row.get(0), row.get(1))?;
                Ok(OwnedRange { from, to, shard: ShardIndex(row.get::<_, i32>(2) as u16) })
            })
            .collect()
    }
}

/// The bounds of a range from how they are stored.
pub(super) fn read_bounds(
    family: KeyFamily,
    from: Option<&str>,
    to: Option<&str>,
) -> Result<(Bound, Bound), CatalogError> {
    let read = |text: &str| read_key(family, text).map(Bound::Key);
    let from = from.map_or(Ok(Bound::Min), read)?;
    let to = to.map_or(Ok(Bound::Max), read)?;
    Ok((from, to))
}

/// A key from how it is stored.
pub(super) fn read_key(family: KeyFamily, text: &str) -> Result<KeyValue, CatalogError> {
    KeyValue::from_canonical(family, text).map_err(|_| CatalogError::Damaged(format!("{text:?} is no {family} key")))
}

/// How a bound is stored: NULL below everything in `from_key`, above everything in `to_key`.
fn stored(bound: &Bound) -> Option<String> {
    match bound {
        Bound::Key(key) => Some(key.to_string()),
        Bound::Min | Bound::Max => None,
    }
}

fn check_family(group: &GroupRow, family: KeyFamily, bound: &Bound) -> Result<(), CatalogError> {
    match bound {
        Bound::Key(key) if key.family() != family => {
            Err(CatalogError::OtherFamily { group: group.name.clone(), family })
        }
        _ => Ok(()),
    }
}

fn group_row(row: &Row) -> Result<GroupRow, CatalogError> {
    let damaged = |word: &str| CatalogError::Damaged(format!("a group has {word:?}"));
    let family: Option<&str> = row.get(2);
    let strategy: &str = row.get(3);
    Ok(GroupRow {
        number: row.get(0),
        name: GroupName::new(row.get::<_, &str>(1)),
        family: family.map(|word| KeyFamily::from_word(word).ok_or_else(|| damaged(word))).transpose()?,
        strategy: Strategy::from_word(strategy).ok_or_else(|| damaged(strategy))?,
    })
}
