//! The row that stands for a run, and lists of rows.

use super::{at, batch, fresh};
use crate::{Catalog, RunFilter, RunProjection, RunRow};
use callboard_core::{
    Timestamp,
    id::{ProjectId, RunId, WorkflowId},
};

const DEFAULT: ProjectId = ProjectId::DEFAULT;

/// A status that nobody used before: it tells a case's own runs from others.
fn status() -> String {
    format!("status-{}", fresh::<String>())
}

fn of(statuses: &[&str]) -> RunFilter {
    RunFilter {
        statuses: statuses.iter().map(|status| (*status).to_owned()).collect(),
        ..RunFilter::default()
    }
}

/// Runs of one status, each created at its time.
async fn created(catalog: &dyn Catalog, status: &str, times: &[i64]) -> Vec<RunId> {
    let runs: Vec<RunId> = times.iter().map(|_| fresh()).collect();
    for (run, time) in runs.iter().zip(times) {
        let mut append = batch(run, 1, 1, "a");
        append.row.status = status.to_owned();
        append.row.created_at = at(*time);
        catalog.append(append).await.unwrap();
    }
    runs
}

async fn listed(catalog: &dyn Catalog, filter: RunFilter, after: Option<&RunId>, limit: u32) -> Vec<RunId> {
    let rows = catalog.runs(&DEFAULT, filter, after, limit).await.unwrap();
    rows.into_iter().map(|row| row.id).collect()
}

pub(crate) async fn a_row_reads_as_it_was_projected(catalog: &dyn Catalog) {
    let (run, workflow): (RunId, WorkflowId) = (fresh(), fresh());
    let mut append = batch(&run, 1, 2, "a");
    append.next_check_at = Some(at(77));
    append.row = RunProjection {
        workflow_id: Some(workflow.clone()),
        version: Some(7),
        status: "füll \"of\" 'marks'".to_owned(),
        summary: r#"{"b": 1, "a":  2}"#.to_owned(),
        created_at: at(3),
        ended_at: Some(at(9)),
        retain_until: Some(at(99)),
        purging: false,
        ..RunProjection::default()
    };
    let row = RunRow {
        id: run.clone(),
        workflow_id: Some(workflow),
        version: Some(7),
        summary: append.row.summary.clone(),
        status: append.row.status.clone(),
        seq: 2,
        created_at: at(3),
        ended_at: Some(at(9)),
        next_check_at: Some(at(77)),
        purged: false,
        cleaned_seq: 0,
    };
    catalog.append(append).await.unwrap();
    assert_eq!(catalog.run(&run).await.unwrap(), Some(row.clone()));
    let filter = RunFilter { workflow_id: row.workflow_id.clone(), ..RunFilter::default() };
    assert_eq!(catalog.runs(&DEFAULT, filter, None, 10).await.unwrap(), [row]);
}

pub(crate) async fn a_row_without_a_workflow_has_none(catalog: &dyn Catalog) {
    let run = fresh();
    catalog.append(batch(&run, 1, 1, "a")).await.unwrap();
    let row = catalog.run(&run).await.unwrap().unwrap();
    assert_eq!((row.workflow_id, row.version, row.ended_at), (None, None, None));
}

pub(crate) async fn the_creation_of_a_run_never_changes(catalog: &dyn Catalog) {
    let run = fresh();
    catalog.append(batch(&run, 1, 1, "a")).await.unwrap();
    let mut later = batch(&run, 2, 1, "a");
    later.row.created_at = at(500);
    catalog.append(later).await.unwrap();
    assert_eq!(catalog.run(&run).await.unwrap().unwrap().created_at, at(0));
}

pub(crate) async fn a_run_that_goes_on_has_no_end_again(catalog: &dyn Catalog) {
    let run = fresh();
    let mut ended = batch(&run, 1, 2, "a");
    ended.row.ended_at = Some(at(5));
    ended.row.status = "completed".to_owned();
    catalog.append(ended).await.unwrap();
    catalog.append(batch(&run, 3, 1, "a")).await.unwrap();
    let row = catalog.run(&run).await.unwrap().unwrap();
    assert_eq!((row.status.as_str(), row.ended_at, row.seq), ("running", None, 3));
}

pub(crate) async fn instants_far_away_are_kept(catalog: &dyn Catalog) {
    let run = fresh();
    let mut append = batch(&run, 1, 1, "a");
    append.row.created_at = Timestamp(-86_400_001);
    append.row.ended_at = Some(Timestamp(253_402_300_799_999));
    append.entries[0].at = Timestamp(1);
    append.next_check_at = Some(Timestamp(253_402_300_799_998));
    catalog.append(append.clone()).await.unwrap();
    let row = catalog.run(&run).await.unwrap().unwrap();
    assert_eq!((row.created_at, row.ended_at), (append.row.created_at, append.row.ended_at));
    assert_eq!(row.next_check_at, append.next_check_at);
    assert_eq!(catalog.history(&run, 0, 1).await.unwrap(), append.entries);
    // It would keep pins of later cases.
    catalog.mark_purged(&run, None).await.unwrap();
}

pub(crate) async fn a_list_of_nothing_is_empty(catalog: &dyn Catalog) {
    let unused: ProjectId = "nobody-has-this-project".parse().unwrap();
    assert_eq!(catalog.runs(&unused, RunFilter::default(), None, 10).await.unwrap(), []);
    assert_eq!(catalog.open_runs(&unused, "running", None, 10).await.unwrap(), []);
    let name = status();
    created(catalog, &name, &[1, 2]).await;
    assert!(listed(catalog, of(&[&name]), None, 0).await.is_empty());
    assert_eq!(catalog.open_runs(&DEFAULT, &name, None, 0).await.unwrap(), []);
    let unreadable = RunFilter { workflow_id: Some(WorkflowId::new("no-uuid")), ..RunFilter::default() };
    assert!(listed(catalog, unreadable, None, 10).await.is_empty());
}

pub(crate) async fn pages_of_one_meet_every_run_once(catalog: &dyn Catalog) {
    let name = status();
    let mut runs = created(catalog, &name, &[5, 5, 5, 4, 6, 5, 4]).await;
    let mut met = Vec::new();
    while let page = listed(catalog, of(&[&name]), met.last(), 1).await
        && !page.is_empty()
    {
        met.extend(page);
    }
    assert_eq!(met.len(), runs.len());
    assert_eq!((&met[0], &met[6]), (&runs[4], &runs[3]), "ties are told apart by the id");
    met.sort();
    runs.sort();
    assert_eq!(met, runs);
}

pub(crate) async fn names_are_sorted_byte_by_byte(catalog: &dyn Catalog) {
    let name = status();
    let stem: String = fresh();
    let mut runs: Vec<RunId> = ["-a", "A", "B", "_a", "a", "b", "0"]
        .iter()
        .map(|end| format!("{}{end}", &stem[9..]).parse().unwrap())
        .collect();
    for run in &runs {
        let mut append = batch(run, 1, 1, "a");
        append.row.status.clone_from(&name);
        catalog.append(append).await.unwrap();
    }
    runs.sort_by(|a, b| a.name().as_bytes().cmp(b.name().as_bytes()));
    let open = catalog.open_runs(&DEFAULT, &name, None, 10).await.unwrap();
    assert_eq!(open.into_iter().map(|run| run.id).collect::<Vec<_>>(), runs);
    runs.reverse();
    assert_eq!(listed(catalog, of(&[&name]), None, 10).await, runs);
    assert_eq!(listed(catalog, of(&[&name]), Some(&runs[2]), 10).await, runs[3..]);
}

pub(crate) async fn a_status_with_marks_is_a_text(catalog: &dyn Catalog) {
    let name = format!("it's \"{}\" %_\\", fresh::<String>());
    let runs = created(catalog, &name, &[1]).await;
    assert_eq!(listed(catalog, of(&[&name]), None, 10).await, runs);
    assert_eq!(listed(catalog, of(&[&name, "'; drop table runs; --"]), None, 10).await, runs);
    assert_eq!(catalog.open_runs(&DEFAULT, &name, None, 10).await.unwrap().len(), 1);
}

pub(crate) async fn a_status_that_changed_moves_the_run(catalog: &dyn Catalog) {
    let (before, after) = (status(), status());
    let runs = created(catalog, &before, &[1, 2]).await;
    let mut append = batch(&runs[0], 2, 1, "a");
    append.row.status.clone_from(&after);
    catalog.append(append).await.unwrap();
    assert_eq!(listed(catalog, of(&[&before]), None, 10).await, runs[1..]);
    assert_eq!(listed(catalog, of(&[&after]), None, 10).await, runs[..1]);
    assert_eq!(listed(catalog, of(&[&before, &after]), None, 10).await, [runs[1].clone(), runs[0].clone()]);
}

pub(crate) async fn a_cursor_may_be_a_run_that_is_left_out(catalog: &dyn Catalog) {
    let (shown, hidden) = (status(), status());
    let early = created(catalog, &shown, &[1, 2]).await;
    let cursor = created(catalog, &hidden, &[3]).await;
    let late = created(catalog, &shown, &[4]).await;
    assert_eq!(
        listed(catalog, of(&[&shown]), Some(&cursor[0]), 10).await,
        [early[1].clone(), early[0].clone()]
    );
    let open = catalog.open_runs(&DEFAULT, &shown, Some(&cursor[0]), 10).await.unwrap();
    assert_eq!(open.into_iter().map(|run| run.id).collect::<Vec<_>>(), late);
    assert_eq!(catalog.open_runs(&DEFAULT, &shown, Some(&fresh()), 10).await.unwrap(), []);
}

pub(crate) async fn runs_of_a_workflow_are_listed_by_status_and_span(catalog: &dyn Catalog) {
    let (workflow, name): (WorkflowId, _) = (fresh(), status());
    let mut runs = Vec::new();
    for n in 0..6 {
        let run = fresh();
        let mut append = batch(&run, 1, 1, "a");
        append.row.workflow_id = Some(workflow.clone());
        append.row.status = if n % 2 == 0 { name.clone() } else { format!("not {name}") };
        append.row.created_at = at(n);
        catalog.append(append).await.unwrap();
        runs.push(run);
    }
    created(catalog, &name, &[1, 2, 3]).await;
    let filter = |statuses: &[&str], from, to| RunFilter {
        workflow_id: Some(workflow.clone()),
        from: Some(at(from)),
        to: Some(at(to)),
        ..of(statuses)
    };
    let ids = |places: &[usize]| places.iter().map(|n| runs[*n].clone()).collect::<Vec<_>>();
    assert_eq!(listed(catalog, filter(&[&name], 1, 5), None, 10).await, ids(&[4, 2]));
    assert_eq!(listed(catalog, filter(&[], 1, 4), None, 10).await, ids(&[3, 2, 1]));
    assert_eq!(listed(catalog, filter(&[], 0, 9), Some(&runs[4]), 2).await, ids(&[3, 2]));
    assert!(listed(catalog, filter(&[], 5, 5), None, 10).await.is_empty());
}

pub(crate) async fn a_purged_run_is_still_listed(catalog: &dyn Catalog) {
    let name = status();
    let runs = created(catalog, &name, &[1]).await;
    catalog.mark_purged(&runs[0], None).await.unwrap();
    let rows = catalog.runs(&DEFAULT, of(&[&name]), None, 10).await.unwrap();
    assert_eq!((rows.len(), rows[0].purged), (1, true));
}

pub(crate) async fn the_longest_names_are_names(catalog: &dyn Catalog) {
    let project: ProjectId = format!("p{}", &fresh::<String>().replace('-', "")[1..32]).parse().unwrap();
    let run = RunId::new(&project, &format!("{:x<64}", fresh::<String>())).unwrap();
    catalog.append(batch(&run, 1, 1, "a")).await.unwrap();
    assert_eq!(catalog.run(&run).await.unwrap().unwrap().id, run);
    let rows = catalog.runs(&project, RunFilter::default(), None, 10).await.unwrap();
    assert_eq!(rows.into_iter().map(|row| row.id).collect::<Vec<_>>(), [run]);
}
