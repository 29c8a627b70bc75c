//! Who may ask, in which project, and what was changed by whom. The catalog keeps keys, projects and the audit; it knows
//! nothing of secrets or of what a role allows.

use crate::{Error, ProjectLimits};
use async_trait::async_trait;
use callboard_core::{
    Hash, Span, Timestamp,
    id::{KeyId, ProjectId},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Bytes of what is kept of a key's secret.
pub const SECRET_HASH: usize = 32;
/// How long a row of the audit is kept.
pub const AUDIT_KEPT: Span = Span::secs(400 * 24 * 3600);
/// A refusal is recorded once in so long for the same source and code.
const REFUSAL: i64 = 60_000;

/// Keys, projects and the audit: what the API asks before it asks for anything else.
#[async_trait]
pub trait Access: Send + Sync + 'static {
    /// Whether a key was ever made: from then on who has none is nobody.
    async fn has_keys(&self) -> Result<bool, Error>;

    /// Returns a key, whatever became of it; nothing where none has this id or its project is gone.
    async fn key(&self, id: &KeyId) -> Result<Option<ApiKey>, Error>;

    /// Returns keys of a project in the order of their ids, those after the id `after`.
    async fn keys(
        &self,
        project: &ProjectId,
        after: Option<&KeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKey>, Error>;

    /// Saves a key. Without its project `NotFound`.
    async fn make_key(&self, new: NewKey) -> Result<ApiKey, Error>;

    /// Gives a key another secret; the one before stays good until then. Nothing where there is no such key in the project,
    /// or it is revoked.
    async fn renew_key(
        &self,
        project: &ProjectId,
        id: &KeyId,
        rotation: Rotation,
    ) -> Result<Option<ApiKey>, Error>;

    /// Ends a key for good. False if there is no such key in the project; one that is revoked stays so.
    async fn revoke_key(&self, project: &ProjectId, id: &KeyId, at: Timestamp) -> Result<bool, Error>;

    /// Remembers when a key was last used.
    async fn key_used(&self, id: &KeyId, at: Timestamp) -> Result<(), Error>;

    /// Returns a project; nothing where there is none, or it was deleted.
    async fn project(&self, id: &ProjectId) -> Result<Option<ProjectRow>, Error>;

    /// Returns projects in the order of their ids, those after the id `after`.
    async fn all_projects(&self, after: Option<&ProjectId>, limit: u32) -> Result<Vec<ProjectRow>, Error>;

    /// Saves a project. `Conflict` where there is one of this id, or was.
    async fn make_project(&self, row: ProjectRow) -> Result<(), Error>;

    /// Changes a project; nothing where there is none, or it was deleted.
    async fn change_project(
        &self,
        id: &ProjectId,
        change: ProjectChange,
    ) -> Result<Option<ProjectRow>, Error>;

    /// Deletes a project that has neither workflows nor runs, and revokes its keys.
    async fn delete_project(&self, id: &ProjectId, at: Timestamp) -> Result<Deleted, Error>;

    /// Adds rows to the audit, all or none. Of a refusal the first of a minute.
    async fn record(&self, entries: Vec<AuditEntry>) -> Result<(), Error>;

    /// Returns rows of a project's audit, newest first, those before the row `before`.
    async fn audit(
        &self,
        project: &ProjectId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<AuditRow>, Error>;

    /// Forgets rows that are older than `AUDIT_KEPT`. Returns how many.
    async fn forget_audit(&self, now: Timestamp) -> Result<u64, Error>;
}

/// How much somebody may do. Each may all that the one before may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Starts stored workflows, operates runs, approves.
    Operator,
    /// Changes definitions, and starts any.
    Editor,
    /// Keys and the audit; in `default` projects, too.
    Admin,
}

/// What is known of a key. Its secret is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: KeyId,
    pub project: ProjectId,
    pub role: Role,
    pub name: String,
    pub hash: SecretHash,
    /// That of the secret before a rotation, and how long it is good.
    pub previous: Option<(SecretHash, Timestamp)>,
    pub created_at: Timestamp,
    pub created_by: String,
    pub rotated_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    pub limits: KeyLimits,
}

/// How often a key may ask. What is not given is not bounded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct KeyLimits {
    /// Requests of a second, as many at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub per_second: Option<u32>,
    /// Requests of an hour, as many at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub per_hour: Option<u32>,
}

/// What is kept of a secret. No log shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretHash(pub [u8; SECRET_HASH]);

/// A key to be.
#[derive(Debug, Clone)]
pub struct NewKey {
    pub id: KeyId,
    pub project: ProjectId,
    pub role: Role,
    pub name: String,
    pub hash: SecretHash,
    pub at: Timestamp,
    /// Who made it.
    pub by: String,
    pub expires_at: Option<Timestamp>,
    pub limits: KeyLimits,
}

/// Another secret for a key.
#[derive(Debug, Clone)]
pub struct Rotation {
    pub hash: SecretHash,
    /// How long the secret before is good.
    pub previous_until: Timestamp,
    pub at: Timestamp,
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectRow {
    pub id: ProjectId,
    pub name: String,
    pub created_at: Timestamp,
    /// Since when nothing begins in it.
    pub paused_at: Option<Timestamp>,
    pub limits: ProjectLimits,
}

/// What is changed of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProjectChange {
    /// Nothing begins in it from now on. One that is paused stays so since it was.
    Pause(Timestamp),
    Resume,
    /// All its limits are these.
    Limit(ProjectLimits),
}

/// What came of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    Done,
    /// There is none.
    Unknown,
    /// It has workflows or runs.
    NotEmpty,
}

/// What the audit is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    pub at: Timestamp,
    pub project: ProjectId,
    /// Who it was.
    pub subject: String,
    /// How that is known.
    pub via: String,
    /// Method and path, as the table of routes has them.
    pub route: String,
    /// What it was about, where that has a name.
    pub object: Option<String>,
    /// The content before and after a change, by its hash.
    pub before: Option<Hash>,
    pub after: Option<Hash>,
    /// Of a request that was refused: why, and whence it came.
    pub refused: Option<Refused>,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub code: String,
    /// The address, or the key.
    pub source: String,
}

/// A row of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    pub seq: u64,
    pub entry: AuditEntry,
}

// === impl Role ===

impl Role {
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Editor, Self::Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

// === impl ProjectRow ===

impl ProjectRow {
    /// A project that is not paused and has no limits.
    pub fn new(id: ProjectId, name: String, created_at: Timestamp) -> Self {
        Self { id, name, created_at, paused_at: None, limits: ProjectLimits::default() }
    }
}

// === impl KeyLimits ===

impl KeyLimits {
    /// Reads them as they are stored.
    pub(crate) fn read(text: &str) -> Result<Self, Error> {
        let damaged = |error: serde_json::Error| Error::Corrupt { what: "key", message: error.to_string() };
        serde_json::from_str(text).map_err(damaged)
    }

    pub(crate) fn written(&self) -> String {
        // Its keys are texts and its values numbers: it always serializes.
        serde_json::to_string(self).unwrap_or_default()
    }
}

// === impl SecretHash ===

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash")
    }
}

// === impl AuditEntry ===

impl AuditEntry {
    /// Returns the time it is recorded under: of a refusal its minute.
    pub(crate) fn recorded_at(&self) -> Timestamp {
        match self.refused {
            Some(_) => Timestamp(self.at.0 - self.at.0.rem_euclid(REFUSAL)),
            None => self.at,
        }
    }
}
