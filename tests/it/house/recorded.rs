//! What is recorded is for ever: the types that documents and events are made of, each with its fields in their order.
//!
//! In version 1 a field is known by its place. So nothing is inserted, and nothing that may be left out stands before
//! what may not. A line of the list is only ever made longer, at its end, and a new line is something that version 1
//! can't say: `version_for` in `actors/src/document/version.rs` then says version 2.

use super::{none, root, sources::code, texts};
use std::collections::{BTreeMap, BTreeSet};

/// By file. `?`: left out when empty. Of a tuple, the types. `by hand`: it writes itself, in the order of its fields.
const RECORDED: &str = "
actors/src/document.rs
    Document: v seq hash snapshot tail_from base_hash tail published
    Kept, by hand: event hash text
    Snapshot: key size seq
actors/src/document/version.rs
    Version::Positional:
    Version::Named:
actors/src/document/named.rs
    Stored: v seq hash snapshot tail_from base_hash tail published
actors/src/document/parts.rs
    HeadPart: head pages rest
    Page: key size items level
actors/src/agent/mod.rs
    Document: v run target
    Target: run step
crates/core/src/workflow/snapshot.rs
    Head: created generations steps signals ops paused paused_for usage reserved wrap_up cut ended abandoned purging \
        archived bodies? trial?
crates/core/src/workflow/event.rs
    Event: at what
    StepKey: generation node iteration
    What::RunCreated: op workflow_id version plan input settings body?
    What::StepStarted: step attempt input deadline reserved
    What::StepCompleted: step attempt output branch usage error op signal body? fallbacks?
    What::StepFailed: step attempt error retry_at usage op body? fallbacks?
    What::StepSkipped: step
    What::StepCancelled: step
    What::StepUnknown: step attempt
    What::StepGranted: step attempt activation
    What::IterationStarted: step index
    What::IterationEnded: step index output of
    What::SignalReceived: op name data body?
    What::BudgetReserved: step attempt reserved op
    What::BudgetBreached: limit
    What::RunPaused: op body?
    What::RunResumed: op body?
    What::RunRerun: op from input body?
    What::RunCompleted: output
    What::RunFailed: error
    What::RunCancelled: op body?
    What::DecisionCut:
    What::RunPurging:
    What::RunTried: trial
    Reserved: calls tokens cost?
    Failure: code message details?
    RunError: code message node
    RunSettings: dispatch retention max_tokens otherwise? prices?
    Otherwise: failed cancelled
crates/core/src/workflow/trial.rs
    Trial: until only pinned outputs asked
crates/core/src/workflow/op.rs
    Fingerprint: u32
crates/core/src/workflow/run.rs
    Created: at workflow_id version plan input settings
    Generation: at from input used_before paused_before
    Ended: at how
    Ending::Completed: Datum
    Ending::Failed: RunError
    Ending::Cancelled:
    Step: attempt state input started_at ended_at deadline usage reserved error iterations
    StepState::Started: granted
    StepState::Retrying: at
    StepState::Unknown:
    StepState::Completed: output branch
    StepState::Failed:
    StepState::Skipped:
    StepState::Cancelled:
    Iterations: next open outputs
    Archived::Step: StepKey Step
    Archived::Output: StepKey u32 Datum
crates/core/src/agent/run.rs
    Run: task accepted_at phase messages iterations failures strikes model usage repeats delivered children? fallbacks?
    Phase::Idle:
    Phase::Reserving:
    Phase::Thinking: not_before
    Phase::Acting: calls results
    Phase::Done: outcome
    Ending::Completed: Datum
    Ending::Failed: CallError
    Ending::Unknown:
    Ending::Cancelled:
crates/core/src/agent/message.rs
    ToolCall: id name arguments
crates/core/src/agent/task.rs
    Task, by hand: agent input key attempt output_schema at_most_once budgeted origin secrets pin
    Origin: depth agent iteration call
crates/core/src/call.rs
    CallError: code message retryable retry_after
    Fallback: model code message next
    Usage: calls prompt_tokens completion_tokens estimated? priced? cost?
crates/core/src/price.rs
    Price: input output cached
crates/core/src/value.rs
    Datum::Inline: Arc<Value>
    Datum::Stored: ValueRef
    ValueRef: key hash size
    Hash, by hand: [u8;16]
crates/core/src/time.rs
    Timestamp: i64
    Span, by hand: u64
";

/// What is stored under a key of its own, so that no other type has to name it.
const STORED: [&str; 5] = ["Document", "Stored", "HeadPart", "Page", "Archived"];
/// Types of the languages and libraries, which write themselves.
const FOREIGN: [&str; 12] = [
    "Arc", "Box", "BTreeMap", "BTreeSet", "Cow", "Option", "OrdMap", "OrdSet", "String", "Value", "Vec",
    "Vector",
];
/// Ids, which are recorded as their texts, whatever they know beside.
const IDS: [&str; 4] = ["AgentId", "OperationId", "RunId", "WorkflowId"];

/// A type of the list: its fields, or those of each of its variants.
#[derive(Default)]
struct Listed {
    by_hand: bool,
    fields: Vec<String>,
    variants: BTreeMap<String, Vec<String>>,
}

/// A field as its source says it.
struct Field {
    /// Of a tuple's, the type.
    name: String,
    kind: String,
    serde: Vec<String>,
}

impl Field {
    /// Whether serde is told so.
    fn says(&self, argument: &str) -> bool {
        self.serde.iter().any(|said| said == argument)
    }

    fn is_left_out(&self) -> bool {
        self.says("skip_serializing_if")
    }
}

/// A type as its source says it.
struct Found {
    attributes: String,
    fields: Vec<Field>,
    variants: Vec<(String, Vec<Field>)>,
}

fn listed() -> BTreeMap<(&'static str, String), Listed> {
    let mut all: BTreeMap<(&str, String), Listed> = BTreeMap::new();
    let mut file = "";
    for line in RECORDED.lines().filter(|line| !line.is_empty()) {
        let Some((name, fields)) = line.split_once(':').filter(|_| line.starts_with(' ')) else {
            file = line;
            continue;
        };
        // The first colon of `What::RunCreated:` is the variant's.
        let (name, variant, fields) = match fields.strip_prefix(':') {
            Some(rest) => {
                let (variant, fields) = rest.split_once(':').expect("a variant");
                (name, Some(variant), fields)
            }
            None => (name, None, fields),
        };
        let (name, by_hand) =
            name.trim().split_once(',').map_or((name.trim(), false), |(name, _)| (name, true));
        let fields = fields.split_whitespace().map(str::to_owned).collect();
        let entry = all.entry((file, name.to_owned())).or_default();
        entry.by_hand |= by_hand;
        match variant {
            Some(variant) => drop(entry.variants.insert(variant.to_owned(), fields)),
            None => entry.fields = fields,
        }
    }
    all
}

fn source(file: &str) -> String {
    code(&std::fs::read_to_string(root().join(file)).expect(file))
}

#[test]
fn an_id_is_recorded_as_its_text() {
    let mut written = 0;
    for source in texts(|path| path.starts_with("crates/core/src/id") && !path.ends_with("tests.rs")) {
        let code = code(&source.text);
        written += code.matches("serializer.serialize_str(self.as_str())").count();
        let others = code.matches("Serialize for").count() + code.matches("Serialize,").count();
        assert_eq!(others, code.matches("serde::Serialize for $id").count(), "{}", source.path);
    }
    assert_eq!(written, 1, "by one macro for all of them");
}

#[test]
fn what_is_recorded_keeps_its_places() {
    let listed = listed();
    let names: BTreeSet<&str> = listed.keys().map(|(_, name)| name.as_str()).collect();
    let (mut wrong, mut used) = (Vec::new(), BTreeSet::from(STORED.map(str::to_owned)));
    for ((file, name), entry) in &listed {
        let text = source(file);
        let Some(found) = find(&text, name) else {
            wrong.push(format!("{file}: there is no {name}"));
            continue;
        };
        wrong.extend(places(name, &entry.fields, &found.fields));
        for (variant, fields) in &found.variants {
            let place = format!("{name}::{variant}");
            match entry.variants.get(variant) {
                Some(listed) => wrong.extend(places(&place, listed, fields)),
                None => wrong
                    .push(format!("{place} is not listed: version 1 can't say it, so version_for says 2")),
            }
        }
        let gone = entry.variants.keys().filter(|v| !found.variants.iter().any(|(name, _)| name == *v));
        wrong.extend(gone.map(|variant| format!("{name}::{variant} is gone: what was recorded is for ever")));
        wrong.extend(writes(name, entry, &found, &text));
        let fields = found.fields.iter().chain(found.variants.iter().flat_map(|(_, fields)| fields));
        for field in fields.filter(|field| !field.says("skip")) {
            for inner in types(&field.kind).filter(|inner| !FOREIGN.contains(inner) && !IDS.contains(inner)) {
                used.insert(inner.to_owned());
                if !names.contains(inner) {
                    wrong.push(format!("{name}.{}: {inner} is recorded and not listed", field.name));
                }
            }
        }
    }
    wrong.extend(
        names.iter().filter(|name| !used.contains(**name)).map(|name| format!("{name} is recorded nowhere")),
    );
    wrong.extend(
        read_as_documents()
            .into_iter()
            .filter(|name| !names.contains(name.as_str()))
            .map(|name| format!("{name} is read from a document and not listed")),
    );
    none(wrong);
}

/// Returns what is wrong with the fields of a type or a variant.
fn places(name: &str, listed: &[String], found: &[Field]) -> Vec<String> {
    let found: Vec<&Field> = found.iter().filter(|field| !field.says("skip")).collect();
    let mut wrong = moved(name, listed, &found);
    for pair in found.windows(2).filter(|pair| pair[0].is_left_out() && !pair[1].is_left_out()) {
        let (first, next) = (&pair[0].name, &pair[1].name);
        wrong.push(format!(
            "{name}: {first} is left out when empty: then {next}, after it, is read in its place"
        ));
    }
    for field in &found {
        let place = format!("{name}.{}", field.name);
        if field.is_left_out() && !field.says("default") {
            wrong.push(format!("{place} is left out when empty, and has no default to be read as"));
        }
        if field.says("flatten") {
            wrong.push(format!("{place} is flattened: it has no place"));
        }
    }
    wrong
}

/// Returns where the fields are not those of the list, in its order.
fn moved(name: &str, listed: &[String], found: &[&Field]) -> Vec<String> {
    for (n, before) in listed.iter().enumerate() {
        let plain = before.trim_end_matches('?');
        match found.get(n) {
            Some(now) if now.name != plain => {
                let now = &now.name;
                return vec![format!(
                    "{name}: {now} stands in the place of {plain}: new fields stand at the end"
                )];
            }
            Some(now) if now.is_left_out() != (plain != before) => {
                let is = if now.is_left_out() { "left out when empty" } else { "always written" };
                return vec![format!(
                    "{name}.{plain} is {is}, and was not: that is another form of version 1"
                )];
            }
            Some(_) => {}
            None => return vec![format!("{name}.{plain} is gone: what was recorded is for ever")],
        }
    }
    let more = found.iter().skip(listed.len()).map(|field| {
        let field = &field.name;
        format!(
            "{name}.{field} is not listed: version 1 can't say it, so version_for says 2 where it is given"
        )
    });
    more.collect()
}

/// Returns what is wrong with how a type is written.
fn writes(name: &str, entry: &Listed, found: &Found, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for way in ["untagged", "tag =", "content ="].iter().filter(|way| found.attributes.contains(**way)) {
        wrong.push(format!("{name} is {way}: without names it can't be read"));
    }
    let derives = types(&found.attributes).any(|word| word == "Serialize");
    if derives == entry.by_hand {
        wrong.push(format!("{name} is {} by hand", if derives { "not written" } else { "written" }));
    }
    // A hand-written one that writes fields writes them in their order.
    let by_hand = text.split_once(&format!("impl Serialize for {name} "));
    let body = by_hand.and_then(|(_, rest)| rest.split("\n}").next()).unwrap_or_default();
    let calls = body.split("serialize_field(\"").skip(1);
    let written: Vec<&str> = calls.filter_map(|call| call.split('"').next()).collect();
    if !written.is_empty() && written != entry.fields {
        wrong.push(format!("{name} writes {}", written.join(" ")));
    }
    wrong
}

/// Returns the types that are read from what is stored.
fn read_as_documents() -> BTreeSet<String> {
    let sources =
        texts(|path| path.starts_with("actors/src/") && path.ends_with(".rs") && !path.contains("tests"));
    let mut found = BTreeSet::new();
    for text in sources.iter().map(|source| code(&source.text)) {
        for call in ["versioned::<", "decode::<"].iter().flat_map(|call| text.split(call).skip(1)) {
            let kind = call.split(">(").next().unwrap_or_default();
            found.extend(
                types(kind).filter(|kind| !FOREIGN.contains(kind) && *kind != "T").map(str::to_owned),
            );
        }
    }
    assert!(found.contains("HeadPart"), "the types are read from the calls: {found:?}");
    found
}

/// Finds a type in a source as rustfmt leaves it.
fn find(text: &str, name: &str) -> Option<Found> {
    let (at, is_enum) = ["struct ", "enum "].iter().find_map(|kind| {
        let begin = format!("{kind}{name}");
        let mut all = text.match_indices(&begin);
        let end = kind.len() + name.len();
        let (at, _) =
            all.find(|(at, _)| !text[at + end..].starts_with(|c: char| c.is_alphanumeric() || c == '_'))?;
        Some((at, *kind == "enum "))
    })?;
    let before: Vec<&str> = text[..at].lines().collect();
    let before = &before[..before.len().saturating_sub(usize::from(!text[..at].ends_with('\n')))];
    let attributes: Vec<&str> =
        before.iter().rev().take_while(|line| line.starts_with("#[")).copied().collect();
    let open = at + text[at..].find(['{', '(', ';'])?;
    let body = inside(&text[open..]);
    let (fields, variants) = match is_enum {
        true => (Vec::new(), pieces(body).into_iter().map(variant).collect()),
        false => (fields(&text[open..]), Vec::new()),
    };
    Some(Found { attributes: attributes.join("\n"), fields, variants })
}

fn variant(piece: &str) -> (String, Vec<Field>) {
    let (_, rest) = attributes(piece);
    let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
    let (name, body) = rest.split_at(end);
    (name.to_owned(), fields(body.trim_start()))
}

/// Returns the fields of `{ … }` or `( … )`.
fn fields(body: &str) -> Vec<Field> {
    if !body.starts_with(['{', '(']) {
        return Vec::new();
    }
    let named = body.starts_with('{');
    let one = |piece: &str| {
        let (serde, rest) = attributes(piece);
        let rest = match rest.strip_prefix("pub(") {
            Some(scoped) => scoped.split_once(')').map_or(rest, |(_, rest)| rest),
            None => rest.strip_prefix("pub ").unwrap_or(rest),
        };
        let rest = rest.trim();
        let (name, kind) = if named { rest.split_once(':').expect("a field") } else { (rest, rest) };
        let name = if named { name.trim().to_owned() } else { name.replace(' ', "") };
        Field { name, kind: kind.to_owned(), serde }
    };
    pieces(inside(body)).into_iter().map(one).collect()
}

/// Splits the attributes from what they stand before; returns the names of serde's arguments.
fn attributes(piece: &str) -> (Vec<String>, &str) {
    let (mut serde, mut rest) = (Vec::new(), piece.trim());
    while rest.starts_with("#[") {
        let inner = inside(&rest[1..]);
        if let Some(arguments) = inner.strip_prefix("serde(") {
            let names = pieces(arguments.trim_end_matches(')'))
                .into_iter()
                .map(|argument| argument.split('=').next().unwrap_or_default().trim().to_owned());
            serde.extend(names);
        }
        rest = rest[inner.len() + 3..].trim_start();
    }
    (serde, rest)
}

/// Returns what stands between the bracket that the text begins with and the one that closes it.
fn inside(text: &str) -> &str {
    let mut depth = 0;
    for (at, c) in outside_strings(text) {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return text.get(1..at).unwrap_or_default();
        }
    }
    ""
}

/// Splits at the commas that stand in no bracket.
fn pieces(text: &str) -> Vec<&str> {
    let (mut depth, mut from, mut found) = (0, 0, Vec::new());
    for (at, c) in outside_strings(text) {
        match c {
            '{' | '(' | '[' | '<' => depth += 1,
            '}' | ')' | ']' | '>' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    found.push(&text[from..]);
    found.into_iter().map(str::trim).filter(|piece| !piece.is_empty()).collect()
}

fn outside_strings(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut quoted = false;
    text.char_indices().filter(move |(_, c)| {
        quoted ^= *c == '"';
        !quoted && *c != '"'
    })
}

/// Returns the names of types in a type.
fn types(kind: &str) -> impl Iterator<Item = &str> {
    let words = kind.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with(|c: char| c.is_ascii_uppercase()))
}

#[test]
fn a_type_is_read_from_its_source() {
    let text = "#[derive(Debug, Serialize)]\n#[serde(from = \"(A, B)\")]\npub struct Odd<'a> {\n    pub(crate) a: Vec<(B, u8)>,\n    \
                #[serde(default, skip_serializing_if = \"Option::is_none\")]\n    pub b: Option<Cow<'a, C>>,\n}\n\
                struct Pair(pub u8, [u8; 16]);\nenum Kind {\n    #[default]\n    One = 1,\n    Two(D, u32),\n    Three {\n        e: E,\n    },\n}\n";
    let odd = find(text, "Odd").expect("a struct");
    assert!(odd.attributes.contains("Serialize") && odd.attributes.contains("from"), "{}", odd.attributes);
    let fields: Vec<_> = odd.fields.iter().map(|f| (f.name.as_str(), f.serde.len())).collect();
    assert_eq!(fields, [("a", 0), ("b", 2)]);
    let kinds: Vec<Vec<&str>> = odd.fields.iter().map(|f| types(&f.kind).collect()).collect();
    assert_eq!(kinds, [vec!["Vec", "B"], vec!["Option", "Cow", "C"]]);
    let pair: Vec<String> = find(text, "Pair").expect("one").fields.into_iter().map(|f| f.name).collect();
    assert_eq!(pair, ["u8", "[u8;16]"]);
    let kind: Vec<(String, Vec<String>)> = find(text, "Kind")
        .expect("an enum")
        .variants
        .into_iter()
        .map(|(name, fields)| (name, fields.into_iter().map(|f| f.name).collect()))
        .collect();
    let is = |name: &str, fields: &[&str]| (name.to_owned(), fields.iter().map(|&f| f.to_owned()).collect());
    assert_eq!(kind, [is("One", &[]), is("Two", &["D", "u32"]), is("Three", &["e"])]);
    assert!(find(text, "Od").is_none() && find(text, "Oddly").is_none());
}

#[test]
fn a_field_in_the_middle_or_left_out_is_told() {
    let told = |listed: &str, source: &str| {
        let listed: Vec<String> = listed.split_whitespace().map(str::to_owned).collect();
        places("T", &listed, &fields(source))
    };
    let skip = "#[serde(default, skip_serializing_if = \"f\")]";
    assert!(told("a b", "{ a: A, b: B, #[serde(skip)] c: C }").is_empty());
    assert!(told("a b?", &format!("{{ a: A, {skip} b: B }}")).is_empty());
    assert_eq!(
        told("a b", "{ a: A, x: X, b: B }"),
        ["T: x stands in the place of b: new fields stand at the end"]
    );
    let left_out = told("a b", &format!("{{ {skip} a: A, b: B }}"));
    assert!(left_out[0].starts_with("T.a is left out when empty, and was not"), "{left_out:?}");
    assert!(left_out[1].starts_with("T: a is left out when empty: then b, after it"), "{left_out:?}");
    assert_eq!(told("a b", "{ a: A }"), ["T.b is gone: what was recorded is for ever"]);
    assert!(told("a", &format!("{{ a: A, {skip} b: B }}"))[0].starts_with("T.b is not listed"));
    assert!(told("a b?", "{ a: A, #[serde(skip_serializing_if = \"f\")] b: B }")[0].contains("no default"));
}
