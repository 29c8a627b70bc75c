//! Projects: whatever has the same name in two of them is two things.

use super::{at, batch, entries, fresh, hash, value};
use crate::{AppendError, Catalog, Error, NewVersion, NewWorkflow, Provenance, RunFilter};
use callboard_core::{
    Timestamp,
    id::{ProjectId, RunId, WorkflowId},
};
use serde_json::{Map, json};

/// Beside the suite's other instants, far in the past.
const THEN: Timestamp = Timestamp(1_600_000_000_000);

/// A project that nobody used before.
fn project() -> ProjectId {
    format!("p{}", &fresh::<String>().replace('-', "")[1..]).parse().unwrap()
}

/// A run of one name in `default` and in two projects, each with a history of its own: of 2, 3 and 4 entries.
async fn same_name(catalog: &dyn Catalog, status: &str) -> [RunId; 3] {
    let name: String = fresh();
    let runs = [ProjectId::DEFAULT, project(), project()].map(|p| RunId::new(&p, &name).unwrap());
    for (n, run) in (2..).zip(&runs) {
        let mut append = batch(run, 1, n, &fork(n));
        append.values = vec![("t.0".to_owned(), value(run.as_str()))];
        append.row.status = status.to_owned();
        append.row.summary = format!(r#"{{"n":{n}}}"#);
        append.row.created_at = at(0);
        append.row.retain_until = Some(THEN);
        append.next_check_at = Some(THEN);
        catalog.append(append).await.unwrap();
    }
    runs
}

fn fork(n: u64) -> String {
    format!("fork {n}")
}

pub(crate) async fn a_run_of_one_name_in_two_projects_is_two_runs(catalog: &dyn Catalog) {
    let runs = same_name(catalog, "running").await;
    for (n, run) in (2..).zip(&runs) {
        assert_eq!(catalog.history(run, 0, 100).await.unwrap(), entries(1, n, &fork(n)), "{run}");
        let tip = catalog.tip(run, Some(1)).await.unwrap().unwrap();
        assert_eq!((tip.seq, tip.hash), (n, hash(n, &fork(n))));
        assert_eq!(tip.hash_at, Some(hash(1, &fork(n))), "{run}");
        let row = catalog.run(run).await.unwrap().unwrap();
        assert_eq!((&row.id, row.seq, row.summary), (run, n, format!(r#"{{"n":{n}}}"#)));
        let values = catalog.values(run, &["t.0".to_owned()]).await.unwrap();
        assert_eq!(values["t.0"], value(run.as_str()));
        // What continues another one's history does not continue this one's.
        let forked = catalog.append(batch(run, n + 1, 1, &fork(n + 1))).await;
        assert!(matches!(forked, Err(AppendError::Conflict)), "{run}: {forked:?}");
    }
    // Together in one commit, each takes what is its own.
    let appends = (2..).zip(&runs).map(|(n, run)| catalog.append(batch(run, n + 1, 1, &fork(n))));
    for appended in futures::future::join_all(appends).await {
        appended.unwrap();
    }
    let other = RunId::new(&project(), runs[0].name()).unwrap();
    assert_eq!(catalog.run(&other).await.unwrap(), None);
    assert_eq!(catalog.tip(&other, None).await.unwrap(), None);
    assert_eq!(catalog.history(&other, 0, 100).await.unwrap(), []);
    assert!(catalog.values(&other, &["t.0".to_owned()]).await.unwrap().is_empty());
}

pub(crate) async fn nothing_crosses_from_one_project_to_another(catalog: &dyn Catalog) {
    let status = format!("status-{}", fresh::<String>());
    let runs = same_name(catalog, &status).await;
    let [ours, theirs, others] = &runs;
    let filter = || RunFilter { statuses: [status.clone()].into(), ..RunFilter::default() };
    for run in &runs {
        let project = run.project();
        let listed = catalog.runs(project, filter(), None, 10).await.unwrap();
        assert_eq!(listed.iter().map(|row| &row.id).collect::<Vec<_>>(), [run]);
        let open = catalog.open_runs(project, &status, None, 10).await.unwrap();
        assert_eq!(open.iter().map(|open| &open.id).collect::<Vec<_>>(), [run]);
        assert!(catalog.projects().await.unwrap().contains(project));
    }
    // Another project's run is no place in this one's lists.
    let mut second = batch(&RunId::new(theirs.project(), &fresh::<String>()).unwrap(), 1, 1, "a");
    second.row.status.clone_from(&status);
    second.row.created_at = at(-1);
    let earlier = second.run.clone();
    catalog.append(second).await.unwrap();
    let after = async |run| catalog.runs(theirs.project(), filter(), Some(run), 10).await.unwrap();
    assert_eq!(after(theirs).await[0].id, earlier);
    assert_eq!(after(ours).await, []);
    let first = RunId::new(ours.project(), &fresh::<String>()).unwrap();
    let mut append = batch(&first, 1, 1, "a");
    append.row.status.clone_from(&status);
    append.row.created_at = at(-2);
    catalog.append(append).await.unwrap();
    let open = async |after| {
        let open = catalog.open_runs(theirs.project(), &status, after, 10).await.unwrap();
        open.into_iter().map(|run| run.id).collect::<Vec<_>>()
    };
    assert_eq!(open(None).await, [earlier.clone(), theirs.clone()]);
    assert_eq!(open(Some(&earlier)).await, std::slice::from_ref(theirs));
    assert!(open(Some(&first)).await.is_empty());

    // Marks are of one run.
    let before = catalog.run(others).await.unwrap();
    assert!(!catalog.mark_cleaned(theirs, 2).await.unwrap(), "the end of another one's history");
    let (cleaned, not) = futures::join!(catalog.mark_cleaned(theirs, 3), catalog.mark_cleaned(ours, 3));
    assert_eq!((cleaned.unwrap(), not.unwrap()), (true, false), "marked in one commit");
    catalog.mark_purged(theirs, None).await.unwrap();
    assert!(catalog.run(theirs).await.unwrap().unwrap().purged);
    assert!(!catalog.run(ours).await.unwrap().unwrap().is_cleaned());
    assert_eq!(catalog.run(others).await.unwrap(), before);
    assert!(!catalog.tip(others, None).await.unwrap().unwrap().purged);

    // Whoever looks after runs looks after those of all projects.
    let due = catalog.due(THEN, at(0), 10_000).await.unwrap();
    assert!(due.contains(ours) && due.contains(others) && !due.contains(theirs), "{due:?}");

    workflows_stay_in_their_project(catalog, theirs).await;
}

async fn workflows_stay_in_their_project(catalog: &dyn Catalog, run: &RunId) {
    let (id, theirs): (WorkflowId, _) = (fresh(), run.project());
    let new = NewWorkflow {
        project: theirs.clone(),
        id: id.clone(),
        name: "theirs".to_owned(),
        description: None,
        definition: json!({}),
        problems: Vec::new(),
        metadata: Map::new(),
        at: at(1),
        from: Provenance::default(),
    };
    catalog.create_workflow(new.clone()).await.unwrap();
    let again = catalog.create_workflow(NewWorkflow { project: ProjectId::DEFAULT, ..new }).await;
    assert!(matches!(again, Err(Error::Conflict { .. })), "an id is one workflow's: {again:?}");
    let change = || NewVersion {
        expected: None,
        name: "changed".to_owned(),
        description: None,
        definition: json!({}),
        problems: Vec::new(),
        metadata: Map::new(),
        at: at(2),
        from: Provenance::default(),
        publishes: None,
    };
    let ours = &ProjectId::DEFAULT;
    assert_eq!(catalog.workflow(ours, &id, None).await.unwrap(), None);
    assert_eq!(catalog.workflow(ours, &id, Some(1)).await.unwrap(), None);
    assert!(catalog.workflows(ours, None, 10_000).await.unwrap().iter().all(|w| w.id != id));
    assert!(!catalog.hide_workflow(ours, &id).await.unwrap());
    let changed = catalog.update_workflow(ours, &id, change()).await;
    assert!(matches!(changed, Err(Error::NotFound { .. })), "{changed:?}");
    // A run of another project says nothing of this workflow.
    let mut foreign = batch(&fresh(), 1, 1, "a");
    foreign.row.workflow_id = Some(id.clone());
    catalog.append(foreign).await.unwrap();
    let listed = catalog.workflows(theirs, None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|w| (&w.id, &w.status)).collect::<Vec<_>>(), [(&id, &None)]);
    assert_eq!(catalog.update_workflow(theirs, &id, change()).await.unwrap().version, 2);
    assert!(catalog.hide_workflow(theirs, &id).await.unwrap());
}
