//! Comparisons that do not guess.
//!
//! minijinja puts values of different kinds in an order of its own: every number is less than every text, and nothing
//! equals what is of another kind. With data from forms and models that decides wrongly and says nothing. So each
//! comparison of a source is written as a test of ours (`a < b` as `(a) is lt(b)`), which fails where the kinds do not
//! fit, and says what they are and what would help. The filters that compare are in `ordered`.

use super::{
    kinds::{Kind, given, shown},
    measure::measured,
    scan::Token,
};
use minijinja::{
    Environment, Error, ErrorKind, State, tests,
    value::{Rest, Value},
};
use std::{borrow::Cow, cmp::Ordering};

/// Bytes of texts that are compared for one unit.
const BYTES: u64 = 64;
/// Bytes of a text that are searched for one unit.
const SEARCHED: u64 = 16;

// === the tests ===

/// Replaces the language's own, under each of their names.
pub(super) fn add(env: &mut Environment<'_>) {
    for name in ["eq", "equalto", "=="] {
        env.add_test(name, eq);
    }
    for name in ["ne", "!="] {
        env.add_test(name, ne);
    }
    for name in ["lt", "lessthan", "<"] {
        env.add_test(name, lt);
    }
    for name in ["le", "<="] {
        env.add_test(name, le);
    }
    for name in ["gt", "greaterthan", ">"] {
        env.add_test(name, gt);
    }
    for name in ["ge", ">="] {
        env.add_test(name, ge);
    }
    env.add_test("in", contained);
    env.add_test("odd", |a: &Value| numbered(a).map(|()| tests::is_odd(a.clone())));
    env.add_test("even", |a: &Value| numbered(a).map(|()| tests::is_even(a.clone())));
    env.add_test("divisibleby", |a: &Value, by: &Value| {
        numbered(a)?;
        numbered(by)?;
        Ok::<_, Error>(tests::is_divisibleby(a, by))
    });
    env.add_test("chain__", chain);
}

pub(super) fn eq(state: &State<'_, '_>, a: &Value, b: &Value) -> Result<bool, Error> {
    charge(state, a, b)?;
    equal(a, b)
}

pub(super) fn ne(state: &State<'_, '_>, a: &Value, b: &Value) -> Result<bool, Error> {
    eq(state, a, b).map(|yes| !yes)
}

pub(super) fn lt(state: &State<'_, '_>, a: &Value, b: &Value) -> Result<bool, Error> {
    charge(state, a, b)?;
    order(a, b).map(Ordering::is_lt)
}

pub(super) fn le(state: &State<'_, '_>, a: &Value, b: &Value) -> Result<bool, Error> {
    charge(state, a, b)?;
    order(a, b).map(Ordering::is_le)
}

pub(super) fn gt(state: &State<'_, '_>, a: &Value, b: &Value) -> Result<bool, Error> {
    charge(state, a, b)?;
    order(a, b).map(Ordering::is_gt)
}

pub(super) fn ge(state: &State<'_, '_>, a: &Value, b: &Value) -> Result<bool, Error> {
    charge(state, a, b)?;
    order(a, b).map(Ordering::is_ge)
}

pub(super) fn contained(state: &State<'_, '_>, item: &Value, container: &Value) -> Result<bool, Error> {
    given(item)?;
    given(container)?;
    charge(state, item, container)?;
    match Kind::of(container) {
        Kind::Text => {
            let (Some(whole), Some(part)) = (container.as_str(), item.as_str()) else {
                return Err(mismatch("looked up in each other", item, container));
            };
            state.consume_fuel(whole.len() as u64 / SEARCHED)?;
            Ok(whole.contains(part))
        }
        Kind::List => {
            let mut first = None;
            let mut comparable = false;
            for other in container.try_iter()? {
                state.consume_fuel(1)?;
                let fits = Kind::of(item).equals(Kind::of(&other));
                if fits && *item == other {
                    return Ok(true);
                }
                comparable |= fits;
                first.get_or_insert(other);
            }
            match first {
                Some(other) if !comparable => Err(mismatch("equal", item, &other)),
                _ => Ok(false),
            }
        }
        Kind::Object => {
            let found = container.as_object().is_some_and(|object| object.get_value(item).is_some());
            if !found
                && let Some(key) = container.try_iter()?.next()
                && Kind::of(&key) == Kind::Text
                && Kind::of(item) != Kind::Text
            {
                return Err(mismatch("equal", item, &key));
            }
            Ok(found)
        }
        Kind::Missing | Kind::Null | Kind::Truth | Kind::Number | Kind::Other => {
            let message = format!("nothing can be looked up in {}", shown(container));
            Err(Error::new(ErrorKind::InvalidOperation, message))
        }
    }
}

/// `a < b <= c`, as `a is chain__('<', b, '<=', c)`. Like the language's own it ends where one does not hold.
pub(super) fn chain(state: &State<'_, '_>, first: &Value, rest: Rest<Value>) -> Result<bool, Error> {
    let mut left = first;
    for pair in rest.chunks_exact(2) {
        let right = &pair[1];
        let holds = match pair[0].as_str().unwrap_or_default() {
            "<" => lt(state, left, right)?,
            "<=" => le(state, left, right)?,
            ">" => gt(state, left, right)?,
            ">=" => ge(state, left, right)?,
            "==" => eq(state, left, right)?,
            "!=" => ne(state, left, right)?,
            "in" => contained(state, left, right)?,
            _ => !contained(state, left, right)?,
        };
        if !holds {
            return Ok(false);
        }
        left = right;
    }
    Ok(true)
}

/// Whether a text is odd has no answer.
fn numbered(value: &Value) -> Result<(), Error> {
    given(value)?;
    match Kind::of(value) {
        Kind::Number => Ok(()),
        Kind::Text => {
            let message = format!("{} is not a number; make it one: `| int`", shown(value));
            Err(Error::new(ErrorKind::InvalidOperation, message))
        }
        Kind::Missing | Kind::Null | Kind::Truth | Kind::List | Kind::Object | Kind::Other => {
            let message = format!("{} is not a number", shown(value));
            Err(Error::new(ErrorKind::InvalidOperation, message))
        }
    }
}

/// Compares for equality, or says why there is no sense in it.
pub(super) fn equal(a: &Value, b: &Value) -> Result<bool, Error> {
    given(a)?;
    given(b)?;
    if Kind::of(a).equals(Kind::of(b)) { Ok(a == b) } else { Err(mismatch("equal", a, b)) }
}

/// Orders two values, or says why they have no order.
pub(super) fn order(a: &Value, b: &Value) -> Result<Ordering, Error> {
    given(a)?;
    given(b)?;
    let kind = Kind::of(a);
    if kind != Kind::of(b) || !kind.has_order() {
        return Err(mismatch("ordered", a, b));
    }
    if kind != Kind::List {
        return Ok(a.cmp(b));
    }
    let (mut left, mut right) = (a.try_iter()?, b.try_iter()?);
    loop {
        match (left.next(), right.next()) {
            (Some(a), Some(b)) if Kind::of(&a) == Kind::of(&b) && a == b => {}
            (Some(a), Some(b)) => return order(&a, &b),
            (a, b) => return Ok(a.is_some().cmp(&b.is_some())),
        }
    }
}

/// Pays for the texts, lists and objects that are looked through.
fn charge(state: &State<'_, '_>, a: &Value, b: &Value) -> Result<(), Error> {
    for value in [a, b] {
        if matches!(Kind::of(value), Kind::List | Kind::Object) {
            measured(state, value)?;
        }
    }
    let len = |value: &Value| value.as_str().map_or_else(|| value.len().unwrap_or(0), str::len) as u64;
    match len(a).min(len(b)) / BYTES {
        0 => Ok(()),
        units => state.consume_fuel(units),
    }
}

// === what is said ===

/// Names two values that do not go together, and what would help.
pub(super) fn mismatch(how: &str, a: &Value, b: &Value) -> Error {
    let (left, right) = (Kind::of(a), Kind::of(b));
    let has = |kind| left == kind || right == kind;
    let help = if how == "ordered" && left == right {
        ""
    } else if has(Kind::Missing) || has(Kind::Null) {
        "; say what it counts as: `| default(0, true)`"
    } else if has(Kind::Text) && has(Kind::Number) {
        "; make the text a number (`| int`, `| float`) or the number a text (`| string`)"
    } else if has(Kind::Truth) && has(Kind::Number) {
        "; make the truth value a number: `| int`"
    } else if has(Kind::Truth) && has(Kind::Text) {
        "; a text is asked for its text: `== 'true'`"
    } else {
        ""
    };
    let message = format!("{} and {} can't be {how}{help}", shown(a), shown(b));
    Error::new(ErrorKind::InvalidOperation, message)
}

// === the sources ===

/// Something that is put into a source, in place of `remove` bytes.
#[derive(Debug)]
pub(super) struct Edit {
    pub at: usize,
    pub remove: usize,
    pub text: Cow<'static, str>,
}

/// Where an operand of a comparison begins and ends.
pub(super) type Side = (usize, usize);

/// The operands of comparisons: all that stands between two words or signs that bind weaker.
#[derive(Debug, Default)]
pub(super) struct Comparisons {
    here: Stretch,
    /// Those that open brackets interrupted.
    outside: Vec<Stretch>,
    edits: Vec<Edit>,
    /// The two sides of single comparisons.
    sides: Vec<Side>,
    malformed: bool,
}

#[derive(Debug, Default)]
struct Stretch {
    start: Option<usize>,
    end: usize,
    operators: Vec<Operator>,
    /// An operand stands behind the last operator.
    closed: bool,
}

#[derive(Debug)]
struct Operator {
    start: usize,
    end: usize,
    name: &'static str,
    /// Where the side before it ends.
    left: usize,
    /// Where the one behind it starts, or the sign of what follows.
    right: Option<usize>,
}

// === impl Comparisons ===

impl Comparisons {
    /// A token belongs to the operand at hand, or begins it.
    pub fn take(&mut self, token: &Token) {
        self.here.start.get_or_insert(token.start);
        if let Some(operator) = self.here.operators.last_mut() {
            operator.right.get_or_insert(token.start);
        }
        self.here.end = token.end;
        self.here.closed = true;
    }

    pub fn open(&mut self, token: &Token) {
        self.take(token);
        self.outside.push(std::mem::take(&mut self.here));
    }

    pub fn close(&mut self, token: &Token) {
        self.finish();
        match self.outside.pop() {
            Some(stretch) => self.here = stretch,
            None => self.malformed = true,
        }
        self.take(token);
    }

    /// A word or sign that binds weaker than comparisons.
    pub fn boundary(&mut self) {
        self.finish();
    }

    /// An operator from the start of one token to the end of another.
    pub fn operator(&mut self, text: &str, start: usize, end: usize) {
        let names = ["<", "<=", ">", ">=", "==", "!=", "in", "not in"];
        match names.into_iter().find(|name| *name == text) {
            Some(name) if self.here.closed => {
                let left = self.here.end;
                self.here.operators.push(Operator { start, end, name, left, right: None });
                self.here.closed = false;
            }
            _ => self.malformed = true,
        }
    }

    /// The source is none, or not one that is understood here: minijinja says so of what stands there.
    pub fn malformed(&mut self) {
        self.malformed = true;
    }

    /// Whether the operand at hand has not begun.
    pub fn at_start(&self) -> bool {
        self.here.start.is_none()
    }

    fn finish(&mut self) {
        let stretch = std::mem::take(&mut self.here);
        let Some(start) = stretch.start else { return };
        let Some(last) = stretch.operators.len().checked_sub(1) else { return };
        if !stretch.closed {
            self.malformed = true;
            return;
        }
        if let [Operator { left, right: Some(right), .. }] = stretch.operators.as_slice() {
            self.sides.extend([(start, *left), (*right, stretch.end)]);
        }
        self.edits.push(Edit::new(start, 0, "("));
        for (i, Operator { start, end, name, .. }) in stretch.operators.into_iter().enumerate() {
            let text = match (last, i) {
                (0, _) => Cow::Borrowed(as_test(name)),
                (_, 0) => format!(") is chain__('{name}', ").into(),
                _ => format!(", '{name}', ").into(),
            };
            self.edits.push(Edit::new(start, end - start, text));
        }
        self.edits.push(Edit::new(stretch.end, 0, ")"));
    }

    /// Returns what to change in the source, and the sides of comparisons; or nothing if it is not understood.
    pub fn edits(mut self) -> Option<(Vec<Edit>, Vec<Side>)> {
        self.finish();
        (!self.malformed && self.outside.is_empty()).then_some((self.edits, self.sides))
    }
}

// === impl Edit ===

impl Edit {
    pub fn new(at: usize, remove: usize, text: impl Into<Cow<'static, str>>) -> Self {
        Self { at, remove, text: text.into() }
    }
}

fn as_test(operator: &str) -> &'static str {
    match operator {
        "<" => ") is lt(",
        "<=" => ") is le(",
        ">" => ") is gt(",
        ">=" => ") is ge(",
        "==" => ") is eq(",
        "!=" => ") is ne(",
        "in" => ") is in(",
        _ => ") is not in(",
    }
}
