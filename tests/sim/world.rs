//! The simulated world: one clock, one source of chance, three hosts, and everything outside them.
//!
//! All of a seed runs on one thread under tokio's paused clock, so the order of things follows from the seed alone.

use crate::{
    broken, bus::Published, catalog::Book, dapr::Link, ledger::Ledger, model, reminders::Reminders,
    store::Store,
};
use axum::{Router, body::Body};
use bytes::Bytes;
use callboard_actors::{
    Batcher, Clock, Host, Keyring, Live, Metrics, Projects, Roles, Services, Settings, Tasks,
    simulated::Process,
};
use callboard_connectors::{http::Guarded, model::Models, secret::Secret};
use callboard_core::{Span, Timestamp, agent::spec::Agents, workflow::definition::Retention};
use callboard_sidecar::Sidecar;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};
use tower::ServiceExt;

pub const HOSTS: usize = 3;
/// What the hosts sign their messages with.
const KEY: [u8; 32] = [7; 32];
/// The wall clock at the beginning of every seed.
pub const EPOCH: Timestamp = Timestamp(1_800_000_000_000);
/// Log lines shown of a failed seed.
const LINES: usize = 160;

/// What a seed is run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    pub seed: u64,
    /// The store can roll back, and a save with any etag creates a missing key, as on Redis.
    pub strict: bool,
    /// Nothing goes wrong: then exactly one call per attempt, and nobody waits for a wake.
    pub calm: bool,
    pub trace: bool,
}

/// Which faults a seed has, and how often: rare combinations must not be washed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    SaveLost,
    SaveLate,
    SaveUnheard,
    ReadFails,
    AppendLost,
    AppendLate,
    AppendUnheard,
    CatalogFails,
    CallLost,
    CallTwice,
    CallLate,
    AnswerLost,
    Misrouted,
    PublishLost,
    PublishUnheard,
    MessageTwice,
    MessageLate,
    MessageDropped,
    ReminderRefused,
    ReminderUnheard,
    TickLost,
    TickBurst,
}

/// Far more calls of actors than the busiest seed makes.
const CALLS: u64 = 20_000;

pub struct World {
    pub plan: Plan,
    pub state: Mutex<State>,
    pub rng: Mutex<u64>,
    log: Mutex<Log>,
    began: Instant,
    metrics: Metrics,
    agents: Arc<Agents>,
    pub settings: Settings,
    /// After this many milliseconds nothing fails any more.
    pub faults_end: u64,
    rate: f64,
    enabled: u32,
    slow: u64,
}

#[derive(Default)]
pub struct State {
    pub store: Store,
    pub snapshot: Store,
    pub book: Book,
    /// The catalog's pins.
    pub pins: BTreeMap<callboard_core::Hash, bytes::Bytes>,
    pub catalog_down_until: u64,
    pub reminders: Reminders,
    pub published: Published,
    /// Ids of the tasks that the bus took; kept only where none is taken twice.
    pub tasks: BTreeSet<String>,
    pub ledger: Ledger,
    pub hosts: [Option<Life>; HOSTS],
    pub lives: u64,
    /// Who owns a run or an agent, and who did before.
    pub owner: BTreeMap<String, (usize, usize)>,
    pub violation: Option<String>,
    /// Calls of actors so far.
    pub calls: u64,
    /// How often things that a campaign must see have happened.
    pub seen: BTreeMap<&'static str, u64>,
}

/// One life of a host's process.
#[derive(Clone)]
pub struct Life {
    pub process: Process,
    pub router: Router,
}

struct Log {
    lines: VecDeque<String>,
    digest: u64,
}

// === impl World ===

impl World {
    pub fn new(plan: Plan) -> Arc<Self> {
        let mut rng = plan.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x1234_567;
        let mut draw = |below: u64| next(&mut rng) % below;
        let retention = Span([400, 2_000, 6_000][draw(3) as usize]);
        let rate = [0.4, 1.0, 1.0, 2.0][draw(4) as usize];
        let enabled = if draw(3) == 0 { u32::MAX } else { draw(1 << 32) as u32 | draw(1 << 32) as u32 };
        let slow = [2, 10, 40][draw(3) as usize];
        let settings = Settings {
            strict: plan.strict,
            retention: Retention::all(retention),
            haste: if plan.calm { 1 } else { 20 },
            ..Settings::default()
        };
        Arc::new(Self {
            plan,
            state: Mutex::default(),
            rng: Mutex::new(rng),
            log: Mutex::new(Log { lines: VecDeque::new(), digest: 0xcbf2_9ce4_8422_2325 }),
            began: Instant::now(),
            metrics: Metrics::new(&prometheus::Registry::new()),
            agents: Arc::new(model::agents()),
            settings,
            faults_end: if plan.calm { 0 } else { 20_000 },
            rate,
            enabled,
            slow,
        })
    }

    pub fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    // --- chance

    pub fn draw(&self) -> u64 {
        next(&mut self.rng.lock())
    }

    pub fn between(&self, from: u64, to: u64) -> u64 {
        from + self.draw() % (to - from)
    }

    pub fn chance(&self, p: f64) -> bool {
        ((self.draw() >> 11) as f64) / ((1u64 << 53) as f64) < p
    }

    pub fn quiet(&self) -> bool {
        self.now() >= self.faults_end
    }

    /// Whether this fault happens now.
    pub fn fault(&self, fault: Fault, p: f64) -> bool {
        let happens = !self.quiet() && self.enabled & (1 << fault as u32) != 0 && self.chance(p * self.rate);
        if happens {
            self.log(|| format!("fault {fault:?}"));
            self.see("faults");
        }
        happens
    }

    /// Multiplies the pause between two of the larger faults.
    pub fn seldom(&self, ms: u64) -> u64 {
        (ms as f64 / self.rate) as u64
    }

    /// How late something is that nobody waits for any more: by a moment, or by much.
    pub fn late(&self) -> u64 {
        if self.chance(0.5) { self.between(1, 60) } else { self.between(1, 5000) }
    }

    /// The time a message needs; other things happen meanwhile.
    pub async fn hop(&self) {
        match self.draw() % 8 {
            0..=3 => tokio::task::yield_now().await,
            4..=6 => sleep(Duration::from_millis(self.between(1, self.slow + 1))).await,
            _ => sleep(Duration::from_millis(self.between(1, 5 * self.slow))).await,
        }
    }

    // --- what happened

    pub fn log(&self, line: impl FnOnce() -> String) {
        let line = format!("{:>7} {}", self.now(), line());
        let mut log = self.log.lock();
        for byte in line.bytes() {
            log.digest = (log.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.plan.trace {
            println!("{line}");
        }
        if log.lines.len() == LINES {
            log.lines.pop_front();
        }
        log.lines.push_back(line);
    }

    pub fn lines(&self) -> (Vec<String>, u64) {
        let log = self.log.lock();
        (log.lines.iter().cloned().collect(), log.digest)
    }

    pub fn see(&self, what: &'static str) {
        *self.state.lock().seen.entry(what).or_default() += 1;
    }

    /// Notes the first invariant that does not hold.
    pub fn violated(&self, what: impl Into<String>) {
        let what = what.into();
        self.log(|| format!("VIOLATION {what}"));
        self.state.lock().violation.get_or_insert(what);
    }

    // --- hosts

    pub fn boot(self: &Arc<Self>, host: usize) {
        let life = {
            let mut state = self.state.lock();
            state.lives += 1;
            state.lives
        };
        let process = Process::default();
        let sidecar = Sidecar::from_service(Link::service(self, Some(host)));
        let secrets: BTreeMap<String, Secret> = BTreeMap::new();
        let services = Services {
            sidecar,
            catalog: Arc::new(crate::catalog::Desk(self.clone())),
            models: Arc::new(Models::only(Arc::new(model::Model(self.clone())))),
            projects: Projects::usual(
                Arc::new(Guarded::standing_in(model::network(self))),
                Arc::new(secrets),
            ),
            agents: self.agents.clone(),
            keyring: Keyring::alone(KEY, !broken::writes_messages_anew()),
            settings: self.settings.clone(),
            metrics: self.metrics.clone(),
            live: Live::default(),
            batcher: Batcher::default(),
            clock: Clock::simulated(EPOCH + Span(self.now()), self.plan.seed ^ (life << 32)),
        };
        let app = Host::within(services, Roles { workflow: true, ai: true }, Tasks::within(process.clone()));
        let router = app.router(None);
        app.start();
        self.log(|| format!("host {host} is up"));
        self.state.lock().hosts[host] = Some(Life { process, router });
    }

    pub fn life(&self, host: usize) -> Option<Life> {
        self.state.lock().hosts[host].clone()
    }

    /// Ends a host's process where it stands; its actors move to others.
    pub fn crash(&self, host: usize) {
        let Some(life) = self.state.lock().hosts[host].take() else { return };
        self.log(|| format!("host {host} is killed"));
        self.see("kills");
        life.process.kill();
        self.move_actors(host);
    }

    /// Gives a host's actors to others; calls may still go the old way.
    pub fn move_actors(&self, host: usize) {
        let mut state = self.state.lock();
        for (now, before) in state.owner.values_mut() {
            if *now == host {
                (*now, *before) = ((host + 1 + (next(&mut self.rng.lock()) % 2) as usize) % HOSTS, host);
            }
        }
    }

    /// Where an actor's calls go: to its owner, or with stale placement to another host.
    pub fn route(&self, id: &str) -> usize {
        let (owner, before) = {
            let fresh = (self.draw() % HOSTS as u64) as usize;
            let mut state = self.state.lock();
            *state.owner.entry(id.to_owned()).or_insert((fresh, (fresh + 1) % HOSTS))
        };
        let stale = self.fault(Fault::Misrouted, 0.1);
        let up = |h: usize| self.state.lock().hosts[h].is_some();
        if !stale && !up(owner) {
            let other = (owner + 1) % HOSTS;
            self.state.lock().owner.insert(id.to_owned(), (other, owner));
            return other;
        }
        if stale { before } else { owner }
    }

    /// Calls a host's app. The call runs in the host's process, whatever becomes of the caller.
    pub async fn call_app(&self, host: usize, method: &str, path: String, body: Bytes) -> Option<Bytes> {
        let life = self.life(host)?;
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(Body::from(body))
            .expect("ids are plain");
        let (give, get) = tokio::sync::oneshot::channel();
        let router = life.router;
        let task = tokio::spawn(life.process.within(async move {
            let Ok(response) = router.oneshot(request).await;
            let ok = response.status().is_success();
            let body = axum::body::to_bytes(response.into_body(), 64 << 20).await.unwrap_or_default();
            let _ = give.send(ok.then_some(body));
        }));
        life.process.adopt(task.abort_handle());
        timeout(Duration::from_secs(10), get).await.ok()?.ok()?
    }

    /// Calls an actor's method through the sidecars: lost, doubled, late, or heard by nobody.
    pub async fn invoke(self: &Arc<Self>, kind: &str, id: &str, method: &str, body: Bytes) -> Option<Bytes> {
        let body = broken::call(self, kind, id, method, body);
        self.hop().await;
        let calls = {
            let mut state = self.state.lock();
            state.calls += 1;
            state.calls
        };
        if calls > CALLS {
            self.violated("calls of actors make ever more of them");
            // Nobody hears anything any more, so that time goes on to the end.
            return std::future::pending().await;
        }
        if self.fault(Fault::CallLost, 0.02) {
            return None;
        }
        let path = format!("/actors/{kind}/{id}/method/{method}");
        let late = |after: u64| {
            let (world, id, path, body) = (self.clone(), id.to_owned(), path.clone(), body.clone());
            tokio::spawn(async move {
                sleep(Duration::from_millis(after)).await;
                let host = world.route(&id);
                world.log(|| format!("late {path} at {host}"));
                world.call_app(host, "PUT", path, body).await;
            });
        };
        if self.fault(Fault::CallTwice, 0.05) {
            late(if self.chance(0.3) { self.between(1000, 20_000) } else { self.between(1, 1000) });
        }
        if self.fault(Fault::CallLate, 0.02) {
            late(self.between(200, 5000));
            sleep(Duration::from_millis(500)).await;
            return None;
        }
        let host = self.route(id);
        let answer = self.call_app(host, "PUT", path, body).await;
        self.log(|| {
            let text = answer.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            let error = text.find("\"error\":{").map_or("", |at| &text[at..]);
            format!(
                "{kind}/{id} {method} at {host}: {} {}",
                answer.is_some(),
                error.get(..120).unwrap_or(error)
            )
        });
        self.hop().await;
        if self.fault(Fault::AnswerLost, 0.02) {
            return None;
        }
        answer
    }

    /// Lets go of everything that refers back to the world.
    pub fn close(&self) {
        let hosts = std::mem::take(&mut self.state.lock().hosts);
        hosts.iter().flatten().for_each(|life| life.process.kill());
    }
}

/// splitmix64.
pub fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
