//! Tables of the catalog: rules that a table is sharded or a reference table, from planned to forgotten. Never:
//! looks at the table itself, its rows or its columns.
//!
//! A planned table whose key type is not known yet, and which names no group, has its group decided when the type
//! is known ([`crate::tables::ShardedTable::UNDECIDED`] until then).

use super::{
    Catalog, Change,
    epoch::{Locked, Raise},
    groups::{GroupRow, default_group},
};
use crate::{
    error::CatalogError,
    ids::GroupName,
    key::{KeyFamily, KeyType},
    tables::{Strategy, TableName, TableState},
};

/// `SHARD TABLE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardTable {
    /// The table.
    pub table: TableName,
    /// Its key column.
    pub key: Box<str>,
    /// The column's type; None before the table exists.
    pub key_type: Option<KeyType>,
    /// As given; None: that of the group it joins, HASH for a new one.
    pub strategy: Option<Strategy>,
    /// Its group.
    pub group: GroupChoice,
    /// Unique keys without the shard key are allowed.
    pub allow_local_unique: bool,
    /// [`TableState::Planned`] before `CREATE TABLE`, else [`TableState::Ready`].
    pub state: TableState,
}

/// Which group a table joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupChoice {
    /// The default group of its key's family (HASH only).
    Default,
    /// COLOCATE WITH: the group of that table.
    ColocateWith(TableName),
    /// IN GROUP: made at first mention.
    InGroup(GroupName),
}

/// A table as its row has it.
pub(super) struct TableRow {
    pub(super) sharded: bool,
    pub(super) group: Option<i32>,
    key: Option<String>,
    key_type: Option<KeyType>,
    allow_local_unique: bool,
    state: TableState,
    colocate: Option<TableName>,
}

impl Catalog {
    /// Makes `rule.table` a sharded table. The same again is [`Change::Unchanged`]; a rule that is only planned
    /// is replaced by another.
    ///
    /// # Errors
    /// [`CatalogError::OtherRule`] for a table that exists under another rule; [`CatalogError::GroupNeeded`],
    /// [`CatalogError::OtherStrategy`], [`CatalogError::OtherFamily`], [`CatalogError::UnknownTable`] and
    /// [`CatalogError::NotSharded`] for a group that does not fit; [`CatalogError::NoActiveShard`].
    pub async fn shard_table(&self, rule: &ShardTable) -> Result<Change, CatalogError> {
        let mut client = self.client().await?;
        let locked = Locked::begin(&mut client).await?;
        let change = match locked.table(&rule.table).await? {
            None => locked.insert_sharded(rule).await?,
            Some(row) if locked.says_the_same(&row, rule).await? => locked.refine(&row, rule).await?,
            Some(row) if row.state == TableState::Planned => {
                locked.delete_table(&rule.table).await?;
                locked.insert_sharded(rule).await?
            }
            Some(row) => return Err(CatalogError::OtherRule { table: rule.table.clone(), rule: row.in_words() }),
        };
        locked.commit(change, Raise::Tables).await
    }

    /// Makes `table` a reference table, planned or ready. The same again is [`Change::Unchanged`].
    ///
    /// # Errors
    /// [`CatalogError::OtherRule`] for a table that exists and is sharded.
    pub async fn reference_table(&self, table: &TableName, state: TableState) -> Result<Change, CatalogError> {
        let mut client = self.client().await?;
        let locked = Locked::begin(&mut client).await?;
        let change = match locked.table(table).await? {
            Some(row) if row.sharded && row.state != TableState::Planned => {
                return Err(CatalogError::OtherRule { table: table.clone(), rule: row.in_words() });
            }
            Some(row) if !row.sharded => locked.advance(table, row.state, state).await?,
            planned => {
                if planned.is_some() {
                    locked.delete_table(table).await?;
                }
                const INSERT: &str =
                    "INSERT INTO pgring.tables (schema, name, kind, state) VALUES ($1, $2, 'reference', $3)";
                locked.transaction.execute(INSERT, &[&&*table.schema, &&*table.name, &state.as_str()]).await?;
                Change::Changed
            }
        };
        locked.commit(change, Raise::Tables).await
    }

    /// Forgets a table's rule (`DROP TABLE`, or `UNSHARD TABLE` once its rows are on one shard); a group without
    /// tables is gone. A table without a rule is [`Change::Unchanged`].
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be reached.
    pub async fn forget_table(&self, table: &TableName) -> Result<Change, CatalogError> {
        let mut client = self.client().await?;
        let locked = Locked::begin(&mut client).await?;
        if locked.table(table).await?.is_none() {
            return Ok(Change::Unchanged);
        }
        locked.delete_table(table).await?;
        locked.commit(Change::Changed, Raise::Tables).await
    }

    /// Follows a table that got another name or schema. A table without a rule is [`Change::Unchanged`].
    ///
    /// # Errors
    /// [`CatalogError::OtherRule`] when the new name has a rule of its own.
    pub async fn rename_table(&self, from: &TableName, to: &TableName) -> Result<Change, CatalogError> {
        let mut client = self.client().await?;
        let locked = Locked::begin(&mut client).await?;
        if from == to || locked.table(from).await?.is_none() {
            return Ok(Change::Unchanged);
        }
        if let Some(row) = locked.table(to).await? {
            return Err(CatalogError::OtherRule { table: to.clone(), rule: row.in_words() });
        }
        for sql in [
            "UPDATE pgring.tables SET schema = $3, name = $4 WHERE schema = $1 AND name = $2",
            "UPDATE pgring.tables SET colocate_schema = $3, colocate_name = $4
                WHERE colocate_schema = $1 AND colocate_name = $2",
        ] {
            locked.transaction.execute(sql, &[&&*from.schema, &&*from.name, &&*to.schema, &&*to.name]).await?;
        }
        locked.commit(Change::Changed, Raise::Tables).await
    }

    /// Makes a planned rule take effect, once `CREATE TABLE` ran: `key_type` is the type of the key column (None
    /// for a reference table).
    ///
    /// # Errors
    /// [`CatalogError::UnknownTable`] without a rule; [`CatalogError::OtherFamily`] when the type does not fit its
    /// group; [`CatalogError::Undecided`] for a sharded table without a type.
    pub async fn set_ready(&self, table: &TableName, key_type: Option<KeyType>) -> Result<Change, CatalogError> {
        let mut client = self.client().await?;
        let locked = Locked::begin(&mut client).await?;
        let row = locked.table(table).await?.ok_or_else(|| CatalogError::UnknownTable(table.clone()))?;
        let mut change = Change::Unchanged;
        if row.sharded {
            let known = key_type.or(row.key_type).ok_or_else(|| CatalogError::Undecided(table.clone()))?;
            if row.key_type != Some(known) {
                locked.decide(table, known).await?;
                change = Change::Changed;
            }
        }
        if locked.advance(table, row.state, TableState::Ready).await? == Change::Changed {
            change = Change::Changed;
        }
        locked.commit(change, Raise::Tables).await
    }
}

impl TableRow {
    fn in_words(&self) -> String {
        match &self.key {
            Some(key) => format!("sharded by {key}"),
            None => "reference table".to_owned(),
        }
    }
}

impl Locked<'_> {
    /// The rule of a table.
    pub(super) async fn table(&self, table: &TableName) -> Result<Option<TableRow>, CatalogError> {
        const FIND: &str = "SELECT kind, group_number, key, key_type, allow_local_unique, state,
            colocate_schema, colocate_name FROM pgring.tables WHERE schema = $1 AND name = $2";
        let Some(row) = self.transaction.query_opt(FIND, &[&&*table.schema, &&*table.name]).await? else {
            return Ok(None);
        };
        let state: &str = row.get(5);
        let colocate: (Option<String>, Option<String>) = (row.get(6), row.get(7));
        Ok(Some(TableRow {
            sharded: row.get::<_, &str>(0) == "sharded",
            group: row.get(1),
            key: row.get(2),
            key_type: row.get::<_, Option<u32>>(3).and_then(KeyType::from_oid),
            allow_local_unique: row.get(4),
            state: TableState::from_word(state)
                .ok_or_else(|| CatalogError::Damaged(format!("table {table} is {state:?}")))?,
            colocate: colocate.0.zip(colocate.1).map(|(schema, name)| TableName::new(schema, name)),
        }))
    }

    async fn insert_sharded(&self, rule: &ShardTable) -> Result<Change, CatalogError> {
        let (group, colocate) = self.choose_group(rule).await?;
        const INSERT: &str = "INSERT INTO pgring.tables
            (schema, name, kind, state, group_number, key, allow_local_unique, colocate_schema, colocate_name)
            VALUES ($1, $2, 'sharded', $3, $4, $5, $6, $7, $8)";
        let with = colocate.map(|table| (table.schema.into_string(), table.name.into_string())).unzip();
        self.transaction
            .execute(
                INSERT,
                &[
                    &&*rule.table.schema,
                    &&*rule.table.name,
                    &rule.state.as_str(),
                    &group.map(|group| group.number),
                    &&*rule.key,
                    &rule.allow_local_unique,
                    &with.0,
                    &with.1,
                ],
            )
            .await?;
        if let Some(key_type) = rule.key_type {
            self.decide(&rule.table, key_type).await?;
        }
        Ok(Change::Changed)
    }

    /// The group a new rule names, made at first mention; None where only the key's type will decide it, with the
    /// table it then follows.
    async fn choose_group(&self, rule: &ShardTable) -> Result<(Option<GroupRow>, Option<TableName>), CatalogError> {
        let group = match &rule.group {
            GroupChoice::Default => None,
            GroupChoice::InGroup(name) => match self.find_group(name).await? {
                Some(group) => Some(group),
                None => {
                    let strategy = rule.strategy.unwrap_or(Strategy::Hash);
                    let family = rule.key_type.map(KeyType::family);
                    Some(self.make_group(name, family, strategy).await?)
                }
            },
            GroupChoice::ColocateWith(other) => {
                let row = self.table(other).await?.ok_or_else(|| CatalogError::UnknownTable(other.clone()))?;
                if !row.sharded {
                    return Err(CatalogError::NotSharded(other.clone()));
                }
                match row.group {
                    Some(number) => Some(self.group(number).await?),
                    None => None,
                }
            }
        };
        match (group, rule.strategy) {
            (Some(group), Some(asked)) if group.strategy != asked => {
                Err(CatalogError::OtherStrategy { group: group.name, strategy: group.strategy })
            }
            (Some(group), _) => Ok((Some(group), None)),
            (None, Some(strategy @ (Strategy::Range | Strategy::Directory))) => {
                Err(CatalogError::GroupNeeded(strategy))
            }
            (None, _) => match &rule.group {
                GroupChoice::ColocateWith(other) => Ok((None, Some(other.clone()))),
                _ => Ok((None, None)),
            },
        }
    }

    /// Writes the type of a table's key, and decides its group by it where that is still open, along with all
    /// tables that are to be colocated with it.
    async fn decide(&self, table: &TableName, key_type: KeyType) -> Result<(), CatalogError> {
        let (first, group) = self.follow(table).await?;
        let group = match group {
            Some(number) => self.group(number).await?,
            None => self.join_default_group(&first, key_type.family()).await?,
        };
        self.settle_family(&group, key_type.family()).await?;
        self.spread_groups().await?;
        const UPDATE: &str = "UPDATE pgring.tables SET key_type = $3 WHERE schema = $1 AND name = $2";
        self.transaction.execute(UPDATE, &[&&*table.schema, &&*table.name, &key_type.oid()]).await?;
        Ok(())
    }

    /// The table at the end of the COLOCATE WITHs that begin at `table`, and its group.
    async fn follow(&self, table: &TableName) -> Result<(TableName, Option<i32>), CatalogError> {
        let mut at = table.clone();
        // A rule can only follow one that was there before; the bound guards against a damaged catalog.
        for _ in 0..1000 {
            let row = self.table(&at).await?.ok_or_else(|| CatalogError::UnknownTable(at.clone()))?;
            match (row.group, row.colocate) {
                (None, Some(next)) => at = next,
                (group, _) => return Ok((at, group)),
            }
        }
        Err(CatalogError::Damaged(format!("table {table} is colocated with itself")))
    }

    async fn join_default_group(&self, table: &TableName, family: KeyFamily) -> Result<GroupRow, CatalogError> {
        let name = default_group(family);
        let group = match self.find_group(&name).await? {
            Some(group) if group.strategy != Strategy::Hash => {
                return Err(CatalogError::OtherStrategy { group: name, strategy: group.strategy });
            }
            Some(group) => group,
            None => self.make_group(&name, Some(family), Strategy::Hash).await?,
        };
        const UPDATE: &str = "UPDATE pgring.tables SET group_number = $3 WHERE schema = $1 AND name = $2";
        self.transaction.execute(UPDATE, &[&&*table.schema, &&*table.name, &group.number]).await?;
        Ok(group)
    }

    /// Gives the tables that follow a decided table its group, until none is left.
    async fn spread_groups(&self) -> Result<(), CatalogError> {
        const UPDATE: &str = "UPDATE pgring.tables t
            SET group_number = f.group_number, colocate_schema = NULL, colocate_name = NULL
            FROM pgring.tables f
            WHERE (t.colocate_schema, t.colocate_name) = (f.schema, f.name)
              AND t.group_number IS NULL AND f.group_number IS NOT NULL";
        while self.transaction.execute(UPDATE, &[]).await? > 0 {}
        Ok(())
    }

    /// Whether a rule means what a table's row says already; what only adds to it does.
    async fn says_the_same(&self, row: &TableRow, rule: &ShardTable) -> Result<bool, CatalogError> {
        let same_key = row.key.as_deref() == Some(&*rule.key);
        let same_type = row.key_type.is_none() || rule.key_type.is_none() || row.key_type == rule.key_type;
        if !row.sharded || !same_key || !same_type {
            return Ok(false);
        }
        let Some(number) = row.group else {
            let open = match &rule.group {
                GroupChoice::Default => row.colocate.is_none(),
                GroupChoice::ColocateWith(other) => row.colocate.as_ref() == Some(other),
                GroupChoice::InGroup(_) => false,
            };
            return Ok(open && rule.strategy.is_none_or(|strategy| strategy == Strategy::Hash));
        };
        let group = self.group(number).await?;
        let same_group = match &rule.group {
            GroupChoice::Default => group.family.is_some_and(|family| group.name == default_group(family)),
            GroupChoice::InGroup(name) => group.name == *name,
            GroupChoice::ColocateWith(other) => {
                self.table(other).await?.is_some_and(|other| other.group == Some(number))
            }
        };
        Ok(same_group && rule.strategy.is_none_or(|strategy| strategy == group.strategy))
    }

    /// Adds what a rule said again knows more: the key's type, that the table exists, ALLOW LOCAL UNIQUE.
    async fn refine(&self, row: &TableRow, rule: &ShardTable) -> Result<Change, CatalogError> {
        let mut change = self.advance(&rule.table, row.state, rule.state).await?;
        if let (None, Some(key_type)) = (row.key_type, rule.key_type) {
            self.decide(&rule.table, key_type).await?;
            change = Change::Changed;
        }
        if row.allow_local_unique != rule.allow_local_unique {
            const UPDATE: &str = "UPDATE pgring.tables SET allow_local_unique = $3 WHERE schema = $1 AND name = $2";
            let table = &rule.table;
            self.transaction.execute(UPDATE, &[&&*table.schema, &&*table.name, &rule.allow_local_unique]).await?;
            change = Change::Changed;
        }
        Ok(change)
    }

    /// From planned to ready; never back.
    async fn advance(&self, table: &TableName, from: TableState, to: TableState) -> Result<Change, CatalogError> {
        if (from, to) != (TableState::Planned, TableState::Ready) {
            return Ok(Change::Unchanged);
        }
        const UPDATE: &str = "UPDATE pgring.tables SET state = 'ready' WHERE schema = $1 AND name = $2";
        self.transaction.execute(UPDATE, &[&&*table.schema, &&*table.name]).await?;
        Ok(Change::Changed)
    }

    /// Deletes a rule; who was to follow it follows nobody, and a group without tables is gone.
    async fn delete_table(&self, table: &TableName) -> Result<(), CatalogError> {
        for sql in [
            "DELETE FROM pgring.tables WHERE schema = $1 AND name = $2",
            "UPDATE pgring.tables SET colocate_schema = NULL, colocate_name = NULL
                WHERE colocate_schema = $1 AND colocate_name = $2",
        ] {
            self.transaction.execute(sql, &[&&*table.schema, &&*table.name]).await?;
        }
        self.drop_empty_groups().await
    }
}
