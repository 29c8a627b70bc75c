//! Pins: who the agents of runs are, with their tools, as they were when the runs began.
//!
//! A document under the hash of its content, one for all runs of a project that begin with the same agents: in the state store, where
//! it goes by its expiry, and in the catalog, which keeps it while a run may need it. It never changes, so that a process
//! reads it once, and writes it once in a while.

use crate::services::Services;
use bytes::{Bytes, BytesMut};
use callboard_catalog::PIN_LEAD;
use callboard_core::{Hash, Span, Timestamp, agent::spec::Agents, id::ProjectId};
use callboard_sidecar::client::{Error, Fence, Save, Ttl};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};

/// Pins to remember; then all are forgotten, which costs each one more read.
const KNOWN: usize = 256;
/// A start relies on what was written at most so long ago. Half of what the catalog allows: clocks differ.
const AGAIN: Span = Span(PIN_LEAD.0 / 2);
/// A key holds at most this much; what is longer goes on under the next.
const CHUNK: usize = 1 << 20;

/// Agents under the hash of their document.
#[derive(Clone)]
pub(crate) struct Pinned {
    pub hash: Hash,
    pub agents: Arc<Agents>,
    document: Bytes,
}

/// The pins that this process knows; a clone is the same set.
#[derive(Clone)]
pub(crate) struct Pins(Arc<Inner>);

struct Inner {
    services: Services,
    known: Mutex<HashMap<(ProjectId, Hash), Known>>,
    /// One reads at a time: of tasks that come together, the others find what it read.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Known {
    agents: Arc<Agents>,
    /// When it was last written here, in steady time.
    kept: Option<Timestamp>,
}

/// A pin can't be had, or can't be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unpinned {
    #[error(transparent)]
    Store(#[from] Error),
    #[error(transparent)]
    Catalog(#[from] callboard_catalog::Error),
    #[error("the agents under {0} are in neither store nor catalog")]
    Lost(Hash),
    #[error("the agents under {0} were written by a newer version: {1}")]
    Newer(Hash, serde_json::Error),
}

// === impl Pinned ===

impl Pinned {
    /// Returns the agents' document; none where there are no agents.
    pub fn of(agents: Agents) -> Option<Self> {
        if agents.agents.is_empty() {
            return None;
        }
        let document = Bytes::from(serde_json::to_vec(&agents).expect("agents have only string keys"));
        Some(Self { hash: Hash::of(&document), agents: Arc::new(agents), document })
    }
}

// === impl Pins ===

impl Pins {
    pub fn new(services: Services) -> Self {
        Self(Arc::new(Inner { services, known: Mutex::default(), reading: tokio::sync::Mutex::default() }))
    }

    /// Has the document where everybody finds it, before anything names it. One that was written lately is not written
    /// again.
    pub async fn keep(&self, project: &ProjectId, pinned: &Pinned) -> Result<(), Unpinned> {
        let Inner { services, known, .. } = &*self.0;
        let now = services.clock.steady();
        let kept = known.lock().get(&(project.clone(), pinned.hash)).and_then(|known| known.kept);
        if kept.is_some_and(|at| now < at + services.settings.paced(AGAIN)) {
            return Ok(());
        }
        self.save(project, pinned.hash, &pinned.document).await?;
        let kept = services
            .catalog
            .keep_pin(project, pinned.hash, pinned.document.clone(), services.clock.now())
            .await;
        let kept = match kept {
            Ok(()) => Some(now),
            // Where the store can't roll back, it is enough for now.
            Err(error) if !services.settings.strict => {
                tracing::warn!(%error, "the catalog does not have a run's agents yet");
                None
            }
            Err(error) => return Err(error.into()),
        };
        self.remember(project, pinned.hash, Known { agents: Arc::clone(&pinned.agents), kept });
        Ok(())
    }

    /// Returns the agents under a hash: from memory, from the store, else from the catalog, and then the store has them
    /// again.
    pub async fn get(&self, project: &ProjectId, hash: Hash) -> Result<Arc<Agents>, Unpinned> {
        if let Some(agents) = self.known(project, hash) {
            return Ok(agents);
        }
        let _reading = self.0.reading.lock().await;
        if let Some(agents) = self.known(project, hash) {
            return Ok(agents);
        }
        let document = match self.load(project, hash).await? {
            Some(document) => document,
            None => self.restore(project, hash).await?,
        };
        let agents = serde_json::from_slice(&document).map_err(|error| Unpinned::Newer(hash, error))?;
        let agents = Arc::new(agents);
        self.remember(project, hash, Known { agents: Arc::clone(&agents), kept: None });
        Ok(agents)
    }

    fn known(&self, project: &ProjectId, hash: Hash) -> Option<Arc<Agents>> {
        self.0.known.lock().get(&(project.clone(), hash)).map(|known| Arc::clone(&known.agents))
    }

    fn remember(&self, project: &ProjectId, hash: Hash, pin: Known) {
        let name = (project.clone(), hash);
        let mut known = self.0.known.lock();
        if known.len() >= KNOWN && !known.contains_key(&name) {
            known.clear();
        }
        known.insert(name, pin);
    }

    async fn restore(&self, project: &ProjectId, hash: Hash) -> Result<Bytes, Unpinned> {
        let found = self.0.services.catalog.pin(project, hash).await?;
        let document = found.filter(|document| Hash::of(document) == hash).ok_or_else(|| {
            tracing::error!(%hash, "a run's agents are lost");
            Unpinned::Lost(hash)
        })?;
        self.save(project, hash, &document).await?;
        Ok(document)
    }

    async fn save(&self, project: &ProjectId, hash: Hash, document: &Bytes) -> Result<(), Error> {
        let settings = &self.0.services.settings;
        let ttl = Ttl::Seconds(settings.value_ttl);
        for (n, from) in (0..document.len()).step_by(CHUNK).enumerate() {
            let data = document.slice(from..document.len().min(from + CHUNK));
            let save = Save { key: project.pin_key(hash, n), data, fence: Fence::None, ttl };
            self.0.services.sidecar.save(&settings.statestore, vec![save]).await?;
        }
        Ok(())
    }

    /// Reads a document; nothing where it is not there, or is damaged.
    async fn load(&self, project: &ProjectId, hash: Hash) -> Result<Option<Bytes>, Error> {
        let (services, mut document) = (&self.0.services, BytesMut::new());
        for n in 0.. {
            let chunk =
                services.sidecar.get(&services.settings.statestore, &project.pin_key(hash, n)).await?;
            let data = chunk.map(|chunk| chunk.data).unwrap_or_default();
            document.extend_from_slice(&data);
            // One that ends with a whole chunk ends before a key that is not there.
            if data.len() < CHUNK {
                break;
            }
        }
        Ok((Hash::of(&document) == hash).then(|| document.freeze()))
    }
}
