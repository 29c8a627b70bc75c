//! What is measured of agents and models. Names and buckets are the requirements'.

use callboard_core::call::Usage;
use callboard_sidecar::{Sidecar, client::Traffic};
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use std::time::Duration;

#[derive(Clone)]
pub struct Metrics {
    llm_request_duration: Histogram,
    llm_token_usage: IntCounterVec,
    /// In millionths, of models that have a price.
    llm_cost: IntCounterVec,
    /// Calls of models by what came of them.
    llm_requests: IntCounterVec,
    /// How often another model was asked, by the one that failed and why.
    llm_fallbacks: IntCounterVec,
    agent_execution_time: Histogram,
    pub conflicts: IntCounter,
    pub turns: IntCounter,
    pub rolled_forward: IntCounter,
    /// What came to the actors and could not be what it said it was.
    refused: IntCounterVec,
    /// Calls that wait for a place, by whose.
    calls_waiting: IntGaugeVec,
    /// Messages that only our own actors send, taken without a fitting signature.
    unsigned: IntCounterVec,
    /// Bytes of events, values and summaries handed to the catalog.
    pub catalog_bytes: IntCounter,
    registry: Registry,
}

/// A call that waits for a place, counted until it is dropped.
pub struct Waits(IntGauge);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What the process sent to its sidecar, read when somebody looks.
struct Sent {
    sidecar: Sidecar,
    calls: IntCounterVec,
    bytes: IntCounterVec,
    /// What was shown last: counters of ours only go up.
    shown: parking_lot::Mutex<Traffic>,
}

impl Metrics {
    /// Registers the instruments. A registry that has one of these names already keeps the first.
    pub fn new(registry: &Registry) -> Self {
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            let histogram = Histogram::with_opts(opts).expect("the name and buckets are constants and valid");
            register(registry, &histogram);
            histogram
        };
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help).expect("the name is a constant and valid");
            register(registry, &counter);
            counter
        };
        let llm_token_usage = IntCounterVec::new(
            Opts::new("llm_token_usage", "Number of tokens used by LLM requests"),
            &["model", "request_type"],
        )
        .expect("the name and labels are constants and valid");
        register(registry, &llm_token_usage);
        let llm_cost = IntCounterVec::new(
            Opts::new(
                "llm_cost_micros_total",
                "What LLM requests cost, in millionths, of models that have a price",
            ),
            &["model"],
        )
        .expect("the name and labels are constants and valid");
        register(registry, &llm_cost);
        let llm_requests = IntCounterVec::new(
            Opts::new("llm_requests_total", "LLM requests by what came of them"),
            &["model", "outcome"],
        )
        .expect("the name and labels are constants and valid");
        register(registry, &llm_requests);
        let llm_fallbacks = IntCounterVec::new(
            Opts::new("llm_fallbacks_total", "LLM requests passed on to another model, by why"),
            &["model", "reason"],
        )
        .expect("the name and labels are constants and valid");
        register(registry, &llm_fallbacks);
        let refused = IntCounterVec::new(
            Opts::new(
                "callboard_refused_total",
                "Calls of others' and answers nobody was asked for, refused",
            ),
            &["what"],
        )
        .expect("the name and labels are constants and valid");
        register(registry, &refused);
        let calls_waiting = IntGaugeVec::new(
            Opts::new(
                "callboard_calls_waiting",
                "Calls of models, tools and http nodes that wait for a place",
            ),
            &["for"],
        )
        .expect("the name and labels are constants and valid");
        register(registry, &calls_waiting);
        let unsigned = IntCounterVec::new(
            Opts::new(
                "callboard_unsigned_total",
                "Messages between actors that were taken although their signature is missing or wrong",
            ),
            &["actor"],
        )
        .expect("the name and labels are constants and valid");
        register(registry, &unsigned);
        Self {
            refused,
            calls_waiting,
            unsigned,
            llm_request_duration: histogram(
                "llm_request_duration",
                "Duration of LLM API requests",
                &[0.1, 0.5, 1.0, 2.0, 5.0],
            ),
            llm_token_usage,
            llm_cost,
            llm_requests,
            llm_fallbacks,
            agent_execution_time: histogram(
                "agent_execution_time",
                "Time taken for agent task execution",
                &[1.0, 5.0, 10.0, 30.0, 60.0],
            ),
            conflicts: counter("callboard_commit_conflicts_total", "Commits refused or of unknown outcome"),
            turns: counter("callboard_turns_total", "Actor turns"),
            rolled_forward: counter("callboard_rolled_forward_total", "Documents repaired from the history"),
            catalog_bytes: counter("callboard_catalog_bytes_total", "Bytes handed to the catalog"),
            registry: registry.clone(),
        }
    }

    /// Counts a call that waits for a place of a provider, of `http`, or of the `process`.
    pub fn waits(&self, whose: &str) -> Waits {
        let waiting = self.calls_waiting.with_label_values(&[whose]);
        waiting.inc();
        Waits(waiting)
    }

    /// Counts something refused, by what it was said to be.
    pub fn refused(&self, what: &str) {
        self.refused.with_label_values(&[what]).inc();
    }

    /// Counts a message that was taken without a fitting signature, by the type of actor it is for.
    pub fn unsigned(&self, actor: &str) {
        self.unsigned.with_label_values(&[actor]).inc();
    }

    /// Shows what goes through a sidecar's client.
    pub fn watch(&self, sidecar: &Sidecar) {
        let calls = Opts::new("callboard_sidecar_calls_total", "Calls to the sidecar");
        let bytes =
            Opts::new("callboard_sidecar_bytes_total", "Bytes of keys and values handed to the sidecar");
        let (Ok(calls), Ok(bytes)) =
            (IntCounterVec::new(calls, &["call"]), IntCounterVec::new(bytes, &["to"]))
        else {
            return;
        };
        let sent = Sent { sidecar: sidecar.clone(), calls, bytes, shown: parking_lot::Mutex::default() };
        // One client for each process: a second host's is not exported.
        let _ = self.registry.register(Box::new(sent));
    }

    /// Counts a task that goes on with another model, by the code of the failure.
    pub fn fell_back(&self, model: &str, reason: &str) {
        self.llm_fallbacks.with_label_values(&[model, reason]).inc();
    }

    /// `outcome` is `complete`, `cut`, `filtered`, `refused`, or the code of a failure.
    pub fn model_called(&self, model: &str, took: Duration, outcome: &str, usage: Option<&Usage>) {
        self.llm_requests.with_label_values(&[model, outcome]).inc();
        self.llm_request_duration.observe(took.as_secs_f64());
        if let Some(usage) = usage {
            self.llm_token_usage.with_label_values(&[model, "prompt"]).inc_by(usage.prompt_tokens);
            self.llm_token_usage.with_label_values(&[model, "completion"]).inc_by(usage.completion_tokens);
            if usage.priced > 0 {
                self.llm_cost.with_label_values(&[model]).inc_by(usage.cost);
            }
        }
    }

    pub fn task_ended(&self, took: Duration) {
        self.agent_execution_time.observe(took.as_secs_f64());
    }
}

impl Collector for Sent {
    fn desc(&self) -> Vec<&Desc> {
        [self.calls.desc(), self.bytes.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let now = self.sidecar.traffic();
        let mut shown = self.shown.lock();
        for (call, count) in &now.calls {
            let name = format!("{call:?}");
            self.calls.with_label_values(&[name.as_str()]).inc_by(count - shown.of(*call));
        }
        self.bytes.with_label_values(&["state"]).inc_by(now.state_bytes - shown.state_bytes);
        self.bytes.with_label_values(&["bus"]).inc_by(now.bus_bytes - shown.bus_bytes);
        *shown = now;
        [self.calls.collect(), self.bytes.collect()].concat()
    }
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: &C) {
    // Two hosts in one process (tests do that) share a registry; the second's instruments are then not exported.
    let _ = registry.register(Box::new(collector.clone()));
}
