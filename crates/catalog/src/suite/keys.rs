//! The actors' keys: made once, two valid, and required for good once they are.

use super::at;
use crate::Catalog;

pub(crate) async fn a_key_is_made_once_and_two_are_valid(catalog: &dyn Catalog) {
    catalog.first_key([1; 32], at(1)).await.unwrap();
    let before = catalog.signing().await.unwrap();
    catalog.first_key([2; 32], at(2)).await.unwrap();
    assert_eq!(catalog.signing().await.unwrap(), before, "there is one already");

    let second = catalog.rotate_key([3; 32], at(3)).await.unwrap();
    let third = catalog.rotate_key([4; 32], at(4)).await.unwrap();
    assert!(before.keys[0].id < second && second < third);
    let keys = catalog.signing().await.unwrap().keys;
    let keys: Vec<_> = keys.iter().map(|key| (key.id, key.secret)).collect();
    assert_eq!(keys, [(third, [4; 32]), (second, [3; 32])]);
    assert!(!format!("{:?}", catalog.signing().await.unwrap()).contains("4, 4"), "no log shows a key");
}

pub(crate) async fn signatures_once_required_stay_so(catalog: &dyn Catalog) {
    let before = catalog.signing().await.unwrap().required;
    assert_eq!(catalog.require_signatures().await.unwrap(), !before);
    assert!(catalog.signing().await.unwrap().required);
    assert!(!catalog.require_signatures().await.unwrap());
}

pub(crate) async fn keys_that_are_made_at_once_have_each_a_number(catalog: &dyn Catalog) {
    let firsts = (0..4).map(|n| catalog.first_key([20 + n; 32], at(4)));
    for first in futures::future::join_all(firsts).await {
        first.unwrap();
    }
    let rotated = futures::future::join_all((0..4).map(|n| catalog.rotate_key([10 + n; 32], at(5)))).await;
    let mut ids: Vec<u32> = rotated.into_iter().map(Result::unwrap).collect();
    ids.sort_unstable();
    assert!(ids.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{ids:?}");
    let keys = catalog.signing().await.unwrap().keys;
    assert_eq!(keys.iter().map(|key| key.id).collect::<Vec<_>>(), [ids[3], ids[2]], "the two newest");
}
