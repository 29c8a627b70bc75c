//! Keys of a project. A secret is shown once, to whoever made it.

use super::{Items, Operations, Page, Refusal, Request, now, page::page};
use crate::access::{
    Gatekeeper, Permission, Principal,
    key::{Secret, fresh_id},
};
use callboard_catalog::{self as catalog, ApiKey, KeyLimits, Role, Rotation};
use callboard_core::{
    Problem, Span, Timestamp,
    id::{KeyId, ProjectId},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Characters of a name.
const NAME: usize = 200;
/// How long the secret before a rotation stays good, unless it is said.
const KEPT: Span = Span::secs(24 * 3600);
const KEPT_AT_MOST: Span = Span::secs(30 * 24 * 3600);

/// A key to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    pub role: Role,
    /// For people; up to 200 characters.
    #[serde(default)]
    pub name: Option<String>,
    /// When it ends, in RFC 3339; never unless it is given.
    #[serde(default)]
    pub expires_at: Option<String>,
    /// Its project: the caller's own unless it is given. Another one is for those who may create projects.
    #[serde(default)]
    pub project: Option<ProjectId>,
    /// How often it may ask; as often as it likes unless it is given.
    #[serde(default)]
    pub limits: Option<LimitKey>,
}

/// How often a key may ask, of each process. What is not given, or null, is not bounded.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitKey {
    /// Requests of a second, as many at once.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub per_second: Option<u32>,
    /// Requests of an hour, as many at once.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub per_hour: Option<u32>,
}

/// Another secret for a key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateKey {
    /// How long the secret before stays good, such as `1h`; 24 hours unless it is given, 30 days at most.
    #[serde(default)]
    pub keep: Option<Span>,
}

impl Request for NewKey {
    fn mistakes(body: &Map<String, Value>) -> Vec<Problem> {
        let mut problems = Vec::new();
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        if text("name").is_some_and(|name| name.chars().count() > NAME) {
            problems.push(Problem::new("name", "invalid", format!("a name has at most {NAME} characters")));
        }
        if let Some(at) = text("expires_at") {
            match Timestamp::parse(at) {
                None => {
                    problems.push(Problem::new("expires_at", "invalid", "this is no instant of RFC 3339"))
                }
                Some(at) if at <= now() => {
                    problems.push(Problem::new("expires_at", "invalid", "a key ends in the future"));
                }
                Some(_) => {}
            }
        }
        for name in ["per_second", "per_hour"] {
            if body.get("limits").is_some_and(|limits| limits.get(name).and_then(Value::as_u64) == Some(0)) {
                let message = "it is at least 1: a key that may ask nothing is revoked";
                problems.push(Problem::new(format!("limits.{name}"), "out_of_range", message));
            }
        }
        problems
    }
}

impl Request for RotateKey {
    fn mistakes(body: &Map<String, Value>) -> Vec<Problem> {
        let keep = body.get("keep").and_then(Value::as_str).and_then(Span::parse);
        let is_long = keep.is_some_and(|keep| keep > KEPT_AT_MOST);
        let problem = || Problem::new("keep", "invalid", "the secret before is kept for 30 days at most");
        is_long.then(problem).into_iter().collect()
    }
}

/// What is shown of a key.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Key")]
pub struct KeyView {
    pub id: KeyId,
    pub project: ProjectId,
    pub role: Role,
    pub name: String,
    /// `active`, `expired` or `revoked`.
    pub status: &'static str,
    pub created_at: String,
    /// Who made it.
    pub created_by: String,
    pub expires_at: Option<String>,
    pub revoked_at: Option<String>,
    pub rotated_at: Option<String>,
    /// Until when the secret before the rotation is good.
    pub previous_until: Option<String>,
    /// To the minute.
    pub last_used_at: Option<String>,
    /// How often it may ask, of each process; what it has no limit of is missing.
    pub limits: KeyLimits,
}

/// A key with its secret, which is shown this once.
#[derive(Debug, Serialize, JsonSchema)]
pub struct KeyMade {
    #[serde(flatten)]
    pub key: KeyView,
    /// `cb_ID_SECRET`: what is sent. Nobody can show it again.
    pub secret: String,
}

// === impl Operations ===

impl Operations {
    pub async fn list_keys(&self, principal: &Principal, of: &Page) -> Result<Items<KeyView>, Refusal> {
        let limit = of.limit()?;
        let after = of.after_key()?;
        let found = self.access.store().keys(&principal.project, after.as_ref(), limit + 1).await?;
        let (found, next) = page(found, limit, |key| key.id.to_string());
        let now = now();
        Ok(Items { items: found.into_iter().map(|key| KeyView::of(key, now)).collect(), next })
    }

    pub async fn create_key(&self, principal: &Principal, new: NewKey) -> Result<KeyMade, Refusal> {
        let NewKey { role, name, expires_at, project, limits } = new;
        let project = project.unwrap_or_else(|| principal.project.clone());
        if project != principal.project && !principal.may(Permission::Govern) {
            return Err(Refusal::not_found("project", project));
        }
        let expires_at = expires_at.as_deref().and_then(Timestamp::parse);
        let by = principal.subject.to_string();
        let LimitKey { per_second, per_hour } = limits.unwrap_or_default();
        let limits = KeyLimits { per_second, per_hour };
        let wish = KeyWish { project, role, name: name.unwrap_or_default(), expires_at, limits };
        make_key(&self.access, wish, by).await
    }

    /// Gives a key of the project another secret.
    pub async fn rotate_key(
        &self,
        principal: &Principal,
        id: &KeyId,
        rotate: RotateKey,
    ) -> Result<KeyMade, Refusal> {
        let kept = rotate.keep.unwrap_or(KEPT);
        renew_key(&self.access, &principal.project, id, kept).await
    }

    /// Ends a key of the project for good.
    pub async fn revoke_key(&self, principal: &Principal, id: &KeyId) -> Result<(), Refusal> {
        let is_there = self.access.store().revoke_key(&principal.project, id, now()).await?;
        self.access.forget(id);
        if is_there { Ok(()) } else { Err(Refusal::not_found("key", id)) }
    }
}

/// What a key is to be.
pub struct KeyWish {
    pub project: ProjectId,
    pub role: Role,
    pub name: String,
    pub expires_at: Option<Timestamp>,
    pub limits: KeyLimits,
}

/// Makes a key: the operation's, and the command's.
pub async fn make_key(access: &Gatekeeper, wish: KeyWish, by: String) -> Result<KeyMade, Refusal> {
    let KeyWish { project, role, name, expires_at, limits } = wish;
    let (id, secret, at) = (fresh_id(), Secret::fresh(), now());
    let text = secret.with(&id);
    let hash = access.pepper().hash_of(&text);
    let new = catalog::NewKey { id, project, role, name, hash, at, by, expires_at, limits };
    let key = access.store().make_key(new).await?;
    Ok(KeyMade { key: KeyView::of(key, at), secret: text })
}

/// Gives a key another secret: the operation's, and the command's.
pub async fn renew_key(
    access: &Gatekeeper,
    project: &ProjectId,
    id: &KeyId,
    kept: Span,
) -> Result<KeyMade, Refusal> {
    let (secret, at) = (Secret::fresh(), now());
    let text = secret.with(id);
    let hash = access.pepper().hash_of(&text);
    let rotation = Rotation { hash, previous_until: at + kept, at };
    let renewed = access.store().renew_key(project, id, rotation).await?;
    access.forget(id);
    let key = renewed.ok_or_else(|| Refusal::not_found("key", id))?;
    Ok(KeyMade { key: KeyView::of(key, at), secret: text })
}

// === impl KeyView ===

impl KeyView {
    pub fn of(key: ApiKey, now: Timestamp) -> Self {
        let status = match (key.revoked_at, key.expires_at) {
            (Some(_), _) => "revoked",
            (None, Some(at)) if at <= now => "expired",
            (None, _) => "active",
        };
        let shown = |at: Option<Timestamp>| at.map(|at| at.to_string());
        Self {
            id: key.id,
            project: key.project,
            role: key.role,
            name: key.name,
            status,
            created_at: key.created_at.to_string(),
            created_by: key.created_by,
            expires_at: shown(key.expires_at),
            revoked_at: shown(key.revoked_at),
            rotated_at: shown(key.rotated_at),
            previous_until: shown(key.previous.map(|(_, until)| until).filter(|until| *until > now)),
            last_used_at: shown(key.last_used_at),
            limits: key.limits,
        }
    }
}
