//! The routes of the server itself.

use super::route::{Answer, Content, NO_QUERY, Route, of, ok, read};
use crate::{
    gateway::health::{Alive, Checks, Ready},
    operations::About,
};
use schemars::Schema;

const ALIVE: &[Answer] = &[ok("The server answers.", Content::Json(of::<Alive>()))];

pub const ROUTES: &[Route] = &[
    read(
        "/api/v1/about",
        "server",
        "getAbout",
        "The server: its version, clock, roles, limits and health",
        NO_QUERY,
        &[ok("The server.", Content::Json(of::<About<Checks>>()))],
    ),
    read(
        "/api/v1/openapi.json",
        "server",
        "getDescription",
        "This description",
        NO_QUERY,
        &[ok("An OpenAPI document.", Content::Json(|_| Schema::from(true)))],
    ),
    read(
        "/docs",
        "server",
        "getExplorer",
        "A page that shows this description",
        NO_QUERY,
        &[ok("The page.", Content::File("text/html"))],
    ),
    read(
        "/docs/explorer.css",
        "server",
        "getExplorerStyle",
        "The style of that page",
        NO_QUERY,
        &[ok("The style.", Content::File("text/css"))],
    ),
    read(
        "/docs/explorer.js",
        "server",
        "getExplorerScript",
        "The script of that page",
        NO_QUERY,
        &[ok("The script.", Content::File("text/javascript"))],
    ),
    read("/api/v1/health", "server", "getHealthOfApi", "Alive", NO_QUERY, ALIVE),
    read("/health", "server", "getHealth", "Alive", NO_QUERY, ALIVE),
    read(
        "/ready",
        "server",
        "getReadiness",
        "Whether sidecar and catalog answer",
        NO_QUERY,
        &[ok("Work may be sent here.", Content::Json(of::<Ready>()))],
    ),
    read(
        "/metrics",
        "server",
        "getMetrics",
        "What is measured, as Prometheus reads it",
        NO_QUERY,
        &[ok("Metrics.", Content::Text)],
    ),
];
