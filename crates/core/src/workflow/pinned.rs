//! The plan of a run that has begun: its definition was checked when it was pinned, and agents may have come and gone.

use super::{
    definition::Definition,
    plan::{Plan, compile},
};
use crate::Problem;
use std::collections::BTreeSet;

impl Plan {
    /// Compiles a definition that was checked before; its agents need not exist any more.
    pub fn pinned(definition: Definition) -> Result<Plan, Vec<Problem>> {
        // Without surroundings nothing is checked that can change after the pinning.
        compile::compile(definition, &BTreeSet::new(), vec![], None)
    }
}
