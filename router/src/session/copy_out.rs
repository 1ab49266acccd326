//! Copy out: COPY TO STDOUT of a table or a query over several shards. In: a plan, values. Out: the data in the client's
//! output up to and with the tag. Never: rows of its own, or a file on a server.

use super::{Fault, Session, calls::Execution, hold::Held};
use crate::{
    cluster::Snapshot,
    copy::options,
    execute::{copy_out::copy_out, gather::NO_PARAMETERS, scatter::ScatterError},
    metrics::RouteKind,
    pool::conn::{Conn, ConnError},
    route::bind::Values,
    txn::Reach,
};
use bytes::BytesMut;
use pgring_config::ids::ShardIndex;
use pgring_protocol::message::build;
use std::sync::Arc;

impl Session {
    /// COPY of a table TO STDOUT: what each shard gives, one behind the other.
    pub(super) async fn copy_table(
        &mut self,
        shards: &[ShardIndex],
        values: &Values<'_>,
        execution: Option<Execution<'_>>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<RouteKind, Fault> {
        self.check_fanout(shards.len())?;
        self.admit(shards, Reach::Read, snapshot).await?;
        let mut held = self.ask_all(shards, &request(values.text, execution.as_ref()), snapshot).await?;
        let options = options::read(std::str::from_utf8(values.text).unwrap_or_default(), "");
        let header = options.is_some_and(|options| options.header);
        let result = {
            let mut conns: Vec<&mut Conn> = held.iter_mut().map(Held::conn).collect();
            copy_out(&mut self.client, &mut conns, header).await
        };
        self.drain_all(held, result.is_ok(), Reach::Read).await;
        self.me.end_work();
        result.map_err(|error| self.fault_of(error, None))?;
        Ok(RouteKind::Scatter)
    }

    /// COPY of a query (a span of the shape) TO STDOUT: by the server to which its rows are brought.
    pub(super) async fn copy_query(
        &mut self,
        (from, to): (u32, u32),
        values: &Values<'_>,
        execution: Option<Execution<'_>>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<RouteKind, Fault> {
        let (from, to) = (values.lexed.text_at(from), values.lexed.text_at(to));
        let text = std::str::from_utf8(values.text).unwrap_or_default();
        let (head, query) = (text.get(..from).unwrap_or_default(), text.get(from..to).unwrap_or_default());
        let offset = head.chars().count() as isize;
        self.client.position_offset += offset;
        let gathered = self.rows_of_query(query, execution, values.parameters, snapshot).await;
        self.client.position_offset -= offset;
        let mut gathered = gathered?;
        gathered.prefix(head.as_bytes());
        gathered.suffix(values.text.get(to..).unwrap_or_default(), to);
        let request = request(&gathered.text, execution.as_ref());
        let result = self.copy_home(&mut gathered.home, &request).await;
        self.end_gather(gathered, values.text, result).await?;
        Ok(RouteKind::Gather)
    }

    async fn copy_home(&mut self, home: &mut Held, request: &[u8]) -> Result<(), ScatterError> {
        let conn = home.conn();
        conn.send(request).await.map_err(ConnError::from)?;
        let copied = copy_out(&mut self.client, &mut [&mut *conn], false).await;
        if let Err(ScatterError::Server(_)) | Ok(()) = &copied {
            conn.drain_rest().await?;
        }
        copied
    }
}

/// A COPY by the protocol that the client uses.
fn request(text: &[u8], execution: Option<&Execution<'_>>) -> BytesMut {
    let mut out = BytesMut::new();
    if execution.is_none() {
        build::query(&mut out, text);
        return out;
    }
    build::parse(&mut out, "", text, &[]);
    build::bind_raw(&mut out, "", "", NO_PARAMETERS);
    build::execute(&mut out, "", 0);
    build::sync(&mut out);
    out
}
