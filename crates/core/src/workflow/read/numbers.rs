//! Whole numbers that not every reader of a definition holds: a browser has floats of 64 bits, and would save another
//! number than the one that was written. Data of runs never passes through one that writes it back.

use crate::{Problem, schema::join};
use serde_json::Value;

/// Up to here, and down to its negative, floats of 64 bits have every whole number.
const EXACT: u64 = 1 << 53;
/// After so many problems the rest is left out.
const PROBLEMS: usize = 100;

/// Returns a problem for each whole number that is out of range. `value` is not nested deep.
pub(super) fn check(value: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    look(value, "", &mut problems);
    problems
}

fn look(value: &Value, path: &str, problems: &mut Vec<Problem>) {
    match value {
        Value::Number(number) => {
            let whole = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
            if whole.is_some_and(|whole| whole > EXACT) && problems.len() < PROBLEMS {
                let message = format!(
                    "{number} is a whole number beyond 2^53, which browsers can't hold: write it as a text, \"{number}\""
                );
                problems.push(Problem::new(path, "number_out_of_range", message));
            }
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                look(item, &format!("{path}[{i}]"), problems);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                look(item, &join(path, key), problems);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}
