//! Who asks, in which project, and what that allows.

use super::Taken;
use callboard_catalog::{ApiKey, Role};
use callboard_core::{
    Timestamp,
    id::{KeyId, ProjectId},
};
use std::sync::Arc;

/// Who asks. Made once for each request; an argument of every operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// What is asked for is of this project. Everything else does not exist.
    pub project: ProjectId,
    /// A name for the audit: `key:ID`, or the issuer's name and the token's subject.
    pub subject: Arc<str>,
    pub role: Role,
    pub via: Via,
    /// When the credential ends.
    pub expires_at: Option<Timestamp>,
    /// How its key stands after this request, if that has limits.
    pub rate: Option<Taken>,
}

/// How it is known who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// It is not: nobody is asked.
    Nothing,
    Key(KeyId),
    Token,
    /// The process asks itself.
    Own,
}

/// What a route, or anything else that can be asked for, needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Nobody is asked who they are.
    Public,
    /// Reads.
    Read,
    /// Starts stored workflows, operates runs, approves.
    Operate,
    /// Changes definitions, and runs any.
    Edit,
    /// Keys and the audit of the project.
    Administer,
    /// Projects themselves: for admins of `default`.
    Govern,
}

// === impl Principal ===

impl Principal {
    /// Whoever can reach a server that asks nobody.
    pub fn anybody() -> Self {
        Self::admin("anybody", Via::Nothing)
    }

    pub(super) fn own() -> Self {
        Self::admin("callboard", Via::Own)
    }

    fn admin(subject: &str, via: Via) -> Self {
        let project = ProjectId::DEFAULT;
        Self { project, subject: subject.into(), role: Role::Admin, via, expires_at: None, rate: None }
    }

    pub(super) fn of_key(key: &ApiKey) -> Self {
        Self {
            project: key.project.clone(),
            subject: format!("key:{}", key.id).into(),
            role: key.role,
            via: Via::Key(key.id.clone()),
            expires_at: key.expires_at,
            rate: None,
        }
    }

    pub fn may(&self, permission: Permission) -> bool {
        match permission.role() {
            None => true,
            Some(role) => {
                self.role >= role && (permission != Permission::Govern || self.project.is_default())
            }
        }
    }

    /// Returns the names of all that it may.
    pub fn permissions(&self) -> Vec<&'static str> {
        let all = Permission::ALL.into_iter().filter(|permission| *permission != Permission::Public);
        all.filter(|permission| self.may(*permission)).map(Permission::as_str).collect()
    }
}

// === impl Via ===

impl Via {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Key(_) => "key",
            Self::Token => "token",
            Self::Own => "own",
        }
    }
}

// === impl Permission ===

impl Permission {
    pub const ALL: [Self; 6] =
        [Self::Public, Self::Read, Self::Operate, Self::Edit, Self::Administer, Self::Govern];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Edit => "edit",
            Self::Administer => "administer",
            Self::Govern => "govern",
        }
    }

    /// Returns the least role that has it; nothing where none is needed.
    pub fn role(self) -> Option<Role> {
        match self {
            Self::Public => None,
            Self::Read => Some(Role::Viewer),
            Self::Operate => Some(Role::Operator),
            Self::Edit => Some(Role::Editor),
            Self::Administer | Self::Govern => Some(Role::Admin),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_may_what_the_one_before_may_and_projects_are_for_admins_of_default() {
        let of = |project: &str, role| {
            let project = project.parse().expect("a project");
            Principal { project, role, ..Principal::anybody() }.permissions()
        };
        assert_eq!(of("acme", Role::Viewer), ["read"]);
        assert_eq!(of("acme", Role::Operator), ["read", "operate"]);
        assert_eq!(of("acme", Role::Editor), ["read", "operate", "edit"]);
        assert_eq!(of("acme", Role::Admin), ["read", "operate", "edit", "administer"]);
        assert_eq!(of("default", Role::Admin), ["read", "operate", "edit", "administer", "govern"]);
        assert_eq!(of("default", Role::Editor), ["read", "operate", "edit"]);
    }
}
