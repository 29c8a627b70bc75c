//! The load of a campaign: runs that begin when they are let, so that a fast machine has as much in progress as a slow one.

use super::{
    clients::{self, Address, Seen},
    workload::{Dice, Job, job},
};
use crate::harness::http;
use serde_json::Value;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Semaphore, task::JoinHandle};

/// Runs of one campaign and the clients that drive them.
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<Seen>>,
    begun: usize,
}

struct Shared {
    address: Address,
    client: reqwest::Client,
    places: Semaphore,
    /// Begun, and not seen to have ended.
    open: AtomicUsize,
    /// Nobody asks any more how many are open.
    over: AtomicBool,
}

impl Load {
    /// Prepares runs; none begins yet. `first` numbers them, so that two loads of one place share no key.
    pub fn new(seed: u64, runs: usize, first: usize, address: Address) -> Self {
        let mut dice = Dice::new(seed.wrapping_mul(7919));
        Self::of((0..runs).map(|_| job(&mut dice)).collect(), first, address)
    }

    pub fn of(jobs: Vec<Job>, first: usize, address: Address) -> Self {
        let shared = Arc::new(Shared {
            address,
            client: http(),
            places: Semaphore::new(0),
            open: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        });
        let drive = |(n, job)| tokio::spawn(Shared::drive(shared.clone(), first + n, job));
        let clients = jobs.into_iter().enumerate().map(drive).collect();
        Self { shared, clients, begun: 0 }
    }

    pub fn runs(&self) -> usize {
        self.clients.len()
    }

    pub fn begun(&self) -> usize {
        self.begun
    }

    /// Lets runs begin until so many have.
    pub fn begin_up_to(&mut self, runs: usize) {
        let more = runs.min(self.clients.len()).saturating_sub(self.begun);
        self.shared.open.fetch_add(more, Ordering::AcqRel);
        self.shared.places.add_permits(more);
        self.begun += more;
    }

    /// Returns how many runs have begun and have not ended, as their clients know.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::Acquire)
    }

    /// Waits until every client has done its part, and returns what each saw. Whether the runs have ended is not asked.
    pub async fn finish(mut self) -> Vec<Seen> {
        self.begin_up_to(self.clients.len());
        self.shared.over.store(true, Ordering::Release);
        let mut seen = Vec::new();
        for client in self.clients {
            seen.push(client.await.expect("a client does not give up"));
        }
        seen
    }
}

impl Shared {
    async fn drive(self: Arc<Self>, n: usize, job: Job) -> Seen {
        self.places.acquire().await.expect("nobody closes it").forget();
        let seen = clients::drive(self.client.clone(), self.address.clone(), n, job).await;
        while !self.over.load(Ordering::Acquire) && !self.has_ended(&seen.run).await {
            // The more there are, the less often each is looked at: the load is what they do, not this.
            let open = self.open.load(Ordering::Acquire) as u64;
            tokio::time::sleep(Duration::from_millis(20 + 5 * open)).await;
        }
        self.open.fetch_sub(1, Ordering::AcqRel);
        seen
    }

    async fn has_ended(&self, run: &str) -> bool {
        let base = self.address.read().expect("no panic while held").clone();
        let request = self.client.get(format!("{base}/api/v1/runs/{run}")).timeout(Duration::from_secs(5));
        let Ok(answer) = request.send().await else { return false };
        answer.json::<Value>().await.is_ok_and(|row| !row["ended_at"].is_null())
    }
}
