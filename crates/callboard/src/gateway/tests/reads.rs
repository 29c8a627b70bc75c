//! Reads of what is large, growing or damaged.

use super::*;
use async_trait::async_trait;
use callboard_catalog::{
    Answering, Append, AppendError, AskedPlace, AskedRow, Change, Definitions, Draft, Drafts, Early,
    EarlyMessage, Entry, Error as CatalogError, Expected, Idempotency, Journal, Keys, Meter, NO_HASH,
    NewDraft, NewVersion, NewWorkflow, Once, OpenRun, Pins, Quotas, Renaming, RunFilter, RunProjection,
    RunRow, Search, Signing, Standing, Survey, Sweep, Tip, UsageSpan, Used, Version, Workflow,
};
use callboard_core::{
    Datum, Hash,
    id::{ProjectId, RunId, WorkflowId},
    workflow::{Event, StepKey, What, event::Reserved},
};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

fn started(n: u64) -> What {
    What::StepStarted {
        step: StepKey::new(1, &format!("n{n}"), ""),
        attempt: 1,
        input: Some(Datum::inline(json!({"n": n}))),
        deadline: None,
        reserved: Reserved::default(),
    }
}

fn completed(n: u64) -> What {
    What::StepCompleted {
        step: StepKey::new(1, &format!("n{n}"), ""),
        attempt: 1,
        output: Datum::inline("done"),
        branch: None,
        usage: None,
        error: None,
        op: None,
        signal: None,
        body: None,
        fallbacks: Vec::new(),
    }
}

pub(super) fn entry(seq: u64, what: What) -> Entry {
    let event = Event { at: Timestamp(0), what };
    let event = serde_json::to_string(&event).expect("JSON");
    Entry { seq, at: Timestamp(0), hash: Hash::of(&seq.to_le_bytes()), event }
}

/// Appends entries of a run that has ended, so that no actor is asked.
pub(super) async fn ended(catalog: &dyn Catalog, run: &str, entries: Vec<Entry>, summary: &str) {
    let last = entries.len() as u64;
    let run: RunId = run.parse().expect("an id");
    let append = Append {
        run: run.clone(),
        first_seq: 1,
        prev_hash: NO_HASH,
        entries,
        values: Vec::new(),
        next_check_at: None,
        row: RunProjection {
            status: "completed".into(),
            summary: summary.into(),
            ended_at: Some(Timestamp(9)),
            ..RunProjection::default()
        },
    };
    catalog.append(append).await.expect("appended");
    assert!(catalog.mark_cleaned(&run, last).await.expect("marked"));
}

#[tokio::test]
async fn a_run_that_cannot_be_read_hides_no_other() {
    let api = Api::new().await;
    recorded(&*api.catalog, "good").await;
    for (run, summary) in [("bad", "{"), ("newer", "{\"status\": \"levitating\"}")] {
        ended(&*api.catalog, run, vec![entry(1, started(1))], summary).await;
    }
    let list = api.get("/api/v1/runs").await;
    assert_eq!(list.status, 200, "{}", list.body);
    let items = list.body["items"].as_array().expect("items");
    assert_eq!(items.len(), 3);
    for item in items {
        let marked = item["unreadable"] == json!(true);
        assert_eq!(marked, item["id"] != json!("good"), "{item}");
        assert_eq!(item["status"], "completed");
    }
    let read = api.get("/api/v1/runs/bad").await;
    assert_eq!((read.status, &read.body["unreadable"], &read.body["id"]), (200, &json!(true), &json!("bad")));
}

#[tokio::test]
async fn an_event_that_cannot_be_read_hides_no_other() {
    let api = Api::new().await;
    let damaged = |seq, event: &str| Entry { event: event.into(), ..entry(seq, started(seq)) };
    let entries = vec![
        entry(1, started(1)),
        damaged(2, "not JSON"),
        damaged(3, "{\"at\": 0, \"what\": {\"step_levitated\": {}}}"),
        entry(4, completed(1)),
    ];
    ended(&*api.catalog, "r", entries, "{}").await;
    let steps = api.get("/api/v1/runs/r/steps").await;
    assert_eq!((steps.status, &steps.body["unreadable"]), (200, &json!([2, 3])), "{}", steps.body);
    assert_eq!(steps.body["items"][0]["status"], "completed");
    let history = api.get("/api/v1/runs/r/history").await;
    let types: Vec<_> =
        history.body["items"].as_array().expect("items").iter().map(|item| &item["type"]).collect();
    assert_eq!(types, ["step.started", "unreadable", "unreadable", "step.completed"]);
    assert_eq!(history.body["items"][1]["seq"], 2);
}

/// A catalog of one run whose history has a further page whenever it is read: it grows as fast as anybody reads.
struct Growing {
    row_seq: u64,
    read: Arc<AtomicU64>,
}

#[async_trait]
impl Definitions for Growing {
    async fn create_workflow(&self, _: NewWorkflow) -> Result<Workflow, CatalogError> {
        unreachable!("no workflow is made")
    }
    async fn update_workflow(
        &self,
        _: &ProjectId,
        _: &WorkflowId,
        _: NewVersion,
    ) -> Result<Workflow, CatalogError> {
        unreachable!("no workflow is changed")
    }
    async fn workflow(
        &self,
        _: &ProjectId,
        _: &WorkflowId,
        _: Option<u32>,
    ) -> Result<Option<Workflow>, CatalogError> {
        Ok(None)
    }
    async fn hide_workflow(&self, _: &ProjectId, _: &WorkflowId) -> Result<bool, CatalogError> {
        Ok(false)
    }
    async fn workflows(
        &self,
        _: &ProjectId,
        _: Option<&WorkflowId>,
        _: u32,
    ) -> Result<Vec<Workflow>, CatalogError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Drafts for Growing {
    async fn create_draft(&self, _: NewWorkflow) -> Result<Workflow, CatalogError> {
        unreachable!("no draft is asked for")
    }
    async fn draft(&self, _: &ProjectId, _: &WorkflowId) -> Result<Option<Draft>, CatalogError> {
        unreachable!("no draft is asked for")
    }
    async fn save_draft(&self, _: &ProjectId, _: &WorkflowId, _: NewDraft) -> Result<Workflow, CatalogError> {
        unreachable!("no draft is asked for")
    }
    async fn discard_draft(&self, _: &ProjectId, _: &WorkflowId, _: Expected) -> Result<(), CatalogError> {
        unreachable!("no draft is asked for")
    }
    async fn versions(
        &self,
        _: &ProjectId,
        _: &WorkflowId,
        _: Option<u32>,
        _: u32,
    ) -> Result<Vec<Version>, CatalogError> {
        unreachable!("no draft is asked for")
    }
    async fn note_version(
        &self,
        _: &ProjectId,
        _: &WorkflowId,
        _: u32,
        _: Option<String>,
    ) -> Result<(), CatalogError> {
        unreachable!("no draft is asked for")
    }
    async fn rename_workflow(
        &self,
        _: &ProjectId,
        _: &WorkflowId,
        _: Renaming,
    ) -> Result<Workflow, CatalogError> {
        unreachable!("no draft is asked for")
    }
    async fn runs_by_version(
        &self,
        _: &ProjectId,
        _: &WorkflowId,
        _: &[&str],
    ) -> Result<BTreeMap<u32, u64>, CatalogError> {
        unreachable!("no draft is asked for")
    }
}

#[async_trait]
impl Journal for Growing {
    async fn append(&self, _: Append) -> Result<(), AppendError> {
        Ok(())
    }
    async fn tip(&self, _: &RunId, _: Option<u64>) -> Result<Option<Tip>, CatalogError> {
        Ok(None)
    }
    async fn history(&self, _: &RunId, after: u64, limit: u32) -> Result<Vec<Entry>, CatalogError> {
        let read = self.read.fetch_add(u64::from(limit), Ordering::Relaxed);
        assert!(read < 10 * self.row_seq, "it is read for ever");
        // Each step is completed much later than it is started.
        let what =
            |seq: u64| if seq <= self.row_seq / 2 { started(seq) } else { completed(seq - self.row_seq / 2) };
        Ok((after + 1..=after + u64::from(limit)).map(|seq| entry(seq, what(seq))).collect())
    }
    async fn values(&self, _: &RunId, _: &[String]) -> Result<BTreeMap<String, bytes::Bytes>, CatalogError> {
        Ok(BTreeMap::new())
    }
    async fn run(&self, id: &RunId) -> Result<Option<RunRow>, CatalogError> {
        Ok(Some(RunRow {
            id: id.clone(),
            workflow_id: None,
            version: None,
            summary: "{}".into(),
            status: "running".into(),
            seq: self.row_seq,
            created_at: Timestamp(0),
            ended_at: None,
            next_check_at: None,
            purged: false,
            cleaned_seq: 0,
        }))
    }
    async fn runs(
        &self,
        _: &ProjectId,
        _: RunFilter,
        _: Option<&RunId>,
        _: u32,
    ) -> Result<Vec<RunRow>, CatalogError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Pins for Growing {
    async fn keep_pin(
        &self,
        _: &ProjectId,
        _: Hash,
        _: bytes::Bytes,
        _: Timestamp,
    ) -> Result<(), CatalogError> {
        Ok(())
    }
    async fn pin(&self, _: &ProjectId, _: Hash) -> Result<Option<bytes::Bytes>, CatalogError> {
        Ok(None)
    }
    async fn forget_pins(&self, _: &ProjectId, _: Timestamp) -> Result<u64, CatalogError> {
        Ok(0)
    }
}

#[async_trait]
impl Sweep for Growing {
    async fn projects(&self) -> Result<Vec<ProjectId>, CatalogError> {
        Ok(Vec::new())
    }
    async fn open_runs(
        &self,
        _: &ProjectId,
        _: &str,
        _: Option<&RunId>,
        _: u32,
    ) -> Result<Vec<OpenRun>, CatalogError> {
        Ok(Vec::new())
    }
    async fn due(&self, _: Timestamp, _: Timestamp, _: u32) -> Result<Vec<RunId>, CatalogError> {
        Ok(Vec::new())
    }
    async fn mark_cleaned(&self, _: &RunId, _: u64) -> Result<bool, CatalogError> {
        Ok(false)
    }
    async fn mark_purged(&self, _: &RunId, _: Option<Timestamp>) -> Result<(), CatalogError> {
        Ok(())
    }
}

#[async_trait]
impl Keys for Growing {
    async fn signing(&self) -> Result<Signing, CatalogError> {
        Ok(Signing { keys: Vec::new(), required: false })
    }
    async fn first_key(&self, _: [u8; 32], _: Timestamp) -> Result<(), CatalogError> {
        Ok(())
    }
    async fn rotate_key(&self, _: [u8; 32], _: Timestamp) -> Result<u32, CatalogError> {
        Ok(1)
    }
    async fn require_signatures(&self) -> Result<bool, CatalogError> {
        Ok(false)
    }
}

#[async_trait]
impl Idempotency for Growing {
    async fn answered(&self, _: &callboard_catalog::Request) -> Result<Option<Once>, CatalogError> {
        unreachable!("nothing is changed")
    }

    async fn once(
        &self,
        _: callboard_catalog::Request,
        _: Change,
        _: Answering,
    ) -> Result<Once, CatalogError> {
        unreachable!("nothing is changed")
    }

    async fn forget_answers(&self, _: Timestamp, _: u32) -> Result<u64, CatalogError> {
        Ok(0)
    }
}

#[async_trait]
impl Early for Growing {
    async fn keep_early(&self, _: EarlyMessage, _: Timestamp, _: u32) -> Result<bool, CatalogError> {
        unreachable!("nothing is changed")
    }

    async fn early(&self, _: Timestamp, _: Timestamp, _: u32) -> Result<Vec<EarlyMessage>, CatalogError> {
        Ok(Vec::new())
    }

    async fn early_again(&self, _: &str, _: Timestamp) -> Result<(), CatalogError> {
        unreachable!("nothing is changed")
    }

    async fn forget_early(&self, _: &str) -> Result<bool, CatalogError> {
        unreachable!("nothing is changed")
    }
}

#[async_trait]
impl Catalog for Growing {
    async fn health(&self) -> Result<(), CatalogError> {
        Ok(())
    }
    async fn close(&self) {}
}

#[tokio::test]
async fn the_steps_of_a_run_that_grows_as_fast_as_it_is_read_end() {
    let read = Arc::new(AtomicU64::new(0));
    let seq = 8000;
    let api = Api::over_histories(Arc::new(Growing { row_seq: seq, read: read.clone() })).await;
    let page = api.get("/api/v1/runs/r/steps?limit=5").await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert_eq!((page.body["items"].as_array().map(Vec::len), &page.body["next"]), (Some(5), &json!("5")));
    // The first steps have ended in the middle of the history: what comes after is not read for them.
    assert!(page.body["items"].as_array().expect("items").iter().all(|item| item["status"] == "completed"));
    let first = read.swap(0, Ordering::Relaxed);
    assert!(first <= seq / 2 + 1000, "{first}");
    let last = api.get("/api/v1/runs/r/steps?limit=5&cursor=3998").await;
    assert_eq!((last.body["items"].as_array().map(Vec::len), &last.body["next"]), (Some(2), &Value::Null));
    assert!(read.load(Ordering::Relaxed) <= seq);
}

#[tokio::test]
async fn who_asks_what_changed_gets_that_and_where_to_go_on() {
    let api = Api::new().await;
    let steps = async |query: &str| api.get(&format!("/api/v1/runs/r/steps{query}")).await.body;
    append(&*api.catalog, "r", 1, 2).await;
    let first = steps("?after=0").await;
    assert_eq!((&first["items"][0]["status"], &first["seq"]), (&json!("running"), &json!(2)), "{first}");
    assert_eq!(steps("?after=2").await, json!({"items": [], "next": null, "seq": 2}));
    append(&*api.catalog, "r", 3, 4).await;
    let more = steps("?after=2").await;
    assert_eq!((&more["items"][0]["status"], &more["seq"]), (&json!("completed"), &json!(4)), "{more}");
    // As the whole shows it, with what was recorded before.
    assert_eq!(more["items"], steps("").await["items"]);
    assert_eq!(steps("").await.get("seq"), None);
    assert_eq!(steps("?after=4").await, json!({"items": [], "next": null, "seq": 4}));
    assert_eq!(steps("?after=99").await["items"], json!([]));
    is_problem(&api.get("/api/v1/runs/r/steps?after=x").await, 400, "invalid_cursor");
}

#[tokio::test]
async fn what_changed_is_told_without_reading_everything_again() {
    let read = Arc::new(AtomicU64::new(0));
    let seq = 8000;
    let api = Api::over_histories(Arc::new(Growing { row_seq: seq, read: read.clone() })).await;
    let first = api.get("/api/v1/runs/r/steps?after=0&limit=1000").await.body;
    assert_eq!((first["items"].as_array().map(Vec::len), &first["next"]), (Some(1000), &json!("1000")));
    assert_eq!(read.swap(0, Ordering::Relaxed), seq);
    // The last ten events ended ten steps.
    let next = api.get("/api/v1/runs/r/steps?after=7990&limit=6").await.body;
    let nodes = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().expect("items").iter();
        items.map(|item| item["node"].as_str().expect("a node").to_owned()).collect()
    };
    assert_eq!(nodes(&next), ["n3991", "n3992", "n3993", "n3994", "n3995", "n3996"]);
    assert_eq!((&next["next"], &next["seq"]), (&json!("3996"), &json!(seq)));
    let last = api.get("/api/v1/runs/r/steps?after=7990&limit=6&cursor=3996").await.body;
    assert_eq!((nodes(&last).len(), &last["next"]), (4, &Value::Null));
    assert_eq!(read.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn what_is_recorded_while_the_steps_are_read_is_left_for_the_next_look() {
    let read = Arc::new(AtomicU64::new(0));
    // A page of the history goes further than the run did when it was asked for.
    let api = Api::over_histories(Arc::new(Growing { row_seq: 7990, read })).await;
    let shown = api.get("/api/v1/runs/r/steps?after=0&limit=1").await.body;
    assert_eq!(shown["seq"], json!(7990));
    let last = api.get("/api/v1/runs/r/steps?after=7990").await.body;
    assert_eq!(last, json!({"items": [], "next": null, "seq": 7990}));
}

#[tokio::test]
async fn a_definition_of_too_many_values_is_refused_before_it_is_built() {
    let api = Api::new().await;
    let many =
        format!(r#"{{"name": "n", "nodes": [], "metadata": {{"a": [{}[]]}}}}"#, "[],".repeat(1_300_000));
    let send =
        || api.send(request(Method::POST, "/api/v1/workflows?draft=true", Some("application/json"), &many));
    for answer in futures::future::join_all((0..8).map(|_| send())).await {
        is_problem(&answer, 413, "too_many_values");
    }
    let fine = format!(r#"{{"name": "n", "nodes": [], "metadata": {{"a": [{}[]]}}}}"#, "[],".repeat(1000));
    let made = api.send(request(Method::POST, "/api/v1/workflows", Some("application/json"), &fine)).await;
    assert_eq!(made.status, 201, "{}", made.body);
}

#[async_trait]
impl Survey for Growing {
    async fn search_runs(
        &self,
        _: &ProjectId,
        _: Search,
        _: Option<&RunId>,
        _: u32,
    ) -> Result<Vec<RunRow>, CatalogError> {
        Ok(Vec::new())
    }
    async fn asked(
        &self,
        _: &ProjectId,
        _: Option<&AskedPlace>,
        _: u32,
    ) -> Result<Vec<AskedRow>, CatalogError> {
        Ok(Vec::new())
    }
    async fn count_asked(&self, _: &ProjectId) -> Result<u64, CatalogError> {
        Ok(0)
    }
}

#[async_trait]
impl Quotas for Growing {
    async fn standing(&self, _: &ProjectId, _: &str, _: &str) -> Result<Option<Standing>, CatalogError> {
        Ok(None)
    }
}

#[async_trait]
impl Meter for Growing {
    async fn counted(&self, _: &RunId) -> Result<Option<u64>, CatalogError> {
        Ok(None)
    }
    async fn count(&self, _: &RunId, _: u64, _: u64, _: Vec<Used>) -> Result<bool, CatalogError> {
        Ok(false)
    }
    async fn usage(&self, _: &ProjectId, _: UsageSpan, _: u32, _: u32) -> Result<Vec<Used>, CatalogError> {
        Ok(Vec::new())
    }
}
