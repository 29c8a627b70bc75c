//! Feeds of one run: together they cost what one does.

use super::*;
use crate::{
    access::Principal,
    operations::{News, RunFeed},
};
use callboard_core::workflow::view::EventView;
use futures::StreamExt;
use std::time::Duration;

#[tokio::test]
async fn what_many_follow_is_read_once_for_all_of_them() {
    let api = Api::new().await;
    append(&*api.catalog, "r", 1, 2).await;
    let followed = |after: u64| {
        let (operations, run) = (api.operations.clone(), "r".parse::<RunId>().expect("an id"));
        async move {
            let cursor = operations.cursor(&Principal::anybody(), &run, after).await.expect("a run");
            cursor.expect("it goes on").follow(false)
        }
    };
    let mut feeds = Vec::new();
    for after in [0, 1, 2, 2] {
        let mut feed = followed(after).await;
        for seq in after + 1..=2 {
            assert_eq!(recorded_next(&mut feed).await.seq, seq);
        }
        // It has looked how far the history goes, and waits for what comes.
        let next = tokio::time::timeout(Duration::from_millis(200), feed.next()).await;
        assert!(next.is_err(), "{next:?}");
        feeds.push(feed);
    }
    append(&*api.catalog, "r", 3, 4).await;
    let _ = api.notices.send(Recorded { seq: 4, ended: None });
    let mut told = Vec::new();
    for feed in &mut feeds {
        let (third, fourth) = (recorded_next(feed).await, recorded_next(feed).await);
        assert_eq!((third.seq, fourth.seq), (3, 4));
        told.push(third);
    }
    assert!(told.iter().all(|event| Arc::ptr_eq(event, &told[0])), "each is the same, and was read once");
    // Whoever comes later is told the same.
    let mut late = followed(1).await;
    for seq in 2..=4 {
        assert_eq!(recorded_next(&mut late).await.seq, seq);
    }
}

async fn recorded_next(feed: &mut RunFeed) -> Arc<EventView> {
    let news = tokio::time::timeout(Duration::from_secs(10), feed.next()).await;
    match news.expect("in time") {
        Some(News::Recorded(event)) => event,
        other => panic!("{other:?}"),
    }
}
