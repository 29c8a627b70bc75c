//! Dapr component files.
