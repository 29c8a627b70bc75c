//! The one language of templates and expressions (minijinja's), with bounds on fuel, size and depth.
//!
//! A text that is exactly one `{{ … }}` keeps the value's type; any other template renders to text. One pass only:
//! a value that contains `{{ … }}` stays text. What is undefined is an error where it is printed or returned and
//! false where it is a condition. Inside a text, strings stand as they are and everything else as compact JSON.

mod bounds;
mod compared;
mod convert;
mod costly;
mod engine;
mod environment;
mod error;
mod kinds;
mod marked;
mod marks;
mod measure;
pub mod meter;
pub mod names;
mod operands;
mod optional;
mod ordered;
mod passed;
mod path;
mod reads;
mod references;
mod renamed;
mod scan;
mod timed;

pub use engine::{Context, Expression, Fuel, Use};
pub use error::Error;
pub(crate) use marked::{Misplaced, has_blocks, misplaced, own_references, render_marked, render_url};
pub(crate) use marks::Printed;
pub use meter::{Brake, Meter};
pub(crate) use path::path;
pub use reads::Reads;
pub use references::References;
pub(crate) use renamed::{Renamed, Text, renamed};

use crate::value::{VALUE_LIMIT, json_len};
use serde_json::{Map, Value};

/// Units of work that one evaluation may do. An instruction is one, and so are 64 bytes that are made or read.
pub const FUEL: u64 = 1_000_000;
/// Bytes of one result, and of one text in it.
pub const OUTPUT_LIMIT: usize = 1 << 20;
/// Items of one list or entries of one object that go in or come out.
pub const COLLECTION_LIMIT: usize = 100_000;
/// Levels of lists and objects.
pub const DEPTH_LIMIT: usize = 64;

/// What templates see. It is turned into the language's own values only where something is calculated.
pub(crate) struct Scene<'v> {
    seen: &'v Value,
    context: Option<Context>,
    /// What may still be passed on.
    room: passed::Room,
    /// Bytes that were made, not passed on.
    made: usize,
}

/// Checks an expression and returns what it reads.
pub fn check_expression(source: &str) -> Result<Reads, Error> {
    References::of_expression(source).map(|r| r.reads())
}

/// Checks every text inside `template` and returns what they read.
pub fn check_template(template: &Value) -> Result<Reads, Error> {
    let mut all = References::default();
    let mut first = None;
    each_text(template, &mut |text| match References::of_template(text) {
        Ok(found) => all.extend(found),
        Err(e) => {
            first.get_or_insert(e);
        }
    });
    first.map_or_else(|| Ok(all.reads()), Err)
}

/// Evaluates an expression over `context` (an object). Errs if it does not parse, comes to a limit, or its result is
/// undefined. What a path alone leads to may be of any size.
pub fn evaluate(source: &str, context: &Value) -> Result<Value, Error> {
    evaluate_under(&Meter::default(), source, context)
}

/// The same, with the work counted in `meter`, too.
pub fn evaluate_under(meter: &Meter<'_>, source: &str, context: &Value) -> Result<Value, Error> {
    meter.enter(context)?;
    if let Some(found) = passed::along(source, context) {
        found.iter().for_each(|value| meter.leave(json_len(value)));
        return found;
    }
    let context = Context::new(context)?;
    Expression::unchecked(source)?.evaluate(&context, &mut Fuel::default().under(meter))
}

/// Evaluates an expression to its truth: empty, zero, null and undefined are false.
pub fn holds(source: &str, context: &Value) -> Result<bool, Error> {
    holds_under(&Meter::default(), source, context)
}

/// The same, with the work counted in `meter`, too.
pub fn holds_under(meter: &Meter<'_>, source: &str, context: &Value) -> Result<bool, Error> {
    meter.enter(context)?;
    let context = Context::new(context)?;
    Expression::unchecked(source)?.holds(&context, &mut Fuel::default().under(meter))
}

/// Renders every text inside `template` over `context`. Keys stay as they are.
pub fn render(template: &Value, context: &Value) -> Result<Value, Error> {
    render_under(&Meter::default(), template, context)
}

/// The same, with the work counted in `meter`, too.
pub fn render_under(meter: &Meter<'_>, template: &Value, context: &Value) -> Result<Value, Error> {
    meter.enter(context)?;
    let mut scene = Scene::new(context);
    let mut fuel = Fuel::default().under(meter);
    let rendered = render_in(template, &mut scene, &mut fuel, 0)?;
    scene.within(&rendered, template)?;
    Ok(rendered)
}

/// Renders one template to text, whatever its type.
pub fn render_text(template: &str, context: &Value) -> Result<String, Error> {
    render_text_under(&Meter::default(), template, context)
}

/// The same, with the work counted in `meter`, too.
pub fn render_text_under(meter: &Meter<'_>, template: &str, context: &Value) -> Result<String, Error> {
    meter.enter(context)?;
    text_in(template, &mut Scene::new(context), &mut Fuel::default().under(meter))
}

/// Returns the source of `template` if it is exactly one `{{ … }}`, which keeps its value's type.
///
/// A line end after it (YAML's block scalars have one) does not count.
pub fn whole(template: &str) -> Option<&str> {
    let inner = template.trim_end_matches(['\n', '\r']).strip_prefix("{{")?.strip_suffix("}}")?;
    let inner = inner.strip_prefix('-').unwrap_or(inner);
    let inner = inner.strip_suffix('-').unwrap_or(inner);
    // `{{ a }} and {{ b }}` begins and ends alike, but what is between does not parse.
    engine::parses(inner).then_some(inner)
}

/// Calls `f` with every text inside `template` that is a template.
pub(crate) fn each_text(template: &Value, f: &mut impl FnMut(&str)) {
    match template {
        Value::String(text) => f(text),
        Value::Array(items) => items.iter().for_each(|v| each_text(v, f)),
        Value::Object(map) => map.values().for_each(|v| each_text(v, f)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Renders what lies `depth` levels inside a template.
pub(crate) fn render_in(
    template: &Value,
    scene: &mut Scene<'_>,
    fuel: &mut Fuel<'_>,
    depth: usize,
) -> Result<Value, Error> {
    if depth > DEPTH_LIMIT {
        return Err(Error::Limit(format!("the template is nested deeper than {DEPTH_LIMIT} levels")));
    }
    Ok(match template {
        // Without a tag there is nothing to compile, and no fuel to pay.
        Value::String(text) if !scan::is_template(text) => Value::String(text.clone()),
        Value::String(text) => match whole(text) {
            Some(source) => match passed::whole(source, scene.seen, &mut scene.room) {
                Some(found) => {
                    let found = found?;
                    fuel.leave(json_len(&found));
                    found
                }
                None => {
                    let made = Expression::unchecked(source)?.evaluate(scene.context()?, fuel)?;
                    scene.made += json_len(&made);
                    made
                }
            },
            None => Value::String(text_in(text, scene, fuel)?),
        },
        Value::Array(items) => Value::Array(
            items.iter().map(|v| render_in(v, scene, fuel, depth + 1)).collect::<Result<_, _>>()?,
        ),
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(k, v)| Ok((k.clone(), render_in(v, scene, fuel, depth + 1)?)))
                .collect::<Result<Map<_, _>, Error>>()?,
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) => template.clone(),
    })
}

/// Renders one text.
fn text_in(template: &str, scene: &mut Scene<'_>, fuel: &mut Fuel<'_>) -> Result<String, Error> {
    if scan::is_template(template) {
        bounds::template(template)?;
        let print = |text: &str, out: &mut String| out.push_str(text);
        if let Some(text) = passed::text(template, scene.seen, &mut scene.room, print) {
            let text = text?;
            fuel.leave(text.len());
            return Ok(text);
        }
    }
    let text = engine::text(template, scene.context()?, fuel)?;
    scene.made += text.len();
    Ok(text)
}

// === impl Scene ===

impl<'v> Scene<'v> {
    /// What the object `seen` has is what templates see.
    pub fn new(seen: &'v Value) -> Self {
        Self { seen, context: None, room: passed::Room::new(), made: 0 }
    }

    /// Begins another part, which has the whole room again.
    pub fn begin(&mut self) {
        self.room = passed::Room::new();
        self.made = 0;
    }

    /// Returns the language's own form of what is seen. Errs if a value in it is nested too deep, or has too many items.
    pub fn context(&mut self) -> Result<&Context, Error> {
        let context = match self.context.take() {
            Some(context) => context,
            None => Context::new(self.seen)?,
        };
        Ok(self.context.insert(context))
    }

    /// Errs if what a template came to is more than a value may be. What was only passed on is bounded as a value is, what was
    /// made of it as a result is: each text by itself, and all of them together. A template larger than that limit may still
    /// come out as it is.
    pub fn within(&self, rendered: &Value, template: &Value) -> Result<(), Error> {
        if self.made > OUTPUT_LIMIT.max(2 * json_len(template)) {
            return Err(Error::Limit(format!("the result is larger than {OUTPUT_LIMIT} bytes")));
        }
        let bytes = json_len(rendered);
        if bytes > VALUE_LIMIT {
            return Err(Error::Limit(format!("the result has {bytes} bytes, more than {VALUE_LIMIT}")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
