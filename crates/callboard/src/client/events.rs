//! A run's events as a server streams them.

use super::{Address, Error};
use bytes::{Bytes, BytesMut};
use callboard_core::workflow::view::EventView;
use futures::{StreamExt, stream::BoxStream};
use serde_json::Value;
use std::{collections::VecDeque, time::Duration};

/// The largest single event; its data may be a value of 16 MiB.
const LARGEST: usize = 40 << 20;
/// A server says at least something every 15 seconds.
const SILENCE: Duration = Duration::from_secs(50);

/// An event: as it came, and as it is read.
#[derive(Debug, Clone)]
pub struct Event {
    pub raw: Value,
    pub view: EventView,
}

/// A stream of a run's events.
pub struct Events {
    address: Address,
    body: BoxStream<'static, reqwest::Result<Bytes>>,
    text: BytesMut,
    /// Up to here there is no end of an event.
    looked: usize,
    ready: VecDeque<Event>,
}

// === impl Events ===

impl Events {
    pub(super) fn new(address: Address, response: reqwest::Response) -> Self {
        Self::of(address, response.bytes_stream().boxed())
    }

    fn of(address: Address, body: BoxStream<'static, reqwest::Result<Bytes>>) -> Self {
        Self { address, body, text: BytesMut::new(), looked: 0, ready: VecDeque::new() }
    }

    /// Returns the next event; nothing when the stream ends, as it does after the run.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let came = tokio::time::timeout(SILENCE, self.body.next()).await;
            match came.map_err(|_| Error::silent(&self.address))? {
                Some(Ok(bytes)) => self.text.extend_from_slice(&bytes),
                Some(Err(error)) => return Err(Error::unreachable(&self.address, &error)),
                None => return Ok(None),
            }
            if self.text.len() > LARGEST {
                return Err(Error::unreadable(&self.address));
            }
            self.read();
        }
    }

    /// Takes whole events out of what has come. Lines other than data (ids, comments) say nothing new.
    fn read(&mut self) {
        while let Some(end) = self.text[self.looked..].windows(2).position(|pair| pair == b"\n\n") {
            let block = self.text.split_to(self.looked + end + 2);
            self.looked = 0;
            let lines = block[..].split(|byte| *byte == b'\n');
            let data: Vec<&[u8]> = lines.filter_map(|line| line.strip_prefix(b"data:")).collect();
            let Ok(raw) = serde_json::from_slice::<Value>(&data.concat()) else { continue };
            if let Ok(view) = serde_json::from_value(raw.clone()) {
                self.ready.push_back(Event { raw, view });
            }
        }
        self.looked = self.text.len().saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn events_are_read_across_chunks() {
        let chunks = [
            "id: 1\nevent: run.cr",
            "eated\ndata: {\"seq\":1,\"type\":\"run.created\",\"later\":true}\n\n: \n\nid: 2\n",
            "data: {\"seq\":2,\"type\":\"run.completed\"}\n",
            "\n",
        ];
        let body = futures::stream::iter(chunks.map(|chunk| Ok(Bytes::from(chunk)))).boxed();
        let mut events = Events::of("http://a".parse().expect("an address"), body);
        let mut seqs = Vec::new();
        while let Some(event) = events.next().await.expect("events") {
            seqs.push((event.view.seq, event.view.r#type.into_owned(), event.raw.get("later").cloned()));
        }
        let first = (1, "run.created".to_owned(), Some(Value::Bool(true)));
        assert_eq!(seqs, [first, (2, "run.completed".to_owned(), None)]);
    }
}
