//! What the commands that speak to a server have in common: which server, as whom, and how answers are printed.

use super::Misuse;
use crate::{
    cli::remote::{Much, Remote},
    client::{Address, Client, Error, Listing, shapes},
    config::Secret,
    contexts::{Contexts, Target, Wanted},
    document,
    say::{self, say},
    terminal::{Table, json, plain},
    user::User,
};
use anyhow::Context;
use callboard_core::id::WorkflowId;
use serde_json::Value;
use std::{env, io::Read, path::Path};

/// A server, and how its answers are printed.
pub struct Session {
    pub client: Client,
    /// As JSON, for programs.
    pub json: bool,
}

/// Finds the server that the command line, the environment and the contexts name.
pub fn target(remote: &Remote) -> anyhow::Result<Target> {
    let said = |name: &str| env::var(name).ok().filter(|text| !text.trim().is_empty());
    let server_here: Option<Address> = said("CALLBOARD_SERVER")
        .map(|text| text.parse().map_err(|error| Misuse(format!("CALLBOARD_SERVER: {error}"))))
        .transpose()?;
    let wanted = Wanted {
        server: remote.server.clone(),
        context: remote.context.clone(),
        server_here,
        key_here: said("CALLBOARD_API_KEY").map(|key| Secret::new(key.trim())),
    };
    // A file that can't be used is in the way only of those who need it.
    let contexts = match Contexts::of(&User::of_process()) {
        Ok(contexts) => contexts,
        Err(_) if wanted.names_all() => Contexts::default(),
        Err(error) => return Err(Misuse(format!("{error:#}")).into()),
    };
    contexts.target(wanted).map_err(|error| Misuse(format!("{error:#}")).into())
}

/// Says that a key can be read on its way, if it can.
pub fn warn_if_open(server: &Address, key: Option<&Secret>) {
    if key.is_some() && server.is_open() {
        say!(
            "callboard: warning: the key goes to {server} unencrypted, and whoever is on the way can read it: use https"
        );
    }
}

/// Reads JSON from an argument: JSON, or the name of a file of JSON or YAML after an `@`; `@-` and `-` are standard input.
pub fn data(option: &str, text: &str) -> anyhow::Result<Value> {
    let file = text.strip_prefix('@').or((text == document::STDIN).then_some(text));
    match file {
        Some(file) => {
            let text = document::text(Path::new(file)).with_context(|| option.to_owned())?;
            document::read(Path::new(file), &text)
                .map_err(|error| anyhow::anyhow!("{option} {file}: {error}"))
        }
        None => serde_json::from_str(text).with_context(|| format!("{option} is not JSON")),
    }
}

/// The same, where a mistake in it is the user's.
pub fn given(option: &str, text: Option<&str>) -> Result<Option<Value>, Misuse> {
    text.map(|text| data(option, text)).transpose().map_err(|error| Misuse(format!("{error:#}")))
}

/// Reads a secret of one line from standard input.
pub fn secret_line() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin().lock().take(64 << 10).read_to_string(&mut text).context("standard input")?;
    Ok(text.trim().to_owned())
}

/// Returns the time in milliseconds since the epoch.
pub fn now() -> i64 {
    callboard_actors::Clock::system().now().0
}

// === impl Session ===

impl Session {
    pub fn open(remote: &Remote) -> anyhow::Result<Self> {
        let Target { server, key, .. } = target(remote)?;
        warn_if_open(&server, key.as_ref());
        Ok(Self { client: Client::new(server, key)?, json: remote.json })
    }

    /// Finds the one workflow that is called so, or has this id.
    pub async fn workflow(&self, which: &str) -> anyhow::Result<WorkflowId> {
        let all = self.client.workflows().all().await?;
        let all: Vec<shapes::Workflow> = all.iter().filter_map(shapes::read).collect();
        if let Some(found) = all.iter().find(|workflow| workflow.id.as_str() == which) {
            return Ok(found.id.clone());
        }
        let named: Vec<_> = all.iter().filter(|workflow| workflow.name == which).collect();
        match named[..] {
            [found] => Ok(found.id.clone()),
            [] => {
                anyhow::bail!("there is no workflow {} at {}", plain(which), self.client.address())
            }
            _ => {
                let ids: Vec<_> = named.iter().map(|workflow| workflow.id.to_string()).collect();
                let message = format!(
                    "{} workflows are called {}; name one by its id: {}",
                    ids.len(),
                    plain(which),
                    ids.join(", ")
                );
                Err(Misuse(message).into())
            }
        }
    }

    /// Prints a list: a line of JSON for each item, or a table that `table` makes of all of them.
    pub async fn list(
        &self,
        mut listing: Listing,
        much: Option<&Much>,
        table: impl AsyncFnOnce(&[Value]) -> Result<Table, Error>,
    ) -> anyhow::Result<()> {
        let most = match much {
            Some(much) if !much.all => usize::try_from(much.limit).unwrap_or(usize::MAX),
            Some(_) | None => usize::MAX,
        };
        let (mut items, mut seen) = (Vec::new(), 0);
        while let Some(page) = listing.page(most - seen).await? {
            seen += page.len();
            if !self.json {
                items.extend(page);
                continue;
            }
            for item in &page {
                if !say::part(&json(item))? {
                    return Ok(());
                }
            }
        }
        if !self.json && !items.is_empty() {
            say::result(&table(&items).await?.text())?;
        } else if seen == 0 {
            say!("(none)");
        }
        if listing.has_more() {
            say!("(there are more: --limit N, or --all)");
        }
        Ok(())
    }

    /// Prints one document, or what people see of it.
    pub fn show(&self, document: &Value, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        say::result(&if self.json { json(document) } else { text() })
    }
}

// === impl Wanted ===

impl Wanted {
    /// Whether nothing of it is left to the contexts.
    fn names_all(&self) -> bool {
        self.context.is_none()
            && self.key_here.is_some()
            && (self.server.is_some() || self.server_here.is_some())
    }
}
