//! What a person is asked to approve, named by a hash, so that the answer can be bound to it.

use crate::{Datum, Hash};

/// Returns the hash, in hex, of what a person is asked: of the step's input as it is recorded.
pub fn args_hash(input: &Datum) -> String {
    match input {
        Datum::Inline(value) => Hash::of(value.to_string().as_bytes()).to_string(),
        Datum::Stored(reference) => reference.hash.to_string(),
    }
}
