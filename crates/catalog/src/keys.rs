//! Keys that the actors sign their messages with. The catalog keeps them and knows nothing of signatures.

use std::fmt;

/// So many keys are valid at once: the one that signs, and the one before it.
pub(crate) const VALID: u32 = 2;

/// How messages between the actors are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signing {
    /// The valid ones, the one that signs first; none before the first start.
    pub keys: Vec<InternalKey>,
    /// A message without a signature is refused.
    pub required: bool,
}

/// A key with the number that its signatures name.
#[derive(Clone, PartialEq, Eq)]
pub struct InternalKey {
    pub id: u32,
    pub secret: [u8; 32],
}

impl fmt::Debug for InternalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InternalKey").field("id", &self.id).finish_non_exhaustive()
    }
}
