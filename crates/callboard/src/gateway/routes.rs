//! Every route, with what it asks of who comes. The router is made of this table and of nothing else, so no handler is
//! mounted that does not say who may call it; the description and the tests read the same table.
//!
//! What is asked for by another transport gets a table of its own with the same permissions.

use super::{
    Gateway, access, approvals, audit, bulk, drafts, events, exchange, explorer, health, hooks, keys,
    language, me, metrics, openapi, projects, recorded, runs, setup, starts, triggers, usage, versions,
    workflows,
};
use crate::access::Permission::{self, Administer, Edit, Govern, Operate, Public, Read};
use axum::routing::{MethodFilter, MethodRouter, on};

/// A path with one of its methods.
pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    /// What it takes to be let in.
    pub asks: Permission,
    mount: fn(MethodFilter) -> MethodRouter<Gateway>,
}

// === impl Route ===

impl Route {
    const fn new(
        method: &'static str,
        path: &'static str,
        asks: Permission,
        mount: fn(MethodFilter) -> MethodRouter<Gateway>,
    ) -> Self {
        Self { method, path, asks, mount }
    }

    /// Whether it changes something. Some only ask, with a body.
    pub fn changes(&self) -> bool {
        self.method != "GET" && self.asks != Read
    }

    /// Whether what it changes is written down. A draft is saved a second after each edit; what is published of it is.
    pub fn is_recorded(&self) -> bool {
        self.changes() && (self.method, self.path) != ("PUT", "/api/v1/workflows/{id}/draft")
    }

    /// Whether it is about the process, which answers also when it takes no requests any more.
    pub fn is_probe(&self) -> bool {
        matches!(self.path, "/health" | "/ready" | "/metrics" | "/api/v1/health")
    }

    /// Returns the handler behind its guard.
    pub(super) fn mounted(&'static self, gateway: &Gateway) -> MethodRouter<Gateway> {
        let method = match self.method {
            "POST" => MethodFilter::POST,
            "PUT" => MethodFilter::PUT,
            "PATCH" => MethodFilter::PATCH,
            "DELETE" => MethodFilter::DELETE,
            _ => MethodFilter::GET,
        };
        access::guarded((self.mount)(method), gateway, self)
    }
}

pub const ROUTES: &[Route] = &[
    Route::new("GET", "/api/v1/workflows", Read, |of| on(of, workflows::list)),
    Route::new("POST", "/api/v1/workflows", Edit, |of| on(of, workflows::create)),
    Route::new("POST", "/api/v1/workflows/check", Read, |of| on(of, workflows::check)),
    Route::new("GET", "/api/v1/workflows/{id}", Read, |of| on(of, workflows::read)),
    Route::new("PUT", "/api/v1/workflows/{id}", Edit, |of| on(of, workflows::update)),
    Route::new("DELETE", "/api/v1/workflows/{id}", Edit, |of| on(of, workflows::delete)),
    Route::new("POST", "/api/v1/workflows/{id}/start", Operate, |of| on(of, starts::start)),
    // Drafts, versions, copies.
    Route::new("POST", "/api/v1/workflows/import", Edit, |of| on(of, exchange::import)),
    Route::new("PATCH", "/api/v1/workflows/{id}", Edit, |of| on(of, workflows::rename)),
    Route::new("GET", "/api/v1/workflows/{id}/draft", Read, |of| on(of, drafts::read)),
    Route::new("PUT", "/api/v1/workflows/{id}/draft", Edit, |of| on(of, drafts::save)),
    Route::new("DELETE", "/api/v1/workflows/{id}/draft", Edit, |of| on(of, drafts::discard)),
    Route::new("POST", "/api/v1/workflows/{id}/publish", Edit, |of| on(of, drafts::publish)),
    Route::new("GET", "/api/v1/workflows/{id}/versions", Read, |of| on(of, versions::list)),
    Route::new("GET", "/api/v1/workflows/{id}/versions/{n}", Read, |of| on(of, versions::read)),
    Route::new("PATCH", "/api/v1/workflows/{id}/versions/{n}", Edit, |of| on(of, versions::annotate)),
    Route::new("POST", "/api/v1/workflows/{id}/versions/{n}/restore", Edit, |of| on(of, drafts::restore)),
    Route::new("POST", "/api/v1/workflows/{id}/duplicate", Edit, |of| on(of, exchange::duplicate)),
    Route::new("GET", "/api/v1/workflows/{id}/export", Read, |of| on(of, exchange::export)),
    Route::new("GET", "/api/v1/runs", Read, |of| on(of, runs::list)),
    // A definition that comes along can say anything.
    Route::new("POST", "/api/v1/runs", Edit, |of| on(of, starts::run)),
    Route::new("GET", "/api/v1/runs/{id}", Read, |of| on(of, runs::read)),
    Route::new("GET", "/api/v1/runs/{id}/steps", Read, |of| on(of, runs::steps)),
    Route::new("GET", "/api/v1/runs/{id}/definition", Read, |of| on(of, recorded::definition)),
    Route::new("GET", "/api/v1/runs/{id}/overlay", Read, |of| on(of, recorded::overlay)),
    Route::new("GET", "/api/v1/runs/{id}/values/{hash}", Read, |of| on(of, recorded::value)),
    Route::new("GET", "/api/v1/runs/{id}/history", Read, |of| on(of, events::history)),
    Route::new("POST", "/api/v1/runs/{id}/cancel", Operate, |of| on(of, runs::cancel)),
    Route::new("POST", "/api/v1/runs/{id}/pause", Operate, |of| on(of, runs::pause)),
    Route::new("POST", "/api/v1/runs/{id}/resume", Operate, |of| on(of, runs::resume)),
    Route::new("POST", "/api/v1/runs/{id}/signal", Operate, |of| on(of, runs::signal)),
    Route::new("POST", "/api/v1/runs/{id}/approve", Operate, |of| on(of, runs::approve)),
    Route::new("POST", "/api/v1/runs/{id}/rerun", Operate, |of| on(of, runs::rerun)),
    Route::new("GET", "/api/v1/runs/{id}/export", Read, |of| on(of, runs::export)),
    Route::new("POST", "/api/v1/runs/cancel", Operate, |of| on(of, bulk::cancel)),
    Route::new("POST", "/api/v1/runs/rerun", Operate, |of| on(of, bulk::rerun)),
    Route::new("GET", "/api/v1/approvals", Read, |of| on(of, approvals::list)),
    Route::new("GET", "/api/v1/usage", Read, |of| on(of, usage::usage)),
    Route::new("GET", "/api/v1/about", Read, |of| on(of, setup::about)),
    // Names alone, for who writes definitions.
    Route::new("GET", "/api/v1/secrets", Edit, |of| on(of, setup::secrets)),
    Route::new("GET", "/api/v1/tools", Read, |of| on(of, setup::tools)),
    Route::new("GET", "/api/v1/ai/models", Read, |of| on(of, setup::models)),
    Route::new("GET", "/api/v1/ai/agents", Read, |of| on(of, setup::agents)),
    Route::new("GET", "/api/v1/ai/agents/{id}", Read, |of| on(of, setup::agent)),
    Route::new("GET", "/api/v1/triggers", Read, |of| on(of, triggers::list)),
    Route::new("POST", "/api/v1/triggers", Edit, |of| on(of, triggers::create)),
    Route::new("POST", "/api/v1/triggers/preview", Read, |of| on(of, triggers::preview)),
    Route::new("GET", "/api/v1/triggers/{id}", Read, |of| on(of, triggers::read)),
    Route::new("PUT", "/api/v1/triggers/{id}", Edit, |of| on(of, triggers::replace)),
    Route::new("DELETE", "/api/v1/triggers/{id}", Edit, |of| on(of, triggers::delete)),
    Route::new("POST", "/api/v1/triggers/{id}/enable", Edit, |of| on(of, triggers::enable)),
    Route::new("POST", "/api/v1/triggers/{id}/disable", Edit, |of| on(of, triggers::disable)),
    Route::new("POST", "/api/v1/triggers/{id}/secret", Edit, |of| on(of, triggers::renew_secret)),
    Route::new("POST", "/api/v1/triggers/{id}/fire", Operate, |of| on(of, triggers::fire)),
    Route::new("GET", "/api/v1/triggers/{id}/fires", Read, |of| on(of, triggers::fires)),
    // Who may is told by what a delivery is signed with.
    Route::new("POST", "/hooks/{project}/{trigger}", Public, |of| on(of, hooks::deliver)),
    Route::new("GET", "/api/v1/node-kinds", Read, |of| on(of, language::node_kinds)),
    Route::new("POST", "/api/v1/expressions/evaluate", Read, |of| on(of, language::evaluate)),
    Route::new("GET", "/api/v1/expressions/reference", Read, |of| on(of, language::reference)),
    Route::new("POST", "/api/v1/definitions/scope", Read, |of| on(of, language::scope)),
    Route::new("POST", "/api/v1/definitions/rename", Read, |of| on(of, language::rename)),
    Route::new("GET", "/api/v1/keys", Administer, |of| on(of, keys::list)),
    Route::new("POST", "/api/v1/keys", Administer, |of| on(of, keys::create)),
    Route::new("DELETE", "/api/v1/keys/{id}", Administer, |of| on(of, keys::revoke)),
    Route::new("POST", "/api/v1/keys/{id}/rotate", Administer, |of| on(of, keys::rotate)),
    Route::new("GET", "/api/v1/audit", Administer, |of| on(of, audit::list)),
    Route::new("GET", "/api/v1/projects", Govern, |of| on(of, projects::list)),
    Route::new("POST", "/api/v1/projects", Govern, |of| on(of, projects::create)),
    Route::new("GET", "/api/v1/projects/{id}", Govern, |of| on(of, projects::read)),
    Route::new("DELETE", "/api/v1/projects/{id}", Govern, |of| on(of, projects::delete)),
    // What may begin in a project.
    Route::new("PUT", "/api/v1/projects/{id}/limits", Govern, |of| on(of, projects::limit)),
    Route::new("POST", "/api/v1/projects/{id}/pause", Govern, |of| on(of, projects::pause)),
    Route::new("POST", "/api/v1/projects/{id}/resume", Govern, |of| on(of, projects::resume)),
    Route::new("GET", "/api/v1/me", Read, |of| on(of, me::me)),
    Route::new("GET", "/api/v1/auth", Public, |of| on(of, me::ways)),
    Route::new("GET", "/api/v1/openapi.json", Public, |of| on(of, openapi::text)),
    Route::new("GET", "/api/v1/health", Public, |of| on(of, health::alive)),
    Route::new("GET", "/docs", Public, |of| on(of, explorer::page)),
    Route::new("GET", "/docs/explorer.css", Public, |of| on(of, explorer::style)),
    Route::new("GET", "/docs/explorer.js", Public, |of| on(of, explorer::script)),
    Route::new("GET", "/health", Public, |of| on(of, health::alive)),
    Route::new("GET", "/ready", Public, |of| on(of, health::ready)),
    Route::new("GET", "/metrics", Public, |of| on(of, metrics::text)),
];
