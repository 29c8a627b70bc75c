//! Documents that many runs share. Instants lie before those of all other runs of the catalog, so that these keep nothing.

use super::{batch, fresh, value};
use crate::{Catalog, PIN_LEAD};
use bytes::Bytes;
use callboard_core::{
    Hash, Timestamp,
    id::{ProjectId, RunId},
};

const DEFAULT: ProjectId = ProjectId::DEFAULT;
const LEAD: i64 = PIN_LEAD.0 as i64;

pub(crate) async fn a_pin_reads_as_it_was_kept(catalog: &dyn Catalog) {
    let (hash, other) =
        (Hash::of(fresh::<RunId>().as_str().as_bytes()), Hash::of(fresh::<RunId>().as_str().as_bytes()));
    assert_eq!(catalog.pin(&DEFAULT, hash).await.unwrap(), None);
    catalog.keep_pin(&DEFAULT, hash, value("{}"), Timestamp(5)).await.unwrap();
    catalog.keep_pin(&DEFAULT, hash, value("{}"), Timestamp(5)).await.unwrap();
    assert_eq!(catalog.pin(&DEFAULT, hash).await.unwrap(), Some(value("{}")));
    assert_eq!(catalog.pin(&DEFAULT, other).await.unwrap(), None);
}

pub(crate) async fn a_pin_of_another_project_is_not_there(catalog: &dyn Catalog) {
    let (hash, other) = (Hash::of(fresh::<RunId>().as_str().as_bytes()), "acme".parse().expect("a project"));
    catalog.keep_pin(&DEFAULT, hash, value("{}"), Timestamp(5)).await.unwrap();
    assert_eq!(catalog.pin(&other, hash).await.unwrap(), None);
    catalog.keep_pin(&other, hash, value("{}"), Timestamp(-1000 * LEAD)).await.unwrap();
    assert_eq!(catalog.forget_pins(&DEFAULT, Timestamp(-999 * LEAD + 1)).await.unwrap(), 0);
    assert_eq!(catalog.forget_pins(&other, Timestamp(-999 * LEAD + 1)).await.unwrap(), 1);
    assert_eq!(catalog.pin(&other, hash).await.unwrap(), None);
}

pub(crate) async fn a_pin_goes_when_every_run_that_may_name_it_is_purged(catalog: &dyn Catalog) {
    let hash = Hash::of(fresh::<RunId>().as_str().as_bytes());
    let is_kept = async || catalog.pin(&DEFAULT, hash).await.unwrap().is_some();
    let began = -100 * LEAD;
    catalog.keep_pin(&DEFAULT, hash, value("{}"), Timestamp(began - LEAD)).await.unwrap();
    let run: RunId = fresh();
    let mut append = batch(&run, 1, 2, "a");
    append.row.created_at = Timestamp(began);
    catalog.append(append).await.unwrap();

    catalog.forget_pins(&DEFAULT, Timestamp(0)).await.unwrap();
    assert!(is_kept().await, "the run may have begun with it");
    catalog.mark_purged(&run, None).await.unwrap();
    catalog.forget_pins(&DEFAULT, Timestamp(began)).await.unwrap();
    assert!(is_kept().await, "one that begins now may rely on it");

    catalog.keep_pin(&DEFAULT, hash, value("{}"), Timestamp(began)).await.unwrap();
    catalog.forget_pins(&DEFAULT, Timestamp(began + LEAD)).await.unwrap();
    assert!(is_kept().await, "it was used since");
    assert_eq!(catalog.forget_pins(&DEFAULT, Timestamp(began + LEAD + 1)).await.unwrap(), 1);
    assert!(!is_kept().await);
}

pub(crate) async fn a_pin_may_be_large_and_is_never_changed(catalog: &dyn Catalog) {
    let hash = Hash::of(fresh::<RunId>().as_str().as_bytes());
    let large = Bytes::from(vec![0; 400_000]);
    catalog.keep_pin(&DEFAULT, hash, large.clone(), Timestamp(5)).await.unwrap();
    catalog.keep_pin(&DEFAULT, hash, value("other"), Timestamp(6)).await.unwrap();
    assert_eq!(catalog.pin(&DEFAULT, hash).await.unwrap(), Some(large));
}

pub(crate) async fn a_pin_in_two_projects_is_two(catalog: &dyn Catalog) {
    let hash = Hash::of(fresh::<RunId>().as_str().as_bytes());
    let [one, other] = ["r", "s"]
        .map(|p| format!("{p}{}", &fresh::<String>().replace('-', "")[1..]).parse::<ProjectId>().unwrap());
    catalog.keep_pin(&one, hash, value("{}"), Timestamp(5)).await.unwrap();
    catalog.keep_pin(&other, hash, value("{}"), Timestamp(5)).await.unwrap();
    assert_eq!(catalog.forget_pins(&one, Timestamp(LEAD + 5)).await.unwrap(), 0, "not yet");
    assert_eq!(catalog.forget_pins(&one, Timestamp(LEAD + 6)).await.unwrap(), 1);
    assert_eq!(catalog.forget_pins(&one, Timestamp(LEAD + 6)).await.unwrap(), 0);
    assert_eq!(catalog.pin(&one, hash).await.unwrap(), None);
    assert_eq!(catalog.pin(&other, hash).await.unwrap(), Some(value("{}")));
}

pub(crate) async fn a_pin_kept_by_many_at_once_is_one(catalog: &dyn Catalog) {
    let hash = Hash::of(fresh::<RunId>().as_str().as_bytes());
    let project: ProjectId = format!("t{}", &fresh::<String>().replace('-', "")[1..]).parse().unwrap();
    let kept = (0..12).map(|n| catalog.keep_pin(&project, hash, value("{}"), Timestamp(100 - n)));
    for kept in futures::future::join_all(kept).await {
        kept.unwrap();
    }
    assert_eq!(
        catalog.forget_pins(&project, Timestamp(LEAD + 100)).await.unwrap(),
        0,
        "the latest use counts"
    );
    assert_eq!(catalog.forget_pins(&project, Timestamp(LEAD + 101)).await.unwrap(), 1);
}
