//! Where the programs are, and which release of Dapr they belong to.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Returns the repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the suites live one folder below the root")
}

/// Returns one of daprd, placement, scheduler.
pub fn dapr(name: &str) -> PathBuf {
    let dir = env::var_os("CALLBOARD_DAPR_BIN").map_or_else(|| root().join(".cache/dapr"), PathBuf::from);
    let program = dir.join(name);
    assert!(program.is_file(), "there is no {}: run scripts/dapr-build", program.display());
    program
}

/// Returns the `redis-server` binary.
pub fn redis_server() -> PathBuf {
    if let Some(named) = env::var_os("CALLBOARD_REDIS_SERVER") {
        return named.into();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|dir| dir.join("redis-server")).find(|file| file.is_file());
    found.expect("there is no redis-server on the PATH: run scripts/redis-ensure")
}

/// Returns the `callboard` binary of the profile these tests were built with.
pub fn callboard() -> PathBuf {
    if let Some(named) = env::var_os("CALLBOARD_BIN") {
        return named.into();
    }
    let tests = env::current_exe().expect("a running program has a path");
    let profile = tests.ancestors().nth(2).expect("test binaries are in target/PROFILE/deps");
    let program = profile.join("callboard");
    assert!(program.is_file(), "there is no {}: run cargo build -p callboard", program.display());
    program
}

/// Returns one of Postgres' programs.
pub fn postgres(name: &str) -> PathBuf {
    let named = env::var_os("CALLBOARD_POSTGRES_BIN").map(PathBuf::from);
    let dir = named.unwrap_or_else(|| root().join(".cache/postgres/bin"));
    let program = dir.join(name);
    assert!(program.is_file(), "there is no {}: run scripts/postgres-ensure", program.display());
    program
}

/// Returns the `pgbouncer` binary. Debian has it where only root looks.
pub fn pgbouncer() -> PathBuf {
    if let Some(named) = env::var_os("CALLBOARD_PGBOUNCER") {
        return named.into();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let dirs = env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    let found = dirs.map(|dir| dir.join("pgbouncer")).find(|file| file.is_file());
    found.expect("there is no pgbouncer: run scripts/postgres-ensure")
}

/// A release of Dapr, as far as the harness must tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    pub major: u32,
    pub minor: u32,
}

impl Release {
    pub const V1_15: Self = Self { major: 1, minor: 15 };

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().trim_start_matches('v').split('.');
        Some(Self { major: parts.next()?.parse().ok()?, minor: parts.next()?.parse().ok()? })
    }
}

/// Returns the release of the daprd in use.
pub fn release() -> Release {
    static RELEASE: OnceLock<Release> = OnceLock::new();
    *RELEASE.get_or_init(|| {
        let daprd = dapr("daprd");
        let output = Command::new(&daprd).arg("--version").output();
        let output = output.unwrap_or_else(|error| panic!("{} does not start: {error}", daprd.display()));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Release::parse(&text).unwrap_or_else(|| panic!("{} --version says {text:?}", daprd.display()))
    })
}
