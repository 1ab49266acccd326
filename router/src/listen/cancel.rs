//! Cancel: a cancel request of a client reaches the backends that work for it at this moment. In: process id and
//! secret. Out: requests to servers. Never: an answer; another client's statement.

use crate::cluster::{self, Cluster};
use subtle::ConstantTimeEq;

/// Cancels what runs for the client of this id, if the secret is its secret. Returns when every server has taken the
/// request.
pub(super) async fn cancel(cluster: &Cluster, id: i32, secret: &[u8]) {
    let Some(client) = cluster.clients.get(id) else { return };
    if !bool::from(client.secret.ct_eq(secret)) {
        tracing::info!(client = id, "a cancel request with a wrong secret was ignored");
        return;
    }
    cluster::cancel(&client).await;
}
