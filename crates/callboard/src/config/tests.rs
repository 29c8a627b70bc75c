//! Settings from defaults, files and the environment; every mistake at once.

use super::*;

fn sources(files: &[(&str, &str)], variables: &[(&str, &str)]) -> Sources {
    let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    };
    Sources { files: own(files), variables: own(variables).into_iter().collect(), ..Sources::default() }
}

#[test]
fn the_defaults_are_right() {
    let config = sources(&[], &[]).load().expect("the defaults");
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.runs.retention, Retention::USUAL);
    assert!(config.scripted());
}

#[test]
fn a_variable_wins_over_a_file_and_a_file_over_the_default() {
    let files = [("config/a.toml", "[runs]\ndispatch = 7\nretention = \"1h\"")];
    let variables =
        [("CALLBOARD__RUNS__DISPATCH", "9"), ("CALLBOARD__HTTP__ALLOW", "a.internal:80, 127.0.0.1:9")];
    let config = sources(&files, &variables).load().expect("settings");
    assert_eq!((config.runs.dispatch, config.runs.retention), (9, Retention::all(Span::secs(3600))));
    assert_eq!(config.http.allow, ["a.internal:80", "127.0.0.1:9"]);
}

#[test]
fn a_secret_says_its_hosts() {
    let load = |text: &str| sources(&[("a.toml", text)], &[]).load();
    let config =
        load("[secrets.hosts]\nShop_Token = [\"api.x.com\", \"*.y.com\"]\n\"a.b\" = []").expect("settings");
    let hosts: Vec<_> =
        config.secrets.hosts.iter().map(|(name, hosts)| (name.as_str(), hosts.len())).collect();
    assert_eq!(hosts, [("Shop_Token", 2), ("a.b", 0)]);
    let Mistakes(wrong) = load("[secrets.hosts]\ntok = [\"https://x.com/\"]").expect_err("a mistake");
    assert_eq!(wrong[0].path, "secrets.hosts");
    assert!(wrong[0].message.contains("https://x.com/"), "{}", wrong[0].message);
}

#[test]
fn retention_is_one_duration_or_one_for_each_way_to_end() {
    let load = |file: &str, variables: &[(&str, &str)]| sources(&[("a.toml", file)], variables).load();
    let week = Span::secs(7 * 24 * 3600);
    let by_status = load("[runs]\nretention = {completed = \"1h\"}", &[]).expect("settings");
    let expected = Retention { completed: Some(Span::secs(3600)), ..Retention::USUAL };
    assert_eq!((by_status.runs.retention, by_status.runs.retention.failed), (expected, Some(week)));
    let variable = [("CALLBOARD__RUNS__RETENTION__FAILED", "30m")];
    let failed = load("[runs]\nretention = \"1h\"", &variable).expect("settings").runs.retention;
    assert_eq!(failed.failed, Some(Span::secs(1800)));
    for wrong in ["\"soon\"", "{ended = \"1h\"}", "{failed = \"9000h\"}", "7"] {
        let Mistakes(found) = load(&format!("[runs]\nretention = {wrong}"), &[]).expect_err("a mistake");
        assert!(found.len() == 1 && found[0].path.starts_with("runs.retention"), "{wrong}: {found:?}");
    }
}

#[test]
fn every_mistake_is_reported_with_its_place() {
    let files = [
        ("config/a.toml", "[server]\nlisten = \"everywhere\"\ncolour = 1\n[runs]\ndispatch = 0"),
        ("config/b.toml", "not toml"),
        ("config/c.toml", "[models.providers.local]\nurl = \"http://x\""),
    ];
    let variables = [("CALLBOARD__TELEMETRY__FORMAT", "xml"), ("CALLBOARD__SERVER__DRIAN", "1s")];
    let Mistakes(wrong) = sources(&files, &variables).load().expect_err("mistakes");
    let places: Vec<_> = wrong.iter().map(|m| (m.origin.as_str(), m.path.as_str())).collect();
    assert_eq!(
        places,
        [
            ("CALLBOARD__SERVER__DRIAN", "server.drian"),
            ("CALLBOARD__TELEMETRY__FORMAT", "telemetry.format"),
            ("config/a.toml", "runs.dispatch"),
            ("config/a.toml", "server.colour"),
            ("config/a.toml", "server.listen"),
            ("config/b.toml", ""),
            ("config/c.toml", "models.providers.local"),
            ("config/c.toml", "models.providers.local.url"),
        ]
    );
}

#[test]
fn a_number_in_a_variable_may_be_a_key() {
    let config = sources(&[], &[("CALLBOARD__MODELS__API_KEY", "12345")]).load().expect("settings");
    assert_eq!(config.models.api_key.expose(), "12345");
}

#[test]
fn secrets_are_not_printed() {
    let variables =
        [("OPENAI_API_KEY", "sk-very-secret"), ("CALLBOARD__CATALOG__URL", "postgres://u:pass@h/d")];
    let config = sources(&[], &variables).load().expect("settings");
    assert!(!config.scripted());
    let printed = format!("{config:?}");
    assert!(!printed.contains("very-secret") && !printed.contains("pass"), "{printed}");
}
