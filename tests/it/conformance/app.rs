//! The application behind every server under test: it records what it is asked and answers as it is told.
//!
//! Paths are what keeps cases apart: each case has actor ids, topics and routes of its own. The same router serves
//! a socket (for daprd and the embedded server's process) and the embedded server in this process.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{Semaphore, watch};

use super::documents;

/// How long a case waits for the server to call. Far above what it takes: the machine may be busy.
pub const WITHIN: Duration = Duration::from_secs(20);

/// The application's state; clones share it.
#[derive(Clone)]
pub struct App {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    seen: HashMap<String, Vec<Asked>>,
    once: HashMap<String, VecDeque<Answer>>,
    always: HashMap<String, Answer>,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    pub at: Instant,
    pub method: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The caller went away before the answer.
    pub cut: Arc<AtomicBool>,
    pub answered: Arc<AtomicBool>,
}

/// What the application answers.
#[derive(Clone, Default)]
pub struct Answer {
    status: Option<u16>,
    headers: Vec<(&'static str, &'static str)>,
    body: Bytes,
    gate: Option<Gate>,
}

/// Holds answers back until it is opened, once for each.
#[derive(Clone)]
pub struct Gate(Arc<Semaphore>);

// === impl App ===

impl App {
    pub fn new() -> Self {
        Self { state: Arc::default(), changed: watch::Sender::new(0) }
    }

    pub fn router(&self) -> Router {
        let app = self.clone();
        Router::new().fallback(move |request: Request| app.clone().handle(request))
    }

    /// Answers the next request for a path; queues up.
    pub fn once(&self, path: &str, answer: Answer) {
        self.lock().once.entry(path.to_owned()).or_default().push_back(answer);
    }

    /// Answers every request for a path that has no answer of its own.
    pub fn always(&self, path: &str, answer: Answer) {
        self.lock().always.insert(path.to_owned(), answer);
    }

    /// Returns the requests for a path so far.
    pub fn asked(&self, path: &str) -> Vec<Asked> {
        self.lock().seen.get(path).cloned().unwrap_or_default()
    }

    /// Waits until a path has been asked for so many times, and returns the requests.
    pub async fn called(&self, path: &str, times: usize) -> Vec<Asked> {
        let mut changes = self.changed.subscribe();
        let search = async {
            while self.asked(path).len() < times {
                changes.changed().await.expect("the application holds the sender");
            }
        };
        let in_time = tokio::time::timeout(WITHIN, search).await.is_ok();
        let asked = self.asked(path);
        assert!(in_time, "not within {WITHIN:?}: {times} requests for {path}, only {}", asked.len());
        asked
    }

    /// Waits until a request's caller is gone before it was answered.
    pub async fn cut(&self, asked: &Asked) {
        let mut changes = self.changed.subscribe();
        let search = async {
            while !asked.cut.load(SeqCst) {
                changes.changed().await.expect("the application holds the sender");
            }
        };
        let in_time = tokio::time::timeout(WITHIN, search).await.is_ok();
        assert!(in_time, "not within {WITHIN:?}: the end of a request that nobody waits for");
    }

    async fn handle(self, request: Request) -> Result<Response, Infallible> {
        let (head, body) = request.into_parts();
        let body = to_bytes(body, 64 << 20).await.unwrap_or_default();
        let path = head.uri.path().to_owned();
        let asked = Asked {
            at: Instant::now(),
            method: head.method.to_string(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers,
            body,
            cut: Arc::default(),
            answered: Arc::default(),
        };
        let answer = self.decide(&path, &asked);
        let mut caller = Caller { app: self.clone(), asked };
        self.tell();
        if let Some(Gate(gate)) = &answer.gate {
            gate.acquire().await.expect("a gate is never closed").forget();
        }
        caller.answered();
        let mut response = Response::new(Body::from(answer.body));
        *response.status_mut() =
            StatusCode::from_u16(answer.status.unwrap_or(200)).expect("a status that exists");
        for (name, value) in answer.headers {
            response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        Ok(response)
    }

    fn decide(&self, path: &str, asked: &Asked) -> Answer {
        let mut state = self.lock();
        state.seen.entry(path.to_owned()).or_default().push(asked.clone());
        if let Some(answer) = state.once.get_mut(path).and_then(VecDeque::pop_front) {
            return answer;
        }
        if let Some(answer) = state.always.get(path) {
            return answer.clone();
        }
        match path {
            "/dapr/config" => Answer::json(&documents::config()),
            "/dapr/subscribe" => Answer::json(&documents::subscriptions()),
            _ => Answer::default(),
        }
    }

    fn tell(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Notices that the caller is gone: its request's future is dropped before the answer.
struct Caller {
    app: App,
    asked: Asked,
}

impl Caller {
    fn answered(&mut self) {
        self.asked.answered.store(true, SeqCst);
        self.app.tell();
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        if !self.asked.answered.load(SeqCst) {
            self.asked.cut.store(true, SeqCst);
            self.app.tell();
        }
    }
}

// === impl Asked ===

impl Asked {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    }
}

// === impl Answer ===

impl Answer {
    pub fn status(status: u16) -> Self {
        Self { status: Some(status), ..Self::default() }
    }

    pub fn text(text: impl Into<String>) -> Self {
        Self { body: text.into().into(), ..Self::default() }
    }

    pub fn json(value: &Value) -> Self {
        Self::text(value.to_string()).header("content-type", "application/json")
    }

    pub fn body(mut self, text: &str) -> Self {
        self.body = text.to_owned().into();
        self
    }

    pub fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    pub fn after(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }
}

// === impl Gate ===

impl Gate {
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets so many answers out, now or later.
    pub fn open(&self, answers: usize) {
        self.0.add_permits(answers);
    }
}
