//! The mark of a catalog: named once, counted on from whatever is further.

use crate::Marks;

/// Every case, in one: a catalog has one mark, and an old one may be used.
pub(crate) async fn a_mark_is_named_once_and_only_goes_forward(catalog: &dyn Marks) {
    let before = catalog.mark().await.unwrap();
    let first = catalog.count_on("one", 0).await.unwrap();
    match before {
        None => assert_eq!(first.generation, 1),
        Some(before) => assert_eq!(first.generation, before.generation + 1),
    }
    assert_eq!(catalog.mark().await.unwrap().as_ref(), Some(&first));
    let beyond = first.generation + 40;
    let second = catalog.count_on("another", beyond).await.unwrap();
    assert_eq!((&second.installation, second.generation), (&first.installation, beyond + 1));
    let third = catalog.count_on("another", 3).await.unwrap();
    assert_eq!(third.generation, beyond + 2, "it never goes back");
    let counted = futures::future::join_all((0..4).map(|_| catalog.count_on("x", 0))).await;
    let mut counted: Vec<u64> = counted.into_iter().map(|mark| mark.unwrap().generation).collect();
    counted.sort_unstable();
    assert_eq!(counted, (beyond + 3..beyond + 7).collect::<Vec<_>>(), "each has its own");
}
