//! minijinja behind our bounds: environments that differ in what becomes of a printed value.

use super::{
    Error, FUEL, Meter, OUTPUT_LIMIT, References, bounds, compared, convert, costly,
    error::{UNDEFINED, error, failed, no_expression, out_of_fuel},
    marks, measure, operands, optional, ordered,
    scan::is_template,
    timed,
};
use minijinja::{
    Environment, ErrorKind, Output, State, UndefinedBehavior,
    syntax::SyntaxConfig,
    value::{Kwargs, Value as Jinja, ValueKind},
};
use serde_json::Value;
use std::{
    borrow::Cow,
    collections::BTreeMap,
    io,
    sync::{Arc, LazyLock},
};

/// What expressions see, turned into the language's values once.
#[derive(Debug, Clone)]
pub struct Context(BTreeMap<Cow<'static, str>, Jinja>);

/// The work that is left to a series of evaluations.
#[derive(Debug, Clone, Copy)]
pub struct Fuel<'m> {
    left: u64,
    /// Counts what this and other series cost together.
    meter: Option<&'m Meter<'m>>,
}

/// A checked expression.
#[derive(Debug, Clone)]
pub struct Expression {
    source: String,
    /// The source with its operands measured.
    measured: String,
    /// An environment that has it compiled, if it is used often, and what for.
    kept: Option<(Use, Arc<Environment<'static>>)>,
}

/// What an expression is evaluated to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Value,
    Truth,
}

/// Where the printed value is kept in the state of an evaluation.
const RESULT: &str = "result";
/// What a template is called that stays compiled.
const KEPT: &str = "kept";
/// Units that are counted for an evaluation that failed: minijinja does not tell how far it came.
const FAILURE: u64 = 100_000;
/// Loops within loops; each level costs native stack.
const RECURSION: usize = 50;

/// Prints values as text: strings as they are, everything else as JSON.
static TEXT: LazyLock<Environment<'static>> = LazyLock::new(|| environment(print));
/// Prints the same into requests, with everything escaped that could be taken for a mark.
pub(super) static MARKED: LazyLock<Environment<'static>> = LazyLock::new(|| environment(print_unmarked));
/// Prints the same into URLs, percent-encoded and between marks.
pub(super) static URL: LazyLock<Environment<'static>> = LazyLock::new(|| environment(print_in_url));
/// Keeps the printed value instead, so that a result is not turned into text.
static VALUE: LazyLock<Environment<'static>> = LazyLock::new(|| environment(keep));

fn environment(
    format: fn(&mut Output<'_>, &mut State<'_, '_>, &Jinja) -> Result<(), minijinja::Error>,
) -> Environment<'static> {
    let mut env = Environment::new();
    // Undefined is an error where it is printed, and false where it is a condition.
    env.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    // The texts go to models and services, not into pages.
    env.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    env.set_recursion_limit(RECURSION);
    env.set_fuel(Some(FUEL));
    env.set_formatter(format);
    // A text arrives as it was written, the line break at its end included.
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
    env.set_syntax(syntax.expect("the usual delimiters differ from each other"));
    // Assigning to a namespace inside a loop nests values without bound; the others are for debugging.
    for name in ["namespace", "debug"] {
        env.remove_global(name);
    }
    for name in ["pprint", "safe"] {
        env.remove_filter(name);
    }
    // What `operands` writes into a source.
    env.add_filter("measured__", measure::measured);
    env.add_filter("scalar__", measure::scalar);
    env.add_filter("factor__", measure::factor);
    env.add_filter("joined__", joined);
    env.add_filter("path__", optional::path);
    env.add_filter("needed__", optional::needed);
    env.add_filter("chain", measure::chain);
    // The names from here on are minijinja's own, which these replace.
    env.add_filter("title", costly::title);
    env.add_filter("replace", costly::replace);
    env.add_filter("zip", costly::zip);
    env.add_filter("batch", costly::batch);
    env.add_filter("join", costly::join);
    env.add_filter("min", ordered::min);
    env.add_filter("max", ordered::max);
    env.add_filter("sort", ordered::sort);
    env.add_filter("dictsort", ordered::dictsort);
    env.add_filter("unique", ordered::unique);
    env.add_filter("groupby", ordered::groupby);
    env.add_filter("sum", ordered::sum);
    env.add_filter("int", ordered::int);
    env.add_filter("float", ordered::float);
    env.add_filter("string", convert::string);
    env.add_filter("tojson", to_json);
    env.add_filter("fromjson", from_json);
    env.add_filter("escape", escape);
    env.add_filter("e", escape);
    env.add_filter("urlencode", url_encode);
    env.add_filter("raw_url", raw_url);
    env.add_filter("add", timed::add);
    env.add_filter("since", timed::since);
    env.add_filter("seconds", timed::seconds);
    env.add_filter("date", timed::date);
    compared::add(&mut env);
    env.add_test("sequence", optional::sequence);
    env.add_test("iterable", optional::iterable);
    env
}

/// An environment with our filters, but with minijinja's own ways with fuel and undefined values.
#[cfg(test)]
pub(super) fn plain() -> Environment<'static> {
    let mut env = VALUE.clone();
    env.set_undefined_behavior(UndefinedBehavior::Lenient);
    env.add_filter("joined__", measure::measured);
    env.set_fuel(None);
    env
}

/// Returns whether minijinja reads `source` as an expression.
pub(super) fn parses(source: &str) -> bool {
    Expression::new(source).is_ok()
}

/// Renders a template to text.
pub(super) fn text(template: &str, context: &Context, fuel: &mut Fuel<'_>) -> Result<String, Error> {
    // A text without tags is not compiled, but it may be too long.
    if !is_template(template) {
        bounds::template(template)?;
        return Ok(template.to_owned());
    }
    printed(&TEXT, template, context, fuel)
}

/// Renders a template that has tags in one of the environments that print.
pub(super) fn printed(
    env: &'static LazyLock<Environment<'static>>,
    template: &str,
    context: &Context,
    fuel: &mut Fuel<'_>,
) -> Result<String, Error> {
    bounds::template(template)?;
    let env = fuel.environment(env, template.len())?;
    let measured = operands::template(template);
    let compiled = env.template_from_str(&measured).map_err(error)?;
    let mut out = Bounded::default();
    match compiled.render_captured_to(context.value(), &mut out) {
        Ok(rendered) => fuel.burn(rendered.state()),
        // minijinja says only that writing failed.
        Err(_) if out.full => {
            fuel.lose(false);
            return Err(Error::Limit(format!("the text is larger than {OUTPUT_LIMIT} bytes")));
        }
        Err(e) => {
            fuel.lose(e.kind() == ErrorKind::OutOfFuel);
            return Err(named(error(e), template, context, || References::of_template(template)));
        }
    }
    fuel.leave(out.bytes.len());
    String::from_utf8(out.bytes).map_err(|_| Error::Evaluation("the text is not UTF-8".into()))
}

// === impl Expression ===

impl Expression {
    /// Checks the source. Errs if it is too long or does not parse.
    pub fn new(source: &str) -> Result<Self, Error> {
        let new = Self::unchecked(source)?;
        VALUE.compile_expression(&new.measured).map_err(|e| no_expression(source, e))?;
        Ok(new)
    }

    /// One that is compiled when it is evaluated, and refused then.
    pub(super) fn unchecked(source: &str) -> Result<Self, Error> {
        bounds::expression(source)?;
        let measured = operands::expression(source);
        Ok(Self { source: source.to_owned(), measured, kept: None })
    }

    /// Keeps it compiled, for a series of evaluations.
    pub fn kept_for(mut self, what: Use) -> Result<Self, Error> {
        let mut env = VALUE.clone();
        env.add_template_owned(KEPT, self.template(what)).map_err(error)?;
        self.kept = Some((what, Arc::new(env)));
        Ok(self)
    }

    /// Returns a template that evaluates it: a template has a state, and the state knows the fuel used.
    fn template(&self, what: Use) -> String {
        match what {
            Use::Value => format!("{{{{ {} }}}}", self.measured),
            Use::Truth => format!("{{{{ true if ({}) else false }}}}", self.measured),
        }
    }

    /// Returns the source as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Evaluates to JSON. An undefined result is an error.
    pub fn evaluate(&self, context: &Context, fuel: &mut Fuel<'_>) -> Result<Value, Error> {
        let result = convert::to_json_sized(&self.run(Use::Value, context, fuel)?);
        let (value, bytes) = result
            .map_err(|e| named(e, &self.source, context, || References::of_expression(&self.source)))?;
        fuel.leave(bytes);
        Ok(value)
    }

    /// Evaluates to truth.
    pub fn holds(&self, context: &Context, fuel: &mut Fuel<'_>) -> Result<bool, Error> {
        Ok(self.run(Use::Truth, context, fuel)?.is_true())
    }

    fn run(&self, what: Use, context: &Context, fuel: &mut Fuel<'_>) -> Result<Jinja, Error> {
        let kept = self.kept.as_ref().filter(|(kept, _)| *kept == what).map(|(_, env)| &**env);
        let source = if kept.is_some() { String::new() } else { self.template(what) };
        let length = if kept.is_some() { self.measured.len() } else { source.len() };
        let env = fuel.environment(kept.unwrap_or(&VALUE), length)?;
        let compiled = match kept {
            Some(_) => env.get_template(KEPT).map_err(error)?,
            None => env
                .template_from_str(&source)
                .map_err(|e| Self::new(&self.source).err().unwrap_or_else(|| error(e)))?,
        };
        match compiled.render_captured_to(context.value(), io::sink()) {
            Ok(rendered) => {
                fuel.burn(rendered.state());
                let result = rendered.state().get_temp(RESULT);
                result.ok_or_else(|| Error::Evaluation("the expression has no result".into()))
            }
            Err(e) => {
                fuel.lose(e.kind() == ErrorKind::OutOfFuel);
                Err(named(error(e), &self.source, context, || References::of_expression(&self.source)))
            }
        }
    }
}

// === impl Context ===

impl Context {
    /// Takes an object; anything else is an empty context. Errs if a value is nested too deep, or has too many items.
    pub fn new(object: &Value) -> Result<Self, Error> {
        let mut context = Self(BTreeMap::new());
        if let Value::Object(map) = object {
            for (name, value) in map {
                context.0.insert(name.clone().into(), convert::from_json(value)?);
            }
        }
        Ok(context)
    }

    /// Sets one name and leaves the others as they are, so that a loop need not turn its whole context again.
    pub fn set(&mut self, name: &'static str, value: &Value) -> Result<(), Error> {
        self.0.insert(name.into(), convert::from_json(value)?);
        Ok(())
    }

    fn value(&self) -> Jinja {
        Jinja::from_pairs(self.0.iter().map(|(k, v)| (k.to_string(), v.clone())))
    }

    /// Returns whether the dotted `path` leads to something.
    fn has(&self, path: &str) -> bool {
        let mut parts = path.split('.');
        let first = parts.next().and_then(|name| self.0.get(name)).cloned();
        let last = parts.try_fold(first, |at, part| Some(Some(at?.get_attr(part).ok()?)));
        matches!(last, Some(Some(v)) if !v.is_undefined())
    }
}

// === impl Fuel ===

impl Default for Fuel<'_> {
    fn default() -> Self {
        Self::new(FUEL)
    }
}

impl<'m> Fuel<'m> {
    /// A series that may do so many units.
    pub const fn new(units: u64) -> Self {
        Self { left: units, meter: None }
    }

    /// The same, counted in `meter`, too.
    pub fn under<'n>(self, meter: &'n Meter<'n>) -> Fuel<'n> {
        Fuel { left: self.left, meter: Some(meter) }
    }

    /// Takes `units`, or says that they are not there.
    pub fn take(&mut self, units: u64) -> Result<(), Error> {
        self.left = self.left.checked_sub(units).ok_or_else(out_of_fuel)?;
        self.count(units);
        self.meter.map_or(Ok(()), Meter::may_go_on)
    }

    fn count(&self, units: u64) {
        if let Some(meter) = self.meter {
            meter.count(units);
        }
    }

    /// Counts a result.
    pub(super) fn leave(&self, bytes: usize) {
        if let Some(meter) = self.meter {
            meter.leave(bytes);
        }
    }

    /// Returns how many units the next evaluation may do: those left here, or fewer if the meter allows fewer.
    fn next(&self) -> u64 {
        self.meter.map_or(self.left, |meter| meter.clip(self.left))
    }

    /// Counts an evaluation that failed. How far it came is known only if it used up everything.
    fn lose(&mut self, everything: bool) {
        let next = self.next();
        // The meter's allowance ended it, not this series' own bound.
        if let (true, Some(meter)) = (everything && next < self.left, self.meter) {
            meter.run_out();
        }
        let lost = if everything { next } else { next.min(FAILURE) };
        self.left -= lost.min(self.left);
        self.count(lost);
    }

    /// Returns `env` with no more than the fuel that is left, for a source of so many bytes that is compiled first.
    fn environment<'e>(
        &self,
        env: &'e Environment<'static>,
        source: usize,
    ) -> Result<Cow<'e, Environment<'static>>, Error> {
        // Compiling is work as well.
        self.count(source as u64 / 16);
        match self.next() {
            0 => {
                if let (true, Some(meter)) = (self.left > 0, self.meter) {
                    meter.run_out();
                }
                Err(out_of_fuel())
            }
            // Environments are made with this much, so it can be used as it is.
            FUEL.. => Ok(Cow::Borrowed(env)),
            left => {
                let mut env = env.clone();
                env.set_fuel(Some(left));
                Ok(Cow::Owned(env))
            }
        }
    }

    /// Counts an evaluation that came to its end.
    fn burn(&mut self, state: &State<'_, '_>) {
        let used = state.fuel_levels().map_or(0, |(used, _)| used);
        self.left = self.left.saturating_sub(used);
        self.count(used);
    }
}

// === formatters and filters ===

/// Strings as they are, everything else as JSON.
fn print(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Jinja) -> Result<(), minijinja::Error> {
    write(out, &convert::printable(value)?)
}

fn print_unmarked(
    out: &mut Output<'_>,
    _: &mut State<'_, '_>,
    value: &Jinja,
) -> Result<(), minijinja::Error> {
    let mut text = String::new();
    marks::escape(&convert::printable(value)?, &mut text);
    write(out, &text)
}

fn print_in_url(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Jinja) -> Result<(), minijinja::Error> {
    // `urlencode` and `raw_url` say by this that their result is part of a URL already.
    let encoded = value.kind() == ValueKind::String && value.is_safe();
    write(out, &marks::in_url(&convert::printable(value)?, encoded))
}

/// Behind the operands of `~`: what is joined is written as a template prints it.
fn joined(state: &State<'_, '_>, value: &Jinja) -> Result<Jinja, minijinja::Error> {
    let value = measure::measured(state, value)?;
    // What is missing is for the operator to refuse.
    if value.is_undefined() { Ok(value) } else { convert::string(state, &value) }
}

fn write(out: &mut Output<'_>, text: &str) -> Result<(), minijinja::Error> {
    out.write_str(text).map_err(|_| minijinja::Error::new(ErrorKind::WriteFailure, "the text is too large"))
}

fn keep(_: &mut Output<'_>, state: &mut State<'_, '_>, value: &Jinja) -> Result<(), minijinja::Error> {
    // If nothing is kept, the expression has no result.
    if !value.is_undefined() {
        state.set_temp(RESULT, value.clone());
    }
    Ok(())
}

/// `tojson` without minijinja's escapes for HTML: the text goes to models and services.
fn to_json(state: &State<'_, '_>, value: &Jinja, options: Kwargs) -> Result<String, minijinja::Error> {
    let indent: Option<usize> = options.get("indent")?;
    options.assert_all_used()?;
    let json = convert::to_json(value).map_err(failed)?;
    let text = if indent.is_some() { format!("{json:#}") } else { json.to_string() };
    // The text is paid afterwards, when its size is known. Making it has a bound of its own.
    state.consume_fuel(text.len() as u64 / 4)?;
    Ok(text)
}

fn from_json(state: &State<'_, '_>, text: &str) -> Result<Jinja, minijinja::Error> {
    state.consume_fuel(text.len() as u64 / 4)?;
    let value: Value = serde_json::from_str(text).map_err(|e| {
        minijinja::Error::new(ErrorKind::InvalidOperation, format!("the text is not JSON: {e}"))
    })?;
    convert::from_json(&value).map_err(failed)
}

/// minijinja's `escape`, but its result is not marked as safe: what is safe in HTML is not so in a URL.
fn escape(state: &mut State<'_, '_>, value: &Jinja) -> Result<Jinja, minijinja::Error> {
    state.consume_fuel(value.as_str().map_or(0, str::len) as u64 / 8)?;
    let escaped = minijinja::filters::escape(state, value)?;
    Ok(escaped.as_str().map_or(escaped.clone(), Jinja::from))
}

/// Encodes for a URL: a text, a number, or an object as `name=value&…`. In a URL it is not encoded again.
fn url_encode(state: &State<'_, '_>, value: &Jinja) -> Result<Jinja, minijinja::Error> {
    let mut out = String::new();
    let mut encode = |value: &Jinja, after: Option<char>| -> Result<(), minijinja::Error> {
        let text = convert::printable(value)?;
        state.consume_fuel(text.len() as u64 / 8 + 1)?;
        out.extend(after);
        marks::percent_encode(&text, &mut out);
        Ok(())
    };
    match value.kind() {
        ValueKind::Undefined => return Err(minijinja::Error::from(ErrorKind::UndefinedError)),
        ValueKind::Map => {
            for (i, name) in value.try_iter()?.enumerate() {
                encode(&name, (i > 0).then_some('&'))?;
                encode(&value.get_item(&name)?, Some('='))?;
            }
        }
        _ => encode(value, None)?,
    }
    Ok(Jinja::from_safe_string(out))
}

/// Marks a text as part of a URL, so that it is not encoded.
fn raw_url(state: &State<'_, '_>, value: &Jinja) -> Result<Jinja, minijinja::Error> {
    if value.is_undefined() {
        return Err(minijinja::Error::from(ErrorKind::UndefinedError));
    }
    let text = convert::printable(value)?;
    state.consume_fuel(text.len() as u64 / 64)?;
    Ok(Jinja::from_safe_string(text.into_owned()))
}

/// Names the path of the source that leads nowhere, which minijinja's own message does not.
fn named(
    e: Error,
    source: &str,
    context: &Context,
    references: impl FnOnce() -> Result<References, Error>,
) -> Error {
    if e == Error::Evaluation(UNDEFINED.into())
        && let Ok(references) = references()
    {
        let missing: Vec<&str> = references.paths().filter(|path| !context.has(path)).collect();
        let unasked = missing.iter().find(|path| !optional::is_asked(source, path));
        if let Some(path) = unasked.or(missing.first()) {
            return Error::Evaluation(format!("{path} is undefined"));
        }
    }
    e
}

/// A text that refuses to grow past the limit.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    full: bool,
}

impl io::Write for &mut Bounded {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        // A text is printed whole or not at all: one that is cut would look complete.
        if self.bytes.len() + buf.len() > OUTPUT_LIMIT {
            self.full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
