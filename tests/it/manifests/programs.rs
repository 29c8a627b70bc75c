//! The program takes what Compose and Kubernetes give it: every argument, variable and setting, read by its own code.

use super::{Service, rendered, services};
use crate::harness::root;
use callboard::{
    cli::{Cli, Command, Role},
    config::{Config, Sources},
};
use clap::Parser;
use serde_json::Value;
use std::collections::BTreeMap;

const OVERLAYS: [&str; 4] =
    ["k8s/base", "k8s/overlays/dev", "k8s/overlays/staging", "k8s/overlays/production"];

/// A container that runs our image.
struct Ours {
    place: String,
    name: String,
    args: Vec<String>,
    env: BTreeMap<String, String>,
}

// === impl Ours ===

impl Ours {
    fn all() -> Vec<Self> {
        let mut found: Vec<Self> = services().into_iter().filter_map(Self::of_compose).collect();
        for overlay in OVERLAYS {
            let documents = rendered(overlay);
            found.extend(documents.iter().filter_map(|document| Self::of_kubernetes(overlay, document)));
        }
        assert_eq!(found.len(), 4 + 3 * OVERLAYS.len(), "two apps and the migration, wherever they are");
        found
    }

    fn of_compose((name, service): (String, Service)) -> Option<Self> {
        let ours = service.image.starts_with("callboard:");
        let env = service.environment.into_iter().map(|(name, value)| (name, value.unwrap_or_default()));
        ours.then(|| Self {
            place: "compose".into(),
            name,
            args: service.command.unwrap_or_default(),
            env: env.collect(),
        })
    }

    fn of_kubernetes(overlay: &str, document: &Value) -> Option<Self> {
        let container = &document["spec"]["template"]["spec"]["containers"][0];
        if !container["image"].as_str()?.starts_with("callboard") {
            return None;
        }
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let words = list(&container["args"]);
        let args = words.iter().map(|word| word.as_str().expect("an argument is text").to_owned()).collect();
        let env = list(&container["env"]).iter().map(given).collect();
        let name = document["metadata"]["name"].as_str()?.to_owned();
        Some(Self { place: overlay.to_owned(), name, args, env })
    }

    fn command(&self) -> Command {
        let words = ["callboard"].into_iter().chain(self.args.iter().map(String::as_str));
        let read = Cli::try_parse_from(words).map_err(|error| error.to_string());
        read.unwrap_or_else(|error| panic!("{} {}: {error}", self.place, self.name)).command
    }

    /// The settings with which it would start.
    fn config(&self) -> Config {
        let named = self.args.iter().any(|word| word == "--config");
        let mut sources = Sources::default();
        if named {
            let file = "k8s/base/callboard.toml";
            let text = std::fs::read_to_string(root().join(file)).expect(file);
            sources = Sources::file(file.to_owned(), text);
        }
        sources.variables = self.env.clone().into_iter().collect();
        sources.load().unwrap_or_else(|mistakes| panic!("{} {}: {mistakes}", self.place, self.name))
    }
}

/// A variable with its value, or with something in the place of a secret.
fn given(variable: &Value) -> (String, String) {
    let name = variable["name"].as_str().expect("a variable has a name");
    let value = match (name, variable["value"].as_str()) {
        (_, Some(value)) => value,
        ("CALLBOARD__CATALOG__URL", None) => "postgres://somebody:secret@postgres:5432/callboard",
        (_, None) => "a-secret",
    };
    (name.to_owned(), value.to_owned())
}

#[test]
fn every_command_line_is_one_of_the_programs() {
    for ours in Ours::all() {
        match ours.command() {
            Command::Serve(serve) => {
                let wanted = if ours.name.starts_with("ai") { Role::Ai } else { Role::Workflow };
                assert_eq!(serve.role, wanted, "{} {}", ours.place, ours.name);
                let listen = serve.listen.expect("a container says where it listens");
                assert!(listen.ip().is_unspecified(), "{} {} is called from outside", ours.place, ours.name);
                // Beside each other on one loopback.
                assert_ne!(Some(listen.port()), serve.app_port);
            }
            Command::Migrate(migrate) => {
                assert!(!migrate.finish, "whether a release before is left is known by a person only");
            }
            other => panic!("{} {} is {other:?}", ours.place, ours.name),
        }
    }
}

#[test]
fn every_variable_and_setting_is_one_of_the_programs() {
    let known = ["DAPR_API_TOKEN", "APP_API_TOKEN", "OPENAI_API_KEY", "OPENAI_BASE_URL"];
    for ours in Ours::all() {
        let place = format!("{} {}", ours.place, ours.name);
        for name in ours.env.keys() {
            assert!(name.starts_with("CALLBOARD__") || known.contains(&name.as_str()), "{place}: {name}");
        }
        let config = ours.config();
        assert!(config.catalog.url.expose().starts_with("postgres://"), "{place}");
        if let Command::Serve(_) = ours.command() {
            // It refuses to start otherwise.
            assert!(config.server.allow_insecure_listen, "{place}");
            for name in ["workflow-service", "ai-service"] {
                assert!(config.server.hosts.iter().any(|host| host == name), "{place} is called {name}");
            }
            assert_eq!(config.data.dir, "/var/lib/callboard/data", "{place}");
        }
    }
}

/// What the image has, `cc` of distroless: the C library, its loader, and what the compiler's code calls.
const OF_THE_IMAGE: [&str; 5] = ["linux-vdso", "libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux"];

#[cfg(target_os = "linux")]
#[test]
fn the_program_needs_no_library_that_the_image_lacks() {
    let said = super::run(std::process::Command::new("ldd").arg(crate::harness::callboard()));
    let needed: Vec<_> = said.lines().filter_map(|line| line.trim().split(' ').next()).collect();
    assert!(needed.contains(&"libc.so.6"), "{said}");
    let foreign = needed.iter().filter(|name| !OF_THE_IMAGE.iter().any(|known| name.contains(known)));
    assert_eq!(foreign.collect::<Vec<_>>(), Vec::<&&str>::new());
}

#[test]
fn a_wrong_argument_variable_or_setting_is_noticed() {
    let ours =
        || Ours::all().into_iter().find(|ours| ours.args.iter().any(|word| word == "--config")).expect("one");
    let mut broken = ours();
    broken.args.push("--colour".into());
    assert!(std::panic::catch_unwind(|| broken.command()).is_err());
    let mut broken = ours();
    broken.env.insert("CALLBOARD__SERVER__COLOUR".into(), "red".into());
    assert!(std::panic::catch_unwind(|| broken.config()).is_err());
    let wrong = Sources::file("callboard.toml".into(), "[server]\ndrian = \"20s\"\n".into());
    assert!(wrong.load().is_err());
}
