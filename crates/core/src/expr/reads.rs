//! What a text looks at of a run: decided before the run, used in it.

use std::collections::BTreeSet;

/// What an expression or template looks at, so that only this is loaded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reads {
    /// Ids of the nodes whose outputs it names.
    pub steps: BTreeSet<String>,
    /// It looks at `steps` in a way that can't be known before (`steps[name]`).
    pub all_steps: bool,
    /// It looks at the run's input.
    pub input: bool,
    /// `item` of the nearest `for_each` around, or `index` of the nearest body around.
    pub item: bool,
    /// `last` of the nearest `loop` around.
    pub last: bool,
    /// The time, which is another at each look.
    pub now: bool,
}

// === impl Reads ===

impl Reads {
    /// Adds what another text of the same place looks at.
    pub fn extend(&mut self, other: Reads) {
        self.steps.extend(other.steps);
        self.all_steps |= other.all_steps;
        self.input |= other.input;
        self.item |= other.item;
        self.last |= other.last;
        self.now |= other.now;
    }
}
