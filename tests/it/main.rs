//! Every suite over real components, in one binary: linking once is cheaper than linking often.
//!
//! `harness` starts what a suite needs and ends it; nothing is skipped when something is missing.

mod attacks;
mod chaos;
mod conformance;
mod e2e;
mod harness;
mod house;
mod manifests;
