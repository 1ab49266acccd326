//! HTTP: health and metrics, for people and machines that watch. In: requests. Out: what the router knows of itself.
//! Never: a row; a secret.

mod health;
mod metrics;

use crate::cluster::Cluster;
use axum::{Router, response::Html, routing::get};
use metrics_exporter_prometheus::PrometheusHandle;
use std::{future::Future, io, sync::Arc};
use tokio::net::TcpListener;

/// What requests are answered from.
#[derive(Clone)]
pub struct Facts {
    /// The router.
    pub cluster: Arc<Cluster>,
    /// Its metrics.
    pub metrics: PrometheusHandle,
}

/// Every path and what answers it.
pub fn routes(facts: Facts) -> Router {
    Router::new()
        .route("/", get(front_page))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .with_state(facts)
}

/// Answers requests until `end`.
///
/// # Errors
/// If the socket fails.
pub async fn serve(
    socket: TcpListener,
    facts: Facts,
    end: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(socket, routes(facts)).with_graceful_shutdown(end).await
}

async fn front_page() -> Html<&'static str> {
    Html(include_str!("page.html"))
}

#[cfg(test)]
mod tests;
