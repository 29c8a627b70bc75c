//! Calls by chance, made on two catalogs alike: whatever one answers, so does the other.
//!
//! There are few names, so that calls meet: appends repeat, overlap, fork and leave holes in the same histories, lists are
//! paged by runs that are there or not. What is compared is the whole answer, errors by their kind.

mod access;
mod drafts;
mod marks;
mod triggers;

use super::{at, batch, hash};
use crate::{
    Answer, Answering, Append, AppendError, Asking, Catalog, Change, EarlyMessage, Error, NewVersion,
    NewWorkflow, Provenance, Request, RunFilter, Search, UsageBy, UsageSpan, Used, Words,
};
use bytes::Bytes;
use callboard_core::{
    Hash, Timestamp,
    call::Usage,
    id::{ProjectId, RunId, WorkflowId},
};
use serde_json::{Map, json};
use std::fmt::Debug;

pub use access::ask;
pub use marks::count;
pub use triggers::pull;

/// A sequence that is the same for the same seed (SplitMix64).
pub struct Chance {
    state: u64,
    /// Instants lie above it, ids are made of it: an old catalog may be used.
    world: u64,
    projects: Vec<ProjectId>,
}

const STATUSES: [&str; 5] = ["running", "waiting", "completed", "failed", "it's \"odd\""];
const NAMES: [&str; 4] = ["ship goods", "Ship a letter", "let it be", "über \"all\""];

impl Chance {
    pub fn new(seed: u64) -> Self {
        let world = seed % 10_000;
        let projects = (0..3).map(|n| format!("world-{world}-{n}").parse().unwrap()).collect();
        Self { state: seed, world, projects }
    }

    fn roll(&mut self, below: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % below
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.roll(n) == 0
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        let n = self.roll(of.len() as u64);
        of[usize::try_from(n).unwrap()].clone()
    }

    fn project(&mut self) -> ProjectId {
        let projects = self.projects.clone();
        self.pick(&projects)
    }

    fn run(&mut self) -> RunId {
        let project = self.project();
        let name = format!("{}{}", self.pick(&["run-", "run_", "Run"]), self.roll(12));
        RunId::new(&project, &name).unwrap()
    }

    fn workflow(&mut self) -> WorkflowId {
        let n = u128::from(self.roll(8));
        let id = uuid::Uuid::from_u128((0x018f_0000_7000_u128 << 80) | (u128::from(self.world) << 16) | n);
        WorkflowId::new(id.to_string())
    }

    fn instant(&mut self) -> Timestamp {
        Timestamp(1_500_000_000_000 + i64::try_from(self.roll(40)).unwrap())
    }

    fn maybe<T>(&mut self, of: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (!self.one_in(3)).then(|| of(self))
    }

    /// An append that often continues, and sometimes does not. `end` is where the history ends.
    fn append(&mut self, run: RunId, end: u64) -> Append {
        let first = match self.roll(10) {
            0 => 1 + self.roll(end + 1),
            1 => end + 2 + self.roll(2),
            2 => 1,
            _ => end + 1,
        };
        let fork = if self.one_in(8) { "b" } else { "a" };
        let mut append = batch(&run, first, self.roll(4), fork);
        if self.one_in(20) {
            append.prev_hash = hash(first + 7, "b");
        }
        if self.one_in(25) && append.entries.len() > 1 {
            append.entries.swap(0, 1);
        }
        for _ in 0..self.roll(3) {
            let (key, value) = (format!("k{}", self.roll(6)), format!("value {}", self.roll(100)));
            append.values.push((key, Bytes::from(value)));
        }
        append.next_check_at = self.maybe(Self::instant);
        append.row.workflow_id = self.maybe(Self::workflow);
        append.row.version = self.maybe(|chance| u32::try_from(chance.roll(5)).unwrap());
        append.row.status = self.pick(&STATUSES).to_owned();
        append.row.summary = format!(r#"{{"n":{}}}"#, self.roll(1000));
        append.row.created_at = self.instant();
        append.row.ended_at = self.maybe(Self::instant);
        append.row.retain_until = self.maybe(Self::instant);
        append.row.purging = self.one_in(10);
        append.row.name = self.pick(&NAMES).to_owned();
        append.row.error = self.one_in(3).then(|| self.pick(&NAMES).to_uppercase());
        for n in 0..self.roll(3) {
            let asked = format!(r#"{{"n":{}}}"#, self.roll(9));
            append.row.asks.push(Asking { step: format!("1.n{n}."), since: self.instant(), asked });
        }
        append
    }

    fn filter(&mut self) -> RunFilter {
        RunFilter {
            workflow_id: self.one_in(3).then(|| self.workflow()),
            statuses: (0..self.roll(4)).map(|_| self.pick(&STATUSES).to_owned()).collect(),
            from: self.one_in(3).then(|| self.instant()),
            to: self.one_in(3).then(|| self.instant()),
            oldest_first: self.one_in(3),
        }
    }
}

/// Makes one call on both, and returns what each answered.
pub async fn call(chance: &mut Chance, one: &dyn Catalog, other: &dyn Catalog) -> [String; 2] {
    /// The same expression on both; it borrows its arguments.
    macro_rules! both {
        ($name:expr, $catalog:ident => $call:expr) => {{
            let first = {
                let $catalog = one;
                $call.await
            };
            let second = {
                let $catalog = other;
                $call.await
            };
            [format!("{}: {}", $name, told(first)), format!("{}: {}", $name, told(second))]
        }};
    }
    let (run, project, workflow) = (chance.run(), chance.project(), chance.workflow());
    let limit = u32::try_from(chance.roll(6)).unwrap();
    match chance.roll(31) {
        0..=7 => {
            let end = one.tip(&run, None).await.ok().flatten().map_or(0, |tip| tip.seq);
            let append = chance.append(run, end);
            let name = format!("append {append:?}");
            let (first, second) = (one.append(append.clone()).await, other.append(append).await);
            [first, second]
                .map(|result| format!("{name}: {}", result.map_or_else(refused, |()| "appended".to_owned())))
        }
        8 => {
            let asked = chance.maybe(|chance| chance.roll(9));
            both!(format!("tip {run} {asked:?}"), c => c.tip(&run, asked))
        }
        9 => {
            let after = chance.roll(9);
            both!(format!("history {run} {after} {limit}"), c => c.history(&run, after, limit))
        }
        10 => {
            let keys: Vec<String> = (0..chance.roll(4)).map(|_| format!("k{}", chance.roll(8))).collect();
            both!(format!("values {run} {keys:?}"), c => c.values(&run, &keys))
        }
        11 => both!(format!("run {run}"), c => c.run(&run)),
        12 | 13 => {
            let (filter, after) = (chance.filter(), chance.one_in(2).then_some(run));
            both!(format!("runs {project} {filter:?} {after:?} {limit}"), c => c.runs(&project, filter.clone(), after.as_ref(), limit))
        }
        14 => {
            let (status, after) = (chance.pick(&STATUSES), chance.one_in(2).then_some(run));
            both!(format!("open {project} {status} {after:?} {limit}"), c => c.open_runs(&project, status, after.as_ref(), limit))
        }
        15 => {
            // Which of two that are due at the same instant comes first is nobody's promise: all are asked for.
            let (now, then) = (chance.instant(), chance.instant());
            let mut due =
                [one.due(now, then, 10_000).await.unwrap(), other.due(now, then, 10_000).await.unwrap()];
            due.iter_mut().for_each(|due| due.sort());
            due.map(|due| format!("due {now:?} {then:?}: {due:?}"))
        }
        16 => {
            let seq = one.tip(&run, None).await.ok().flatten().map_or(0, |tip| tip.seq) + chance.roll(8) / 7;
            both!(format!("cleaned {run} {seq}"), c => c.mark_cleaned(&run, seq))
        }
        17 if chance.one_in(3) => {
            let next = chance.maybe(Chance::instant);
            both!(format!("purged {run} {next:?}"), c => c.mark_purged(&run, next))
        }
        17 => {
            let kept = Hash::of(&[u8::try_from(chance.roll(5)).unwrap()]);
            let used = Timestamp(chance.instant().0 + i64::try_from(chance.roll(3)).unwrap() * 86_400_000);
            both!(format!("keep {project} {kept}"), c => c.keep_pin(&project, kept, Bytes::from_static(b"{}"), used))
        }
        18 => {
            let kept = Hash::of(&[u8::try_from(chance.roll(5)).unwrap()]);
            let now = Timestamp(chance.instant().0 + i64::try_from(chance.roll(4)).unwrap() * 86_400_000);
            let pins = both!(format!("pin {project} {kept}"), c => c.pin(&project, kept));
            let gone = both!(format!("forget {project} {now:?}"), c => c.forget_pins(&project, now));
            [0, 1].map(|n| format!("{} {}", pins[n], gone[n]))
        }
        19 => {
            let new = new(chance, project, workflow);
            both!(format!("create {} {}", new.project, new.id), c => c.create_workflow(new.clone()))
        }
        20 => {
            let expected = chance.one_in(2).then(|| u32::try_from(chance.roll(4)).unwrap());
            let change = change(chance, expected);
            both!(format!("update {project} {workflow} {expected:?}"), c => c.update_workflow(&project, &workflow, change.clone()))
        }
        21 | 22 => {
            let asked = request(chance, &project);
            let change = named(chance, project, workflow);
            both!(format!("once {asked:?} {change:?}"), c => c.once(asked.clone(), change.clone(), answering()))
        }
        23 => {
            let asked = request(chance, &project);
            let before = Timestamp(chance.instant().0 - i64::try_from(chance.roll(3)).unwrap() * 86_400_000);
            let answered = both!(format!("answered {asked:?}"), c => c.answered(&asked));
            let gone = both!(format!("forget {before:?}"), c => c.forget_answers(before, 10_000));
            [0, 1].map(|n| format!("{} {}", answered[n], gone[n]))
        }
        24 => early(chance, run, one, other).await,
        25 | 26 => drafts::ask(chance, (project, workflow), one, other).await,
        27 | 28 => survey(chance, project, one, other).await,
        29 => meter(chance, run, one, other).await,
        _ => match chance.roll(3) {
            0 if chance.one_in(6) => {
                both!(format!("hide {project} {workflow}"), c => c.hide_workflow(&project, &workflow))
            }
            0 | 1 => {
                let version = chance.maybe(|chance| u32::try_from(chance.roll(4)).unwrap());
                both!(format!("workflow {project} {workflow} {version:?}"), c => c.workflow(&project, &workflow, version))
            }
            _ => {
                let after = chance.one_in(2).then_some(workflow);
                both!(format!("workflows {project} {after:?} {limit}"), c => c.workflows(&project, after.as_ref(), limit))
            }
        },
    }
}

/// What is asked over all runs.
async fn survey(
    chance: &mut Chance,
    project: ProjectId,
    one: &dyn Catalog,
    other: &dyn Catalog,
) -> [String; 2] {
    let text = chance.pick(&["ship", "let", "LE be", "goods", "run", "ü", "nobody"]);
    let search = Search {
        words: Words::parse(text).unwrap(),
        workflow_id: chance.one_in(3).then(|| chance.workflow()),
        from: chance.one_in(3).then(|| chance.instant()),
        to: chance.one_in(3).then(|| chance.instant()),
    };
    let (limit, searched) = (u32::try_from(chance.roll(6)).unwrap(), chance.one_in(2));
    let mut answers = [String::new(), String::new()];
    for (catalog, answer) in [one, other].into_iter().zip(&mut answers) {
        let what = if searched {
            // Which of two that began in one millisecond comes first is nobody's promise: all are asked for.
            let mut found = catalog.search_runs(&project, search.clone(), None, 10_000).await.unwrap();
            found.sort_by_key(|row| (row.created_at, row.id.clone()));
            format!("{found:?}")
        } else {
            let count = catalog.count_asked(&project).await.unwrap();
            format!("{count} {}", told(catalog.asked(&project, None, limit).await))
        };
        *answer = format!("survey {project} {search:?} {limit}: {what}");
    }
    answers
}

/// What was used, added and summed up.
async fn meter(chance: &mut Chance, run: RunId, one: &dyn Catalog, other: &dyn Catalog) -> [String; 2] {
    let by = [UsageBy::Day, UsageBy::Workflow, UsageBy::Agent, UsageBy::Model];
    let by: Vec<_> = by.into_iter().filter(|_| chance.one_in(2)).collect();
    let (from, to) = (chance.roll(4), chance.roll(6));
    let day = format!("2027-01-0{}", 1 + chance.roll(5));
    let name = chance.pick(&["a", "b", "'"]).to_owned();
    let usage = Usage {
        calls: chance.roll(9),
        priced: chance.roll(9),
        cost: chance.roll(1 << 40),
        ..Usage::default()
    };
    let used = Used { day: day.clone(), agent: name.clone(), model: name, usage, ..Used::default() };
    let span = UsageSpan { from: "2027-01-02".to_owned(), to: day, by };
    let mut answers = [String::new(), String::new()];
    for (catalog, answer) in [one, other].into_iter().zip(&mut answers) {
        let counted = told(catalog.count(&run, from, to, vec![used.clone()]).await);
        let up_to = told(catalog.counted(&run).await);
        let sums = told(catalog.usage(run.project(), span.clone(), 0, 4).await);
        let stands = told(catalog.standing(run.project(), &span.to, "2027-01-01").await);
        *answer = format!("meter {run} {from} {to} {used:?} {span:?}: {counted} {up_to} {sums} {stands}");
    }
    answers
}

/// Messages that came too early, kept, taken out and forgotten.
async fn early(chance: &mut Chance, run: RunId, one: &dyn Catalog, other: &dyn Catalog) -> [String; 2] {
    let id = format!("source {}", chance.roll(12));
    let (now, then) = (chance.instant(), chance.instant());
    let (kind, number) = (chance.roll(5), u32::try_from(chance.roll(9)).unwrap());
    let mut answers = [String::new(), String::new()];
    for (catalog, answer) in [one, other].into_iter().zip(&mut answers) {
        let what = match kind {
            0 | 1 => {
                let message = EarlyMessage {
                    id: id.clone(),
                    run: run.clone(),
                    method: "signal".to_owned(),
                    message: Bytes::from(format!("message {number}")),
                    event: Bytes::from_static(b"{}"),
                    came_at: now,
                };
                told(catalog.keep_early(message, then, number).await)
            }
            // As a list of what they say: only their ids show.
            2 => told(catalog.early(now, then, number).await.map(|early| {
                let whole = |m: EarlyMessage| (m.id, m.run, m.method, m.message, m.event, m.came_at);
                early.into_iter().map(whole).collect::<Vec<_>>()
            })),
            3 => told(catalog.early_again(&id, then).await),
            _ => told(catalog.forget_early(&id).await),
        };
        *answer = format!("early {kind} {id} {run} {now:?} {then:?} {number}: {what}");
    }
    answers
}

fn request(chance: &mut Chance, project: &ProjectId) -> Request {
    let days = i64::try_from(chance.roll(2)).unwrap();
    Request {
        project: project.clone(),
        route: "POST /workflows",
        key: format!("key {}", chance.roll(12)),
        body: Hash::of(&[u8::from(chance.one_in(4))]),
        at: Timestamp(chance.instant().0 + days * 86_400_000),
    }
}

fn named(chance: &mut Chance, project: ProjectId, id: WorkflowId) -> Change {
    match chance.roll(6) {
        0 => Change::HideWorkflow { project, id },
        4 => Change::CreateDraft(new(chance, project, id)),
        5 => Change::SaveDraft { project, id, change: drafts::draft(chance) },
        1 => Change::CreateWorkflow(new(chance, project, id)),
        _ => {
            let expected = chance.one_in(2).then(|| u32::try_from(chance.roll(4)).unwrap());
            Change::UpdateWorkflow { project, id, change: change(chance, expected) }
        }
    }
}

fn answering() -> Answering {
    Box::new(|workflow| {
        let body = workflow.map(|workflow| format!("{workflow:?}")).unwrap_or_default();
        Answer { status: 200, headers: vec![("etag".to_owned(), "\"1\"".to_owned())], body: body.into() }
    })
}

fn new(chance: &mut Chance, project: ProjectId, id: WorkflowId) -> NewWorkflow {
    let NewVersion { name, description, definition, problems, metadata, at, from, .. } = change(chance, None);
    NewWorkflow { project, id, name, description, definition, problems, metadata, at, from }
}

fn change(chance: &mut Chance, expected: Option<u32>) -> NewVersion {
    let nodes: Vec<_> = (0..chance.roll(4)).map(|n| json!({"id": format!("n{n}"), "type": "wait"})).collect();
    NewVersion {
        expected,
        name: format!("name {}", chance.roll(100)),
        description: chance.maybe(|chance| format!("text {}", chance.roll(100))),
        definition: json!({"nodes": nodes, "edges": [{"source": "n0", "target": "n1"}]}),
        problems: Vec::new(),
        metadata: Map::from_iter([("n".to_owned(), json!(chance.roll(100)))]),
        at: at(i64::try_from(chance.roll(100)).unwrap()),
        from: Provenance {
            author: chance.maybe(|chance| format!("author {}", chance.roll(3))),
            note: chance.maybe(|chance| format!("note {}", chance.roll(3))),
            source: chance.maybe(|chance| format!("# source {}\n", chance.roll(9))),
        },
        publishes: chance.one_in(4).then(|| u32::try_from(chance.roll(4)).unwrap()),
    }
}

fn told<T: Debug>(answer: Result<T, Error>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(Error::Conflict { current, .. }) => format!("conflict with {current:?}"),
        Err(Error::NotFound { .. }) => "not found".to_owned(),
        Err(error @ (Error::Corrupt { .. } | Error::Lacking(_) | Error::Unavailable(_))) => panic!("{error}"),
    }
}

fn refused(error: AppendError) -> String {
    match error {
        AppendError::Conflict => "conflict".to_owned(),
        AppendError::Gap { last } => format!("gap after {last}"),
        AppendError::Unavailable(error) => panic!("{error}"),
    }
}
