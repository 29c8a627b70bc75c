//! `callboard login`, `contexts`, `use`, `logout`, `status`: which server, and with which key.

use super::{Desk, desk, json_lines};
use crate::harness::{Reply, Upstream};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

/// A server that lets in who has this key, and says whom it saw.
async fn guarded(key: &'static str) -> Upstream {
    let server = Upstream::start().await;
    server.script.when(|request| request.target == "/api/v1/health", Reply::Json(json!({"version": "9.9"})));
    let bearer = format!("Bearer {key}");
    server.script.answer(
        |_| true,
        move |request| match request.header("authorization") == Some(&*bearer) {
            true => Reply::Json(json!({"items": [], "next": null})),
            false => Reply::Refused(401, json!({"code": "unauthenticated", "detail": "who is this?"})),
        },
    );
    server
}

/// The keys that a server was shown, the newest last.
fn shown(server: &Upstream) -> Vec<Option<String>> {
    server
        .script
        .requests()
        .iter()
        .map(|request| request.header("authorization").map(str::to_owned))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_kept_for_its_server_and_sent_to_no_other() {
    let (one, two) = (guarded("cbk_one").await, guarded("cbk_two").await);
    let desk = Desk::at("");
    for (server, name, key) in [(&one, "one", "cbk_one\n"), (&two, "two", "cbk_two")] {
        let done = desk.run_with(&["login", &server.url(), "--name", name, "--key", "-"], &[], key);
        assert!(done.code == 0 && done.err.contains("callboard 9.9"), "{done:#?}");
        assert!(!done.out.contains("cbk_") && !done.err.contains("cbk_"), "{done:#?}");
    }
    let file = desk.path().join("user/callboard/contexts.json");
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().expect("a folder"))), (0o600, 0o700));

    let listed = desk.run(&["contexts"]);
    assert!(listed.out.contains("* ") && !listed.out.contains("cbk_"), "{listed:#?}");
    let listed = json_lines(&desk.prints(&["contexts", "--json"]));
    assert_eq!(listed[0], json!({"name": "one", "server": one.url(), "key": true, "current": false}));
    assert_eq!(listed[1]["current"], true);

    desk.prints(&["workflows", "list"]);
    assert_eq!(shown(&two).last().cloned().flatten().as_deref(), Some("Bearer cbk_two"));
    desk.prints(&["use", "one"]);
    desk.prints(&["workflows", "list"]);
    assert_eq!(shown(&one).last().cloned().flatten().as_deref(), Some("Bearer cbk_one"));
    desk.prints(&["workflows", "list", "--context", "two"]);
    desk.prints(&["workflows", "list", "--server", &two.url()]);
    assert!(shown(&two).iter().flatten().all(|key| key == "Bearer cbk_two"), "{:?}", shown(&two));
    assert!(shown(&one).iter().flatten().all(|key| key == "Bearer cbk_one"), "{:?}", shown(&one));

    // Another server gets no key, and the environment's for once.
    let other = guarded("cbk_other").await;
    let refused = desk.run(&["workflows", "list", "--server", &other.url()]);
    assert!(refused.code == 1 && refused.err.contains("callboard login URL"), "{refused:#?}");
    assert_eq!(shown(&other), [None]);
    let env = [("CALLBOARD_SERVER", &*other.url()), ("CALLBOARD_API_KEY", "cbk_other")];
    assert_eq!(desk.run_with(&["workflows", "list"], &env, "").code, 0);
    let blank =
        desk.run_with(&["workflows", "list"], &[("CALLBOARD_SERVER", " "), ("CALLBOARD_API_KEY", "")], "");
    assert_eq!(blank.code, 0, "what is empty is not said: {blank:#?}");

    desk.prints(&["logout", "one"]);
    assert!(!std::fs::read_to_string(&file).expect("the file").contains("cbk_one"));
    for words in
        [&["use", "one"][..], &["logout", "one"], &["logout"], &["workflows", "list", "--context", "one"]]
    {
        assert_eq!(desk.run(words).code, 64, "{words:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_and_a_wrong_server_are_not_kept() {
    let (server, desk) = (guarded("cbk_right").await, Desk::at(""));
    let wrong = desk.run_with(&["login", &server.url(), "--key", "-"], &[], "cbk_wrong");
    assert!(
        wrong.code == 1 && wrong.err.contains("nothing was kept") && wrong.err.contains("who is this?"),
        "{wrong:#?}"
    );
    let argument = desk.run(&["login", &server.url(), "--key", "cbk_right"]);
    assert!(
        argument.code == 64 && argument.err.contains("--key -") && !argument.err.contains("cbk_right"),
        "{argument:#?}"
    );
    let nobody = desk.run(&["login", "http://127.0.0.1:1"]);
    assert!(nobody.code == 69 && nobody.err.contains("no server answers"), "{nobody:#?}");
    for url in ["127.0.0.1:8080", "https://cbk_right@127.0.0.1", "ftp://a"] {
        let no_url = desk.run(&["login", url]);
        assert_eq!(no_url.code, 64, "{no_url:#?}");
    }
    let other = Upstream::start().await;
    other.script.when(|_| true, Reply::text("hello"));
    let no_callboard = desk.run(&["login", &other.url()]);
    assert!(no_callboard.code == 1 && no_callboard.err.contains("no callboard"), "{no_callboard:#?}");
    assert_eq!(desk.prints(&["contexts"]), "");

    // A key that others on the way can read is said to be one.
    let open = desk.run_with(&["login", "http://callboard.invalid", "--key", "-"], &[], "cbk_right");
    assert!(
        open.code == 69 && open.err.contains("warning: the key goes to http://callboard.invalid unencrypted"),
        "{open:#?}"
    );

    std::fs::create_dir_all(desk.path().join("user/callboard")).expect("a folder");
    let file = desk.write("user/callboard/contexts.json", "{}");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("chmod");
    let shared = desk.run(&["workflows", "list"]);
    assert!(shared.code == 64 && shared.err.contains("chmod 600"), "{shared:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_says_that_it_is_there() {
    let (mut server, desk, _api) = desk().await;
    let said = desk.prints(&["status"]);
    assert!(said.contains(&server.url) && said.contains("ready    yes"), "{said}");
    assert_eq!(desk.lines(&["status"])[0]["ready"], json!(true));
    server.kill();
    let gone = desk.run(&["status"]);
    assert!(gone.code == 69 && gone.err.contains("no server answers"), "{gone:#?}");
    let shaky = Upstream::start().await;
    shaky.script.when(|request| request.target == "/api/v1/health", Reply::Json(json!({"version": "1"})));
    shaky
        .script
        .otherwise(Reply::Refused(503, json!({"code": "not_ready", "detail": "sidecar: does not answer"})));
    let not_ready = desk.run(&["status", "--server", &shaky.url(), "--json"]);
    let told: Value = serde_json::from_str(&not_ready.out).expect("JSON");
    assert_eq!((not_ready.code, &told["ready"]), (69, &json!(false)), "{told:#}");
}
