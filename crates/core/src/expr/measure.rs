//! Makes every operand pay for its size.
//!
//! minijinja's fuel counts instructions and what they make, but not how long they look: `a == b`, `a in b`, `a ~ b`
//! cost one unit for lists of any length, and a value that holds the same list many times over is far larger than
//! what was ever made. So a filter stands behind every operand of a source: it gives the value back unchanged, walks
//! it, and charges for each item. What an operator can look at is then paid before it looks.
//! Where they stand is found in `operands`.

use super::{
    DEPTH_LIMIT,
    error::failed,
    kinds::{given, shown},
};
use minijinja::{
    Error, ErrorKind, State,
    value::{Rest, Value, ValueKind},
};

// === the filters ===

/// Behind every operand. Gives the value back, and takes fuel for each item in it.
pub(super) fn measured(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    let left = state.fuel_levels().map_or(0, |(_, left)| left);
    let mut items = 0u64;
    if !walk(value, 0, &mut items, left)? {
        // The value is larger than what is left: that is to run out of fuel.
        state.consume_fuel(u64::MAX)?;
    }
    // One for the look itself: finding the filter and calling it is more than an instruction.
    state.consume_fuel(items + 1)?;
    Ok(laid_out(value)?.unwrap_or_else(|| value.clone()))
}

/// Returns a plain list in place of a lazy one (`a + a`, `a[:]`), which is put together again at each look. With lazy
/// lists inside lazy lists, each look would cost a step for every level.
fn laid_out(value: &Value) -> Result<Option<Value>, Error> {
    let lazy = match value.kind() {
        ValueKind::Iterable => true,
        ValueKind::Seq => !value.is_tuple() && value.downcast_object_ref::<Vec<Value>>().is_none(),
        _ => false,
    };
    if lazy { value.try_iter().map(|items| Some(items.collect::<Vec<_>>().into())) } else { Ok(None) }
}

/// minijinja's `chain`, but laid out.
pub(super) fn chain(state: &State<'_, '_>, value: &Value, others: Rest<Value>) -> Result<Value, Error> {
    let all = || std::iter::once(value).chain(others.iter());
    let maps = all().all(|v| v.kind() == ValueKind::Map);
    let (mut items, mut pairs) = (Vec::new(), Vec::new());
    for value in all() {
        given(value)?;
        for item in value.try_iter()? {
            state.consume_fuel(1)?;
            if maps {
                let inner = value.get_item(&item)?;
                pairs.push((item, inner));
            } else {
                items.push(item);
            }
        }
    }
    Ok(if maps { Value::from_pairs(pairs) } else { items.into() })
}

/// Behind the constants beside `*`: a list times a number is as long as the number says, and costs nothing. Gives the value
/// back if it is no list or object.
pub(super) fn scalar(value: &Value) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable | ValueKind::Plain => {
            Err(Error::new(ErrorKind::InvalidOperation, "lists and objects can't be multiplied"))
        }
        _ => Ok(value.clone()),
    }
}

/// The same, behind the other operands of `*`. A text that came with data is no number: three times "5" is neither "555" nor 15.
pub(super) fn factor(value: &Value) -> Result<Value, Error> {
    given(value)?;
    if value.kind() == ValueKind::String {
        let message = format!("{} can't be multiplied; make it a number: `| int`, `| float`", shown(value));
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    scalar(value)
}

/// Counts the items inside, and returns whether there are no more than `left`.
fn walk(value: &Value, depth: usize, items: &mut u64, left: u64) -> Result<bool, Error> {
    if !matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::Iterable) {
        return Ok(true);
    }
    if depth >= DEPTH_LIMIT {
        let message = format!("a value is nested deeper than {DEPTH_LIMIT} levels");
        return Err(failed(super::Error::Limit(message)));
    }
    let map = value.kind() == ValueKind::Map;
    for item in value.try_iter()? {
        *items += 1;
        if *items > left {
            return Ok(false);
        }
        let inner = if map { value.get_item(&item)? } else { item };
        if !walk(&inner, depth + 1, items, left)? {
            return Ok(false);
        }
    }
    Ok(true)
}
