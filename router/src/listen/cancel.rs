//! Cancel: a cancel request of a client reaches the backends that work for it at this moment. In: process id and
//! secret. Out: requests to servers. Never: an answer; another client's statement.

use crate::cluster::Cluster;
use subtle::ConstantTimeEq;
use tokio::task::JoinSet;

/// Cancels what runs for the client of this id, if the secret is its secret. Returns when every server has taken the
/// request.
pub(super) async fn cancel(cluster: &Cluster, id: i32, secret: &[u8]) {
    let Some(client) = cluster.clients.get(id) else { return };
    if !bool::from(client.secret.ct_eq(secret)) {
        tracing::info!(client = id, "a cancel request with a wrong secret was ignored");
        return;
    }
    // Entered while the backends cannot end their work: what they run next is not hit.
    let working = client.with_working(|backend| (backend.clone(), backend.gate.enter()));
    let mut sent = JoinSet::new();
    for (backend, passing) in working {
        sent.spawn(async move {
            if let Err(error) = backend.cancel(passing).await {
                tracing::warn!(client = id, %error, "a cancel request did not reach its server");
            }
        });
    }
    sent.join_all().await;
}
