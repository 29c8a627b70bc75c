//! The last line against left-over processes: a shell that outlives the test binary by an
//! instant and kills whatever it started and did not reap, however it ended.
//!
//! `Drop` is not enough: a binary that is killed, aborts or exits with statics alive drops
//! nothing. The shell reads which children live from a pipe; the pipe's end is the sign.

use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock};

const SCRIPT: &str = r#"
trap '' INT TERM HUP
live=' '
while read -r op pid; do
    case $op in
        +) live="$live$pid " ;;
        -) case $live in *" $pid "*) live="${live%% $pid *} ${live#* $pid }" ;; esac ;;
    esac
done
for pid in $live; do kill -9 "$pid" 2>/dev/null; done
"#;

struct Reaper {
    pipe: ChildStdin,
    _shell: Child,
}

static REAPER: OnceLock<Mutex<Reaper>> = OnceLock::new();

/// Spawns a child that dies with this process.
pub fn spawn(command: &mut Command) -> std::io::Result<Child> {
    let mut reaper = reaper();
    let child = command.spawn()?;
    writeln!(reaper.pipe, "+ {}", child.id())?;
    Ok(child)
}

/// Tells that a child has been waited for, so that its id may belong to somebody else.
pub fn reaped(id: u32) {
    // A shell that is gone can't kill anything any more; there is nothing to tell it.
    let _ = writeln!(reaper().pipe, "- {id}");
}

fn reaper() -> MutexGuard<'static, Reaper> {
    REAPER
        .get_or_init(|| {
            let mut shell = Command::new("sh")
                .args(["-c", SCRIPT])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("a POSIX shell starts");
            let pipe = shell.stdin.take().expect("its input is a pipe");
            Mutex::new(Reaper { pipe, _shell: shell })
        })
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}
