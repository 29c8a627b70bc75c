//! The sidecar conformance suite: one set of cases, run against the embedded server and against daprd.
