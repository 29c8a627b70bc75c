//! How somebody says who they are, and who they are then.

use super::{Operations, Refusal};
use crate::access::{Principal, Unknown};
use callboard_catalog::Role;
use callboard_core::id::ProjectId;
use schemars::JsonSchema;
use serde::Serialize;

/// How one can say who one is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Ways {
    /// `none`: nobody is asked; `key`; `oidc`, where a page can have a token made.
    pub ways: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc: Option<Oidc>,
}

/// Where a page has its tokens made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Oidc {
    pub issuer: String,
    pub client_id: String,
    pub scopes: Vec<String>,
}

/// Who asks, and what that allows.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Me {
    /// `key:ID`, the issuer's name and the subject of a token, or `anybody`.
    pub subject: String,
    /// `none`, `key`, `token` or `own`.
    pub via: &'static str,
    pub role: Role,
    pub project: ProjectId,
    /// Those that this credential opens.
    pub projects: Vec<ProjectId>,
    /// Of `read`, `operate`, `edit`, `administer`, `govern`: what routes ask for, as `x-callboard-permission` says.
    pub permissions: Vec<&'static str>,
    /// When the credential ends.
    pub expires_at: Option<String>,
}

// === impl Operations ===

impl Operations {
    pub async fn ways(&self) -> Result<Ways, Refusal> {
        if self.access.is_open().await.map_err(unanswered)? {
            return Ok(Ways { ways: vec!["none"], oidc: None });
        }
        let mut ways = vec!["key"];
        ways.extend(self.oidc.as_ref().map(|_| "oidc"));
        Ok(Ways { ways, oidc: self.oidc.as_deref().cloned() })
    }

    pub fn me(&self, principal: &Principal) -> Me {
        Me {
            subject: principal.subject.to_string(),
            via: principal.via.as_str(),
            role: principal.role,
            project: principal.project.clone(),
            projects: vec![principal.project.clone()],
            permissions: principal.permissions(),
            expires_at: principal.expires_at.map(|at| at.to_string()),
        }
    }
}

fn unanswered(_: Unknown) -> Refusal {
    Refusal::unavailable("catalog_unavailable", "the catalog does not answer", 2)
}
