//! The work of many evaluations together: how much was done, and whether somebody wants it to end.
//!
//! Each evaluation has a bound of its own (`Fuel`). A meter is shared by all evaluations of one decision. It counts
//! what they cost, with the values that are turned into the language's on the way in and back on the way out. It
//! fails none of them for what the others did: whoever decides looks at it between them and stops early.

use super::Error;
use serde_json::Value;
use std::{
    cell::Cell,
    sync::atomic::{AtomicU8, Ordering},
};

/// Values, and bytes of text, that cost one unit on their way into the language.
const VALUES: u64 = 4;
const BYTES: u64 = 64;

/// Tells a decision under way that it takes too long. The core has no clock, so the shell watches the time.
#[derive(Debug, Default)]
pub struct Brake(AtomicU8);

const EASED: u8 = 1;
const STOPPED: u8 = 2;

/// Counts the work of a decision.
#[derive(Debug, Default)]
pub struct Meter<'b> {
    used: Cell<u64>,
    /// Units that may be done. A decision that needs more is thrown away.
    allowance: Option<u64>,
    over: Cell<bool>,
    brake: Option<&'b Brake>,
}

// === impl Brake ===

impl Brake {
    /// Lets no evaluation begin; those under way may end.
    pub fn ease(&self) {
        // The stronger of the two stays.
        self.0.fetch_max(EASED, Ordering::Relaxed);
    }

    /// Lets the evaluations under way fail at their next look, too.
    pub fn stop(&self) {
        self.0.fetch_max(STOPPED, Ordering::Relaxed);
    }
}

// === impl Meter ===

impl<'b> Meter<'b> {
    /// Counts without a limit.
    pub fn new(brake: Option<&'b Brake>) -> Self {
        Self { brake, ..Self::default() }
    }

    /// Counts up to `units`, and cuts evaluations there: what comes out is only worth something if it was enough.
    pub fn up_to(units: u64) -> Self {
        Self { allowance: Some(units), ..Self::default() }
    }

    /// Returns the units counted so far.
    pub fn used(&self) -> u64 {
        self.used.get()
    }

    /// Whether the allowance was not enough.
    pub fn is_over(&self) -> bool {
        self.over.get()
    }

    /// Whether no further evaluation should begin.
    pub fn is_eased(&self) -> bool {
        self.over.get() || self.brake.is_some_and(|b| b.0.load(Ordering::Relaxed) >= EASED)
    }

    /// Counts work that is done in any case.
    pub fn count(&self, units: u64) {
        self.used.set(self.used.get().saturating_add(units));
        if self.allowance.is_some_and(|most| self.used.get() > most) {
            self.over.set(true);
        }
    }

    /// Counts a value before it is turned into the language's, or copied on the way. Errs if that may not be done any
    /// more.
    pub(crate) fn enter(&self, value: &Value) -> Result<(), Error> {
        // What is far too large is not walked to its end.
        let left =
            self.allowance.map(|most| (most.saturating_sub(self.used.get()) + 1).saturating_mul(VALUES));
        let mut size = Size { most: left.unwrap_or(u64::MAX), ..Size::default() };
        if size.walk(value) {
            self.count(size.entry())
        } else {
            self.over.set(true)
        }
        self.may_go_on()
    }

    /// Counts a result.
    pub(crate) fn leave(&self, bytes: usize) {
        self.count(bytes as u64 / 16);
    }

    /// Says why an evaluation may not go on, if so.
    pub(crate) fn may_go_on(&self) -> Result<(), Error> {
        if self.over.get() {
            return Err(Error::Limit("there is no more work allowed here".into()));
        }
        match self.brake {
            Some(brake) if brake.0.load(Ordering::Relaxed) >= STOPPED => {
                Err(Error::Limit("the expression takes too long".into()))
            }
            _ => Ok(()),
        }
    }

    /// Returns what one evaluation may do of the units that its own bound leaves.
    pub(super) fn clip(&self, units: u64) -> u64 {
        self.allowance.map_or(units, |most| units.min(most.saturating_sub(self.used.get())))
    }

    /// An evaluation came to the end of what `clip` left it.
    pub(super) fn run_out(&self) {
        if self.allowance.is_some() {
            self.over.set(true);
        }
    }
}

/// What it costs that a value is turned into the language's.
pub(crate) fn entry(value: &Value) -> u64 {
    Size::of(value).entry()
}

/// Returns about how many bytes a value keeps: eight for each value in it, and its texts and keys.
pub(crate) fn room(value: &Value) -> u64 {
    let Size { values, bytes, .. } = Size::of(value);
    values * 8 + bytes
}

/// Lists, objects, keys and scalars of a value, and the bytes of its texts and keys.
#[derive(Default)]
struct Size {
    values: u64,
    bytes: u64,
    /// More values than that are not counted.
    most: u64,
}

impl Size {
    fn of(value: &Value) -> Self {
        let mut size = Self { most: u64::MAX, ..Self::default() };
        size.walk(value);
        size
    }

    fn entry(&self) -> u64 {
        self.values / VALUES + self.bytes / BYTES
    }

    /// Counts a value. Returns false if there are too many.
    fn walk(&mut self, value: &Value) -> bool {
        self.values += 1;
        if self.values > self.most {
            return false;
        }
        match value {
            Value::Array(items) => items.iter().all(|item| self.walk(item)),
            Value::Object(map) => map.iter().all(|(key, item)| {
                self.values += 1;
                self.bytes += key.len() as u64;
                self.walk(item)
            }),
            Value::String(text) => {
                self.bytes += text.len() as u64;
                true
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => true,
        }
    }
}
