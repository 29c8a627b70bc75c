//! Why an evaluation failed, and minijinja's errors sorted into ours.

use minijinja::ErrorKind;

/// Why an evaluation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The source does not parse, or names a filter or test that does not exist.
    #[error("{0}")]
    Syntax(String),
    /// The source can't be evaluated over this data.
    #[error("{0}")]
    Evaluation(String),
    /// Fuel, size or depth.
    #[error("{0}")]
    Limit(String),
}

/// What is said where it is not known of what.
pub(super) const UNDEFINED: &str = "a value is undefined";

/// How minijinja's message begins where an operator does not fit its operands.
const OPERATOR: &str = "tried to use ";

/// Carries one of our errors through minijinja.
pub(super) fn failed(error: Error) -> minijinja::Error {
    minijinja::Error::new(ErrorKind::InvalidOperation, error.to_string()).with_source(error)
}

/// Says why `source` is not an expression.
pub(super) fn no_expression(source: &str, e: minijinja::Error) -> Error {
    if source.trim_start().starts_with("{{") {
        return Error::Syntax("an expression is written without {{ and }}".into());
    }
    error(e)
}

/// Sorts minijinja's errors into ours.
pub(super) fn error(e: minijinja::Error) -> Error {
    // minijinja wraps the errors of filters, so ours may lie deeper.
    let ours = std::iter::successors(std::error::Error::source(&e), |e| e.source());
    if let Some(ours) = ours.filter_map(|e| e.downcast_ref::<Error>()).next() {
        return ours.clone();
    }
    let text = match e.detail() {
        Some(detail) => detail.trim_end_matches('.').to_owned(),
        None => e.kind().to_string(),
    };
    match e.kind() {
        ErrorKind::SyntaxError | ErrorKind::BadEscape => match e.line() {
            Some(line) if line > 1 => Error::Syntax(format!("{text} (line {line})")),
            _ => Error::Syntax(text),
        },
        ErrorKind::OutOfFuel => out_of_fuel(),
        // minijinja has no kind of error for this.
        ErrorKind::InvalidOperation if text == "recursion limit exceeded" => Error::Limit(text),
        ErrorKind::UndefinedError if e.detail().is_none() => Error::Evaluation(UNDEFINED.into()),
        ErrorKind::InvalidOperation
            if text.starts_with(OPERATOR) && text.contains("undefined")
                || text.starts_with("cannot convert undefined ") =>
        {
            Error::Evaluation(UNDEFINED.into())
        }
        ErrorKind::InvalidOperation
            if text.starts_with(OPERATOR) && text.contains("string") && text.contains("number") =>
        {
            let help = "make the text a number (`| int`, `| float`), or join texts with `~`";
            Error::Evaluation(format!("{text}; {help}"))
        }
        _ => Error::Evaluation(text),
    }
}

/// The error of every evaluation that used up its fuel.
pub(super) fn out_of_fuel() -> Error {
    Error::Limit("the expression takes too much work".into())
}
