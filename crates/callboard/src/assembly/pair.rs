//! Whether the catalog and the embedded sidecar's file belong together.
//!
//! The catalog has every history, so a sidecar's file that is older, or none, is repaired from it. The other way round nobody has
//! what the catalog lacks: runs would work on without a record. Both have a mark, the name of the installation and a number
//! that counts on; the catalog's is always written first, so of one time it is never behind. Two commits at a start and each
//! minute are all it costs (`docs/adr/0044`).

use anyhow::Context;
use callboard_catalog::{Catalog, Marks};
use callboard_sidecar::embedded::{Database, Mark, Marker};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// How often the marks count on: a catalog that is put back is noticed if it is older than this.
const PERIOD: Duration = Duration::from_secs(60);
/// How the keys of runs' documents end.
const DOCUMENT: &str = "}.doc";

/// What one of the two has to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Side {
    pub mark: Option<Mark>,
    pub has_runs: bool,
}

/// Why the two can't be of one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// The catalog is new, and there are runs.
    Fresh,
    /// They are of two installations.
    Foreign,
    /// The catalog is of a time before.
    Older { catalog: u64, sidecar: u64 },
}

/// Keeps the marks going.
pub struct Counting(JoinHandle<()>);

/// Returns what is wrong, if anything is.
pub fn judge(catalog: &Side, sidecar: &Side) -> Option<Mismatch> {
    match (&catalog.mark, &sidecar.mark) {
        (None, None) => (!catalog.has_runs && sidecar.has_runs).then_some(Mismatch::Fresh),
        (None, Some(sidecar)) if catalog.has_runs => {
            Some(Mismatch::Older { catalog: 0, sidecar: sidecar.generation })
        }
        (None, Some(_)) => Some(Mismatch::Fresh),
        // A new file, or one of a release before, which marks none.
        (Some(_), None) => None,
        (Some(catalog), Some(sidecar)) if catalog.installation != sidecar.installation => {
            Some(Mismatch::Foreign)
        }
        (Some(catalog), Some(sidecar)) => (catalog.generation < sidecar.generation)
            .then_some(Mismatch::Older { catalog: catalog.generation, sidecar: sidecar.generation }),
    }
}

/// Reads what a catalog says of itself.
pub async fn of_catalog(catalog: &dyn Catalog, marks: &dyn Marks) -> anyhow::Result<Side> {
    let mark = marks.mark().await.context("the catalog's mark")?;
    let mark = mark.map(|mark| Mark { installation: mark.installation, generation: mark.generation });
    Ok(Side { mark, has_runs: !catalog.projects().await.context("the catalog's runs")?.is_empty() })
}

/// Reads what a sidecar's file says of itself. One that is not there says nothing.
pub fn of_sidecar(file: &Path) -> anyhow::Result<Side> {
    if !file.try_exists().with_context(|| file.display().to_string())? {
        return Ok(Side::default());
    }
    let database = Database::open(file)?;
    Ok(Side { mark: database.mark()?, has_runs: !database.keys(DOCUMENT, 1)?.is_empty() })
}

/// Refuses to begin a new catalog beside a sidecar's file that has one elsewhere. Asked before there is a file, so that a refused
/// start leaves none.
pub fn may_begin(catalog: &str, sidecar: &Path) -> anyhow::Result<()> {
    match judge(&Side::default(), &of_sidecar(sidecar)?) {
        Some(mismatch) => anyhow::bail!(mismatch.told(catalog, sidecar)),
        None => Ok(()),
    }
}

/// Refuses a start on two that do not belong together, unless the loss is accepted; counts the catalog's mark on. The sidecar's
/// file gets the same one as soon as it is open.
pub async fn join(
    catalog: (&dyn Catalog, &dyn Marks, &str),
    sidecar: &Path,
    accept_loss: bool,
) -> anyhow::Result<Mark> {
    let (catalog, marks, name) = catalog;
    let (ours, theirs) = (of_catalog(catalog, marks).await?, of_sidecar(sidecar)?);
    if let Some(mismatch) = judge(&ours, &theirs) {
        let why = mismatch.told(name, sidecar);
        anyhow::ensure!(accept_loss, "{why}");
        tracing::warn!("{why}; started nevertheless, by --accept-loss");
    }
    let known =
        theirs.mark.unwrap_or_else(|| Mark { installation: Uuid::new_v4().to_string(), generation: 0 });
    let mark = marks.count_on(&known.installation, known.generation).await.context("the catalog's mark")?;
    Ok(Mark { installation: mark.installation, generation: mark.generation })
}

// === impl Mismatch ===

impl Mismatch {
    /// Says what is wrong with which file, and every way out.
    pub fn told(&self, catalog: &str, sidecar: &Path) -> String {
        let sidecar = sidecar.display();
        let (wrong, out) = match self {
            Self::Fresh => (
                format!("{catalog} is new, and {sidecar} is not: the histories of its runs are not there"),
                format!("Put the catalog back that belongs to it; or move {sidecar} away, and begin anew"),
            ),
            Self::Foreign => (
                format!("{catalog} and {sidecar} are of two installations"),
                format!(
                    "Put back the one that belongs to the other; or move {sidecar} away: the runs of the catalog then go on \
                     without it, and calls under way are made again"
                ),
            ),
            Self::Older { catalog: ours, sidecar: theirs } => (
                format!(
                    "{catalog} is older than {sidecar} ({ours}, and {theirs}): the histories of runs lack events"
                ),
                format!(
                    "Put back a catalog of the same time or later; or move {sidecar} away: every run then goes on from what the \
                     catalog has, and calls since then are made again"
                ),
            ),
        };
        format!(
            "{wrong}. {out}; or start with --accept-loss: runs whose histories lack events can then only be read and cancelled \
             (`history_gap`). docs/operations.md has more"
        )
    }
}

// === impl Counting ===

impl Counting {
    pub fn start(marks: Arc<dyn Marks>, marker: Marker, mark: Mark) -> Self {
        Self(tokio::spawn(async move {
            loop {
                tokio::time::sleep(PERIOD).await;
                // The catalog first. Where it fails nothing is said in the other file either.
                let counted = match marks.count_on(&mark.installation, 0).await {
                    Ok(counted) => counted,
                    Err(error) => {
                        tracing::debug!(%error, "the mark is counted on later");
                        continue;
                    }
                };
                let mark = Mark { installation: counted.installation, generation: counted.generation };
                if let Err(error) = marker.set(&mark).await {
                    tracing::debug!(%error, "the mark is counted on later");
                }
            }
        }))
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(mark: Option<(&str, u64)>, has_runs: bool) -> Side {
        let mark = mark.map(|(name, generation)| Mark { installation: name.to_owned(), generation });
        Side { mark, has_runs }
    }

    #[test]
    fn a_catalog_that_is_behind_is_refused_and_a_sidecar_that_is_behind_is_not() {
        let older = |catalog, sidecar| Some(Mismatch::Older { catalog, sidecar });
        for (catalog, sidecar, expected) in [
            // New; after an update from a release without marks; with a new sidecar.
            (side(None, false), side(None, false), None),
            (side(None, true), side(None, true), None),
            (side(Some(("a", 7)), true), side(None, false), None),
            (side(Some(("a", 7)), true), side(Some(("a", 7)), true), None),
            (side(Some(("a", 7)), true), side(Some(("a", 3)), true), None),
            (side(Some(("a", 7)), true), side(Some(("a", 8)), true), older(7, 8)),
            (side(None, true), side(Some(("a", 1)), true), older(0, 1)),
            (side(None, false), side(None, true), Some(Mismatch::Fresh)),
            (side(None, false), side(Some(("a", 1)), false), Some(Mismatch::Fresh)),
            (side(Some(("a", 7)), true), side(Some(("b", 1)), true), Some(Mismatch::Foreign)),
        ] {
            assert_eq!(judge(&catalog, &sidecar), expected, "{catalog:?} {sidecar:?}");
        }
    }

    #[test]
    fn a_refusal_names_both_files_and_every_way_out() {
        for mismatch in [Mismatch::Fresh, Mismatch::Foreign, Mismatch::Older { catalog: 3, sidecar: 5 }] {
            let told = mismatch.told("the catalog data/catalog.db", Path::new("data/sidecar.db"));
            for part in ["data/catalog.db", "data/sidecar.db", "Put", "--accept-loss", "docs/operations.md"] {
                assert!(told.contains(part), "{part}: {told}");
            }
        }
    }
}
