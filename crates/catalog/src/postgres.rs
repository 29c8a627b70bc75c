//! The catalog on Postgres, for processes on several machines.
//!
//! Histories are appended by one task of each process, in groups (`writer`); everything else borrows a connection for a
//! transaction (`link`). A file for each of the catalog's traits has its statements. What is shown and edited runs under
//! row-level security, as the role `callboard_api` of one project; what looks after runs of all projects, as
//! `callboard_engine`; who may ask, as `callboard_access`. The owner's role is for migrations.

mod access;
mod append;
mod audit;
mod definitions;
mod drafts;
mod early;
mod journal;
mod keys;
mod link;
mod lists;
mod marks;
mod meter;
mod moment;
mod months;
mod once;
mod pins;
mod probe;
mod rows;
mod schema;
mod survey;
mod sweep;
mod triggers;
mod writer;
mod written;

use crate::{
    Catalog, Error,
    writer::{Step, Writer},
};
use async_trait::async_trait;
use callboard_core::id::WorkflowId;
use link::Connections;
use months::Months;
use uuid::Uuid;

pub use link::Link;
pub use schema::{Migrated, SchemaError};

/// The catalog in a Postgres database. Dropping it finishes the appends that were handed in, as `close` does, without
/// waiting for it.
pub struct PostgresCatalog {
    connections: Connections,
    writer: Writer<Step>,
    months: Months,
}

/// Ids of workflows are UUIDs here. Nothing has another one, nor one that is written in another way.
fn uuid_of(id: &WorkflowId) -> Option<Uuid> {
    Uuid::try_parse(id.as_str()).ok().filter(|uuid| uuid.to_string() == id.as_str())
}

// === impl PostgresCatalog ===

impl PostgresCatalog {
    /// Brings the tables up to date. The link's user has to own them.
    pub async fn migrate(link: &Link) -> Result<Migrated, SchemaError> {
        schema::migrate(link).await
    }

    /// Opens a database whose tables this release can work with. Waits a while for a server that is just starting.
    pub async fn open(link: Link) -> Result<Self, SchemaError> {
        schema::check(&link).await?;
        let connections = link.connections();
        let months = Months::keep(connections.clone());
        Ok(Self { connections, writer: writer::spawn(link), months })
    }
}

#[async_trait]
impl Catalog for PostgresCatalog {
    async fn health(&self) -> Result<(), Error> {
        link::within(probe::write(&self.connections)).await?;
        link::within(months::check(&self.connections)).await
    }

    async fn close(&self) {
        self.months.stop();
        self.writer.close().await;
        self.connections.close().await;
    }
}
