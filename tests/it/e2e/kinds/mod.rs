//! Every node kind, from its file in `config/examples` where there is one: the same cases over the embedded default
//! and beside real daprd.

mod agents;
mod bodies;
mod budgets;
mod delegation;
mod errors;
mod joins;
mod nodes;
mod people;

use super::world::{Case, Stage, Where};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_kind_does_what_its_example_says_over_the_embedded_sidecar() {
    Stage::start(Where::Embedded).await.play(all()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_kind_does_what_its_example_says_beside_real_dapr() {
    Stage::start(Where::Beside).await.play(all()).await;
}

fn all() -> Vec<(&'static str, Case)> {
    [
        nodes::all(),
        bodies::all(),
        people::all(),
        joins::all(),
        errors::all(),
        budgets::all(),
        agents::all(),
        delegation::all(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
