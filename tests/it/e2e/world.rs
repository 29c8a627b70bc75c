//! A place with a faked model provider and a faked HTTP service, and what many cases do in it at once.

use super::{api::Api, places::Place};
use crate::harness::{Model, Recorded, Reply, Script, Upstream, root, scratch};
use callboard_actors::{
    Keyring,
    protocol::sealed::{To, seal},
};
use callboard_catalog::SqliteCatalog;
use callboard_core::Timestamp;
use serde_json::{Value, json};
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::sync::Semaphore;

/// Cases under way at once in one place.
const AT_ONCE: usize = 16;

/// Cases that take longer are named.
const SLOW: Duration = Duration::from_secs(10);

/// What a case works with.
#[derive(Clone)]
pub struct World {
    pub api: Api,
    /// What the model says; without a rule that fits, the task's own text.
    pub model: Script,
    /// What the HTTP service answers; without a rule, what it was sent.
    pub http: Script,
    pub http_url: String,
    /// The catalog's own rows, as the place wrote them.
    pub catalog: Arc<SqliteCatalog>,
}

/// A place and the fakes around it.
pub struct Stage {
    pub place: Place,
    pub world: World,
    /// Kept for their `Drop`.
    _fakes: (Model, Upstream, TempDir),
}

/// Where to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    Embedded,
    Beside,
}

impl Stage {
    pub async fn start(place: Where) -> Self {
        let (model, upstream) = (Model::start().await, Upstream::start().await);
        let folder = scratch();
        let agents = folder.path().join("agents.json");
        std::fs::write(&agents, agents_of(&upstream.url()).to_string()).expect("the agents' file");
        let (base, allow) = (model.base_url(), upstream.addr().to_string());
        let file = agents.display().to_string();
        let env = [
            ("OPENAI_BASE_URL", base.as_str()),
            ("OPENAI_API_KEY", "sk-test"),
            ("CALLBOARD__HTTP__ALLOW", allow.as_str()),
            ("CALLBOARD__AGENTS__FILE", file.as_str()),
        ];
        let mut place = match place {
            Where::Embedded => Place::embedded_with(&env, &agents).await,
            Where::Beside => Place::beside_with(&env, Some(&agents)).await,
        };
        let catalog = SqliteCatalog::open(place.catalog()).await.expect("the place's catalog");
        let world = World {
            api: place.api(),
            model: model.script().clone(),
            http: upstream.script.clone(),
            http_url: upstream.url(),
            catalog: Arc::new(catalog),
        };
        Self { place, world, _fakes: (model, upstream, folder) }
    }

    /// Runs cases, several at once, and tells which ones failed and which were slow.
    pub async fn play(&self, cases: Vec<(&'static str, Case)>) {
        let failed = play(self.world.clone(), cases, AT_ONCE).await;
        assert!(failed.is_empty(), "these failed: {failed:#?}");
        assert_eq!(self.place.panics(), Vec::<String>::new(), "the processes' logs");
    }
}

impl World {
    /// Calls an actor as the product's own processes do. Nobody else may call an agent that works for a run.
    pub async fn signed(&self, kind: &str, id: &str, method: &str, body: Value) -> Value {
        let keyring = Keyring::open(&*self.catalog, Timestamp(0)).await.expect("the keys");
        let (body, _) = seal(&keyring, To { actor: kind, id, method }, body.to_string().into());
        self.api.actor(kind, id, method, serde_json::from_slice(&body).expect("JSON")).await
    }
}

/// Runs cases and returns the names of those that failed.
pub async fn play(world: World, cases: Vec<(&'static str, Case)>, at_once: usize) -> Vec<&'static str> {
    let (began, total) = (Instant::now(), cases.len());
    let places = Arc::new(Semaphore::new(at_once));
    let mut playing = Vec::new();
    for (name, case) in cases {
        let (world, places) = (world.clone(), places.clone());
        let played = tokio::spawn(async move {
            let _place = places.acquire_owned().await.expect("nobody closes it");
            let began = Instant::now();
            case(world).await;
            let took = began.elapsed();
            if took > SLOW {
                eprintln!("slow: {name} took {took:.1?}");
            }
        });
        playing.push((name, played));
    }
    let mut failed = Vec::new();
    for (name, played) in playing {
        if played.await.is_err() {
            failed.push(name);
        }
    }
    eprintln!("{total} cases in {:.1?}", began.elapsed());
    failed
}

/// A case: given a world, it asserts.
pub type Case = Box<dyn FnOnce(World) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// Makes a list of named cases of async functions.
macro_rules! cases {
    ($($case:path),* $(,)?) => {
        vec![$($crate::e2e::world::case(stringify!($case), $case)),*]
    };
}
pub(crate) use cases;

pub fn case<F, R>(name: &'static str, case: F) -> (&'static str, Case)
where
    F: FnOnce(World) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    (name, Box::new(|world| Box::pin(case(world))))
}

impl World {
    /// Answers every task whose text contains `marker`.
    pub fn says(&self, marker: &'static str, reply: Reply) {
        self.model.when(move |request| asks(request, marker), reply);
    }

    /// Answers the calls about `marker` one after the other; the last answer stays.
    pub fn says_in_turn(&self, marker: &'static str, replies: Vec<Reply>) {
        let turn = std::sync::atomic::AtomicUsize::new(0);
        self.model.answer(
            move |request| asks(request, marker),
            move |_| {
                let n = turn.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                replies[n.min(replies.len() - 1)].clone()
            },
        );
    }

    /// Answers the requests to `path` one after the other; the last answer stays.
    pub fn serves_in_turn(&self, path: &'static str, replies: Vec<Reply>) {
        let turn = std::sync::atomic::AtomicUsize::new(0);
        self.http.answer(
            move |request| request.target.split('?').next() == Some(path),
            move |_| {
                let n = turn.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                replies[n.min(replies.len() - 1)].clone()
            },
        );
    }

    /// Returns the model's calls about `marker`, in the order they came.
    pub fn asked(&self, marker: &str) -> Vec<Recorded> {
        self.model.requests().into_iter().filter(|request| asks(request, marker)).collect()
    }

    /// Answers every request to `path`.
    pub fn serves(&self, path: &'static str, reply: Reply) {
        self.http.when(move |request| request.target.split('?').next() == Some(path), reply);
    }

    /// Returns the service's requests to `path`, in the order they came.
    pub fn served(&self, path: &str) -> Vec<Recorded> {
        let of_path = |request: &Recorded| request.target.split('?').next() == Some(path);
        self.http.requests().into_iter().filter(of_path).collect()
    }
}

/// Whether the task of a model's call contains `marker`; the task is the first message of the user.
fn asks(request: &Recorded, marker: &str) -> bool {
    let body = request.json();
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let task = messages.iter().find(|message| message["role"] == "user");
    task.is_some_and(|task| task["content"].to_string().contains(marker))
}

/// Reads a definition of `config/examples`.
pub fn example(name: &str) -> Value {
    let path = root().join(format!("config/examples/{name}.yaml"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).expect("YAML")
}

/// The agents of `config/agents.yaml`, and some with tools and limits.
fn agents_of(upstream: &str) -> Value {
    let text = std::fs::read_to_string(root().join("config/agents.yaml")).expect("the agents");
    let mut all: Value = serde_saphyr::from_str(&text).expect("YAML");
    let numbers = json!({"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
        "required": ["a", "b"], "additionalProperties": false});
    let word = json!({"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]});
    let soon = json!({"max_retries": 2, "backoff": "constant", "initial": "200ms", "jitter": false});
    let never = json!({"max_retries": 0});
    let agents = json!({
        "tooler": {"model": "test", "tools": ["add", "lookup", "broken"], "retry_policy": soon},
        "capped": {"model": "test", "tools": ["add"], "limits": {"iterations": 3, "repeats": 100}},
        "thrifty": {"model": "test", "tools": ["add"], "limits": {"calls": 2, "repeats": 100}},
        "hurried": {"model": "test", "tools": ["add"], "limits": {"seconds": 1}, "retry_policy": never},
        "research-tools": {"model": "test", "tools": ["lookup"], "retry_policy": never},
        "hurried-tools": {"model": "test", "tools": ["broken"], "limits": {"seconds": 1}, "retry_policy": never},
        "quick": {"model": "test", "max_tokens": 100, "retry_policy": soon},
        "patient": {"model": "test", "max_tokens": 100,
            "retry_policy": {"max_retries": 3, "backoff": "exponential", "initial": "100ms", "jitter": false}},
        "once": {"model": "test", "retry_policy": never},
        "lead": {"model": "test", "allow_delegation": true, "delegate_to": ["quick", "once", "research"],
            "limits": {"repeats": 100}, "retry_policy": never},
        "backed": {"model": "test", "fallback_models": ["spare"], "retry_policy": never},
        "scaler": {"model": "test", "tools": ["scale"], "retry_policy": never},
    });
    let scaled = json!({"type": "object", "required": ["a", "by"],
        "properties": {"a": {"type": "number"}, "by": {"type": "number", "default": 10}}});
    let tools = json!({
        "scale": {"description": "Multiplies.", "parameters": scaled, "type": "expression", "config": {"value": "args.a * args.by"}},
        "add": {"description": "Adds.", "parameters": numbers, "type": "expression", "config": {"value": "args.a + args.b"}},
        "lookup": {"description": "Looks up.", "parameters": word, "type": "http",
            "config": {"url": format!("{upstream}/lookup"), "query": {"q": "{{ args.q }}"}}},
        "broken": {"description": "Fails.", "parameters": word, "type": "http",
            "config": {"url": format!("{upstream}/broken")}},
    });
    let known = all["agents"].as_object_mut().expect("agents");
    // Each may ask all the others.
    let chain: Vec<String> = (0..8).map(|n| format!("chain{n}")).collect();
    for name in &chain {
        let others: Vec<&String> = chain.iter().filter(|other| *other != name).collect();
        known.insert(
            name.clone(),
            json!({"model": name, "allow_delegation": true, "delegate_to": others,
            "limits": {"repeats": 100}, "retry_policy": never}),
        );
    }
    known.extend(agents.as_object().expect("an object").clone());
    all["tools"] = tools;
    all
}
