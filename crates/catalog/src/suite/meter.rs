//! What was used, by day.

use super::{batch, fresh};
use crate::{Catalog, UsageBy, UsageSpan, Used};
use callboard_core::{
    call::Usage,
    id::{ProjectId, RunId, WorkflowId},
};
use futures::future::join_all;

fn used(day: &str, of: &str, agent: &str, model: &str, calls: u64) -> Used {
    let (priced, cost) = (calls * 4, calls * 1_000_003);
    let usage = Usage {
        calls,
        prompt_tokens: calls * 10,
        completion_tokens: calls * 2,
        priced,
        cost,
        ..Usage::default()
    };
    let workflow_id = (!of.is_empty()).then(|| WorkflowId::new(of));
    Used { day: day.to_owned(), workflow_id, agent: agent.to_owned(), model: model.to_owned(), usage }
}

fn span(by: &[UsageBy]) -> UsageSpan {
    UsageSpan { from: "2027-01-01".to_owned(), to: "2027-01-31".to_owned(), by: by.to_vec() }
}

async fn run(catalog: &dyn Catalog) -> RunId {
    let project: ProjectId = format!("p{}", &fresh::<String>().replace('-', "")[1..32]).parse().unwrap();
    let run = RunId::new(&project, "r").unwrap();
    catalog.append(batch(&run, 1, 9, "a")).await.unwrap();
    run
}

pub(crate) async fn usage_is_added_once_for_each_part_of_a_history(catalog: &dyn Catalog) {
    let run = run(catalog).await;
    assert_eq!(catalog.counted(&run).await.unwrap(), Some(0));
    assert_eq!(catalog.counted(&fresh()).await.unwrap(), None);
    let part = vec![used("2027-01-05", "w", "a", "m", 2)];
    let at_once = join_all((0..4).map(|_| catalog.count(&run, 0, 5, part.clone()))).await;
    assert_eq!(at_once.into_iter().filter(|done| matches!(done, Ok(true))).count(), 1);
    assert!(!catalog.count(&run, 0, 9, part.clone()).await.unwrap(), "it is counted up to 5");
    assert!(catalog.count(&run, 5, 9, vec![used("2027-01-05", "w", "a", "m", 1)]).await.unwrap());
    assert_eq!(catalog.counted(&run).await.unwrap(), Some(9));
    assert!(!catalog.count(&fresh(), 0, 1, part).await.unwrap());
    let by_day = catalog.usage(run.project(), span(&[UsageBy::Day]), 0, 10).await.unwrap();
    assert_eq!(by_day, [used("2027-01-05", "", "", "", 3)]);
}

pub(crate) async fn usage_is_summed_by_what_is_asked_for(catalog: &dyn Catalog) {
    let run = run(catalog).await;
    let parts = vec![
        used("2026-12-31", "w", "a", "m", 64),
        used("2027-01-01", "w", "a", "m", 1),
        used("2027-01-01", "w", "b", "m", 2),
        used("2027-01-02", "v", "a", "n", 4),
        used("2027-02-01", "v", "a", "n", 64),
    ];
    assert!(catalog.count(&run, 0, 9, parts).await.unwrap());
    let by = async |by: &[UsageBy]| catalog.usage(run.project(), span(by), 0, 10).await.unwrap();
    assert_eq!(by(&[]).await, [used("", "", "", "", 7)]);
    assert_eq!(
        by(&[UsageBy::Day]).await,
        [used("2027-01-01", "", "", "", 3), used("2027-01-02", "", "", "", 4)]
    );
    assert_eq!(
        by(&[UsageBy::Agent, UsageBy::Workflow]).await,
        [used("", "v", "a", "", 4), used("", "w", "a", "", 1), used("", "w", "b", "", 2)]
    );
    assert_eq!(by(&[UsageBy::Model]).await, [used("", "", "", "m", 3), used("", "", "", "n", 4)]);
    let second = catalog.usage(run.project(), span(&[UsageBy::Model]), 1, 1).await.unwrap();
    assert_eq!(second, [used("", "", "", "n", 4)]);
    let other: ProjectId = "nobody-has-this-project".parse().unwrap();
    assert_eq!(catalog.usage(&other, span(&[UsageBy::Day]), 0, 10).await.unwrap(), []);
}
