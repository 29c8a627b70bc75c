//! Makes every operand pay for its size.
//!
//! minijinja's fuel counts instructions and what they make, but not how long they look: `a == b`, `a in b`, `a ~ b`
//! cost one unit for lists of any length, and a value that holds the same list many times over is far larger than
//! what was ever made. So a filter stands behind every operand of a source: it gives the value back unchanged, walks
//! it, and charges for each item. What an operator can look at is then paid before it looks.

use super::{
    DEPTH_LIMIT,
    bounds::block_name,
    error::failed,
    scan::{Kind, Piece, Token, pieces, tokens},
};
use minijinja::{
    Error, ErrorKind, State,
    value::{Rest, Value, ValueKind},
};
use std::collections::BTreeMap;

/// Behind every operand.
pub(super) const MEASURED: &str = "measured__";
/// Behind the operands of `*`: a list times a number costs nothing and may be of any length.
pub(super) const SCALAR: &str = "scalar__";

// === the filters ===

/// Gives the value back, and takes fuel for each item in it.
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
    let (mut items, mut pairs) = (Vec::new(), BTreeMap::new());
    for value in all() {
        for item in value.try_iter()? {
            state.consume_fuel(1)?;
            if maps {
                let inner = value.get_item(&item)?;
                pairs.insert(item, inner);
            } else {
                items.push(item);
            }
        }
    }
    Ok(if maps { Value::from_pairs(pairs) } else { items.into() })
}

/// Gives the value back if it is no list or object.
pub(super) fn scalar(value: &Value) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable | ValueKind::Plain => {
            Err(Error::new(ErrorKind::InvalidOperation, "lists and objects can't be multiplied"))
        }
        _ => Ok(value.clone()),
    }
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

// === the sources ===

/// Puts the filters into an expression.
pub(super) fn expression(source: &str) -> String {
    let (tokens, _) = tokens(source, None);
    Operands::new(source, &tokens).insert()
}

/// Puts the filters into every tag of a template.
pub(super) fn template(source: &str) -> String {
    let mut out = String::with_capacity(source.len() * 2);
    for piece in pieces(source) {
        match piece {
            Piece::Inert(text) => out.push_str(text),
            Piece::Tag { block, open, body, close } => {
                out.push_str(open);
                let (tokens, _) = tokens(body, None);
                let mut tokens = tokens.as_slice();
                // `-%}` is no minus.
                if let [rest @ .., last] = tokens
                    && last.end == body.len()
                    && matches!(&body[last.start..], "-" | "+")
                {
                    tokens = rest;
                }
                let skip = if block { before_expression(body, tokens) } else { 0 };
                out.push_str(&Operands::new(body, &tokens[skip..]).insert());
                out.push_str(close);
            }
        }
    }
    out
}

/// Returns how many tokens of a block stand before its expression.
fn before_expression(body: &str, tokens: &[Token]) -> usize {
    let name = tokens.iter().position(|t| t.kind == Kind::Word).map_or(0, |n| n + 1);
    let after = |word: &str| {
        let mut depth = 0;
        tokens.iter().position(|t| {
            match t.kind {
                Kind::Open => depth += 1,
                Kind::Close => depth -= 1,
                Kind::Word | Kind::Number | Kind::Text | Kind::Sign => {}
            }
            depth == 0 && &body[t.start..t.end] == word
        })
    };
    match block_name(body, tokens) {
        "for" => after("in").map_or(tokens.len(), |n| n + 1),
        // Without `=` it is the block form, which holds text.
        "set" => after("=").map_or(tokens.len(), |n| n + 1),
        _ => name,
    }
}

/// Words that join operands, or stand before one.
const JOINING: [&str; 7] = ["and", "or", "not", "in", "if", "else", "recursive"];
/// Words that are values of no size.
const CONSTANTS: [&str; 6] = ["true", "false", "none", "True", "False", "None"];

/// One operand while its end is looked for.
#[derive(Clone, Copy)]
struct Operand {
    /// Where it ends so far.
    end: usize,
    /// A constant, or the loop itself, whose call is not an ordinary one.
    free: bool,
    /// A lone word: before `=` it names an argument.
    word: bool,
    /// `*` stands before it.
    times: bool,
}

struct Operands<'a> {
    source: &'a str,
    tokens: &'a [Token],
    inserts: Vec<(usize, &'static str)>,
}

impl<'a> Operands<'a> {
    fn new(source: &'a str, tokens: &'a [Token]) -> Self {
        Self { source, tokens, inserts: vec![] }
    }

    fn insert(mut self) -> String {
        self.find();
        let (mut out, mut from) = (String::with_capacity(self.source.len() * 2), 0);
        for (at, filter) in self.inserts {
            out.push_str(&self.source[from..at]);
            out.push('|');
            out.push_str(filter);
            // Two words side by side must not become one.
            if self.source[at..].starts_with(|c: char| c.is_alphanumeric() || c == '_') {
                out.push(' ');
            }
            from = at;
        }
        out.push_str(&self.source[from..]);
        out
    }

    fn text(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |t| &self.source[t.start..t.end])
    }

    /// Finds where each operand ends, and notes the filter that goes there.
    fn find(&mut self) {
        // What each open bracket interrupted: an operand that it continues (`a[…]`), or none that it begins.
        let mut open: Vec<(Option<Operand>, bool)> = vec![];
        let mut operand: Option<Operand> = None;
        let mut times = false;
        let mut at = 0;
        while let Some(token) = self.tokens.get(at) {
            let text = self.text(at);
            at += 1;
            match (token.kind, &mut operand) {
                (Kind::Open, continued) => {
                    open.push((continued.take(), times));
                    times = false;
                }
                (Kind::Close, _) => {
                    self.end(operand.take(), "");
                    let (continued, times_before) = open.pop().unwrap_or_default();
                    operand = Some(match continued {
                        Some(before) => Operand { end: token.end, word: false, ..before },
                        None => Operand { end: token.end, free: false, word: false, times: times_before },
                    });
                    times = false;
                }
                // Where an operand is due, any other word that joins is a name.
                (Kind::Word, None)
                    if text == "not" || (text == "in" && at > 1 && self.text(at - 2) == "not") => {}
                (Kind::Word | Kind::Number | Kind::Text, None) => {
                    let constant = token.kind != Kind::Word || CONSTANTS.contains(&text);
                    let free = constant || text == "loop";
                    operand = Some(Operand { end: token.end, free, word: token.kind == Kind::Word, times });
                    times = false;
                }
                (Kind::Sign, Some(current)) if matches!(text, "." | "|") => {
                    let Some(name) = self.tokens.get(at) else { break };
                    current.end = name.end;
                    current.word = false;
                    // A constant with a filter can be anything.
                    current.free &= text == "." || self.tokens[at - 2].kind == Kind::Word;
                    at += 1;
                }
                (Kind::Word, Some(_)) if text == "is" => {
                    self.end(operand.take(), "");
                    at += usize::from(self.text(at) == "not");
                    let Some(name) = self.tokens.get(at) else { break };
                    at += 1;
                    // The answer has no size, but brackets or an operand may follow the name.
                    let bare = self.tokens.get(at).is_some_and(|next| match next.kind {
                        Kind::Word => !JOINING.contains(&self.text(at)) && self.text(at) != "is",
                        Kind::Number | Kind::Text => true,
                        Kind::Open => self.text(at) != "(",
                        Kind::Close | Kind::Sign => false,
                    });
                    if !bare {
                        operand = Some(Operand { end: name.end, free: true, word: false, times: false });
                    }
                }
                (Kind::Sign, Some(current)) if text == "=" && current.word => operand = None,
                (Kind::Sign, _) => {
                    // Before an operand `*` spreads arguments.
                    times = text == "*" && operand.is_some() || times && operand.is_none();
                    self.end(operand.take(), text);
                }
                // Texts side by side are one.
                (Kind::Text, Some(current)) if self.tokens[at - 2].kind == Kind::Text => {
                    current.end = token.end
                }
                (Kind::Word | Kind::Number | Kind::Text, Some(_)) => self.end(operand.take(), text),
            }
        }
        self.end(operand, "");
    }

    /// Notes the filter behind an operand that has ended. `next` is the sign after it.
    fn end(&mut self, operand: Option<Operand>, next: &str) {
        let Some(operand) = operand else { return };
        if operand.times || next == "*" {
            self.inserts.push((operand.end, SCALAR));
        } else if !operand.free {
            self.inserts.push((operand.end, MEASURED));
        }
    }
}
