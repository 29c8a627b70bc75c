//! Evaluating behind our bounds: what a source may see, how much work it may do, and what its result may be.

use super::{
    Error, FUEL, Meter, OUTPUT_LIMIT, References, bounds, convert,
    environment::{RESULT, TEXT, VALUE},
    error::{UNDEFINED, error, no_expression, out_of_fuel},
    operands, optional,
    scan::is_template,
};
use minijinja::{Environment, ErrorKind, State, value::Value as Jinja};
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

/// What a template is called that stays compiled.
const KEPT: &str = "kept";
/// Units that are counted for an evaluation that failed: minijinja does not tell how far it came.
const FAILURE: u64 = 100_000;

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
