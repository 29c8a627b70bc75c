//! Logs on stderr, traces to a collector where one is configured. Standard output belongs to results.

mod bounded;

use crate::config::{Config, Format};
use bounded::Bounded;
use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use std::{io::IsTerminal, time::Duration};
use tracing_subscriber::{EnvFilter, Layer, Registry, layer::SubscriberExt, util::SubscriberInitExt};

/// Sends what is left when it is dropped.
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

/// How much a command says by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// What `telemetry.level` says.
    Configured,
    /// Warnings only: the command has lines of its own.
    Quiet,
}

/// What a collector gets at the end may take so long.
const LAST: Duration = Duration::from_secs(3);

// === impl Telemetry ===

impl Telemetry {
    /// Installs logs and traces for this process. Must be called within a tokio runtime.
    pub fn install(config: &Config, voice: Voice) -> anyhow::Result<Self> {
        let settings = &config.telemetry;
        let level = match voice {
            Voice::Configured => settings.level.as_str(),
            Voice::Quiet => "warn",
        };
        let filter = EnvFilter::try_from_default_env().or_else(|_| EnvFilter::try_new(level))?;
        // Nobody may be there to read them; saying so on the same stream would panic.
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
        let lines: Box<dyn Layer<Registry> + Send + Sync> = match settings.format {
            Format::Json => {
                let lines = lines.json().flatten_event(true).map_event_format(Bounded::json);
                lines.with_filter(filter).boxed()
            }
            Format::Text => {
                let lines = lines.with_ansi(std::io::stderr().is_terminal()).map_event_format(Bounded::text);
                lines.with_filter(filter).boxed()
            }
        };
        let traces = match settings.otlp_endpoint.as_str() {
            "" => None,
            endpoint => Some(tracer(endpoint, &settings.service_name)?),
        };
        // Spans go to the collector whatever the log level is.
        let spans = traces.as_ref().map(|provider| {
            let tracer = provider.tracer("callboard");
            tracing_opentelemetry::layer()
                .with_tracer(tracer)
                .with_filter(EnvFilter::new("info,h2=off,hyper=off"))
        });
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        tracing_subscriber::registry().with(lines).with(spans).try_init()?;
        Ok(Self { traces })
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = self.traces.take() {
            // The collector may be gone; that must not hold up the end.
            let _ = provider.shutdown_with_timeout(LAST);
        }
    }
}

fn tracer(endpoint: &str, service: &str) -> anyhow::Result<SdkTracerProvider> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint.to_owned())
        .build()?;
    let resource = Resource::builder()
        .with_service_name(service.to_owned())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}
