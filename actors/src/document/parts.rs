//! A snapshot's parts: a head, which is written anew, and pages of finished work, each written once.

use callboard_core::workflow::{run::Archived, snapshot::Head};
use serde::{Deserialize, Serialize};

/// A tail longer than this (bytes) is folded into a snapshot.
pub const TAIL_LIMIT: usize = 4 << 10;
/// The archive's rest moves into a page of its own when it passes this (bytes).
pub const PAGE_SIZE: usize = 2 << 10;
/// So many pages of a level become one list in the level above, so that a head does not grow with the archive.
pub const PAGES: usize = 8;

/// The head part of a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeadPart {
    pub head: Head,
    /// The archive's pages, oldest first; of a long archive most stand in lists of pages.
    pub pages: Vec<Page>,
    /// Archived items that are in no page yet.
    pub rest: Vec<Archived>,
}

/// A part that is written once: archived items, or a list of such parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    pub key: String,
    pub size: u64,
    /// Archived items in it, and in whatever it lists.
    pub items: u64,
    /// 0: archived items; else a list of pages of the level below.
    pub level: u8,
}

/// Returns how many pages at the end are to become a list: all of one level, and enough of them.
pub fn foldable(pages: &[Page]) -> Option<usize> {
    let level = pages.last()?.level;
    let same = pages.iter().rev().take_while(|page| page.level == level).count();
    (same >= PAGES).then_some(same)
}
