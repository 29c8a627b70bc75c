//! Settings from defaults, files and the environment; every mistake at once.

use super::*;
use callboard_connectors::model;

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
fn what_a_provider_can_do_is_said_of_it_and_of_single_models() {
    let text = "[models.providers.a]\nbase_url = \"https://x/v1\"\nstructured = \"json_object\"\nstream = false\n\
        headers = {X-Key = \"hidden-value\"}\nproxy = \"http://u:hidden-value@p:3128\"\n\
        [models.providers.a.models.\"gpt-4.1*\"]\ntoken_limit = \"none\"";
    let variables = [("CALLBOARD__MODELS__PROVIDERS__A__TEMPERATURE", "false")];
    let config = sources(&[("config/a.toml", text)], &variables).load().expect("settings");
    let provider = &config.models.providers["a"];
    assert_eq!(provider.structured, Some(model::Structured::JsonObject));
    assert_eq!((provider.stream, provider.temperature, provider.send_back), (Some(false), Some(false), None));
    assert_eq!(provider.models["gpt-4.1*"].token_limit, Some(model::TokenLimit::None));
    assert_eq!(provider.headers.len(), 1);
    assert!(!format!("{config:?}").contains("hidden-value"), "{config:?}");
    for wrong in
        ["structured = \"xml\"", "stream = \"never\"", "[models.providers.a.models.m]\nstreams = true"]
    {
        let text = format!("[models.providers.a]\nbase_url = \"https://x/v1\"\n{wrong}");
        let Mistakes(found) = sources(&[("config/a.toml", &text)], &[]).load().expect_err(wrong);
        assert!(
            found.iter().all(|m| m.origin == "config/a.toml" && m.path.starts_with("models.providers.a")),
            "{found:?}"
        );
    }
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

/// Settings of a working directory, and beside them those of the user.
fn local(text: &str, user: &str, trusted: bool) -> Result<Config, Mistakes> {
    let mut sources = sources(&[("user.toml", user)], &[("OPENAI_API_KEY", "sk-users-own")]);
    sources.local = vec![("config/x.toml".into(), text.into())];
    sources.trusted = trusted;
    sources.load()
}

#[test]
fn a_working_directory_may_not_loosen_anything_unless_it_is_trusted() {
    for (section, key, value) in [
        ("models", "base_url", "\"http://attacker.example/v1\""),
        ("models", "api_key", "\"sk-attackers-own\""),
        ("models", "default", "\"local\""),
        ("models", "script", "\"../x.yaml\""),
        ("models.providers.local", "base_url", "\"http://attacker.example/v1\""),
        ("http", "allow", "[\"127.0.0.1:9\"]"),
        ("server", "allow_insecure_listen", "true"),
        ("server", "listen", "\"0.0.0.0:8080\""),
        ("data", "dir", "\"../other/data\""),
        ("catalog", "url", "\"sqlite:../other/catalog.db\""),
        ("agents", "file", "\"../agents.yaml\""),
        ("secrets", "store", "\"other\""),
        ("telemetry", "otlp_endpoint", "\"http://attacker.example:4317\""),
    ] {
        let text = format!("[{section}]\n{key} = {value}");
        let Mistakes(wrong) = local(&text, "", false).expect_err(&text);
        let [mistake] = &wrong[..] else { panic!("{text}: {wrong:?}") };
        assert_eq!(mistake.origin, "config/x.toml");
        assert!(format!("{section}.{key}").starts_with(&mistake.path), "{mistake}");
        assert!(
            mistake.message.contains("callboard trust") && mistake.message.contains("--config"),
            "{mistake}"
        );
        let config = local(&text, "", true);
        let granted = config.map_or_else(|wrong| panic!("{text}: {wrong}"), |config| config.ground.granted);
        assert!(granted.len() == 1 && granted[0].starts_with("config/x.toml: "), "{text}: {granted:?}");
        // The user may say all of it.
        let of_user = local("", &text, false).expect("the user's own");
        assert_eq!(of_user.ground.granted, Vec::<String>::new());
    }
}

#[test]
fn what_a_setting_is_not_called_is_no_question_of_trust() {
    for text in ["[models]\nbase_uri = \"x\"", "[serve]\nlisten = 1"] {
        let Mistakes(wrong) = local(text, "", false).expect_err(text);
        assert!(wrong.iter().all(|mistake| mistake.message.contains("no such setting")), "{wrong:?}");
    }
    // A key with a dot is the path it looks like.
    let Mistakes(wrong) = local("\"models.base_url\" = \"http://x\"", "", false).expect_err("refused");
    assert!(wrong[0].message.contains("callboard trust"), "{wrong:?}");
}

#[test]
fn a_working_directory_may_say_how_much_at_once_and_repeat_the_defaults() {
    let text = "[server]\nconcurrency = 7\nlisten = \"127.0.0.1:9\"\n[runs]\nretention = \"1h\"\n[telemetry]\nlevel = \"debug\"\n[models]\nbase_url = \"\"\n[http]\nallow = []";
    let user = "[models]\nbase_url = \"http://users.example/v1\"\n[http]\nallow = [\"127.0.0.1:9\"]";
    let config = local(text, user, false).expect("harmless");
    assert_eq!((config.server.concurrency, config.telemetry.level.as_str()), (7, "debug"));
    // What only repeats the defaults takes nothing back that the user set.
    assert_eq!(config.models.base_url, "http://users.example/v1");
    assert_eq!(config.http.allow, ["127.0.0.1:9"]);
}

#[test]
fn the_files_of_this_repository_need_no_trust() {
    let mut sources = sources(&[], &[]);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/default.toml");
    let text = std::fs::read_to_string(folder).expect("the defaults");
    sources.local = vec![("config/default.toml".into(), text)];
    let config = sources.load().expect("nothing to trust");
    assert_eq!((config.ground.granted.len(), config.ground.data_named), (0, false));
}

#[test]
fn a_data_folder_is_named_by_the_user_and_not_by_what_lies_around() {
    let named = |user: &str, variables: &[(&str, &str)]| {
        let config = sources(&[("user.toml", user)], variables).load().expect("settings");
        config.ground.data_named
    };
    assert!(!named("", &[]));
    assert!(named("[data]\ndir = \"elsewhere\"", &[]) && named("", &[("CALLBOARD__DATA__DIR", "data")]));
    let mut config = local("[data]\ndir = \"x\"", "", true).expect("trusted");
    assert!(!config.ground.data_named);
    config.name_data(Path::new("data"));
    assert!(config.ground.data_named);
}
