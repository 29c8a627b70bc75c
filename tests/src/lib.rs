//! The end-to-end suites live in `it/`.
