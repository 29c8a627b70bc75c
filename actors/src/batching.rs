//! Publishing together: messages of one topic that wait while a publish is under way go out in the next one.
//!
//! Nothing is delayed on purpose: where nothing is under way, a message goes out at once and alone. Order is kept
//! among the messages of one caller only, which is all that a bus keeps.

use crate::trace;
use bytes::Bytes;
use callboard_sidecar::{
    Sidecar,
    client::{Error, Publish},
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use tokio::sync::oneshot;

/// Messages in one call.
const GROUP: usize = 64;
/// Bytes of messages in one call; what is larger goes alone.
const GROUP_BYTES: usize = 512 << 10;

/// Who waits, by component and topic; one that is present has a publish under way. A clone is the same.
#[derive(Clone, Default)]
pub struct Batcher(Arc<Mutex<BTreeMap<String, VecDeque<Waiting>>>>);

/// A caller, with its messages.
struct Waiting {
    messages: Vec<Bytes>,
    reply: oneshot::Sender<Turn>,
}

/// What becomes of a caller that waited.
enum Turn {
    /// Somebody published its messages.
    Done(Result<(), Error>),
    /// It is its turn to publish, for itself and whoever waits then.
    Lead(Vec<Bytes>),
}

/// Whoever publishes; dropped, it lets the next one go on.
struct Lead<'a> {
    batcher: &'a Batcher,
    lane: &'a str,
}

// === impl Batcher ===

impl Batcher {
    /// Publishes CloudEvents on one topic. On an error some may be out.
    pub async fn send(
        &self,
        sidecar: &Sidecar,
        pubsub: &str,
        topic: &str,
        messages: Vec<Bytes>,
    ) -> Result<(), Error> {
        if size(&messages) > GROUP_BYTES {
            return publish(sidecar, pubsub, topic, messages).await;
        }
        let lane = format!("{pubsub} {topic}");
        let own = match self.enter(&lane, messages.clone()) {
            Ok(own) => own,
            Err(turn) => match turn.await {
                Ok(Turn::Done(result)) => return result,
                Ok(Turn::Lead(own)) => own,
                // Whoever published for us was cut.
                Err(_) => return publish(sidecar, pubsub, topic, messages).await,
            },
        };
        let _lead = Lead { batcher: self, lane: &lane };
        let others = self.others(&lane, &own);
        if others.is_empty() {
            return publish(sidecar, pubsub, topic, own).await;
        }
        let all = own.iter().chain(others.iter().flat_map(|w| &w.messages)).cloned().collect();
        if publish(sidecar, pubsub, topic, all).await.is_ok() {
            others.into_iter().for_each(|w| w.tell(Ok(())));
            return Ok(());
        }
        // Whose messages are at fault shows when each goes alone; repetitions are told apart by their ids.
        let result = publish(sidecar, pubsub, topic, own).await;
        for mut other in others {
            let messages = std::mem::take(&mut other.messages);
            other.tell(publish(sidecar, pubsub, topic, messages).await);
        }
        result
    }

    /// Gives the messages back to whoever may publish at once; all others wait for their turn.
    fn enter(&self, lane: &str, messages: Vec<Bytes>) -> Result<Vec<Bytes>, oneshot::Receiver<Turn>> {
        let mut lanes = self.0.lock();
        let Some(waiting) = lanes.get_mut(lane) else {
            lanes.insert(lane.to_owned(), VecDeque::new());
            return Ok(messages);
        };
        let (reply, turn) = oneshot::channel();
        waiting.push_back(Waiting { messages, reply });
        Err(turn)
    }

    /// Takes who fits into one call with a caller's own messages.
    fn others(&self, lane: &str, own: &[Bytes]) -> Vec<Waiting> {
        let mut lanes = self.0.lock();
        let (mut count, mut bytes, mut taken) = (own.len(), size(own), Vec::new());
        let Some(waiting) = lanes.get_mut(lane) else { return taken };
        while let Some(next) = waiting.front() {
            count += next.messages.len();
            bytes += size(&next.messages);
            if count > GROUP || bytes > GROUP_BYTES {
                break;
            }
            taken.extend(waiting.pop_front());
        }
        taken
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut lanes = self.batcher.0.lock();
        while let Some(next) = lanes.get_mut(self.lane).and_then(VecDeque::pop_front) {
            if next.reply.send(Turn::Lead(next.messages)).is_ok() {
                return;
            }
        }
        lanes.remove(self.lane);
    }
}

impl Waiting {
    fn tell(self, result: Result<(), Error>) {
        // A caller that went away needs no answer.
        let _ = self.reply.send(Turn::Done(result));
    }
}

fn size(messages: &[Bytes]) -> usize {
    messages.iter().map(Bytes::len).sum()
}

async fn publish(sidecar: &Sidecar, pubsub: &str, topic: &str, messages: Vec<Bytes>) -> Result<(), Error> {
    let publish = |data| Publish {
        pubsub: pubsub.to_owned(),
        topic: topic.to_owned(),
        data,
        content_type: "application/cloudevents+json".into(),
        metadata: BTreeMap::new(),
    };
    trace::through(sidecar).publish_all(messages.into_iter().map(publish).collect()).await
}
