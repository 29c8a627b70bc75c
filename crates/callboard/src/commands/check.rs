//! `callboard check`: reports everything that is wrong with files, and nothing else.

use super::{Exit, Misuse};
use crate::{
    cli::Check,
    config::{Config, Sources},
    document::{self, Agents},
    say::{self, say},
};
use callboard_core::{Problem, workflow::Definition};
use serde_json::Value;
use std::{collections::BTreeSet, path::Path};

pub fn perform(check: Check) -> anyhow::Result<Exit> {
    if check.schema {
        say::result(&serde_json::to_string_pretty(&Definition::schema())?)?;
    }
    if check.files.is_empty() {
        return Ok(Exit::Done);
    }
    let agents = document::agents(check.agents.as_deref().unwrap_or(Path::new(""))).map_err(Misuse)?;
    // Mistakes of the settings are not those of these files.
    let settings = Config::load(None).ok();
    let bound = settings.map(|config| config.secrets.hosts.into_keys().collect()).unwrap_or_default();
    let mut wrong = 0;
    for file in &check.files {
        let name = file.display();
        let problems = look(file, &agents, &bound)?;
        if problems.is_empty() {
            // The schema on standard output may be read by a program.
            say!("{name}: ok");
        }
        wrong += problems.len();
        for problem in problems {
            say!("{name}: {problem}");
        }
    }
    Ok(if wrong == 0 { Exit::Done } else { Exit::Failed })
}

fn look(file: &Path, agents: &Agents, bound: &BTreeSet<String>) -> anyhow::Result<Vec<Problem>> {
    let text = document::text(file).map_err(|error| Misuse(format!("{error:#}")))?;
    if file.extension().is_some_and(|extension| extension == "toml") {
        let sources = Sources::file(file.display().to_string(), text);
        let mistakes = sources.load().err().map(|mistakes| mistakes.0).unwrap_or_default();
        return Ok(mistakes
            .into_iter()
            .map(|m| Problem::new(m.path, "invalid_setting", m.message))
            .collect());
    }
    Ok(match document::read(file, &text) {
        Err(error) => vec![Problem::new("", "unreadable", error)],
        Ok(Value::Object(fields)) if fields.contains_key("agents") && !fields.contains_key("nodes") => {
            match Agents::from_value(Value::Object(fields)) {
                Ok(agents) => agents.check_hosts(bound),
                Err(problems) => problems,
            }
        }
        Ok(value) => document::check(value, agents, bound).problems,
    })
}
