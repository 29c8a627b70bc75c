//! Connections and transactions: every statement runs between `begin` and `commit`, in the name of a role.
//!
//! A pooler in transaction mode lends a connection of its own from the one to the other, and to somebody else after that.
//! Nothing of a session is used, so it makes no difference whether there is one; where one is named, statements have no
//! names either, since it may not know them. What was handed out with a transaction open is closed, not used again.

use crate::Error;
use callboard_core::id::ProjectId;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Executor, FromRow, PgConnection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgQueryResult, PgRow},
    query::{Query, QueryAs, QueryScalar},
};
use std::{fmt, str::FromStr, time::Duration};

/// Connections beside the one that appends.
const CONNECTIONS: u32 = 8;
/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a whole call may take. What it came to is unknown then.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Idle connections are let go, and none grows old: behind a name there may be another server meanwhile.
const IDLE: Duration = Duration::from_secs(300);
const LIFETIME: Duration = Duration::from_secs(1800);

const COMMIT: &str = "commit";
const ROLLBACK: &str = "rollback";

/// Generic plans of prepared statements read a whole project where one of its statuses is asked for.
macro_rules! opening {
    ($role:literal) => {
        concat!("begin; set local role ", $role, "; set local plan_cache_mode = force_custom_plan")
    };
}

/// In whose name a transaction runs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role<'a> {
    /// Histories and whatever looks after runs: of all projects.
    Engine,
    /// What is shown and edited: row-level security shows this project and no other.
    Api(&'a ProjectId),
    /// Who may ask: keys, projects, the audit, and nothing else.
    Access,
}

/// Where the database is, and what stands between.
#[derive(Clone)]
pub struct Link {
    options: Box<PgConnectOptions>,
    /// Statements keep their names.
    is_direct: bool,
}

/// Connections that are lent out for a transaction each.
#[derive(Clone)]
pub(super) struct Connections {
    pool: PgPool,
    is_direct: bool,
}

/// An open transaction. Dropped without `commit` it is undone, and so is the connection.
pub(super) struct Tx<C: AsConnection> {
    connection: Option<C>,
    is_direct: bool,
}

/// A connection of the pool, or one of one's own.
pub(super) trait AsConnection {
    fn as_connection(&mut self) -> &mut PgConnection;
    fn close(self);
}

/// Opens a transaction on a connection.
pub(super) async fn open<C: AsConnection>(
    mut connection: C,
    role: Role<'_>,
    is_direct: bool,
) -> Result<Tx<C>, sqlx::Error> {
    let opened = match role {
        Role::Engine => connection.as_connection().execute(opening!("callboard_engine")).await,
        Role::Access => connection.as_connection().execute(opening!("callboard_access")).await,
        // A project's id has no quotes.
        Role::Api(project) => {
            let opening = format!("{}; set local callboard.project = '{project}'", opening!("callboard_api"));
            connection.as_connection().execute(AssertSqlSafe(opening)).await
        }
    };
    match opened {
        Ok(_) => Ok(Tx { connection: Some(connection), is_direct }),
        Err(error) => {
            connection.close();
            Err(error)
        }
    }
}

/// Whether the connection is to blame, so that another one may do.
pub(super) fn is_broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
            true
        }
        // Connection exceptions, and a server that stops or starts.
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| code.starts_with("08") || code.starts_with("57P"))
        }
        _ => false,
    }
}

/// Bounds a call.
pub(super) async fn within<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = |_| Error::Unavailable(format!("there was no answer within {PATIENCE:?}").into());
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|elapsed| Err(late(elapsed)))
}

// === impl Link ===

impl fmt::Debug for Link {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let database = (self.options.get_host(), self.options.get_port(), self.options.get_database());
        f.debug_struct("Link").field("database", &database).finish_non_exhaustive()
    }
}

impl Link {
    /// Reads `postgres://user:password@host/database?sslmode=…`. `pooler`: a pooler in transaction mode stands between.
    pub fn read(url: &str, pooler: bool) -> Result<Self, String> {
        let options = PgConnectOptions::from_str(url).map_err(|error| error.to_string())?;
        let options = options.application_name("callboard").disable_statement_logging();
        // A pooler refuses what it does not know of a session.
        let options = if pooler { options.extra_float_digits(None) } else { options };
        Ok(Self { options: Box::new(options), is_direct: !pooler })
    }

    pub(super) fn is_direct(&self) -> bool {
        self.is_direct
    }

    /// Opens a connection of one's own.
    pub(super) async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        tokio::time::timeout(CONNECT, self.options.connect()).await.map_err(|_| sqlx::Error::PoolTimedOut)?
    }

    pub(super) fn connections(&self) -> Connections {
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(CONNECT)
            .idle_timeout(IDLE)
            .max_lifetime(LIFETIME)
            // The opening of a transaction is the test.
            .test_before_acquire(false)
            .connect_lazy_with(PgConnectOptions::clone(&self.options));
        Connections { pool, is_direct: self.is_direct }
    }
}

// === impl Connections ===

impl Connections {
    /// Opens a transaction. Connections that broke while they were idle are passed over: nothing was asked of them.
    pub async fn begin(&self, role: Role<'_>) -> Result<Tx<PoolConnection<Postgres>>, sqlx::Error> {
        let mut broken = 0;
        loop {
            match open(self.pool.acquire().await?, role, self.is_direct).await {
                Err(error) if is_broken(&error) && broken < CONNECTIONS => broken += 1,
                opened => return opened,
            }
        }
    }

    pub async fn close(&self) {
        self.pool.close().await;
    }
}

// === impl Tx ===

impl<C: AsConnection> Tx<C> {
    fn connection(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect("a transaction has its connection until it ends").as_connection()
    }

    pub async fn execute(
        &mut self,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<PgQueryResult, sqlx::Error> {
        let query = query.persistent(self.is_direct);
        query.execute(self.connection()).await
    }

    pub async fn all<R>(
        &mut self,
        query: QueryAs<'_, Postgres, R, PgArguments>,
    ) -> Result<Vec<R>, sqlx::Error>
    where
        R: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        let query = query.persistent(self.is_direct);
        query.fetch_all(self.connection()).await
    }

    pub async fn first<R>(
        &mut self,
        query: QueryAs<'_, Postgres, R, PgArguments>,
    ) -> Result<Option<R>, sqlx::Error>
    where
        R: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        let query = query.persistent(self.is_direct);
        query.fetch_optional(self.connection()).await
    }

    pub async fn scalar<T>(
        &mut self,
        query: QueryScalar<'_, Postgres, T, PgArguments>,
    ) -> Result<T, sqlx::Error>
    where
        (T,): for<'r> FromRow<'r, PgRow>,
        T: Send + Unpin,
    {
        let query = query.persistent(self.is_direct);
        query.fetch_one(self.connection()).await
    }

    pub async fn scalars<T>(
        &mut self,
        query: QueryScalar<'_, Postgres, T, PgArguments>,
    ) -> Result<Vec<T>, sqlx::Error>
    where
        (T,): for<'r> FromRow<'r, PgRow>,
        T: Send + Unpin,
    {
        let query = query.persistent(self.is_direct);
        query.fetch_all(self.connection()).await
    }

    /// Ends it, and gives the connection back.
    pub async fn commit(mut self) -> Result<C, sqlx::Error> {
        self.connection().execute(COMMIT).await?;
        Ok(self.connection.take().expect("it was there a line before"))
    }

    /// Ends it by what was done in it: a refusal undoes it. After an error of the database it is dropped, with its connection.
    pub async fn end<T>(self, done: Result<T, Error>) -> Result<T, Error> {
        match &done {
            Ok(_) => drop(self.commit().await?),
            Err(Error::Conflict { .. } | Error::NotFound { .. }) => drop(self.rollback().await?),
            Err(Error::Corrupt { .. } | Error::Lacking(_) | Error::Unavailable(_)) => {}
        }
        done
    }

    /// Undoes it, and gives the connection back.
    pub async fn rollback(mut self) -> Result<C, sqlx::Error> {
        self.connection().execute(ROLLBACK).await?;
        Ok(self.connection.take().expect("it was there a line before"))
    }
}

impl<C: AsConnection> Drop for Tx<C> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.close();
        }
    }
}

impl AsConnection for PoolConnection<Postgres> {
    fn as_connection(&mut self) -> &mut PgConnection {
        self
    }

    fn close(mut self) {
        self.close_on_drop();
    }
}

impl AsConnection for PgConnection {
    fn as_connection(&mut self) -> &mut PgConnection {
        self
    }

    /// The server notices.
    fn close(self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_log_shows_a_password() {
        let link =
            Link::read("postgres://me:hush@db.internal/callboard?sslmode=require", false).expect("a URL");
        let shown = format!("{link:?}");
        assert!(shown.contains("db.internal") && !shown.contains("hush"), "{shown}");
    }
}
