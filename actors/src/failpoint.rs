//! Places where a test lets the process die: between any two steps of a turn that a crash could part.
//!
//! `CB_FAILPOINTS="commit.after_document=kill@17"` ends the process at the seventeenth hit, as `kill -9` would: nothing is
//! unwound, flushed or told. Several stand apart by commas. Only builds with debug assertions have them; a release has
//! neither the names nor the variable. `turn.of.RUN` is each turn of one run, which so kills whatever starts. The names are listed, and each is died at, in `tests/it/chaos/failpoints.rs`.

/// A place to die at, by name.
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(debug_assertions)]
        $crate::failpoint::hit($name);
    };
}
pub(crate) use failpoint;

#[cfg(debug_assertions)]
mod armed {
    use std::{
        collections::BTreeMap,
        sync::{
            LazyLock,
            atomic::{AtomicU64, Ordering},
        },
        time::SystemTime,
    };

    const VARIABLE: &str = "CB_FAILPOINTS";

    /// Hits left until the end, by name; one of 0 is past.
    static LEFT: LazyLock<BTreeMap<String, AtomicU64>> =
        LazyLock::new(|| read(&std::env::var(VARIABLE).unwrap_or_default()));

    /// Counts a hit, and ends the process if it is the one.
    pub fn hit(name: &str) {
        let Some(left) = LEFT.get(name) else { return };
        if left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            eprintln!("failpoint {name} at {}", since.as_millis());
            std::process::abort();
        }
    }

    /// Reads `name=kill@n,…`; what can't be read is said, and is none.
    pub(super) fn read(text: &str) -> BTreeMap<String, AtomicU64> {
        let parts = text.split(',').filter(|part| !part.is_empty());
        let read = |part: &str| {
            let (name, at) = part.split_once("=kill@")?;
            let at = at.parse().ok().filter(|at| *at > 0)?;
            Some((name.to_owned(), AtomicU64::new(at)))
        };
        parts
            .filter_map(|part| {
                let found = read(part);
                if found.is_none() {
                    eprintln!("{VARIABLE}: {part:?} is no failpoint");
                }
                found
            })
            .collect()
    }
}

#[cfg(debug_assertions)]
pub use armed::hit;

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::armed::read;
    use std::sync::atomic::Ordering;

    #[test]
    fn a_list_of_failpoints_is_read() {
        let read = read("a.b=kill@17,c=kill@0,d=stop@1,,e=kill@1");
        let found: Vec<_> =
            read.iter().map(|(name, at)| (name.as_str(), at.load(Ordering::Relaxed))).collect();
        assert_eq!(found, [("a.b", 17), ("e", 1)]);
    }
}
