//! The catalog on Postgres: the suite that every catalog passes, directly and through a pooler, and what only a server can do.
//!
//! `CALLBOARD_CATALOG=full` makes the long ones as long as `docs/postgres.md` says; without it they are a short part of the
//! same.

#![allow(clippy::unwrap_used, reason = "a test")]

mod access;
mod alike;
mod contended;
mod marks;
mod operated;
mod pooled;
mod served;
mod stopped;
mod triggers;

use crate::harness::{Postgres, connect};
use callboard_catalog::{Link, PostgresCatalog, suite};
use sqlx::PgConnection;

/// Whether the long forms are asked for.
fn full() -> bool {
    std::env::var("CALLBOARD_CATALOG").is_ok_and(|v| v == "full")
}

/// A database with our tables.
struct Database {
    url: String,
    name: String,
}

impl Database {
    /// Makes one on the shared server.
    async fn make() -> Self {
        Self::on(Postgres::shared().await).await
    }

    async fn on(server: &Postgres) -> Self {
        let name = server.database().await;
        let url = server.url(&name);
        let migrated = PostgresCatalog::migrate(&Link::read(&url, false).unwrap()).await.unwrap();
        assert!(migrated.applied > 0);
        Self { url, name }
    }

    fn link(&self) -> Link {
        Link::read(&self.url, false).unwrap()
    }

    async fn open(&self) -> PostgresCatalog {
        PostgresCatalog::open(self.link()).await.unwrap()
    }

    /// A connection as the owner of the tables.
    async fn owner(&self) -> PgConnection {
        connect(&self.url).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_passes_the_suite() {
    suite::all(&Database::make().await.open().await).await;
}

#[test]
fn the_suite_has_a_case_for_each_promise() {
    let names: std::collections::BTreeSet<&str> = suite::CASES.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), suite::CASES.len(), "no case stands there twice");
    assert!(names.len() >= 80, "{}", names.len());
}
