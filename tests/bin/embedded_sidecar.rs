//! The embedded server as a process of its own, with an application of somebody else's beside it.
//!
//! For the conformance suite: `kill -9` needs a process, and a comparison with daprd needs the same hops.
//! Arguments: app id, database, components folder, HTTP port, gRPC port, and the application's base URL.

use callboard_sidecar::embedded::{App, Config, Server};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")))
        .with_ansi(false)
        .init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [app_id, database, components, http, grpc, app] = <[String; 6]>::try_from(arguments)
        .map_err(|_| "usage: embedded-sidecar APP_ID DATABASE COMPONENTS HTTP_PORT GRPC_PORT APP_URL")?;
    let local = |port: String| Ok::<_, std::num::ParseIntError>(Some(([127, 0, 0, 1], port.parse()?).into()));
    let server = Server::start(Config {
        app_id,
        database: database.into(),
        components: components.into(),
        http: local(http)?,
        grpc: local(grpc)?,
        api_token: std::env::var("DAPR_API_TOKEN").ok(),
        app_token: std::env::var("APP_API_TOKEN").ok(),
        app: App::Http(app),
    })
    .await?;
    server.app_ready().await;
    // Its end is a kill: what was acknowledged has to be on disk already.
    std::future::pending::<()>().await;
    Ok(())
}
