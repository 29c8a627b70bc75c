//! What may be done to runs, and how they are watched: the same cases in both places.

mod commands;
mod operations;
mod repeated;
mod rerun;
mod stream;

use super::world::{Case, Stage, Where};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_does_what_it_says_over_the_embedded_sidecar() {
    Stage::start(Where::Embedded).await.play(all()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_does_what_it_says_beside_real_dapr() {
    Stage::start(Where::Beside).await.play(all()).await;
}

fn all() -> Vec<(&'static str, Case)> {
    [operations::all(), repeated::all(), rerun::all(), commands::all(), stream::all()]
        .into_iter()
        .flatten()
        .collect()
}
