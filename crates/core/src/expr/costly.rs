//! Filters that work longer on each byte or item than the fuel minijinja takes for it says. They do the same as
//! minijinja's, and pay before they begin.

use super::convert;
use minijinja::{
    Error, ErrorKind, State, filters,
    value::{Kwargs, Rest, StringInput, Value, ValueKind},
};
use std::borrow::Cow;

/// Bytes that cost one unit where each byte, or each find, is handled by itself.
const BYTES: u64 = 8;

/// Pays by the byte.
pub(super) fn title(state: &State<'_, '_>, text: Cow<'_, str>) -> Result<String, Error> {
    state.consume_fuel(text.len() as u64 / BYTES)?;
    Ok(filters::title(text))
}

/// Pays by the byte, and for what comes out longer. With `count`, only so many are replaced.
pub(super) fn replace(
    state: &State<'_, '_>,
    text: Cow<'_, str>,
    from: Cow<'_, str>,
    to: Cow<'_, str>,
    rest: Rest<Value>,
) -> Result<String, Error> {
    let mut count: Option<i64> = None;
    // The count comes by position or by name, as in minijinja's own filter.
    for value in rest.iter() {
        if value.is_kwargs() {
            let named = Kwargs::try_from(value.clone())?;
            count = count.or(named.get("count")?);
            named.assert_all_used()?;
        } else if count.is_none() && !value.is_none() {
            count = Some(i64::try_from(value.clone())?);
        } else if !value.is_none() {
            return Err(Error::from(ErrorKind::TooManyArguments));
        }
    }
    state.consume_fuel(text.len() as u64 / BYTES)?;
    // A negative count replaces all.
    let count = count.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
    // A short text can become a very long one, so what it grows by is paid before it does.
    if let Some(more) = to.len().checked_sub(from.len()).filter(|more| *more > 0) {
        let found = text.matches(&*from).take(count).count() as u64;
        state.consume_fuel(found.saturating_mul(more as u64) / 64)?;
    }
    Ok(text.replacen(&*from, &to, count))
}

/// Pays by the item, as the filters below do.
pub(super) fn zip(state: &State<'_, '_>, value: Value, others: Rest<Value>) -> Result<Value, Error> {
    others.iter().try_for_each(|other| look(state, other))?;
    look(state, &value)?;
    filters::zip(state, value, others)
}

pub(super) fn batch(
    state: &State<'_, '_>,
    value: Value,
    count: usize,
    fill: Option<Value>,
) -> Result<Value, Error> {
    look(state, &value)?;
    filters::batch(state, value, count, fill)
}

pub(super) fn join(
    state: &mut State<'_, '_>,
    value: &Value,
    joiner: Option<StringInput<'_>>,
    attribute: Option<&str>,
    named: Kwargs,
) -> Result<Value, Error> {
    look(state, value)?;
    // Items that are no texts are joined as templates print them. What has an attribute, or is no list, is minijinja's.
    let plain = attribute.is_none()
        && !named.has("attribute")
        && matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable);
    if !plain {
        return filters::join(state, value, joiner, attribute, named);
    }
    let texts = value.try_iter()?.map(|item| match item.kind() {
        ValueKind::Undefined => Ok(item),
        _ => convert::string(state, &item),
    });
    let texts: Vec<Value> = texts.collect::<Result<_, _>>()?;
    filters::join(state, &Value::from(texts), joiner, attribute, named)
}

/// One unit more for each item.
fn look(state: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    state.consume_fuel(value.len().unwrap_or(0) as u64)
}
