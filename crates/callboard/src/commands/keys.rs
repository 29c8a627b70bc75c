//! `callboard keys`: keys of the API, for whoever has the catalog; and the key that the processes of an installation sign
//! their messages with.
//!
//! A secret goes to standard output, once and alone, so that a script can take it; what people want to know, to stderr.

use super::{Exit, Misuse, installation};
use crate::{
    access::Gatekeeper,
    cli::{self, KeyRole, KeysCommand},
    operations::{KeyMade, KeyView, KeyWish, Kind, Refusal, make_key, now, renew_key},
    say::{self, say},
};
use callboard_actors::{Clock, fresh_key};
use callboard_catalog::{AuditEntry, KeyLimits, Role};
use callboard_core::id::{KeyId, ProjectId};

/// Keys that are read at once.
const PAGE: u32 = 100;
/// Who does what is done here, in the audit.
const COMMAND: &str = "command";

pub async fn perform(keys: cli::Keys) -> anyhow::Result<Exit> {
    match keys.command {
        KeysCommand::Create(create) => self::create(create).await?,
        KeysCommand::List(list) => self::list(list).await?,
        KeysCommand::Revoke(revoke) => self::revoke(revoke).await?,
        KeysCommand::Rotate(rotate) => self::rotate(rotate).await?,
        KeysCommand::RotateInternal(place) => {
            let catalog = installation::existing(&place).await?;
            let id = catalog.rotate_key(fresh_key(), Clock::system().now()).await?;
            catalog.close().await;
            say!(
                "key {id} signs as soon as the processes have read it, within seconds; the one before it stays valid \
                 until the next rotation"
            );
        }
    }
    Ok(Exit::Done)
}

async fn create(create: cli::CreateKey) -> anyhow::Result<()> {
    let (gatekeeper, opened) = installation::first_gatekeeper(&create.place).await?;
    let role = match create.role {
        None | Some(KeyRole::Admin) => Role::Admin,
        Some(KeyRole::Editor) => Role::Editor,
        Some(KeyRole::Operator) => Role::Operator,
        Some(KeyRole::Viewer) => Role::Viewer,
    };
    let is_first = !gatekeeper.store().has_keys().await?;
    let expires_at = create.expires.map(|span| now() + span);
    let limits = KeyLimits { per_second: create.per_second, per_hour: create.per_hour };
    let wish = KeyWish { project: create.project, role, name: create.name, expires_at, limits };
    let made = make_key(&gatekeeper, wish, COMMAND.into()).await;
    let KeyMade { key, secret } = made.map_err(told)?;
    recorded(&gatekeeper, "callboard keys create", &key.project, &key.id).await;
    opened.catalog.close().await;
    let until = key.expires_at.map_or_else(|| "for ever".to_owned(), |at| format!("until {at}"));
    say!("key {} of project {}: {}, {until}. It is shown this once:", key.id, key.project, role.as_str());
    say::result(&secret)?;
    if is_first {
        say!("from now on the API lets nobody in without a key or a token");
    }
    Ok(())
}

async fn list(list: cli::ListKeys) -> anyhow::Result<()> {
    let (gatekeeper, opened) = installation::gatekeeper(&list.place).await?;
    let mut after: Option<KeyId> = None;
    loop {
        let keys = gatekeeper.store().keys(&list.project, after.as_ref(), PAGE).await?;
        after = keys.last().map(|key| key.id.clone());
        for key in keys {
            let key = KeyView::of(key, now());
            let ends = key.expires_at.as_deref().unwrap_or("never ends");
            let used = key.last_used_at.as_deref().unwrap_or("never used");
            say::result(&format!(
                "{}  {:8}  {:7}  made {}  {ends}  {used}  {}",
                key.id,
                key.role.as_str(),
                key.status,
                key.created_at,
                key.name
            ))?;
        }
        if after.is_none() {
            break;
        }
    }
    opened.catalog.close().await;
    Ok(())
}

async fn revoke(revoke: cli::RevokeKey) -> anyhow::Result<()> {
    let (gatekeeper, opened) = installation::gatekeeper(&revoke.place).await?;
    let project = project_of(&gatekeeper, &revoke.id).await?;
    gatekeeper.store().revoke_key(&project, &revoke.id, now()).await?;
    recorded(&gatekeeper, "callboard keys revoke", &project, &revoke.id).await;
    opened.catalog.close().await;
    say!("key {} is refused everywhere within 5 s", revoke.id);
    Ok(())
}

async fn rotate(rotate: cli::RotateKey) -> anyhow::Result<()> {
    let (gatekeeper, opened) = installation::gatekeeper(&rotate.place).await?;
    let project = project_of(&gatekeeper, &rotate.id).await?;
    let made = renew_key(&gatekeeper, &project, &rotate.id, rotate.keep).await.map_err(told)?;
    recorded(&gatekeeper, "callboard keys rotate", &project, &rotate.id).await;
    opened.catalog.close().await;
    say!(
        "key {} has another secret; the one before stays good for {}. It is shown this once:",
        rotate.id,
        rotate.keep
    );
    say::result(&made.secret)?;
    Ok(())
}

async fn project_of(gatekeeper: &Gatekeeper, id: &KeyId) -> anyhow::Result<ProjectId> {
    let key = gatekeeper.store().key(id).await?;
    Ok(key.ok_or_else(|| Misuse(format!("there is no key {id}")))?.project)
}

async fn recorded(gatekeeper: &Gatekeeper, command: &str, project: &ProjectId, key: &KeyId) {
    gatekeeper.trail().record(AuditEntry {
        at: now(),
        project: project.clone(),
        subject: COMMAND.into(),
        via: COMMAND.into(),
        route: command.into(),
        object: Some(key.to_string()),
        before: None,
        after: None,
        refused: None,
    });
    gatekeeper.trail().flushed().await;
}

/// What a person is told who has asked for what there is not.
fn told(refusal: Refusal) -> anyhow::Error {
    match refusal.kind {
        Kind::NotFound => Misuse(refusal.detail).into(),
        _ => anyhow::anyhow!(refusal.detail),
    }
}
