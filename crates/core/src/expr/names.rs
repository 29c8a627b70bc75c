//! The filters, tests and functions there are, each with what it does. minijinja looks a name up when it gets there; a plan
//! wants to know before, and a person what to choose from.
//!
//! What is not in these tables can't be used, and a test holds that what is in them is there. So nothing else lists them.

use super::{
    Error,
    scan::{Kind, Piece, pieces, tokens},
};

/// A name of the language, and what it does in a sentence.
pub type Named = (&'static str, &'static str);

/// The filters of our environments, in order.
pub(super) const FILTERS: [Named; 53] = [
    ("abs", "The number without its sign."),
    ("add", "The instant that is a duration later: `now | add('90m')`."),
    ("attr", "The field of this name, also one that is no word: `row | attr('my field')`."),
    ("batch", "The list in lists of so many items each: `rows | batch(10)`."),
    ("bool", "Whether the value is true: not empty, zero, null or false."),
    ("capitalize", "The text with its first letter as a capital and the others small."),
    ("chain", "The list with others behind it, or the object with others over it."),
    ("count", "How many items, entries or letters there are, as `length` says."),
    ("d", "Short for `default`."),
    ("date", "The instant written by a pattern of `strftime`, in UTC: `now | date('%d.%m.%Y')`."),
    (
        "default",
        "Another value where there is none; with `true` behind it also for what is null, false, 0 or empty.",
    ),
    ("dictsort", "The object as a list of names and values, sorted by name, or `by='value'`."),
    ("e", "Short for `escape`."),
    ("escape", "The text with `<`, `>`, `&` and quotes written as HTML has them."),
    ("first", "The first item, or letter; undefined where there is none."),
    ("float", "The number that the text is; `default=` for what is none."),
    ("format", "The text with values in its places: `'%s: %d' | format(name, n)`."),
    ("fromjson", "The value that the text is as JSON."),
    ("groupby", "The list in groups by a field: of each its `grouper` and its `list`."),
    ("indent", "The text with blanks before its lines, but the first."),
    ("int", "The whole number that the text or number is; `default=` for what is none."),
    ("items", "The object as a list of pairs of name and value."),
    ("join", "The items as one text, with a text between them: `names | join(', ')`."),
    ("last", "The last item, or letter; undefined where there is none."),
    ("length", "How many items, entries or letters there are."),
    ("lines", "The lines of the text as a list."),
    ("list", "What can be gone through as a list."),
    ("lower", "The text in small letters."),
    (
        "map",
        "A field of each item, `map(attribute='name')`, or a filter for each, `map('upper')`; `| list` makes a list of it.",
    ),
    ("max", "The largest item; undefined where there is none."),
    ("min", "The smallest item; undefined where there is none."),
    ("raw_url", "The text as a part of a URL that is encoded already."),
    ("reject", "The items for which a test fails: `reject('odd')`."),
    ("rejectattr", "The items for whose field a test fails: `rejectattr('price', 'gt', 100)`."),
    ("replace", "The text with one part replaced by another, everywhere."),
    ("reverse", "The list or text from its end."),
    ("round", "The number with so many digits behind the point; halves go to the even neighbour."),
    ("seconds", "The duration as a number of seconds."),
    ("select", "The items for which a test holds: `select('odd')`."),
    ("selectattr", "The items for whose field a test holds: `selectattr('price', 'gt', 100)`."),
    ("since", "The seconds from another instant to this one: `input.due | since(now)`."),
    ("slice", "The list in so many lists, as even as can be."),
    ("sort", "The list in order; `attribute=`, `reverse=`, `case_sensitive=` say how."),
    ("split", "The parts of the text between those that are another text."),
    ("string", "The value as text: a text as it is, anything else as JSON."),
    ("sum", "The numbers of the list together."),
    ("title", "The text with a capital at the beginning of each word."),
    ("tojson", "The value as JSON; `indent=2` writes it in lines."),
    ("trim", "The text without the white space around it, or the letters that are given."),
    ("unique", "The items without those that were there before; `attribute=` and `case_sensitive=` say how."),
    ("upper", "The text in capitals."),
    ("urlencode", "The text as a part of a URL, or the object as `name=value&…`."),
    ("zip", "The lists side by side: the first items, the second items, and so on."),
];

/// The tests of our environments, in order.
pub(super) const TESTS: [Named; 36] = [
    ("boolean", "It is true or false."),
    ("defined", "It is there."),
    ("divisibleby", "It can be divided by a number: `n is divisibleby(3)`."),
    ("endingwith", "The text ends with another."),
    ("eq", "It equals another value."),
    ("equalto", "Short for `eq`."),
    ("escaped", "Short for `safe`."),
    ("even", "The number is even."),
    ("false", "It is false."),
    ("filter", "There is a filter of this name."),
    ("float", "It is a number that is not whole by kind, such as 1.0."),
    ("ge", "It is another value or larger."),
    ("greaterthan", "Short for `gt`."),
    ("gt", "It is larger than another value."),
    ("in", "It is an item, a name or a part of another value."),
    ("int", "Short for `integer`."),
    ("integer", "It is a whole number."),
    ("iterable", "It can be gone through: a list, an object, a text."),
    ("le", "It is another value or smaller."),
    ("lessthan", "Short for `lt`."),
    ("lower", "The text has no capitals."),
    ("lt", "It is smaller than another value."),
    ("mapping", "It is an object."),
    ("ne", "It does not equal another value."),
    ("none", "It is null."),
    ("number", "It is a number."),
    ("odd", "The number is odd."),
    ("safe", "It is a part of a URL that is encoded already."),
    ("sameas", "It is the same value, of the same kind."),
    ("sequence", "It is a list."),
    ("startingwith", "The text begins with another."),
    ("string", "It is a text."),
    ("test", "There is a test of this name."),
    ("true", "It is true."),
    ("undefined", "It is not there."),
    ("upper", "The text has no small letters."),
];

/// The functions. They have names as values have, but are not looked at.
pub(super) const FUNCTIONS: [Named; 2] = [
    ("dict", "An object of what is given by name: `dict(a=1)`."),
    (
        "range",
        "The numbers from 0, or from a first one, up to another, which is not among them: `range(3)`, `range(1, 4)`.",
    ),
];

/// Every filter, in order.
pub fn filters() -> &'static [Named] {
    &FILTERS
}

/// Every test, in order.
pub fn tests() -> &'static [Named] {
    &TESTS
}

/// Every function, in order.
pub fn functions() -> &'static [Named] {
    &FUNCTIONS
}

/// Whether a table has a name.
pub(super) fn has(table: &[Named], name: &str) -> bool {
    table.iter().any(|(known, _)| *known == name)
}

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
        let (what, name, known): (_, _, &[Named]) = match text(at) {
            "|" => ("filter", at + 1, &FILTERS),
            "is" if after_operand && text(at + 1) == "not" => ("test", at + 2, &TESTS),
            "is" if after_operand => ("test", at + 1, &TESTS),
            _ => continue,
        };
        let word = tokens.get(name).is_some_and(|t| t.kind == Kind::Word);
        if word && !has(known, text(name)) {
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
