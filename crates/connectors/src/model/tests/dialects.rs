//! The known dialects, from files: the same comes of each reply, whether it is asked for as a whole or as a stream.

use super::*;
use callboard_core::agent::message::Extras;
use std::path::PathBuf;

/// One reply.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    case: String,
    #[serde(default)]
    status: Option<u16>,
    /// The type of the body, where it is not what it should be.
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    whole: Option<String>,
    #[serde(default)]
    streamed: Option<String>,
    gives: Value,
}

fn replies() -> Vec<(String, Reply)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/dialects");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 8, "dialects are missing: {files:?}");
    let all = files.iter().flat_map(|file| {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(file).unwrap();
        let replies: Vec<Reply> = serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        for case in ["text", "structured", "tools", "parallel tools", "cut"] {
            assert!(replies.iter().any(|reply| reply.case == case), "{name} has no {case}");
        }
        replies.into_iter().map(move |reply| (format!("{name}: {}", reply.case), reply))
    });
    all.collect()
}

async fn said(State(replies): State<Arc<Vec<Reply>>>, body: axum::Json<Value>) -> Response {
    // One provider has them all, each as a model.
    let reply = &replies[body.0["model"].as_str().unwrap().parse::<usize>().unwrap()];
    let streams = body.0["stream"] == true;
    let text = reply.body.as_ref().or(if streams { reply.streamed.as_ref() } else { reply.whole.as_ref() });
    let kind = match (&reply.kind, streams && reply.body.is_none()) {
        (Some(kind), _) => kind.as_str(),
        (None, true) => "text/event-stream",
        (None, false) => "application/json",
    };
    let status = StatusCode::from_u16(reply.status.unwrap_or(200)).unwrap();
    (status, [(CONTENT_TYPE, kind.to_owned())], text.unwrap().clone()).into_response()
}

/// What came, in the form of the files.
fn shown(reply: &Result<ModelReply, CallError>) -> Value {
    let reply = match reply {
        Err(e) => {
            return json!({"error": e.code, "again": e.retryable, "elsewhere": e.elsewhere && !e.retryable});
        }
        Ok(reply) => reply,
    };
    let mut all =
        json!({"text": reply.text, "usage": [reply.usage.prompt_tokens, reply.usage.completion_tokens]});
    if !reply.tool_calls.is_empty() {
        all["calls"] =
            reply.tool_calls.iter().map(|call| json!([call.id, call.name, call.arguments])).collect();
    }
    if reply.usage.estimated {
        all["estimated"] = true.into();
    }
    match &reply.finish {
        Finish::Complete => {}
        Finish::Cut => all["finish"] = "cut".into(),
        Finish::Thought => all["finish"] = "thought".into(),
        Finish::Filtered => all["finish"] = "filtered".into(),
        Finish::Refused(words) => all["finish"] = format!("refused: {words}").into(),
    }
    if let Some(extras) = &reply.extras {
        let mut extras = json!(extras);
        extras.as_object_mut().unwrap().remove("provider");
        all["extras"] = extras;
    }
    all
}

#[tokio::test]
async fn every_dialect_gives_the_same_whole_and_streamed() {
    let all = replies();
    let (names, replies): (Vec<String>, Vec<Reply>) = all.into_iter().unzip();
    let replies = Arc::new(replies);
    let app = Router::new().route("/v1/chat/completions", post(said)).with_state(replies.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let mut asked = request("q");
    asked.messages.remove(0);
    let model = model(&format!("http://{address}"), "v1");
    let mut wrong = Vec::new();
    for (n, (name, reply)) in names.iter().zip(replies.iter()).enumerate() {
        let words = Mutex::new(String::new());
        let on_delta = |text: &str| words.lock().push_str(text);
        for heard in [None, Some(&on_delta as &(dyn Fn(&str) + Send + Sync))] {
            asked.model = n.to_string();
            let came = model.call(&asked, heard).await;
            let found = shown(&came);
            // `extras` names nothing where it is empty.
            let mut expected = reply.gives.clone();
            if let Some(extras) = expected.get_mut("extras") {
                let of: Extras = serde_json::from_value({
                    let mut extras = extras.clone();
                    extras["provider"] = "".into();
                    extras
                })
                .unwrap();
                *extras = json!(of);
                extras.as_object_mut().unwrap().remove("provider");
            }
            if found != expected {
                wrong.push(format!(
                    "{name} ({}):\n  {found}\n  {expected}",
                    if heard.is_some() { "streamed" } else { "whole" }
                ));
            }
            if let (Some(_), Ok(came)) = (heard, &came)
                && came.finish == Finish::Complete
                && !name.contains("without its beginning")
                && *words.lock() != came.text
            {
                wrong.push(format!("{name}: said {:?}", words.lock()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), 2 * names.len(), wrong.join("\n"));
}
