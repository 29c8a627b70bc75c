//! A Postgres of one's own, and a PgBouncer before it: on loopback, each in a folder of its own.
//!
//! Neither runs as root, so where the tests do, they are started as `nobody`. Most tests share one server and take a database
//! each; whoever stops a server starts one for itself.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::{Launch, Process, START, free_port, programs, scratch};

/// Of `nobody` on every Linux.
const NOBODY: u32 = 65_534;
/// The user that owns what the tests make.
const OWNER: &str = "owner";

static SHARED: OnceCell<Postgres> = OnceCell::const_new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A running Postgres. One that was stopped at once and started again has every transaction it acknowledged.
pub struct Postgres {
    pub process: Process,
    port: u16,
    _dir: TempDir,
}

/// A PgBouncer in transaction mode before a Postgres.
pub struct Pooler {
    pub process: Process,
    port: u16,
    _dir: TempDir,
}

impl Postgres {
    /// Returns the server that tests share. It ends with the test binary.
    pub async fn shared() -> &'static Self {
        SHARED.get_or_init(Self::start).await
    }

    pub async fn start() -> Self {
        let dir = private();
        let data = dir.path().join("data");
        let mut make = Command::new(programs::postgres("initdb"));
        make.args(["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-U", OWNER, "-D"])
            .arg(&data);
        let made = unprivileged(Launch::new("initdb", make.get_program()).args(make.get_args()));
        let made = Command::new(&made.program).args(&made.args).output().expect("initdb starts");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));

        let port = free_port();
        let launch = Launch::new("postgres", programs::postgres("postgres"))
            .arg("-D")
            .arg(&data)
            .args([
                "-p",
                &port.to_string(),
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "unix_socket_directories=",
            ])
            .args(["-c", "max_connections=200", "-c", "shared_buffers=64MB"]);
        let mut postgres =
            Self { process: Process::start(unprivileged(launch), dir.path()), port, _dir: dir };
        postgres.ready().await;
        postgres
    }

    /// Stops it as `pg_ctl stop -m immediate` does: nothing is finished, nothing written.
    pub async fn stop_at_once(&mut self) {
        self.process.signal("QUIT");
        self.process.wait(START).await;
    }

    pub async fn restart(&mut self) {
        self.process.restart();
        self.ready().await;
    }

    async fn ready(&mut self) {
        let url = self.url("postgres");
        let ping = || async { connect(&url).await.map(drop).map_err(|error| error.to_string()) };
        self.process.until(START, ping).await;
    }

    /// Returns the URL of a database, for its owner.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{OWNER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes an empty database and returns its name.
    pub async fn database(&self) -> String {
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let mut connection = connect(&self.url("postgres")).await.expect("the server answers");
        let create = format!("create database {name}");
        connection.execute(sqlx::AssertSqlSafe(create)).await.expect("a database");
        name
    }

    /// Starts a PgBouncer that has so many connections to it.
    pub async fn pooler(&self, connections: u32) -> Pooler {
        let dir = private();
        let port = free_port();
        let (file, users) = (dir.path().join("pgbouncer.ini"), dir.path().join("users.txt"));
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = transaction\n\
             default_pool_size = {connections}\n",
            self.port,
            users.display()
        );
        std::fs::write(&file, settings).expect("a file of a temporary folder");
        std::fs::write(&users, format!("\"{OWNER}\" \"\"\n")).expect("a file of a temporary folder");
        let launch = Launch::new("pgbouncer", programs::pgbouncer()).arg(&file);
        let mut process = Process::start(unprivileged(launch), dir.path());
        let url = format!("postgres://{OWNER}@127.0.0.1:{port}/postgres");
        // What a driver says of floats when it connects, a PgBouncer refuses.
        let options =
            || url.parse::<sqlx::postgres::PgConnectOptions>().expect("a URL").extra_float_digits(None);
        let ping = || async {
            let connected = PgConnection::connect_with(&options()).await;
            connected.map(drop).map_err(|error| error.to_string())
        };
        process.until(START, ping).await;
        Pooler { process, port, _dir: dir }
    }
}

impl Pooler {
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{OWNER}@127.0.0.1:{}/{database}", self.port)
    }
}

/// Opens a connection, within a few seconds.
pub async fn connect(url: &str) -> sqlx::Result<PgConnection> {
    let connecting = tokio::time::timeout(Duration::from_secs(5), PgConnection::connect(url));
    connecting.await.map_err(|_| sqlx::Error::PoolTimedOut)?
}

/// Returns a folder that belongs to whoever the server runs as.
fn private() -> TempDir {
    let dir = scratch();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("our own folder");
    if is_root() {
        chown(dir.path(), Some(NOBODY), Some(NOBODY)).expect("root may give a folder away");
    }
    dir
}

/// Starts a program as somebody who is not root.
fn unprivileged(launch: Launch) -> Launch {
    if !is_root() {
        return launch;
    }
    let Launch { name, program, args, env, dir } = launch;
    let own = [PathBuf::into_os_string(program)].into_iter().chain(args);
    let id = NOBODY.to_string();
    let args = ["--reuid", &id, "--regid", &id, "--clear-groups", "--"]
        .map(Into::into)
        .into_iter()
        .chain(own)
        .collect();
    Launch { name, program: "setpriv".into(), args, env, dir }
}

fn is_root() -> bool {
    static ROOT: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *ROOT.get_or_init(|| {
        let probe = scratch();
        std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(probe.path()).expect("our own folder")) == 0
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_was_stopped_at_once_has_what_it_acknowledged() {
    let mut postgres = Postgres::start().await;
    let url = postgres.url("postgres");
    let mut connection = connect(&url).await.unwrap();
    connection.execute("create table t (n int); insert into t values (7)").await.unwrap();
    postgres.stop_at_once().await;
    assert!(connect(&url).await.is_err());
    postgres.restart().await;
    let mut connection = connect(&url).await.unwrap();
    let n: i32 = sqlx::query_scalar("select n from t").fetch_one(&mut connection).await.unwrap();
    assert_eq!(n, 7);
}
