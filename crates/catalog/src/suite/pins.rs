//! Documents that many runs share. Instants lie before those of all other runs of the catalog, so that these keep nothing.

use super::{batch, fresh, value};
use crate::{Catalog, PIN_LEAD};
use callboard_core::{Hash, Timestamp};

const LEAD: i64 = PIN_LEAD.0 as i64;

pub(crate) async fn a_pin_reads_as_it_was_kept(catalog: &dyn Catalog) {
    let (hash, other) = (Hash::of(fresh().as_bytes()), Hash::of(fresh().as_bytes()));
    assert_eq!(catalog.pin(hash).await.unwrap(), None);
    catalog.keep_pin(hash, value("{}"), Timestamp(5)).await.unwrap();
    catalog.keep_pin(hash, value("{}"), Timestamp(5)).await.unwrap();
    assert_eq!(catalog.pin(hash).await.unwrap(), Some(value("{}")));
    assert_eq!(catalog.pin(other).await.unwrap(), None);
}

pub(crate) async fn a_pin_goes_when_every_run_that_may_name_it_is_purged(catalog: &dyn Catalog) {
    let hash = Hash::of(fresh().as_bytes());
    let is_kept = async || catalog.pin(hash).await.unwrap().is_some();
    let began = -100 * LEAD;
    catalog.keep_pin(hash, value("{}"), Timestamp(began - LEAD)).await.unwrap();
    let run = fresh();
    let mut append = batch(&run, 1, 2, "a");
    append.row.created_at = Timestamp(began);
    catalog.append(append).await.unwrap();

    catalog.forget_pins(Timestamp(0)).await.unwrap();
    assert!(is_kept().await, "the run may have begun with it");
    catalog.mark_purged(&run, None).await.unwrap();
    catalog.forget_pins(Timestamp(began)).await.unwrap();
    assert!(is_kept().await, "one that begins now may rely on it");

    catalog.keep_pin(hash, value("{}"), Timestamp(began)).await.unwrap();
    catalog.forget_pins(Timestamp(began + LEAD)).await.unwrap();
    assert!(is_kept().await, "it was used since");
    assert_eq!(catalog.forget_pins(Timestamp(began + LEAD + 1)).await.unwrap(), 1);
    assert!(!is_kept().await);
}
