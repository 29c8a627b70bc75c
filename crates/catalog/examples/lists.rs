//! Measures lists over many runs:
//! `cargo run -p callboard-catalog --features suite --example lists -- sqlite FILE` or `-- postgres URL`, as the owner of the tables.
//!
//! It fills an empty catalog with 1,000,000 runs of 20 projects, one of which has 40 %, and asks for the first and the hundredth page of
//! each list, in turn. What it says are the slowest of the 95 % that are faster.

use callboard_catalog::{Catalog, Link, PostgresCatalog, RunFilter, RunRow, Search, SqliteCatalog, Words};
use callboard_core::{
    Timestamp,
    id::{ProjectId, RunId, WorkflowId},
};
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use std::time::{Duration, Instant};

const RUNS: i64 = 1_000_000;
const BEGIN: i64 = 1_780_000_000_000;
const YEAR: i64 = 365 * 86_400_000;
const TIMES: usize = 40;
const PAGE: u32 = 100;

const SQLITE: &str = "
    insert into runs (project, id, workflow_id, version, status, summary, seq, last_at, created_at, ended_at, words, place)
    with recursive n (i, a, b) as (
        select 0, abs(random()) % 100, abs(random()) % 100
        union all select i + 1, abs(random()) % 100, abs(random()) % 100 from n where i + 1 < $1
    ), r as (
        select i, iif(a < 40, 'acme', 'p' || (a % 19)) as project, printf('run-%08x', (i * 2654435761) & 4294967295) as id,
            printf('018f0000-0000-7000-8000-%012d', i % 400) as workflow,
            iif(b < 80, 'completed', iif(b < 98, 'failed', 'waiting')) as status, $2 + i * ($3 / $1) as at
        from n
    )
    select project, id, workflow, 1, status, printf('{\"pad\":\"%.*c\"}', 400, 'x'), 12, at, at, iif(status = 'waiting', null, at),
        replace(id, '-', ' ') || ' workflow number ' || (i % 400) || iif(status = 'failed', ' provider said ' || (i % 977), '')
            || ' =p=' || project || ' =w=' || workflow,
        (at << 21) | (i & 2097151)
    from r";

const POSTGRES: [&str; 3] = [
    "insert into run_ids (project, run, created_at, seq, hash)
    select case when random() < 0.4 then 'acme' else 'p' || (random() * 18)::int end,
        'run-' || lpad(to_hex((i * 2654435761) & 4294967295), 8, '0'), now(), 12, '\\x00'
    from generate_series(0, $1 - 1) i",
    "insert into runs (run_created_at, project, run, created_at, workflow_id, version, status, summary, seq, last_at, ended_at)
    select i.created_at, i.project, i.run, to_timestamp(($2 + n * ($3 / $1)) / 1000.0),
        ('018f0000-0000-7000-8000-' || lpad((n % 400)::text, 12, '0'))::uuid, 1,
        (array['completed', 'completed', 'completed', 'completed', 'failed'])[1 + n % 5], repeat('x', 400), 12, now(), now()
    from (select *, row_number() over () - 1 as n from run_ids) i",
    "insert into run_words (run_created_at, project, run, created_at, words)
    select run_created_at, project, run, created_at, array_to_tsvector(
        string_to_array(replace(run, '-', ' ') || ' workflow number ' || right(workflow_id::text, 3)
            || case when status = 'failed' then ' provider said ' || (extract(epoch from created_at)::bigint % 977) else '' end, ' ')
        || array['=p=' || project, '=w=' || workflow_id])
    from runs",
];

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["sqlite", file] => {
            SqliteCatalog::open(file).await?.close().await;
            let mut connection = SqliteConnection::connect(&format!("sqlite:{file}")).await?;
            let there: i64 =
                sqlx::query_scalar("select count(*) from runs").fetch_one(&mut connection).await?;
            if there == 0 {
                sqlx::query(SQLITE).bind(RUNS).bind(BEGIN).bind(YEAR).execute(&mut connection).await?;
            }
            measure(&SqliteCatalog::open(file).await?).await
        }
        ["postgres", url] => {
            let link = Link::read(url, false)?;
            PostgresCatalog::migrate(&link).await?;
            let mut connection = PgConnection::connect(url).await?;
            let there: i64 =
                sqlx::query_scalar("select count(*) from runs").fetch_one(&mut connection).await?;
            if there == 0 {
                for text in POSTGRES {
                    let query = sqlx::query(text);
                    let query = if text.contains("$1") { query.bind(RUNS) } else { query };
                    let query = if text.contains("$2") { query.bind(BEGIN).bind(YEAR) } else { query };
                    query.execute(&mut connection).await?;
                }
                sqlx::query("vacuum analyze").execute(&mut connection).await?;
            }
            measure(&PostgresCatalog::open(link).await?).await
        }
        _ => Err("sqlite FILE, or postgres URL".into()),
    }
}

async fn measure(catalog: &dyn Catalog) -> Result<(), Box<dyn std::error::Error>> {
    let workflow = || Some(WorkflowId::new("018f0000-0000-7000-8000-000000000007"));
    let statuses = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let middle = Some(Timestamp(BEGIN + YEAR / 2));
    let all = RunFilter::default;
    let lists = [
        ("all", all()),
        ("oldest first", RunFilter { oldest_first: true, ..all() }),
        ("from the middle", RunFilter { to: middle, ..all() }),
        ("one status", RunFilter { statuses: statuses(&["failed"]), ..all() }),
        ("two statuses", RunFilter { statuses: statuses(&["failed", "completed"]), ..all() }),
        ("a status of none", RunFilter { statuses: statuses(&["paused"]), ..all() }),
        ("a workflow", RunFilter { workflow_id: workflow(), ..all() }),
        (
            "a workflow and a status",
            RunFilter { workflow_id: workflow(), statuses: statuses(&["failed"]), ..all() },
        ),
    ];
    for (name, filter) in lists {
        let ask = async |after: Option<RunId>, limit| {
            catalog.runs(&acme(), filter.clone(), after.as_ref(), limit).await
        };
        told(name, ask).await?;
    }
    for text in
        ["run", "workfl", "provider", "prov said", "numb 7", "provider 123", "run-0000", "nobody", "said 9"]
    {
        let words = Words::parse(text).ok_or("words")?;
        let search = Search { words, workflow_id: None, from: None, to: None };
        let ask = async |after: Option<RunId>, limit| {
            catalog.search_runs(&acme(), search.clone(), after.as_ref(), limit).await
        };
        told(&format!("the words {text}"), ask).await?;
    }
    catalog.close().await;
    Ok(())
}

fn acme() -> ProjectId {
    "acme".parse().expect("a project")
}

/// Asks for the first and for the hundredth page, and says how long that takes.
async fn told(
    name: &str,
    ask: impl AsyncFn(Option<RunId>, u32) -> Result<Vec<RunRow>, callboard_catalog::Error>,
) -> Result<(), Box<dyn std::error::Error>> {
    let before = ask(None, 10_000.min(99 * PAGE)).await?;
    let hundredth = before.last().map(|row| row.id.clone());
    let mut shown = String::new();
    for after in [None, hundredth] {
        let (mut took, mut rows) = (Vec::new(), 0);
        for _ in 0..TIMES {
            let began = Instant::now();
            rows = ask(after.clone(), PAGE + 1).await?.len();
            took.push(began.elapsed());
        }
        took.sort_unstable();
        let at = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or(Duration::ZERO);
        shown += &format!("  {rows:>3} rows p50 {:>7.2?} p95 {:>7.2?}", at(50), at(95));
    }
    println!("{name:<28}{shown}");
    Ok(())
}
