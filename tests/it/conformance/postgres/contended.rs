//! Several hosts that all believe to own every run, and one whose clock is wrong.

use super::{Database, full};
use callboard_catalog::{
    Append, AppendError, Catalog, Entry, Journal, NO_HASH, PostgresCatalog, RunFilter, RunProjection, Sweep,
    suite,
};
use callboard_core::{
    Hash, Timestamp,
    id::{ProjectId, RunId},
};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

const HISTORIES: u64 = 60;
/// Of each host.
const CLIENTS: u64 = 16;

fn run(n: u64) -> RunId {
    format!("contended-{n}").parse().unwrap()
}

/// Milliseconds since the epoch.
fn now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as i64
}

/// What a client did.
#[derive(Default)]
struct Deeds {
    /// Events that were acknowledged, by the run and the text.
    acknowledged: Vec<(u64, String)>,
    refused: usize,
}

/// Goes on appending to whatever history comes next, from where it was a moment ago.
async fn client(catalog: Arc<PostgresCatalog>, who: String, mut at: u64, until: Instant) -> Deeds {
    let mut deeds = Deeds::default();
    for n in 0_u64.. {
        if Instant::now() >= until {
            break;
        }
        at = (at * 31 + n * 7 + 11) % HISTORIES;
        let tip = catalog.tip(&run(at), None).await.unwrap();
        let (seq, mut hash) = tip.map_or((0, NO_HASH), |tip| (tip.seq, tip.hash));
        let entries = (1..=1 + n % 3).map(|place| {
            let event = format!(r#"{{"who":"{who}","n":{n},"place":{place}}}"#);
            hash = Hash::chain(&[&hash.0, event.as_bytes()]);
            Entry { seq: seq + place, at: Timestamp(now()), hash, event }
        });
        let entries: Vec<Entry> = entries.collect();
        let texts: Vec<_> = entries.iter().map(|entry| (at, entry.event.clone())).collect();
        let append = Append {
            run: run(at),
            first_seq: seq + 1,
            prev_hash: tip_hash(&catalog, at, seq).await,
            entries,
            values: vec![(format!("{who}.{n}"), bytes::Bytes::from_static(b"value"))],
            next_check_at: Some(Timestamp(now())),
            row: RunProjection {
                status: "running".into(),
                summary: "{}".into(),
                created_at: Timestamp(now()),
                ..RunProjection::default()
            },
        };
        match catalog.append(append).await {
            Ok(()) => deeds.acknowledged.extend(texts),
            Err(AppendError::Conflict) => deeds.refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    deeds
}

async fn tip_hash(catalog: &PostgresCatalog, n: u64, seq: u64) -> Hash {
    let tip = catalog.tip(&run(n), Some(seq)).await.unwrap();
    tip.and_then(|tip| tip.hash_at).unwrap_or(NO_HASH)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hosts_on_the_same_histories_leave_each_one_chain() {
    let span = Duration::from_secs(if full() { 60 } else { 5 });
    let database = Database::make().await;
    let until = Instant::now() + span;
    let mut clients = Vec::new();
    for host in ["a", "b"] {
        let catalog = Arc::new(database.open().await);
        for n in 0..CLIENTS {
            clients.push(tokio::spawn(client(catalog.clone(), format!("{host}{n}"), n, until)));
        }
    }
    let mut recorded: BTreeMap<(u64, String), usize> = BTreeMap::new();
    let mut refused = 0;
    for client in clients {
        let deeds = client.await.unwrap();
        refused += deeds.refused;
        for deed in deeds.acknowledged {
            recorded.insert(deed, 0);
        }
    }
    let catalog = database.open().await;
    for n in 0..HISTORIES {
        let entries = history(&catalog, &run(n)).await;
        let mut hash = NO_HASH;
        for (place, entry) in entries.iter().enumerate() {
            hash = Hash::chain(&[&hash.0, entry.event.as_bytes()]);
            assert_eq!((entry.seq, entry.hash), (place as u64 + 1, hash), "history {n} is one chain");
            let known = recorded.get_mut(&(n, entry.event.clone()));
            *known.unwrap_or_else(|| panic!("history {n} has what nobody acknowledged: {}", entry.event)) +=
                1;
        }
        let row = catalog.run(&run(n)).await.unwrap();
        assert_eq!(row.map_or(0, |row| row.seq), entries.len() as u64, "the row tells of the whole history");
    }
    let lost: Vec<_> = recorded.iter().filter(|(_, times)| **times != 1).collect();
    assert!(lost.is_empty(), "acknowledged, and not recorded once: {lost:?}");
    println!("{} entries in {HISTORIES} histories, {refused} appends refused", recorded.len());
    assert!(refused > 50, "INVALID: only {refused} appends met another");
    let mut owner = database.owner().await;
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    let deadlocks: i64 = sqlx::query_scalar(deadlocks).fetch_one(&mut owner).await.unwrap();
    assert_eq!(deadlocks, 0);
}

async fn history(catalog: &PostgresCatalog, run: &RunId) -> Vec<Entry> {
    let mut all = Vec::new();
    while let page = catalog.history(run, all.len() as u64, 10_000).await.unwrap()
        && !page.is_empty()
    {
        all.extend(page);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_whose_clock_is_a_year_off_changes_nothing_for_others() {
    const YEAR: i64 = 365 * 86_400_000;
    let database = Database::make().await;
    let (right, wrong) = (database.open().await, database.open().await);
    let of = |name: &str, time: i64, next: i64| {
        let mut append = suite::batch(&name.parse().unwrap(), 1, 2, "a");
        append.entries.iter_mut().for_each(|entry| entry.at = Timestamp(time));
        append.row.created_at = Timestamp(time);
        append.next_check_at = Some(Timestamp(next));
        append
    };
    let time = now();
    right.append(of("ours", time, time - 1)).await.unwrap();
    right.append(of("resting", time, time + 20 * 86_400_000)).await.unwrap();
    for (name, off) in [("ahead", YEAR), ("behind", -YEAR)] {
        wrong.append(of(name, time + off, time + off)).await.unwrap();
        wrong.append(suite::batch(&name.parse().unwrap(), 3, 1, "a")).await.unwrap();
    }
    // All that there is is of this month: no other one had to be there.
    let mut owner = database.owner().await;
    let months = "select distinct tableoid::regclass::text from history";
    let months: Vec<String> = sqlx::query_scalar(months).fetch_all(&mut owner).await.unwrap();
    assert_eq!(months.len(), 1, "{months:?}");
    right.health().await.unwrap();

    // It takes what is due, and not what it believes to be.
    let due = wrong.due(Timestamp(time + YEAR), Timestamp(time + YEAR), 100).await.unwrap();
    let resting: RunId = "resting".parse().unwrap();
    assert!(due.contains(&"ours".parse().unwrap()) && !due.contains(&resting), "{due:?}");
    let row = right.run(&resting).await.unwrap().unwrap();
    assert_eq!(row.next_check_at, Some(Timestamp(time + 20 * 86_400_000)));
    assert!(wrong.due(Timestamp(time - YEAR), Timestamp(time), 100).await.unwrap().is_empty());

    right.append(suite::batch(&"ours".parse().unwrap(), 3, 1, "a")).await.unwrap();
    assert_eq!(right.history(&"ours".parse().unwrap(), 0, 10).await.unwrap().len(), 3);
    let listed = right.runs(&ProjectId::DEFAULT, RunFilter::default(), None, 10).await.unwrap();
    let names: Vec<&str> = listed.iter().map(|row| row.id.name()).collect();
    assert_eq!(names, ["ahead", "resting", "ours", "behind"], "lists show the time that a run says");
}
