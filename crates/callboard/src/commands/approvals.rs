//! `callboard approvals …`: what waits for a person, and their answer.
//!
//! An answer names the hash of what was shown, so that nobody approves something else than they saw.

use super::{
    Exit, Misuse,
    remote::{Session, now},
    runs::{read, tell},
};
use crate::{
    cli::remote::{Approvals, ApprovalsCommand, OfRun, Verdict},
    client::{
        Error,
        shapes::{self, Asked, Step},
    },
    say::{self, say},
    terminal::{Table, ago, json as line, plain, plain_lines, pretty},
};
use callboard_core::id::RunId;
use serde_json::{Value, json};
use std::io::IsTerminal;

pub async fn perform(asked: Approvals) -> anyhow::Result<Exit> {
    let session = Session::open(&asked.remote)?;
    match asked.command {
        ApprovalsCommand::List => list(&session).await?,
        ApprovalsCommand::Show { of: OfRun { run }, step } => {
            let steps = waiting(&session, &run).await?;
            let steps = match &step {
                Some(name) => vec![find(&run, &steps, name)?.clone()],
                None => steps,
            };
            if steps.is_empty() {
                say!("(nothing of run {run} waits for a person)");
            }
            for (raw, step) in &steps {
                if !say::part(&if session.json { line(raw) } else { shown(step) })? {
                    break;
                }
            }
        }
        ApprovalsCommand::Approve(verdict) => return answer(&session, verdict, true).await,
        ApprovalsCommand::Reject(verdict) => return answer(&session, verdict, false).await,
    }
    Ok(Exit::Done)
}

/// A step that waits for a person, as it came and as it is read.
type Waiting = (Value, Step);

/// Returns the steps of a run that wait for a person.
async fn waiting(session: &Session, run: &RunId) -> Result<Vec<Waiting>, Error> {
    let steps = session.client.steps(run).all().await?;
    let read = steps.into_iter().filter_map(|raw| shapes::read::<Step>(&raw).map(|step| (raw, step)));
    Ok(read.filter(|(_, step)| step.is_asked()).collect())
}

async fn list(session: &Session) -> anyhow::Result<()> {
    let table = async |items: &[Value]| {
        let mut table = Table::new(["RUN", "STEP", "<ASKS", "<WORKFLOW", "SINCE"]);
        for asked in read::<Asked>(items) {
            let since = shapes::instant(Some(&asked.since));
            table.row([
                asked.run_id.as_str().into(),
                asked.name().into(),
                asked.question().into(),
                asked.workflow_name.as_str().into(),
                since.map(|since| ago(now() - since)).unwrap_or_default().into(),
            ]);
        }
        Ok(table)
    };
    session.list(session.client.approvals(), None, table).await
}

/// Finds the step of a name among those that wait.
fn find<'s>(run: &RunId, steps: &'s [Waiting], name: &str) -> anyhow::Result<&'s Waiting> {
    let found: Vec<_> = steps.iter().filter(|(_, step)| step.name() == name || step.node == name).collect();
    let names = |steps: &[&Waiting]| {
        let names: Vec<_> = steps.iter().map(|(_, step)| plain(&step.name()).into_owned()).collect();
        names.join(", ")
    };
    match (&found[..], steps.len()) {
        ([one], _) => Ok(one),
        ([], 0) => anyhow::bail!("nothing of run {run} waits for a person"),
        ([], _) => {
            let all: Vec<_> = steps.iter().collect();
            anyhow::bail!(
                "no step {} of run {run} waits for a person; these do: {}",
                plain(name),
                names(&all)
            )
        }
        (several, _) => Err(Misuse(format!("several wait, name one of them: {}", names(several))).into()),
    }
}

async fn answer(session: &Session, verdict: Verdict, approved: bool) -> anyhow::Result<Exit> {
    let Verdict { of: OfRun { run }, step: name, comment, args_hash, yes } = verdict;
    let steps = waiting(session, &run).await?;
    let (_, step) = find(&run, &steps, &name)?;
    say!("{}", shown(step));
    // Who gave a hash has decided; so has a program.
    let is_person = std::io::stdin().is_terminal() && console::user_attended_stderr();
    if !yes && args_hash.is_none() && is_person && !confirmed(approved)? {
        say!("(nothing was sent)");
        return Ok(Exit::Failed);
    }
    let mut body = json!({
        "node": step.node, "generation": step.generation, "approved": approved,
        "args_hash": args_hash.or(step.args_hash.clone()),
    });
    if !step.iteration.is_empty() {
        body["iteration"] = step.iteration.as_str().into();
    }
    if let Some(comment) = comment {
        body["comment"] = comment.into();
    }
    let run = session.client.operate(&run, "approve", &body).await?;
    tell(session, &run)?;
    Ok(Exit::Done)
}

/// Asks on the terminal. No answer is none.
fn confirmed(approved: bool) -> anyhow::Result<bool> {
    let term = console::Term::stderr();
    term.write_str(if approved { "Approve this? [y/N] " } else { "Reject this? [y/N] " })?;
    let said = term.read_line()?;
    Ok(matches!(said.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn question(step: &Step) -> String {
    match step.input.get("title").and_then(Value::as_str) {
        _ if step.status == "unknown" => "was it performed?".to_owned(),
        Some(title) => title.to_owned(),
        None => String::new(),
    }
}

/// Shows in full what a person is asked.
fn shown(step: &Step) -> String {
    let mut text = format!("{}: {}", plain(&step.name()), plain(&question(step)));
    let mut add = |name: &str, value: &Value| {
        let shown = match value {
            Value::Null => return,
            Value::String(one) => plain_lines(one),
            other => pretty(other),
        };
        text.push_str(&format!("\n  {name}\n    {}", shown.replace('\n', "\n    ")));
    };
    if step.status == "unknown" {
        add("it was to do", &step.input);
    } else {
        add("detail", step.input.get("detail").unwrap_or(&Value::Null));
        if let Some(guards) = step.input.get("guards") {
            let node = guards.get("node").and_then(Value::as_str).unwrap_or_default();
            add(&format!("{} will send", plain(node)), guards.get("sends").unwrap_or(&Value::Null));
        }
    }
    let hash = step.args_hash.as_deref().unwrap_or_default();
    text.push_str(&format!("\n  args_hash\n    {}", plain(hash)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(value: Value) -> Waiting {
        let read = shapes::read(&value).expect("a step");
        (value, read)
    }

    #[test]
    fn a_step_is_found_by_its_node_or_its_iteration() {
        let run = "r".parse::<RunId>().expect("an id");
        let each = |n: u32| {
            step(json!({"node": "ask", "iteration": n.to_string(), "status": "waiting", "args_hash": "x"}))
        };
        let steps = [each(0), each(1), step(json!({"node": "one", "status": "waiting", "args_hash": "y"}))];
        let found = |name: &str| {
            find(&run, &steps, name).map(|(_, step)| step.name()).map_err(|error| error.to_string())
        };
        assert_eq!(found("one"), Ok("one".into()));
        assert_eq!(found("ask[1]"), Ok("ask[1]".into()));
        assert!(found("ask").is_err_and(|error| error.contains("ask[0], ask[1]")));
        assert!(found("two").is_err_and(|error| error.contains("these do: ask[0], ask[1], one")));
        assert!(find(&run, &[], "one").is_err());
    }

    #[test]
    fn what_is_asked_is_shown_in_full_and_acts_on_nothing() {
        let (_, asked) = step(json!({"node": "ask", "status": "waiting", "args_hash": "ab",
            "input": {"title": "Send\u{1b}[8m?", "detail": "a\nb\u{1b}", "guards": {"node": "mail", "sends": {"to": "x"}}}}));
        let expected = "ask: Send\\u{1b}[8m?\n  detail\n    a\n    b\\u{1b}\n  mail will send\n    {\n      \"to\": \"x\"\n    }\
            \n  args_hash\n    ab";
        assert_eq!(shown(&asked), expected);
    }
}
