//! The language: minijinja's environments with our filters, which differ in what becomes of a printed value.

use super::{FUEL, compared, convert, costly, error::failed, marks, measure, optional, ordered, timed};
use minijinja::{
    Environment, ErrorKind, Output, State, UndefinedBehavior,
    syntax::SyntaxConfig,
    value::{Kwargs, Value as Jinja, ValueKind},
};
use serde_json::Value;
use std::sync::LazyLock;

/// Where the printed value is kept in the state of an evaluation.
pub(super) const RESULT: &str = "result";
/// Loops within loops; each level costs native stack.
const RECURSION: usize = 50;

/// Prints values as text: strings as they are, everything else as JSON.
pub(super) static TEXT: LazyLock<Environment<'static>> = LazyLock::new(|| environment(print));
/// Prints the same into requests, with everything escaped that could be taken for a mark.
pub(super) static MARKED: LazyLock<Environment<'static>> = LazyLock::new(|| environment(print_unmarked));
/// Prints the same into URLs, percent-encoded and between marks.
pub(super) static URL: LazyLock<Environment<'static>> = LazyLock::new(|| environment(print_in_url));
/// Keeps the printed value instead, so that a result is not turned into text.
pub(super) static VALUE: LazyLock<Environment<'static>> = LazyLock::new(|| environment(keep));

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
