//! Where the sidecar is: Dapr's own environment variables, as every SDK reads them.

/// A sidecar's gRPC address and the token its API asks for.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `http://host:port`.
    pub grpc: String,
    pub api_token: Option<String>,
}

// A token must never reach a log by way of `{:?}`.
impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("grpc", &self.grpc)
            .field("api_token", &self.api_token.as_ref().map(|_| "***"))
            .finish()
    }
}

impl Endpoint {
    /// Reads `DAPR_GRPC_ENDPOINT`, else `DAPR_GRPC_PORT` on loopback, else port 50001; and `DAPR_API_TOKEN`.
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// The same, from any source of variables.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let grpc = match set("DAPR_GRPC_ENDPOINT") {
            Some(endpoint) => with_scheme(&endpoint),
            None => {
                format!("http://127.0.0.1:{}", set("DAPR_GRPC_PORT").unwrap_or_else(|| "50001".to_owned()))
            }
        };
        Self { grpc, api_token: set("DAPR_API_TOKEN") }
    }
}

/// `host`, `host:port` and `dns:host:port` are gRPC target names; the transport wants an URL.
fn with_scheme(endpoint: &str) -> String {
    let target = endpoint.strip_prefix("dns:").unwrap_or(endpoint).trim_start_matches('/');
    if target.contains("://") {
        return target.to_owned();
    }
    let has_port = target.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if has_port { format!("http://{target}") } else { format!("http://{target}:443") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Endpoint {
        Endpoint::from_variables(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_endpoint_wins_over_the_port() {
        assert_eq!(read(&[]).grpc, "http://127.0.0.1:50001");
        assert_eq!(read(&[("DAPR_GRPC_PORT", "7001")]).grpc, "http://127.0.0.1:7001");
        let both = read(&[("DAPR_GRPC_PORT", "7001"), ("DAPR_GRPC_ENDPOINT", "dns:side:50001")]);
        assert_eq!(both.grpc, "http://side:50001");
        assert_eq!(read(&[("DAPR_GRPC_ENDPOINT", "http://a:1")]).grpc, "http://a:1");
    }

    #[test]
    fn an_empty_token_is_none_and_a_token_is_never_printed() {
        assert_eq!(read(&[("DAPR_API_TOKEN", " ")]).api_token, None);
        let endpoint = read(&[("DAPR_API_TOKEN", "s3cret")]);
        assert_eq!(endpoint.api_token.as_deref(), Some("s3cret"));
        assert!(!format!("{endpoint:?}").contains("s3cret"));
    }
}
