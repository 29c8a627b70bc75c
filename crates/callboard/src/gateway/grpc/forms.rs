//! JSON and definitions in the forms in which a message may have them.

use super::{status::refused, v1};
use crate::operations::{Kind, Refusal, Text, text};
use bytes::Bytes;
use callboard_core::document::{Format, parse};
use prost_types::value::Kind as Form;
use serde_json::{Map, Number, Value};
use tonic::Status;

/// Below this a float holds every whole number.
const WHOLE: f64 = 9_007_199_254_740_992.0;
/// No message through a sidecar may pass this.
const THROUGH_SIDECAR: usize = 3 << 20;

/// Reads any JSON; nothing where nothing is given.
pub fn json(given: Option<v1::Json>) -> Result<Option<Value>, Status> {
    match given.and_then(|json| json.form) {
        None => Ok(None),
        Some(v1::json::Form::Text(given)) => text::parse(given.as_bytes()).map(Some).map_err(refused),
        Some(v1::json::Form::Value(value)) => Ok(Some(of(value))),
    }
}

/// Returns a definition as the text that it is checked as.
pub fn definition(given: Option<v1::Definition>, draft: bool) -> Text {
    let (bytes, format) = match given.and_then(|definition| definition.form) {
        None => (Bytes::new(), Format::Json),
        Some(v1::definition::Form::Yaml(text)) => (text.into(), Format::Yaml),
        Some(v1::definition::Form::Json(text)) => (text.into(), Format::Json),
        Some(v1::definition::Form::Fields(fields)) => {
            (Value::Object(object(fields)).to_string().into(), Format::Json)
        }
    };
    Text { bytes, format, draft }
}

/// Reads a definition that goes on to an actor.
pub fn document(given: Option<v1::Definition>) -> Result<Value, Status> {
    let Text { bytes, format, .. } = definition(given, false);
    if bytes.len() > THROUGH_SIDECAR {
        let detail = format!("the definition is larger than {THROUGH_SIDECAR} bytes");
        return Err(refused(Refusal::new(Kind::TooLarge, "too_large", detail)));
    }
    match format {
        Format::Json => text::parse(&bytes).map_err(refused),
        Format::Yaml => parse(&String::from_utf8_lossy(&bytes), format)
            .map_err(|problem| refused(Refusal::malformed("malformed_yaml", problem.message))),
    }
}

fn of(value: prost_types::Value) -> Value {
    match value.kind {
        None | Some(Form::NullValue(_)) => Value::Null,
        Some(Form::BoolValue(value)) => Value::Bool(value),
        Some(Form::StringValue(text)) => Value::String(text),
        Some(Form::NumberValue(number)) => of_number(number),
        Some(Form::ListValue(list)) => Value::Array(list.values.into_iter().map(of).collect()),
        Some(Form::StructValue(fields)) => Value::Object(object(fields)),
    }
}

fn object(fields: prost_types::Struct) -> Map<String, Value> {
    fields.fields.into_iter().map(|(name, value)| (name, of(value))).collect()
}

/// A whole number is one, as its sender meant it.
fn of_number(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < WHOLE {
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_stays_one() {
        assert_eq!(of_number(3.0), Value::from(3));
        assert_eq!(of_number(-2.5), Value::from(-2.5));
        assert_eq!(of_number(1e300), Value::from(1e300));
        assert_eq!(of_number(f64::NAN), Value::Null);
    }
}
