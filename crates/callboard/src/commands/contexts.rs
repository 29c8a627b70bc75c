//! `callboard login`, `logout`, `contexts`, `use`, `status`: servers and who we are there.

use super::{
    Exit, Misuse,
    remote::{Session, secret_line, target, warn_if_open},
};
use crate::{
    cli::remote::{self, Login, Logout, Status, Use},
    client::{Client, Error},
    config::Secret,
    contexts::{Context, Contexts},
    say::{self, say},
    terminal::{Table, json as line, plain},
    user::User,
};
use anyhow::Context as _;
use serde_json::{Value, json};

pub async fn login(asked: Login) -> anyhow::Result<Exit> {
    let name = asked.name.unwrap_or_else(|| asked.server.name());
    if name.is_empty() || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Misuse("a context's name has no blanks and no control characters".into()).into());
    }
    let key = match asked.key.as_deref() {
        Some("-") => secret_line()?,
        Some(_) => {
            let message = "a key on the command line can be read by others, in lists of processes and in the shell's history: \
                           give it by `--key -` on standard input";
            return Err(Misuse(message.into()).into());
        }
        None if console::user_attended() && console::user_attended_stderr() => {
            let term = console::Term::stderr();
            term.write_str(&format!("Key for {} (empty for none): ", asked.server))?;
            term.read_secure_line().context("the key")?.trim().to_owned()
        }
        None => String::new(),
    };
    let key = (!key.is_empty()).then(|| Secret::new(key));
    warn_if_open(&asked.server, key.as_ref());
    let client = Client::new(asked.server.clone(), key.clone())?;
    let health = client.get("/api/v1/health").await?;
    let Some(version) = health.get("version").and_then(Value::as_str) else {
        anyhow::bail!("what answers at {} is no callboard", asked.server);
    };
    // Health is told to anybody; this is asked under the key.
    client.get("/api/v1/workflows?limit=1").await.context("nothing was kept")?;
    let mut contexts = own()?;
    let is_known = contexts.get(&name).is_some();
    contexts.add(&name, Context { server: asked.server.clone(), key })?;
    let again = if is_known { ", instead of what it was" } else { "" };
    say!(
        "{name} is {} (callboard {}){again}; commands speak to it from now on",
        asked.server,
        plain(version)
    );
    Ok(Exit::Done)
}

pub fn logout(asked: Logout) -> anyhow::Result<Exit> {
    let mut contexts = own()?;
    let name = match asked.name.or(contexts.current().map(str::to_owned)) {
        Some(name) => name,
        None => {
            return Err(
                Misuse("no context is in use: name one; `callboard contexts` lists them".into()).into()
            );
        }
    };
    if !contexts.remove(&name)? {
        return Err(unknown(&name));
    }
    say!("{} and its key are forgotten here; the key itself is still valid", plain(&name));
    Ok(Exit::Done)
}

pub fn list(asked: &remote::Contexts) -> anyhow::Result<Exit> {
    let contexts = own()?;
    let mut table = Table::new(["", "<NAME", "<SERVER", "KEY"]);
    for (name, context) in contexts.all() {
        let (is_current, has_key) = (contexts.current() == Some(name), context.key.is_some());
        if asked.json {
            let server = context.server.to_string();
            let item = json!({"name": name, "server": server, "key": has_key, "current": is_current});
            if !say::part(&line(&item))? {
                break;
            }
        } else {
            let mark = if is_current { "*" } else { "" };
            let key = if has_key { "yes" } else { "no" };
            table.row([mark.into(), name.into(), context.server.to_string().into(), key.into()]);
        }
    }
    if !table.is_empty() {
        say::result(&table.text())?;
    } else if contexts.all().next().is_none() {
        say!("(none; `callboard login URL` adds one)");
    }
    Ok(Exit::Done)
}

pub fn choose(asked: &Use) -> anyhow::Result<Exit> {
    let mut contexts = own()?;
    if !contexts.choose(&asked.name)? {
        return Err(unknown(&asked.name));
    }
    let server = contexts.get(&asked.name).map(|context| context.server.to_string()).unwrap_or_default();
    say!("commands speak to {server} from now on");
    Ok(Exit::Done)
}

pub async fn status(asked: Status) -> anyhow::Result<Exit> {
    let named = target(&asked.remote)?.context;
    let session = Session::open(&asked.remote)?;
    let health = session.client.get("/api/v1/health").await?;
    let version = health.get("version").and_then(Value::as_str).unwrap_or_default();
    let (ready, why) = match session.client.get("/ready").await {
        Ok(_) => (true, None),
        // Something before it may not pass this path on: then nothing is known of it.
        Err(Error::Refused(refused)) if refused.status == 404 => (true, None),
        Err(error @ Error::Refused(_)) => (false, Some(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    let server = session.client.address().to_string();
    let told = json!({"server": server, "context": named, "version": version, "ready": ready, "why": why});
    session.show(&told, || {
        let mut text = format!("server   {server}\n");
        if let Some(named) = &named {
            text.push_str(&format!("context  {}\n", plain(named)));
        }
        text.push_str(&format!("version  {}\nready    ", plain(version)));
        text.push_str(&why.map_or_else(|| "yes".to_owned(), |why| format!("no: {why}")));
        text
    })?;
    Ok(if ready { Exit::Done } else { Exit::Unavailable })
}

fn own() -> anyhow::Result<Contexts> {
    Contexts::of(&User::of_process())
}

fn unknown(name: &str) -> anyhow::Error {
    Misuse(format!("there is no context {}; `callboard contexts` lists them", plain(name))).into()
}
