//! Workflows end to end: over the embedded default, and beside real daprd with Redis.

mod api;
mod four_ways;
mod places;
