//! Metrics over HTTP. In: the recorder. Out: Prometheus' text format. Never: a metric that `crate::metrics` does not
//! declare.

use super::Facts;
use axum::{extract::State, http::header, response::IntoResponse};

/// `/metrics`
pub(super) async fn metrics(State(facts): State<Facts>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], facts.metrics.render())
}
