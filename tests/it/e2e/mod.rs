//! Workflows end to end: over the embedded default, and beside real daprd with Redis.
