//! Filters that compare the items of a list: they do the same as minijinja's, once it is sure that the items can be
//! compared with each other.

use super::{
    compared::mismatch,
    kinds::{Kind, given, shown},
};
use minijinja::{
    Error, ErrorKind, State, filters,
    value::{Kwargs, Value, ValueKind},
};

/// What a filter does with the items.
#[derive(Clone, Copy, PartialEq)]
enum Use {
    Order,
    Equality,
}

pub(super) fn sort(state: &State<'_, '_>, value: Value, named: Kwargs) -> Result<Value, Error> {
    let attribute: Option<&str> = named.get("attribute")?;
    match attribute {
        Some(names) => {
            for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                agree(state, &value, Some(name), Use::Order)?;
            }
        }
        None => agree(state, &value, None, Use::Order)?,
    }
    filters::sort(state, value, named)
}

pub(super) fn min(state: &State<'_, '_>, value: Value, named: Kwargs) -> Result<Value, Error> {
    agree(state, &value, named.get("attribute")?, Use::Order)?;
    filters::min(state, value, named)
}

pub(super) fn max(state: &State<'_, '_>, value: Value, named: Kwargs) -> Result<Value, Error> {
    agree(state, &value, named.get("attribute")?, Use::Order)?;
    filters::max(state, value, named)
}

pub(super) fn unique(state: &State<'_, '_>, value: Value, named: Kwargs) -> Result<Value, Error> {
    agree(state, &value, named.get("attribute")?, Use::Equality)?;
    filters::unique(state, value, named)
}

/// The groups stand in order, those of null first.
pub(super) fn groupby(
    state: &State<'_, '_>,
    value: Value,
    attribute: Option<&str>,
    named: Kwargs,
) -> Result<Value, Error> {
    let named_attribute: Option<&str> = named.get("attribute")?;
    let default: Option<Value> = named.get("default")?;
    given(&value)?;
    let mut keys = Vec::new();
    for item in value.try_iter()? {
        state.consume_fuel(2)?;
        let key = attribute.or(named_attribute).map_or(item.clone(), |path| at(&item, path));
        keys.push(if key.is_undefined() { default.clone().unwrap_or(key) } else { key });
    }
    same(state, &keys, attribute.or(named_attribute), Use::Equality)?;
    // It sorts, and minijinja's own that pays for that can't be called.
    state.consume_fuel(keys.len() as u64 * u64::from(keys.len().max(1).ilog2()))?;
    filters::groupby(value, attribute, named)
}

pub(super) fn dictsort(state: &State<'_, '_>, value: &Value, named: Kwargs) -> Result<Value, Error> {
    let by_value = named.get::<Option<&str>>("by")? == Some("value");
    if Kind::of(value) == Kind::Object {
        let mut keys = Vec::new();
        for key in value.try_iter()? {
            state.consume_fuel(1)?;
            keys.push(if by_value { value.get_item(&key)? } else { key });
        }
        same(state, &keys, None, Use::Order)?;
        state.consume_fuel(keys.len() as u64 * u64::from(keys.len().max(1).ilog2()))?;
    }
    filters::dictsort(value, named)
}

/// Minijinja's leaves out what is missing.
pub(super) fn sum(
    state: &State<'_, '_>,
    value: Value,
    attribute: Option<&str>,
    start: Option<Value>,
    named: Kwargs,
) -> Result<Value, Error> {
    let attribute_named: Option<&str> = named.get("attribute")?;
    let begins: Option<Value> = named.get("start")?;
    let numbers = start.as_ref().or(begins.as_ref()).is_none_or(|start| Kind::of(start) == Kind::Number);
    given(&value)?;
    for item in value.try_iter()? {
        state.consume_fuel(1)?;
        let item = attribute.or(attribute_named).map_or(item.clone(), |path| at(&item, path));
        let help = match Kind::of(&item) {
            Kind::Missing | Kind::Null => "; say what it counts as: `| default(0, true)`",
            Kind::Text if numbers => "; make it a number: `| map('float') | sum`",
            Kind::Text | Kind::Truth | Kind::Number | Kind::List | Kind::Object | Kind::Other => continue,
        };
        let message = format!("{}{} can't be summed{help}", shown(&item), of(attribute.or(attribute_named)));
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    filters::sum(state, value, attribute, start, named)
}

/// Minijinja's makes 0 of null, and infinity of what is too large; with a `default` that is taken instead.
pub(super) fn int(
    state: &State<'_, '_>,
    value: &Value,
    default: Option<Value>,
    base: Option<u32>,
    named: Kwargs,
) -> Result<Value, Error> {
    let otherwise = default.clone().or(named.get("default")?);
    match number(value) {
        Err(e) => otherwise.ok_or(e),
        Ok(()) => filters::int(state, value, default, base, named).map_err(|e| unread(value, e)),
    }
}

pub(super) fn float(
    state: &State<'_, '_>,
    value: &Value,
    default: Option<Value>,
    named: Kwargs,
) -> Result<Value, Error> {
    let otherwise = default.clone().or(named.get("default")?);
    match number(value) {
        Err(e) => otherwise.ok_or(e),
        Ok(()) => filters::float(state, value, default, named).map_err(|e| unread(value, e)),
    }
}

/// Names the text that is no number, which minijinja does not.
fn unread(value: &Value, error: Error) -> Error {
    match value.kind() {
        ValueKind::String => {
            let message = format!("{} is not a number", shown(value));
            Error::new(ErrorKind::InvalidOperation, message)
        }
        _ => error,
    }
}

fn number(value: &Value) -> Result<(), Error> {
    let no_number =
        |help| Error::new(ErrorKind::InvalidOperation, format!("{} is not a number{help}", shown(value)));
    match Kind::of(value) {
        Kind::Null => Err(no_number("; say what it counts as: `| default(0, true)`")),
        Kind::Text => match value.as_str().and_then(|text| text.parse::<f64>().ok()) {
            Some(number) if !number.is_finite() => Err(no_number("")),
            _ => Ok(()),
        },
        Kind::Missing | Kind::Truth | Kind::Number | Kind::List | Kind::Object | Kind::Other => Ok(()),
    }
}

/// Checks that the items of a list, or what they have at a path, can be compared with each other.
fn agree(state: &State<'_, '_>, value: &Value, path: Option<&str>, how: Use) -> Result<(), Error> {
    given(value)?;
    let mut keys = Vec::new();
    // What can't be walked is for the filter to refuse.
    let Ok(items) = value.try_iter() else { return Ok(()) };
    for item in items {
        state.consume_fuel(1)?;
        keys.push(path.map_or(item.clone(), |path| at(&item, path)));
    }
    same(state, &keys, path, how)
}

/// Checks it of the values themselves; of lists, place by place.
fn same(state: &State<'_, '_>, keys: &[Value], path: Option<&str>, how: Use) -> Result<(), Error> {
    let is_null = |key: &&Value| how == Use::Equality && Kind::of(key) == Kind::Null;
    if let Some(missing) = keys.iter().find(|key| key.is_undefined()) {
        let help = match path {
            Some(path) => format!("; leave such items out first: `| selectattr('{path}', 'defined')`"),
            None => String::new(),
        };
        let message = format!("{}{} can't be compared{help}", shown(missing), of(path));
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    let mut known = keys.iter().filter(|key| !is_null(key));
    let Some(first) = known.next() else { return Ok(()) };
    let kind = Kind::of(first);
    for other in known {
        let fits = match how {
            Use::Order => kind == Kind::of(other) && !matches!(kind, Kind::Null | Kind::Object | Kind::Other),
            Use::Equality => kind.equals(Kind::of(other)),
        };
        if !fits {
            return Err(mismatch(if how == Use::Order { "ordered" } else { "equal" }, first, other));
        }
    }
    if kind != Kind::List || how == Use::Equality || keys.len() < 2 {
        return Ok(());
    }
    let mut columns: Vec<Vec<Value>> = Vec::new();
    for key in keys {
        for (i, item) in key.try_iter()?.enumerate() {
            state.consume_fuel(1)?;
            if columns.len() <= i {
                columns.push(Vec::new());
            }
            columns[i].push(item);
        }
    }
    columns.iter().try_for_each(|column| same(state, column, None, how))
}

fn of(path: Option<&str>) -> String {
    path.map_or_else(String::new, |path| format!(" (`{path}` of an item)"))
}

/// What an item has at a dotted path.
fn at(item: &Value, path: &str) -> Value {
    path.split('.').fold(item.clone(), |value, part| match part.parse::<usize>() {
        Ok(index) => value.get_item(&Value::from(index)).unwrap_or(Value::UNDEFINED),
        Err(_) => value.get_attr(part).unwrap_or(Value::UNDEFINED),
    })
}
