//! JSON into minijinja's values and back, bounded in depth, width and bytes.

use super::{
    COLLECTION_LIMIT, DEPTH_LIMIT, Error, OUTPUT_LIMIT,
    error::{UNDEFINED, error, failed},
};
use minijinja::{
    ErrorKind, State,
    value::{Value as Jinja, ValueKind},
};
use serde_json::{Map, Number, Value, map::Entry};
use std::borrow::Cow;

/// Turns JSON into a value of the language.
pub(super) fn from_json(value: &Value) -> Result<Jinja, Error> {
    from_json_at(value, 0)
}

fn from_json_at(value: &Value, depth: usize) -> Result<Jinja, Error> {
    if depth > DEPTH_LIMIT {
        return Err(too_deep());
    }
    Ok(match value {
        Value::Null => Jinja::from(()),
        Value::Bool(b) => Jinja::from(*b),
        Value::Number(n) => match (n.as_i64(), n.as_u64(), n.as_f64()) {
            (Some(i), ..) => Jinja::from(i),
            (_, Some(u), _) => Jinja::from(u),
            (.., f) => Jinja::from(f.unwrap_or(f64::NAN)),
        },
        Value::String(s) => Jinja::from(s.as_str()),
        Value::Array(items) => {
            within(items.len())?;
            Jinja::from(items.iter().map(|v| from_json_at(v, depth + 1)).collect::<Result<Vec<_>, _>>()?)
        }
        Value::Object(map) => {
            within(map.len())?;
            let entries = map.iter().map(|(k, v)| Ok((Jinja::from(k.as_str()), from_json_at(v, depth + 1)?)));
            Jinja::from_pairs(entries.collect::<Result<Vec<_>, Error>>()?)
        }
    })
}

/// Turns a value of the language into JSON.
pub(super) fn to_json(value: &Jinja) -> Result<Value, Error> {
    to_json_sized(value).map(|(json, _)| json)
}

/// The same, with about how many bytes the JSON has.
pub(super) fn to_json_sized(value: &Jinja) -> Result<(Value, usize), Error> {
    let mut walk = Walk { bytes: OUTPUT_LIMIT };
    let json = walk.json(value, 0)?;
    Ok((json, OUTPUT_LIMIT - walk.bytes))
}

/// Returns a value as it is printed.
pub(super) fn printable(value: &Jinja) -> Result<Cow<'_, str>, minijinja::Error> {
    Ok(match value.kind() {
        ValueKind::Undefined => Cow::Borrowed(""),
        ValueKind::String => Cow::Borrowed(value.as_str().unwrap_or_default()),
        _ => Cow::Owned(to_json(value).map_err(failed)?.to_string()),
    })
}

/// A text as it is, anything else as JSON, as templates print it.
pub(super) fn string(state: &State<'_, '_>, value: &Jinja) -> Result<Jinja, minijinja::Error> {
    match value.kind() {
        ValueKind::String => Ok(value.clone()),
        ValueKind::Undefined => Err(minijinja::Error::from(ErrorKind::UndefinedError)),
        _ => {
            let text = printable(value)?;
            state.consume_fuel(text.len() as u64 / 64)?;
            Ok(Jinja::from(text.as_ref()))
        }
    }
}

/// A walk over a value that ends when no bytes are left. A value may hold the same list many times, so its JSON can
/// be far larger than it is itself.
struct Walk {
    /// Bytes that are left.
    bytes: usize,
}

impl Walk {
    fn json(&mut self, value: &Jinja, depth: usize) -> Result<Value, Error> {
        if depth > DEPTH_LIMIT {
            return Err(too_deep());
        }
        // The prices are about what the JSON takes; a byte more or less does not matter.
        Ok(match value.kind() {
            // In a list it would become null, which is not what it is.
            ValueKind::Undefined => return Err(Error::Evaluation(UNDEFINED.into())),
            ValueKind::None => {
                self.spend(4)?;
                Value::Null
            }
            ValueKind::Bool => {
                self.spend(4)?;
                Value::Bool(value.is_true())
            }
            ValueKind::Number => {
                self.spend(4)?;
                Value::Number(number(value)?)
            }
            ValueKind::String => Value::String(self.text(value)?),
            ValueKind::Seq | ValueKind::Iterable => {
                let mut items = Vec::new();
                for item in value.try_iter().map_err(error)? {
                    self.spend(1)?;
                    within(items.len() + 1)?;
                    items.push(self.json(&item, depth + 1)?);
                }
                Value::Array(items)
            }
            ValueKind::Map => {
                let mut map = Map::new();
                for key in value.try_iter().map_err(error)? {
                    within(map.len() + 1)?;
                    let item = value.get_item(&key).map_err(error)?;
                    let key = match key.kind() {
                        ValueKind::String => self.text(&key)?,
                        // Keys of JSON are texts.
                        ValueKind::Number | ValueKind::Bool => key.to_string(),
                        other => {
                            return Err(Error::Evaluation(format!("{other} can't be the key of an object")));
                        }
                    };
                    self.spend(4)?;
                    let item = self.json(&item, depth + 1)?;
                    match map.entry(key) {
                        Entry::Vacant(place) => drop(place.insert(item)),
                        Entry::Occupied(place) => {
                            let message = format!("an object has the key `{}` twice", place.key());
                            return Err(Error::Evaluation(message));
                        }
                    }
                }
                Value::Object(map)
            }
            ValueKind::Invalid => match value.try_iter() {
                Err(e) => return Err(error(e)),
                Ok(_) => return Err(Error::Evaluation("the value is invalid".into())),
            },
            kind => return Err(Error::Evaluation(format!("the result is {kind}, which is not JSON"))),
        })
    }

    fn text(&mut self, value: &Jinja) -> Result<String, Error> {
        let text = value.as_str().unwrap_or_default();
        // The bytes are paid before they are copied.
        self.spend(text.len() + 2)?;
        Ok(text.to_owned())
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Error> {
        match self.bytes.checked_sub(bytes) {
            Some(left) => {
                self.bytes = left;
                Ok(())
            }
            None => Err(Error::Limit(format!("the result is larger than {OUTPUT_LIMIT} bytes"))),
        }
    }
}

fn number(value: &Jinja) -> Result<Number, Error> {
    let outside = || Error::Evaluation(format!("the number {value} does not fit JSON"));
    // minijinja's whole numbers have up to 128 bits, those of JSON 64.
    if value.is_integer() {
        if let Some(i) = value.as_i64() {
            return Ok(i.into());
        }
        return u64::try_from(value.clone()).map(Number::from).map_err(|_| outside());
    }
    f64::try_from(value.clone()).ok().and_then(Number::from_f64).ok_or_else(outside)
}

fn within(len: usize) -> Result<(), Error> {
    if len > COLLECTION_LIMIT {
        return Err(Error::Limit(format!(
            "a list or object has {len} entries, more than {COLLECTION_LIMIT}"
        )));
    }
    Ok(())
}

fn too_deep() -> Error {
    Error::Limit(format!("a value is nested deeper than {DEPTH_LIMIT} levels"))
}
