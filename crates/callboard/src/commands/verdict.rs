//! How a run ended: said to people, printed as its output, told by the exit code.

use super::Exit;
use crate::{
    say::{self, say},
    terminal::{plain, pretty},
};
use serde_json::Value;

/// Prints what came of a run.
pub fn report(run: &Value) -> anyhow::Result<Exit> {
    let exit = exit(run);
    match exit {
        Exit::Done => say::result(&pretty(run.get("output").unwrap_or(&Value::Null)))?,
        Exit::Cancelled => say!("callboard: the run was cancelled"),
        Exit::Failed | Exit::Usage | Exit::Unavailable => say!("callboard: {}", failure(run)),
    }
    Ok(exit)
}

/// Returns the exit code that tells how a run ended.
pub fn exit(run: &Value) -> Exit {
    match text(run, "/status") {
        "completed" => Exit::Done,
        "cancelled" => Exit::Cancelled,
        _ => Exit::Failed,
    }
}

fn failure(run: &Value) -> String {
    if text(run, "/status") != "failed" {
        return format!("the run has not ended, it is {}", plain(text(run, "/status")));
    }
    let node = match text(run, "/error/node") {
        "" => String::new(),
        node => format!(" in node {}", plain(node)),
    };
    format!(
        "the run failed{node}: {} [{}]",
        plain(text(run, "/error/message")),
        plain(text(run, "/error/code"))
    )
}

fn text<'v>(run: &'v Value, pointer: &str) -> &'v str {
    run.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_exit_code_tells_how_a_run_ended() {
        for (status, code) in [
            ("completed", Exit::Done),
            ("failed", Exit::Failed),
            ("cancelled", Exit::Cancelled),
            ("waiting", Exit::Failed),
        ] {
            assert_eq!(exit(&json!({ "status": status })), code, "{status}");
        }
        let failed =
            json!({"status": "failed", "error": {"node": "a", "message": "\u{1b}[1mno", "code": "x"}});
        assert_eq!(failure(&failed), "the run failed in node a: \\u{1b}[1mno [x]");
        assert_eq!(failure(&json!({"status": "paused"})), "the run has not ended, it is paused");
    }
}
