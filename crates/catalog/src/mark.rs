//! Which installation a catalog is of, and how far that has come. The embedded sidecar's file has the same, so that a start can
//! tell whether the two are of one time.

use crate::Error;
use async_trait::async_trait;

/// What a catalog says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Its name, made by the first start.
    pub installation: String,
    /// Counted on at each start, and while a process works.
    pub generation: u64,
}

/// The mark of a catalog. It only goes forward.
#[async_trait]
pub trait Marks: Send + Sync + 'static {
    /// Returns the mark; nothing before the first start.
    async fn mark(&self) -> Result<Option<Mark>, Error>;

    /// Counts on, to more than `beyond`, and returns the new mark. A catalog without a name takes this one.
    async fn count_on(&self, installation: &str, beyond: u64) -> Result<Mark, Error>;
}
