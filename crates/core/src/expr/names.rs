//! The filters and tests there are. minijinja looks a name up when it gets there; a plan wants to know before.

use super::{
    Error,
    scan::{Kind, Piece, pieces, tokens},
};

/// The filters of our environments, in order.
pub(super) const FILTERS: [&str; 53] = [
    "abs",
    "add",
    "attr",
    "batch",
    "bool",
    "capitalize",
    "chain",
    "count",
    "d",
    "date",
    "default",
    "dictsort",
    "e",
    "escape",
    "first",
    "float",
    "format",
    "fromjson",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "raw_url",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "seconds",
    "select",
    "selectattr",
    "since",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
    "urlencode",
    "zip",
];

/// The tests of our environments, in order.
pub(super) const TESTS: [&str; 36] = [
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "equalto",
    "escaped",
    "even",
    "false",
    "filter",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "int",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "safe",
    "sameas",
    "sequence",
    "startingwith",
    "string",
    "test",
    "true",
    "undefined",
    "upper",
];

/// Finds a filter or test that does not exist in an expression.
pub(super) fn expression(source: &str) -> Result<(), Error> {
    let (tokens, _) = tokens(source, None);
    let text = |at: usize| tokens.get(at).map_or("", |t| &source[t.start..t.end]);
    for at in 0..tokens.len() {
        // Anywhere else `is` is a name.
        let after_operand = at > 0
            && !matches!(text(at - 1), "." | "and" | "or" | "not" | "in" | "if" | "else" | "is")
            && !matches!(tokens[at - 1].kind, Kind::Open | Kind::Sign);
        if text(at) == "now" && text(at + 1) == "(" && !(at > 0 && matches!(text(at - 1), "." | "|")) {
            return Err(Error::Syntax(
                "`now` is an instant and no function: it is written without ()".into(),
            ));
        }
        let (what, name, known): (_, _, &[&str]) = match text(at) {
            "|" => ("filter", at + 1, &FILTERS),
            "is" if after_operand && text(at + 1) == "not" => ("test", at + 2, &TESTS),
            "is" if after_operand => ("test", at + 1, &TESTS),
            _ => continue,
        };
        let word = tokens.get(name).is_some_and(|t| t.kind == Kind::Word);
        if word && !known.contains(&text(name)) {
            return Err(Error::Syntax(format!("there is no {what} `{}`", text(name))));
        }
    }
    Ok(())
}

/// Finds the same in the tags of a template.
pub(super) fn template(source: &str) -> Result<(), Error> {
    pieces(source).into_iter().try_for_each(|piece| match piece {
        Piece::Inert(_) => Ok(()),
        Piece::Tag { body, .. } => expression(body),
    })
}
