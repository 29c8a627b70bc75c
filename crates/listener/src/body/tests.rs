//! Slow bodies and full rooms, on a paused clock.

use super::*;
use crate::Room;
use crate::crowd::Crowd;
use crate::line::Line;
use axum::body::Body;
use futures::channel::mpsc;
use http_body_util::BodyExt;

type Sender = mpsc::UnboundedSender<Result<Bytes, std::io::Error>>;

fn body(room: &Room, is_grpc: bool) -> (Sender, Paced<Body>) {
    let (sender, receiver) = mpsc::unbounded();
    let limits = Limits::default();
    let owed = Line::new(&Crowd::new(&limits)).owed();
    (sender, Paced::new(Body::from_stream(receiver), limits, is_grpc, room.hold(), owed))
}

fn send(sender: &Sender, bytes: usize) {
    sender.unbounded_send(Ok(vec![0; bytes].into())).unwrap();
}

async fn ends(body: &mut Paced<Body>) -> Option<Broken> {
    loop {
        match body.frame().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => return broken(&*error),
            None => return None,
        }
    }
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_is_broken_off_after_the_grace() {
    let (sender, mut body) = body(&Room::default(), false);
    send(&sender, 3 << 20);
    let began = Instant::now();
    assert_eq!(ends(&mut body).await, Some(Broken::Slow));
    assert_eq!(began.elapsed().as_secs(), 10);
    assert!(body.frame().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_is_broken_off_and_a_steady_one_is_not() {
    let (sender, mut dripping) = body(&Room::default(), false);
    let drip = tokio::spawn(async move {
        for _ in 0..100 {
            send(&sender, 100);
            pass(1).await;
        }
    });
    let began = Instant::now();
    assert_eq!(ends(&mut dripping).await, Some(Broken::Slow));
    assert!(began.elapsed().as_secs() < 15, "{:?}", began.elapsed());
    drip.abort();

    let (sender, mut steady) = body(&Room::default(), false);
    tokio::spawn(async move {
        for _ in 0..100 {
            send(&sender, 6 << 10);
            pass(5).await;
        }
    });
    assert_eq!(ends(&mut steady).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_not_held_against_the_sender() {
    let (sender, mut body) = body(&Room::default(), false);
    for _ in 0..5 {
        send(&sender, 10);
        assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
        pass(60).await;
    }
    drop(sender);
    assert_eq!(ends(&mut body).await, None);
}

#[tokio::test]
async fn a_body_without_room_is_broken_off() {
    let room = Room::new(1 << 20);
    let (sender, mut one) = body(&room, false);
    let (other_sender, mut other) = body(&room, false);
    send(&sender, 700 << 10);
    drop(sender);
    assert_eq!(ends(&mut one).await, None);
    send(&other_sender, 700 << 10);
    assert_eq!(ends(&mut other).await, Some(Broken::Full));
    drop((one, other));
    assert_eq!(room.left(), 1 << 20);
}

fn message(length: u32) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(length.to_be_bytes());
    bytes.resize(HEAD + length as usize, 7);
    bytes
}

#[tokio::test(start_paused = true)]
async fn a_stream_may_be_silent_between_its_messages_only() {
    let room = Room::default();
    let (sender, mut open) = body(&room, true);
    let all = room.left();
    tokio::spawn(async move {
        for _ in 0..3 {
            sender.unbounded_send(Ok(message(1000).into())).unwrap();
            pass(3600).await;
        }
        sender.unbounded_send(Ok(message(1000)[..7].to_vec().into())).unwrap();
        pass(3600).await;
    });
    let began = Instant::now();
    for _ in 0..3 {
        assert!(open.frame().await.is_some_and(|frame| frame.is_ok()));
        assert_eq!(all - room.left(), HEAD + 1000);
    }
    assert_eq!(ends(&mut open).await, Some(Broken::Slow));
    assert_eq!(began.elapsed().as_secs(), 3 * 3600 + 10);
    let (_sender, mut silent) = body(&room, true);
    assert_eq!(ends(&mut silent).await, Some(Broken::Slow));
}

#[test]
fn messages_are_told_apart_wherever_they_are_cut() {
    let stream = [message(300), message(0), message(2)].concat();
    for cut in 1..stream.len() {
        let mut messages = Messages::default();
        let mut held = 0;
        for part in stream.chunks(cut) {
            held = messages.take(part);
        }
        assert_eq!((held, messages.partial), (HEAD + 2, 0), "{cut}");
    }
    let mut messages = Messages::default();
    assert_eq!(messages.take(&message(300)), HEAD + 300);
    assert_eq!(messages.take(&message(9)[..6]), 6);
}
