//! What `schemars` knows of the kinds: their names, the schemas of their `config`, and an example of each. Nothing of it
//! is written twice.

use super::NodeKind;
use crate::schema;
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, io, sync::LazyLock};

/// A kind by itself, without a node.
pub struct Described {
    /// As `type` writes it.
    pub name: String,
    /// What it is for, in a sentence or two.
    pub description: String,
    /// The schema of its `config`, complete with what it refers to.
    pub config: Value,
    /// With the least configuration that can be read. Every kind has one; a test holds that.
    pub example: Option<NodeKind>,
}

/// In the order of the enum.
static ALL: LazyLock<Vec<Described>> = LazyLock::new(|| {
    let schema = schema::of::<NodeKind>();
    let variants = schema["oneOf"].as_array().map(Vec::as_slice).unwrap_or_default();
    let kinds = variants.iter().filter_map(|variant| {
        let name = variant["properties"]["type"]["const"].as_str()?.to_owned();
        let description = variant["description"].as_str().unwrap_or_default().to_owned();
        let mut config = resolved(&schema, &variant["properties"]["config"]).clone();
        let example = serde_json::from_value(json!({"type": name, "config": least(&schema, &config)}));
        config["$defs"] = schema["$defs"].clone();
        Some(Described { name, description, config, example: example.ok() })
    });
    kinds.collect()
});

/// Returns every kind, in the order of the enum.
pub fn all() -> &'static [Described] {
    &ALL
}

/// Returns the JSON Schema of `config` by kind.
pub fn schemas() -> BTreeMap<&'static str, &'static Value> {
    ALL.iter().map(|kind| (kind.name.as_str(), &kind.config)).collect()
}

/// The kind as `type` writes it.
pub(super) fn name(kind: &NodeKind) -> &'static str {
    // The tag is written first. What follows may be large, so the writing ends where the tag does.
    let mut start = Start::default();
    let _ = serde_json::to_writer(&mut start, kind);
    let is = |name: &str| start.0.starts_with(format!("{{\"type\":\"{name}\"").as_bytes());
    ALL.iter().map(|kind| kind.name.as_str()).find(|name| is(name)).unwrap_or_default()
}

/// Returns a node in place of one that can't be read. A node with a body keeps its kind, since that decides whether
/// `item` and `last` exist inside. Without a body any kind will do.
pub(in crate::workflow) fn placeholder(id: &str, holds: Option<(&NodeKind, Value)>) -> Value {
    let mut node = match &holds {
        Some((kind, _)) => json!(kind),
        None => json!({"type": "signal", "config": {"name": "?"}}),
    };
    node["id"] = id.into();
    if let Some((_, body)) = holds {
        node["config"]["body"] = body;
    }
    node
}

/// Follows one `$ref` within `root`.
fn resolved<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let path = schema["$ref"].as_str().and_then(|path| path.strip_prefix('#'));
    path.and_then(|path| root.pointer(path)).unwrap_or(schema)
}

/// Returns the least value of a schema: objects with their required fields, empty texts and lists, smallest numbers.
fn least(root: &Value, schema: &Value) -> Value {
    let schema = resolved(root, schema);
    match schema["type"].as_str() {
        Some("object") => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let fields = required.map(|field| (field.to_owned(), least(root, &schema["properties"][field])));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Some("array") => json!([]),
        Some("integer") => schema.get("minimum").cloned().unwrap_or_else(|| json!(0)),
        Some("boolean") => json!(false),
        Some(_) | None => json!(""),
    }
}

/// Keeps what is written up to the first comma, and refuses the rest.
#[derive(Default)]
struct Start(Vec<u8>);

impl io::Write for Start {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The writer errs on purpose: serde stops there and does not write the rest.
        if self.0.contains(&b',') {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
