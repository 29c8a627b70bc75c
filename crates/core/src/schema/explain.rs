//! The errors of `jsonschema` as problems: paths as people write them, stable codes, plain sentences.

use super::{join, kind_of};
use crate::Problem;
use jsonschema::{ValidationError, error::ValidationErrorKind as Kind};
use serde_json::Value;

/// Bytes of one sentence.
const SENTENCE: usize = 1_000;

/// Returns the problems that one error stands for.
pub(super) fn problems(error: &ValidationError<'_>) -> Vec<Problem> {
    let mut found = explained(error);
    for problem in &mut found {
        if problem.message.len() > SENTENCE {
            problem.message.truncate(problem.message.floor_char_boundary(SENTENCE));
            problem.message.push('…');
        }
    }
    found
}

/// Says in one or more problems what one error means.
fn explained(error: &ValidationError<'_>) -> Vec<Problem> {
    let path = path(&error.instance_path().to_string());
    let value = error.instance().as_ref();
    let one = |code: &str, message: String| vec![Problem::new(path.clone(), code, message)];
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => unexpected
            .iter()
            .map(|key| {
                Problem::new(join(&path, key), "unknown_field", format!("the field `{key}` is not allowed"))
            })
            .collect(),
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            vec![Problem::new(join(&path, name), "missing_field", format!("`{name}` is missing"))]
        }
        Kind::Type { kind } => {
            let wanted = match kind {
                jsonschema::error::TypeKind::Single(one) => one.to_string(),
                jsonschema::error::TypeKind::Multiple(several) => {
                    several.iter().map(|t| t.to_string()).collect::<Vec<_>>().join(" or ")
                }
            };
            one("wrong_type", format!("must be of type {wanted}, not {}", kind_of(value)))
        }
        Kind::Enum { options } => one("unknown_value", format!("must be one of {options}")),
        Kind::Constant { expected_value } => one("unknown_value", format!("must be {expected_value}")),
        Kind::Minimum { limit } => {
            one("out_of_range", format!("must be at least {limit}, not {}", short(value)))
        }
        Kind::Maximum { limit } => {
            one("out_of_range", format!("must be at most {limit}, not {}", short(value)))
        }
        Kind::ExclusiveMinimum { limit } => {
            one("out_of_range", format!("must be more than {limit}, not {}", short(value)))
        }
        Kind::ExclusiveMaximum { limit } => {
            one("out_of_range", format!("must be less than {limit}, not {}", short(value)))
        }
        Kind::MinLength { limit } => one("out_of_range", format!("must have at least {limit} characters")),
        Kind::MaxLength { limit } => one("out_of_range", format!("must have at most {limit} characters")),
        Kind::MinItems { limit } => one("out_of_range", format!("must have at least {limit} items")),
        Kind::MaxItems { limit } => one("out_of_range", format!("must have at most {limit} items")),
        Kind::AdditionalItems { limit } => one("out_of_range", format!("must have at most {limit} items")),
        Kind::Pattern { pattern } => one("pattern", format!("{} does not match {pattern}", short(value))),
        Kind::Format { format } => one("format", format!("{} is not a {format}", short(value))),
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => closest(context, &path, value),
        _ => one("invalid", error.to_string()),
    }
}

/// Returns the mistakes of the alternative that was most likely meant: the one with the fewest, if it is of the right
/// type at all.
/// value itself.
fn closest(context: &[Vec<ValidationError<'static>>], path: &str, value: &Value) -> Vec<Problem> {
    let explained: Vec<Vec<Problem>> =
        context.iter().map(|errors| errors.iter().flat_map(problems).collect::<Vec<_>>()).collect();
    let inner = explained
        .iter()
        .filter(|found| !found.is_empty() && found.iter().all(|p| p.path != path || p.code != "wrong_type"))
        .min_by_key(|found| (found.iter().filter(|p| p.code == "unknown_value").count(), found.len()));
    if let Some(inner) = inner {
        return inner.clone();
    }
    let mut reasons: Vec<&str> = explained.iter().flatten().map(|p| p.message.as_str()).collect();
    reasons.dedup();
    let message = match reasons.as_slice() {
        [] => format!("{} is none of what is allowed here", short(value)),
        reasons => reasons.join(", or "),
    };
    vec![Problem::new(path, "wrong_type", message)]
}

/// Writes a JSON pointer as people write a path: `/a/0/b` as `a[0].b`.
fn path(pointer: &str) -> String {
    pointer.split('/').skip(1).fold(String::new(), |path, part| {
        let part = part.replace("~1", "/").replace("~0", "~");
        if !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) {
            format!("{path}[{part}]")
        } else {
            join(&path, &part)
        }
    })
}

/// Prints a value, cut after 60 characters.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
