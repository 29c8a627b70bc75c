//! An HTTP call, as a document describes it and as it goes out: what the templates of a node or tool come to, and where its
//! own secrets stand in it.
//!
//! Nodes and agents' tools describe their calls alike (`Template`), and one function renders both to what is sent
//! (`Request`). What data prints into a URL stays one part of it; what it prints elsewhere never becomes a reference to a
//! secret.

mod check;
mod form;

use crate::{
    expr::{self, Fuel, Meter, Printed, Scene},
    secret::{self, Place},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{collections::BTreeSet, fmt};

pub(crate) use check::{WITHOUT_HOSTS, mistakes};
pub use form::{Answer, As, Content, File, Form, each_value, file};

/// The largest answer that is read where a node or tool does not say otherwise, in bytes.
pub const USUAL_BODY: u64 = 1 << 20;
/// The largest that it may ask for.
pub const LARGEST_BODY: u64 = 16 << 20;

/// Calls an address; its output is `{status, headers, body}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HttpNode")]
pub struct Template {
    #[serde(default)]
    pub method: Method,
    /// Template.
    #[schemars(extend("x-callboard" = ["template", "secret"]))]
    pub url: String,
    /// Templates; `secret://name` is resolved right before the call. A list is sent as several headers of the name.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(extend("x-callboard" = ["template", "secret"]))]
    pub headers: Map<String, Value>,
    /// Parameters of the URL, behind those that stand in it. A list repeats the name, null leaves it out.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(extend("x-callboard" = ["template", "secret"]))]
    pub query: Map<String, Value>,
    /// A text is sent as it is, anything else as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-callboard" = ["template", "secret"]))]
    pub body: Option<Value>,
    /// Status codes that count as success; default: any 2xx.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<u16>,
    /// Bytes of the largest answer that is read; default: 1 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 16777216))]
    pub max_body: Option<u64>,
    /// A body that is JSON whatever its type, texts included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-callboard" = ["template", "secret"]))]
    pub json: Option<Value>,
    /// A body that is a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-callboard" = ["template", "secret"]))]
    pub text: Option<Value>,
    /// A body as `application/x-www-form-urlencoded`: an object of fields, or a template of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-callboard" = ["template", "secret"]))]
    pub form: Option<Value>,
    /// A body as `multipart/form-data`: an object of fields and files, or a template of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-callboard" = ["template", "secret"]))]
    pub multipart: Option<Value>,
    /// A body of bytes: base64, or an object with `base64` and `type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-callboard" = ["template", "secret"]))]
    pub bytes: Option<Value>,
    /// How the answer is read; default: as its content type says.
    #[serde(default, skip_serializing_if = "Answer::is_default")]
    pub answer: Answer,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(rename = "HttpMethod")]
pub enum Method {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

/// A [`Template`] with the data in it: what goes out. The same fields, without those that say what to do with the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    #[serde(default)]
    pub method: Method,
    pub url: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub headers: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub query: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// Where the definition's own references stand. None where it names no secret, and in requests that an earlier
    /// version recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Vec<Place>>,
    /// How the body goes out; left out where a text goes as it is and anything else as JSON.
    #[serde(default, rename = "body_as", skip_serializing_if = "Form::is_usual")]
    pub form: Form,
}

/// A configuration that can't be rendered with this data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// `url`, `headers`, `query`, or that of the body.
    pub field: &'static str,
    pub error: expr::Error,
}

/// A request of an earlier version in which the definition's references can't be told from those of data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ambiguous {
    /// JSON pointer to the text.
    pub at: String,
}

// === impl Method ===

impl Method {
    /// Whether it only reads, so that it may be sent twice.
    pub fn is_read(self) -> bool {
        match self {
            Method::Get | Method::Head => true,
            Method::Post | Method::Put | Method::Patch | Method::Delete => false,
        }
    }
}

/// Renders a configuration over `context`.
pub fn render(call: &Template, context: &Value) -> Result<Request, Unusable> {
    render_under(&Meter::default(), call, context)
}

/// The same, with the work counted in `meter`, too.
pub fn render_under(meter: &Meter<'_>, call: &Template, context: &Value) -> Result<Request, Unusable> {
    let in_field = |field| move |error| Unusable { field, error };
    meter.enter(context).map_err(in_field("url"))?;
    let mut scene = Scene::new(context);
    // Each part has the fuel of one evaluation; the meter counts them together.
    let fuel = || Fuel::default().under(meter);
    let url = expr::render_url(&call.url, &mut scene, &mut fuel()).map_err(in_field("url"))?;
    // The rendered URL is checked, since its segments are not known before.
    check_segments(&url.text, &url.data).map_err(in_field("url"))?;
    let mut secrets: Vec<Place> =
        url.secrets.into_iter().map(|(from, name)| Place { at: "/url".into(), from, name }).collect();
    let mut part = |field: &'static str, at: &str, template: &Value| {
        scene.begin();
        let mut rendering = Rendering { scene: &mut scene, fuel: fuel(), secrets: &mut secrets };
        let rendered = rendering.value(template, at, 0).map_err(in_field(field))?;
        scene.within(&rendered, template).map_err(in_field(field))?;
        Ok(rendered)
    };
    let mut object = |field, at, map: &Map<String, Value>| match part(field, at, &Value::Object(map.clone()))?
    {
        Value::Object(map) => Ok(map),
        _ => Ok(Map::new()),
    };
    let headers = object("headers", "/headers", &call.headers)?;
    let query = object("query", "/query", &call.query)?;
    let given = call.bodies().next();
    let body = given.map(|(field, _, body)| part(field, "/body", body)).transpose()?;
    let form = given.map_or(Form::Usual, |(_, form, _)| form);
    // A request that names no secret is recorded without the field, as it was before there was one.
    let secrets = (!references(call).is_empty()).then_some(secrets);
    Ok(Request { method: call.method, url: url.text, headers, query, body, secrets, form })
}

/// Returns the names of all secrets that a configuration itself refers to.
pub fn references(call: &Template) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    each_template(call, &mut |text| names.extend(expr::own_references(text).into_iter().map(str::to_owned)));
    names
}

/// Returns whether a URL's host and port are the definition's own, whatever the data.
pub fn is_host_fixed(url: &str) -> bool {
    let tag = ["{{", "{%", "{#"].iter().filter_map(|open| url.find(open)).min();
    let literal = &url[..tag.unwrap_or(url.len())];
    let Some((_, rest)) = literal.split_once("://") else { return false };
    let host = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    // Without a delimiter behind it the host goes on with what a tag prints.
    let ends = host.len() < rest.len() || tag.is_none();
    ends && host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
}

/// Returns whether a header frames the message or speaks to proxies: it is not a definition's to set.
pub fn is_reserved(header: &str) -> bool {
    const RESERVED: [&str; 11] = [
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    let name = header.to_ascii_lowercase();
    RESERVED.contains(&name.as_str()) || name.starts_with("proxy-")
}

/// Calls `f` with every text of a configuration that is a template.
fn each_template(call: &Template, f: &mut impl FnMut(&str)) {
    f(&call.url);
    let bodies = call.bodies().map(|(_, _, body)| body);
    call.headers.values().chain(call.query.values()).chain(bodies).for_each(|v| expr::each_text(v, f));
}

/// Errs if data makes a segment of the path `.`, `..` or nothing. Readers of the URL would follow the first two to another
/// path, also where the dots are encoded, and take `/users//` for `/users/`.
fn check_segments(url: &str, data: &[Printed]) -> Result<(), expr::Error> {
    let from = url.find("://").map_or(0, |at| at + 3);
    let end = url[from..].find(['?', '#']).map_or(url.len(), |n| from + n);
    // What stands before the first one is the host.
    let path = url[from..end].find(['/', '\\']).map_or(end, |n| from + n + 1);
    let mut start = from;
    for segment in url[from..end].split(['/', '\\']) {
        let stop = start + segment.len();
        let mut touched = data.iter().filter(|printed| printed.at.start <= stop && printed.at.end >= start);
        // Readers of URLs drop these characters before they look for dots.
        let plain: String = segment.chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).collect();
        let plain = plain.trim_matches(|c: char| c <= ' ').to_ascii_lowercase().replace("%2e", ".");
        let refused = match plain.as_str() {
            "." | ".." => touched.next().is_some(),
            // Who prints a part of a path as it is may print none.
            "" => start >= path && touched.any(|printed| !printed.raw),
            _ => false,
        };
        if refused {
            let what = if plain.is_empty() { "an empty text".to_owned() } else { format!("`{plain}`") };
            let message = format!(
                "data makes {what} a segment of the path, which would lead to another path; check it before, for \
                 instance by a `pattern` in the schema"
            );
            return Err(expr::Error::Evaluation(message));
        }
        start = stop + 1;
    }
    Ok(())
}

/// A rendering of one part of a request.
struct Rendering<'a, 'v> {
    scene: &'a mut Scene<'v>,
    fuel: Fuel<'a>,
    secrets: &'a mut Vec<Place>,
}

impl Rendering<'_, '_> {
    /// Renders a template `depth` levels inside its part; `at` is the JSON pointer to it.
    fn value(&mut self, template: &Value, at: &str, depth: usize) -> Result<Value, expr::Error> {
        if depth > expr::DEPTH_LIMIT {
            let message = format!("the template is nested deeper than {} levels", expr::DEPTH_LIMIT);
            return Err(expr::Error::Limit(message));
        }
        Ok(match template {
            // Its result is data as a whole, so there is no reference of the template's in it.
            Value::String(text) if expr::whole(text).is_some() => {
                expr::render_in(template, self.scene, &mut self.fuel, depth)?
            }
            Value::String(text) => {
                let rendered = expr::render_marked(text, self.scene, &mut self.fuel)?;
                let places = rendered.secrets.into_iter();
                self.secrets.extend(places.map(|(from, name)| Place { at: at.to_owned(), from, name }));
                Value::String(rendered.text)
            }
            Value::Array(items) => Value::Array(
                items
                    .iter()
                    .enumerate()
                    .map(|(i, item)| self.value(item, &format!("{at}/{i}"), depth + 1))
                    .collect::<Result<_, _>>()?,
            ),
            Value::Object(map) => Value::Object(
                map.iter()
                    .map(|(key, item)| Ok((key.clone(), self.value(item, &inside(at, key), depth + 1)?)))
                    .collect::<Result<Map<_, _>, expr::Error>>()?,
            ),
            Value::Null | Value::Bool(_) | Value::Number(_) => template.clone(),
        })
    }
}

/// Extends a JSON pointer by a key.
fn inside(at: &str, key: &str) -> String {
    format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"))
}

// === impl Request ===

impl Request {
    /// Returns where the references of the configuration stand.
    ///
    /// A request that an earlier version recorded does not say so. There a text keeps its references only if it must have
    /// them of the configuration: the template has no blocks and the same references in the same order.
    pub fn places(&self, call: &Template) -> Result<Vec<Place>, Ambiguous> {
        if let Some(places) = &self.secrets {
            return Ok(places.clone());
        }
        let mut places = Vec::new();
        recorded(
            &Value::from(call.url.as_str()),
            Some(&Value::from(self.url.as_str())),
            "/url",
            &mut places,
        )?;
        for (field, template, rendered) in
            [("/headers", &call.headers, &self.headers), ("/query", &call.query, &self.query)]
        {
            for (key, template) in template {
                recorded(template, rendered.get(key), &inside(field, key), &mut places)?;
            }
        }
        if let Some(template) = &call.body {
            recorded(template, self.body.as_ref(), "/body", &mut places)?;
        }
        Ok(places)
    }
}

/// Finds the references of one template in what an earlier version rendered of it.
fn recorded(
    template: &Value,
    rendered: Option<&Value>,
    at: &str,
    places: &mut Vec<Place>,
) -> Result<(), Ambiguous> {
    match (template, rendered) {
        (Value::String(template), rendered) => {
            let own = expr::own_references(template);
            if own.is_empty() {
                return Ok(());
            }
            let text = rendered.and_then(Value::as_str).unwrap_or_default();
            let found: Vec<(usize, &str)> = secret::places(text).collect();
            let same = found.iter().map(|(_, name)| *name).eq(own);
            // A block may print the template's own text twice or never, so equal names would prove nothing.
            if !same || template != text && expr::has_blocks(template) {
                return Err(Ambiguous { at: at.to_owned() });
            }
            places.extend(found.into_iter().map(|(from, name)| Place {
                at: at.to_owned(),
                from,
                name: name.to_owned(),
            }));
            Ok(())
        }
        (Value::Array(items), Some(Value::Array(rendered))) => items
            .iter()
            .enumerate()
            .try_for_each(|(i, item)| recorded(item, rendered.get(i), &format!("{at}/{i}"), places)),
        (Value::Object(map), Some(Value::Object(rendered))) => {
            map.iter().try_for_each(|(key, item)| recorded(item, rendered.get(key), &inside(at, key), places))
        }
        (Value::Array(_) | Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_), _) => Ok(()),
    }
}

// === impl Unusable ===

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.error)
    }
}

#[cfg(test)]
mod tests;
