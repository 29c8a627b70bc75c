//! Where a run stands in the index of words: by its creation, and by 21 bits of its name among runs of one millisecond.
//!
//! Two such runs with one place are one in two million; one of them is not found by words.

use crate::Append;
use callboard_core::{Hash, Timestamp};

const BITS: u32 = 21;

pub(super) fn of(append: &Append) -> i64 {
    let name = Hash::of(append.run.as_str().as_bytes());
    let bits = name.0.iter().take(4).fold(0, |bits, byte| (bits << 8) | i64::from(*byte));
    first(append.row.created_at) | (bits & ((1 << BITS) - 1))
}

/// The first place of an instant. Those before 1830 and after 2109 share theirs.
pub(super) fn first(at: Timestamp) -> i64 {
    at.0.clamp(-(1 << 42), (1 << 42) - 1) << BITS
}
