//! Kept: results over several shards that go on, as cursors and portals do: each is on the server to which its rows
//! were brought, in a transaction of its own there. In: FETCH, a further Execute. Out: rows.
//! Never: a backend longer than the cursor or portal, or after the session.

use super::{
    Fault, Session,
    gather::Gathered,
    hold::{self, Held},
};
use crate::{
    cluster::Snapshot,
    error::{Report, catalogue},
    execute::{gather::Answering, scatter::ScatterError},
};
use pgring_protocol::message::{build, result::Field};
use std::sync::Arc;

/// Most results that one session may keep.
const MOST: usize = 16;
/// Why a session keeps the backend of a WITH HOLD cursor over several shards.
const HELD: &str = "WITH HOLD cursor over several shards";

/// What a kept result is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// A cursor of SQL.
    Cursor(String),
    /// The portal with this number.
    Portal(u64),
}

/// A result that goes on.
#[derive(Debug)]
pub(super) struct Kept {
    of: Of,
    home: Held,
    /// Its columns.
    fields: Vec<Field>,
    /// Types of the rows of tables and views, and of their copies'.
    row_types: Vec<(u32, u32)>,
    /// WITH HOLD
    hold: bool,
    /// The transaction that made it is over.
    outlived: bool,
    /// How many savepoints were open when it was made.
    depth: usize,
    /// It has failed: it can only be closed.
    failed: bool,
}

impl Session {
    /// A session keeps only so many results, and leaves a backend of their server for its other statements.
    pub(super) fn room_to_keep(&mut self, snapshot: &Arc<Snapshot>) -> Result<(), Fault> {
        let pool = self.pool_size(snapshot, snapshot.topology.default_shard);
        let most = MOST.min(pool.saturating_sub(1));
        if self.kept.len() < most {
            return Ok(());
        }
        Err(Report::new(catalogue::UNSUPPORTED)
            .detail(format!("more than {most} open cursors and portals over several shards in one session"))
            .hint("Close those that are read to their end, or raise pool.size.")
            .into())
    }

    pub(super) fn keep(&mut self, of: Of, gathered: Gathered, hold: bool) {
        let Gathered { mut home, fields, row_types, .. } = gathered;
        home.checkout.set_pinned(true);
        if hold {
            self.me.add_pin(HELD);
        }
        let depth = self.txn.as_ref().map_or(0, |txn| txn.savepoints.len());
        let outlived = self.txn.is_none();
        self.kept.push(Kept { of, home, fields, row_types, hold, outlived, depth, failed: false });
        self.me.end_work();
    }

    /// Keeps what is left of a portal.
    pub(super) fn keep_portal(&mut self, gathered: Gathered, number: u64) {
        self.keep(Of::Portal(number), gathered, false);
    }

    fn kept_at(&self, of: &Of) -> Option<usize> {
        self.kept.iter().position(|kept| kept.of == *of)
    }

    /// The columns of a cursor over several shards; None: there is no such cursor.
    pub(super) fn kept_cursor(&self, name: &str) -> Option<&[Field]> {
        let is = |kept: &&Kept| matches!(&kept.of, Of::Cursor(cursor) if cursor == name);
        self.kept.iter().find(is).map(|kept| kept.fields.as_slice())
    }

    /// The rest of this portal is kept.
    pub(super) fn keeps_portal(&self, number: u64) -> bool {
        self.kept_at(&Of::Portal(number)).is_some()
    }

    /// Passes a request on to where a kept result is, and its answer to the client up to and with its tag. Returns
    /// whether there are more rows than were asked for.
    pub(super) async fn ask_kept(&mut self, of: &Of, request: &[u8], describe: bool) -> Result<bool, Fault> {
        let Some(at) = self.kept_at(of) else {
            return Err(Report::new(catalogue::UNKNOWN_PORTAL).into());
        };
        let mut kept = self.kept.swap_remove(at);
        if kept.failed {
            let name = match of {
                Of::Cursor(name) => name.as_str(),
                Of::Portal(_) => "",
            };
            let report = Report::with(catalogue::WRONG_STATE, format!("portal \"{name}\" cannot be run"));
            self.kept.push(kept);
            return Err(report.into());
        }
        self.me.begin_work(kept.home.conn().cancel.clone());
        let asked = match kept.home.conn().take_on(&self.settings.current).await {
            Ok(()) => {
                let how = Answering { fields: &kept.fields, row_types: &kept.row_types, describe };
                self.ask_home(&mut kept.home, request, how).await
            }
            Err(error) => Err(error.into()),
        };
        self.me.end_work();
        match asked {
            Ok(more) => {
                self.kept.push(kept);
                Ok(more)
            }
            Err(error) => {
                kept.failed = true;
                if matches!(error, ScatterError::Server(_)) {
                    self.kept.push(kept);
                } else {
                    self.drop_kept(kept);
                }
                Err(self.fault_of(error, None))
            }
        }
    }

    fn drop_kept(&mut self, kept: Kept) {
        hold::hang_up(kept.home);
        self.note_held();
    }

    /// Whether a WITH HOLD cursor is kept, as SHOW PINS says.
    fn note_held(&self) {
        if !self.kept.iter().any(|kept| kept.hold) {
            self.me.remove_pin(HELD);
        }
    }

    /// Lets the backend of a kept result go.
    pub(super) async fn close_kept(&mut self, of: &Of) {
        if let Some(at) = self.kept_at(of) {
            let kept = self.kept.swap_remove(at);
            self.let_kept_go(kept).await;
        }
    }

    async fn let_kept_go(&mut self, kept: Kept) {
        let mut home = kept.home;
        home.checkout.set_pinned(false);
        self.let_home_go(home, true).await;
        self.note_held();
    }

    /// Lets those go of which this holds.
    async fn release_kept(&mut self, over: impl Fn(&Kept) -> bool) {
        while let Some(at) = self.kept.iter().position(&over) {
            let kept = self.kept.swap_remove(at);
            self.let_kept_go(kept).await;
        }
    }

    /// The session is over, or discards all that it has.
    pub(super) async fn release_all_kept(&mut self) {
        self.release_kept(|_| true).await;
    }

    /// CLOSE ALL
    pub(super) async fn close_kept_cursors(&mut self) {
        self.release_kept(|kept| matches!(kept.of, Of::Cursor(_))).await;
    }

    /// A transaction has ended: only WITH HOLD cursors outlive it, and only if it was committed.
    pub(super) async fn end_kept(&mut self, rolled_back: bool) {
        self.release_kept(|kept| !kept.outlived && (rolled_back || !kept.hold)).await;
        self.kept.iter_mut().for_each(|kept| (kept.outlived, kept.depth) = (true, 0));
    }

    /// ROLLBACK TO the savepoint at this place: what was made after it is gone.
    pub(super) async fn rollback_kept_to(&mut self, at: usize) {
        self.release_kept(|kept| kept.depth > at).await;
    }

    /// RELEASE of the savepoint at this place.
    pub(super) fn release_kept_to(&mut self, at: usize) {
        self.kept.iter_mut().for_each(|kept| kept.depth = kept.depth.min(at));
    }

    /// Lets those portals go that the client has not any more.
    pub(super) async fn sweep_portals(&mut self) {
        let mut at = 0;
        while let Some(kept) = self.kept.get(at) {
            match kept.of {
                Of::Portal(number) if !self.batch.has_portal(number) => {
                    let kept = self.kept.swap_remove(at);
                    self.let_kept_go(kept).await;
                }
                _ => at += 1,
            }
        }
    }

    /// Writes the columns of a cursor in the formats that a Bind asked for.
    pub(super) fn describe_cursor(&mut self, name: &str, formats: &[i16]) {
        let Some(fields) = self.kept_cursor(name) else {
            build::no_data(&mut self.client.out);
            return;
        };
        let mut fields = fields.to_vec();
        for (at, field) in fields.iter_mut().enumerate() {
            field.format = match formats {
                [] => 0,
                [all] => *all,
                several => several.get(at).copied().unwrap_or(0),
            };
        }
        build::row_description(&mut self.client.out, &fields);
    }
}
