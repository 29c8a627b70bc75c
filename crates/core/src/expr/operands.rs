//! Finds the operands of a source, and puts there what makes them pay (`measure`), what compares them (`compared`) and
//! what lets their paths lead nowhere (`optional`): one pass over the tokens for all three.

use std::mem;

use super::{
    bounds::block_name,
    compared::{Comparisons, Edit},
    optional::UNASKING,
    scan::{Kind, Piece, Token, pieces, tokens},
};

/// Puts the filters into an expression.
pub(super) fn expression(source: &str) -> String {
    let (tokens, _) = tokens(source, None);
    Operands::new(source, &tokens).insert(true)
}

/// Puts only those filters into an expression that measure: its paths stay as they are.
pub(super) fn plain_expression(source: &str) -> String {
    let (tokens, _) = tokens(source, None);
    Operands::new(source, &tokens).insert(false)
}

/// Puts the filters into every tag of a template.
pub(super) fn template(source: &str) -> String {
    tags(source, true)
}

/// Puts only those filters into every tag that measure.
pub(super) fn plain_template(source: &str) -> String {
    tags(source, false)
}

fn tags(source: &str, rewrite: bool) -> String {
    let mut out = String::with_capacity(source.len() * 2);
    for piece in pieces(source) {
        match piece {
            Piece::Inert(text) => out.push_str(text),
            Piece::Tag { block, open, body, close } => {
                out.push_str(open);
                let (tokens, _) = tokens(body, None);
                let mut tokens = tokens.as_slice();
                if let [first, rest @ ..] = tokens
                    && first.start == 0
                    && matches!(&body[..first.end], "-" | "+")
                {
                    tokens = rest;
                }
                // `-%}` is no minus, nor is `{{-`.
                if let [rest @ .., last] = tokens
                    && last.end == body.len()
                    && matches!(&body[last.start..], "-" | "+")
                {
                    tokens = rest;
                }
                let skip = if block { before_expression(body, tokens) } else { 0 };
                out.push_str(&Operands::new(body, &tokens[skip..]).insert(rewrite));
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
/// Names that are there wherever they may be used: the first step from them needs no care.
const ROOTS: [&str; 10] = ["input", "steps", "run", "now", "item", "index", "last", "acc", "data", "args"];

/// One operand while its end is looked for.
#[derive(Clone, Copy)]
struct Operand {
    start: usize,
    /// Where it ends so far.
    end: usize,
    /// A constant, or the loop itself, whose call is not an ordinary one.
    free: bool,
    /// A lone word: before `=` it names an argument.
    word: bool,
    /// `*` stands before it.
    times: bool,
    minus: bool,
    /// The first byte of the operator before it; 0 without one.
    before: u8,
    /// What it leads to so far may be missing.
    unsure: bool,
    /// The filter that holds the other steps of its path is open.
    path: bool,
    /// Behind a filter or a test there is no path.
    ended: bool,
}

/// A bracket that is open.
struct Opened {
    start: usize,
    /// The operand that it continues (`a[…]`), or none that it begins.
    operand: Option<Operand>,
    signs: Signs,
    /// It is a step of a path and becomes an argument.
    step: bool,
}

/// Where the walk over the tokens stands.
#[derive(Default)]
struct Walk {
    /// The token that comes next.
    at: usize,
    open: Vec<Opened>,
    operand: Option<Operand>,
    comparisons: Comparisons,
    /// `*` or `-` stands before the operand that comes.
    times: bool,
    minus: bool,
    /// The first byte of the operator before it; 0 without one.
    before: u8,
}

/// What stands before an operand.
#[derive(Clone, Copy, Default)]
struct Signs {
    times: bool,
    minus: bool,
    before: u8,
}

impl Walk {
    /// Returns the signs before what comes, which it takes with it.
    fn signs(&mut self) -> Signs {
        Signs {
            times: mem::take(&mut self.times),
            minus: mem::take(&mut self.minus),
            before: mem::take(&mut self.before),
        }
    }

    /// An operand begins.
    fn begins(&mut self, token: Token, text: &str) {
        let constant = token.kind != Kind::Word || CONSTANTS.contains(&text);
        let free = constant || text == "loop";
        let Signs { times, minus, before } = self.signs();
        self.operand = Some(Operand {
            free,
            word: token.kind == Kind::Word,
            times,
            minus,
            before,
            unsure: !free && !ROOTS.contains(&text),
            ..operand_at(token.start, token.end)
        });
        self.comparisons.take(&token);
    }

    /// A sign stands behind the operand, or before the next one.
    fn operator(&mut self, token: Token, text: &str) {
        let lone = self.operand.is_none();
        match text {
            "," | ":" | "=" => self.comparisons.boundary(),
            "<" | "<=" | ">" | ">=" | "==" | "!=" => {
                self.comparisons.operator(text, token.start, token.end);
            }
            // Before an operand they spread arguments.
            "*" | "**" if lone && self.comparisons.at_start() => {}
            "*" | "**" if lone => self.comparisons.malformed(),
            _ => self.comparisons.take(&token),
        }
        self.times = text == "*" && !lone || self.times && lone;
        self.minus = lone && (self.minus || text == "-");
        if !lone {
            self.before = text.as_bytes().first().copied().unwrap_or(0);
        }
    }
}

struct Operands<'a> {
    source: &'a str,
    tokens: &'a [Token],
    /// With the start of the operand that it stands behind.
    measures: Vec<(usize, Edit)>,
    paths: Vec<Edit>,
    /// Slices as filters, where it is only looked at what a source names: minijinja does not look at what is sliced.
    slices: Vec<Edit>,
}

impl<'a> Operands<'a> {
    fn new(source: &'a str, tokens: &'a [Token]) -> Self {
        Self { source, tokens, measures: vec![], paths: vec![], slices: vec![] }
    }

    /// Returns the source with filters, and with `rewrite` also with comparisons and paths in our way.
    fn insert(mut self, rewrite: bool) -> String {
        let comparisons = self.find().edits();
        // At one place a path ends first, then it is measured, then compared; what is replaced begins behind that.
        let mut edits: Vec<Edit> = match comparisons {
            Some((comparisons, sides)) if rewrite => {
                // The test measures what it compares.
                let measures = self.measures.into_iter().filter(|(start, edit)| {
                    edit.text != "|measured__" || !sides.contains(&(*start, edit.at))
                });
                let measures = measures.map(|(_, edit)| edit);
                self.paths.into_iter().chain(measures).chain(comparisons).collect()
            }
            Some(_) => self.measures.into_iter().map(|(_, edit)| edit).chain(self.slices).collect(),
            None => self.measures.into_iter().map(|(_, edit)| edit).collect(),
        };
        edits.sort_by_key(|edit| (edit.at, edit.remove > 0));
        let (mut out, mut from) = (String::with_capacity(self.source.len() * 2), 0);
        for Edit { at, remove, text } in edits {
            out.push_str(&self.source[from..at]);
            out.push_str(&text);
            from = at + remove;
            // Two words side by side must not become one.
            let word = |c: char| c.is_alphanumeric() || c == '_';
            if text.ends_with(word) && self.source[from..].starts_with(word) {
                out.push(' ');
            }
        }
        out.push_str(&self.source[from..]);
        out
    }

    fn text(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |t| &self.source[t.start..t.end])
    }

    /// Walks over the tokens once.
    fn find(&mut self) -> Comparisons {
        let mut walk = Walk::default();
        while let Some(&token) = self.tokens.get(walk.at) {
            let text = self.text(walk.at);
            walk.at += 1;
            match (token.kind, walk.operand) {
                (Kind::Open, _) => self.opens(&mut walk, token),
                (Kind::Close, _) => self.closes(&mut walk, token),
                // Where an operand is due, the other words that join are names like any other.
                (Kind::Word, None) if text == "in" && walk.at > 1 && self.text(walk.at - 2) == "not" => {
                    let not = self.tokens[walk.at - 2].start;
                    walk.comparisons.operator("not in", not, token.end);
                }
                (Kind::Word, None) if text == "not" => {
                    if walk.comparisons.at_start() {
                        walk.comparisons.boundary();
                    } else if self.text(walk.at) != "in" {
                        walk.comparisons.malformed();
                    }
                }
                (Kind::Word | Kind::Number | Kind::Text, None) => walk.begins(token, text),
                (Kind::Sign, Some(current)) if matches!(text, "." | "|") => {
                    self.goes_on(&mut walk, token, current);
                }
                (Kind::Word, Some(current)) if text == "is" => {
                    walk.comparisons.take(&token);
                    self.end(Some(current), "");
                    self.tests(&mut walk);
                }
                (Kind::Sign, Some(current)) if text == "=" && current.word => {
                    walk.operand = None;
                    walk.comparisons.boundary();
                }
                (Kind::Sign, _) => {
                    walk.operator(token, text);
                    self.end(walk.operand.take(), text);
                }
                // Texts side by side are one.
                (Kind::Text, Some(current)) if self.tokens[walk.at - 2].kind == Kind::Text => {
                    walk.comparisons.take(&token);
                    walk.operand = Some(Operand { end: token.end, ..current });
                }
                (Kind::Word | Kind::Number | Kind::Text, Some(_)) => {
                    match text {
                        "in" => walk.comparisons.operator(text, token.start, token.end),
                        // It is looked at with the next token.
                        "not" if self.text(walk.at) == "in" => {}
                        "and" | "or" | "if" | "else" | "recursive" => walk.comparisons.boundary(),
                        _ => walk.comparisons.malformed(),
                    }
                    self.end(walk.operand.take(), text);
                }
            }
        }
        self.end(walk.operand, "");
        walk.comparisons
    }

    /// A bracket opens: a call, a step of a path, or what stands alone.
    fn opens(&mut self, walk: &mut Walk, token: Token) {
        let mut before = walk.operand.take();
        let mut step = false;
        if let Some(before) = &mut before {
            step = self.text(walk.at - 1) == "[" && self.subscript(before, walk.at);
            if !step {
                self.end_path(before);
            }
        }
        walk.comparisons.open(&token);
        let signs = walk.signs();
        walk.open.push(Opened { start: token.start, operand: before, signs, step });
    }

    /// A bracket closes: what it continued goes on behind it.
    fn closes(&mut self, walk: &mut Walk, token: Token) {
        self.end(walk.operand.take(), "");
        walk.comparisons.close(&token);
        let opened = walk.open.pop();
        if opened.as_ref().is_some_and(|opened| opened.step) {
            self.paths.push(Edit::new(token.start, 1, ""));
        }
        walk.operand = Some(match opened {
            Some(Opened { operand: Some(before), .. }) => {
                Operand { end: token.end, word: false, unsure: true, ..before }
            }
            Some(Opened { start, signs: Signs { times, minus, before }, .. }) => {
                Operand { times, minus, before, ..operand_at(start, token.end) }
            }
            None => operand_at(token.start, token.end),
        });
        walk.signs();
    }

    /// `.` or `|` stands behind an operand: a name follows, or nothing that can be read.
    fn goes_on(&mut self, walk: &mut Walk, token: Token, mut current: Operand) {
        let Some(&name) = self.tokens.get(walk.at) else { return };
        walk.comparisons.take(&token);
        walk.comparisons.take(&name);
        let dot = self.text(walk.at - 1) == ".";
        if dot {
            self.attribute(&mut current, &token, &name);
        } else {
            self.end_path(&mut current);
            current.ended = true;
            if !current.free && UNASKING.contains(&self.text(walk.at)) {
                self.paths.push(Edit::new(current.end, 0, "|needed__"));
            }
        }
        current.end = name.end;
        current.word = false;
        current.unsure = true;
        // A constant with a filter can be anything.
        current.free &= dot || self.tokens[walk.at - 2].kind == Kind::Word;
        walk.at += 1;
        walk.operand = Some(current);
    }

    /// `is` stands behind an operand: the name of a test follows, and perhaps what it is given.
    fn tests(&mut self, walk: &mut Walk) {
        walk.operand = None;
        walk.at += usize::from(self.text(walk.at) == "not");
        let Some(&name) = self.tokens.get(walk.at) else { return };
        walk.comparisons.take(&name);
        walk.at += 1;
        // The answer has no size, but brackets or an operand may follow the name.
        let bare = self.tokens.get(walk.at).is_some_and(|next| match next.kind {
            Kind::Word => !JOINING.contains(&self.text(walk.at)) && self.text(walk.at) != "is",
            Kind::Number | Kind::Text => true,
            Kind::Open => self.text(walk.at) != "(",
            Kind::Close | Kind::Sign => false,
        });
        if !bare {
            walk.operand = Some(Operand { free: true, ended: true, ..operand_at(name.start, name.end) });
        }
    }

    /// Takes `.name` up into a path, unless what it is a step from is surely there.
    fn attribute(&mut self, current: &mut Operand, dot: &Token, name: &Token) {
        let text = &self.source[name.start..name.end];
        let index = name.kind == Kind::Number && text.bytes().all(|b| b.is_ascii_digit());
        if current.ended || !current.unsure || !(index || name.kind == Kind::Word) {
            return self.end_path(current);
        }
        let step = if index { text.to_owned() } else { format!("'{text}'") };
        self.step(current, dot.start, name.end - dot.start, &step);
    }

    /// Takes `[…]` up into a path, and returns whether it did; `at` is the token behind the bracket.
    fn subscript(&mut self, current: &mut Operand, at: usize) -> bool {
        if current.ended {
            return false;
        }
        let (mut depth, mut plain, mut slice, mut closed) = (0, true, false, false);
        for i in at..self.tokens.len() {
            let text = self.text(i);
            match self.tokens[i].kind {
                Kind::Open => depth += 1,
                Kind::Close if depth == 0 => {
                    closed = i > at;
                    break;
                }
                Kind::Close => depth -= 1,
                Kind::Sign if depth == 0 => {
                    slice |= text == ":";
                    plain &= !(matches!(text, ":" | "," | "=") || i == at && text.starts_with('*'));
                }
                Kind::Sign | Kind::Word | Kind::Number | Kind::Text => {}
            }
        }
        if slice && closed {
            self.slice(current.start, at);
        }
        if slice && closed && !current.free {
            // A part of what is missing would be an empty list.
            let text = if current.path { ")|needed__)" } else { "|needed__)" };
            if !current.path {
                self.paths.push(Edit::new(current.start, 0, "("));
            }
            self.paths.push(Edit::new(current.end, 0, text));
            current.path = false;
        }
        if !(closed && plain && current.unsure) {
            return false;
        }
        self.step(current, self.tokens[at - 1].start, 1, "");
        true
    }

    /// Makes a filter of a slice, whose first token is `at`.
    fn slice(&mut self, start: usize, at: usize) {
        self.slices.push(Edit::new(start, 0, "("));
        self.slices.push(Edit::new(self.tokens[at - 1].start, 1, "|measured__("));
        let mut depth = 0;
        for i in at..self.tokens.len() {
            let (token, empty) = (
                self.tokens[i],
                matches!(self.text(i - 1), "[" | ":") && (i == at || self.text(i - 1) == ":"),
            );
            match token.kind {
                Kind::Open => depth += 1,
                Kind::Close if depth == 0 => {
                    self.slices.push(Edit::new(token.start, 1, if empty { "none))" } else { "))" }));
                    return;
                }
                Kind::Close => depth -= 1,
                Kind::Sign if depth == 0 && self.text(i) == ":" => {
                    self.slices.push(Edit::new(token.start, 1, if empty { "none," } else { "," }));
                }
                Kind::Sign | Kind::Word | Kind::Number | Kind::Text => {}
            }
        }
    }

    fn step(&mut self, current: &mut Operand, at: usize, remove: usize, step: &str) {
        let text = if current.path { format!(", {step}") } else { format!("|path__({step}") };
        if !current.path {
            self.paths.push(Edit::new(current.start, 0, "("));
        }
        self.paths.push(Edit::new(at, remove, text));
        current.path = true;
    }

    fn end_path(&mut self, current: &mut Operand) {
        if current.path {
            self.paths.push(Edit::new(current.end, 0, "))"));
            current.path = false;
        }
    }

    fn end(&mut self, operand: Option<Operand>, next: &str) {
        let Some(mut operand) = operand else { return };
        self.end_path(&mut operand);
        if operand.minus && !operand.free {
            // The sign binds stronger than a filter.
            self.paths.push(Edit::new(operand.start, 0, "("));
            self.paths.push(Edit::new(operand.end, 0, "|factor__)"));
        }
        // `~` binds stronger than `+` and `-`, and less than the other signs that calculate.
        let stronger = |sign: u8| matches!(sign, b'*' | b'/' | b'%');
        let joined = operand.before == b'~' && !next.bytes().next().is_some_and(stronger)
            || next == "~" && !stronger(operand.before);
        let is_constant = operand.word && CONSTANTS.contains(&&self.source[operand.start..operand.end]);
        let filter = match operand {
            Operand { free: true, .. } if joined && is_constant => "|joined__",
            Operand { times, free: true, .. } if times || next == "*" => "|scalar__",
            Operand { free: true, .. } => return,
            Operand { times, .. } if times || next == "*" => "|factor__",
            Operand { .. } if joined => "|joined__",
            Operand { .. } => "|measured__",
        };
        self.measures.push((operand.start, Edit::new(operand.end, 0, filter)));
    }
}

/// An operand that can be anything.
fn operand_at(start: usize, end: usize) -> Operand {
    Operand {
        start,
        end,
        free: false,
        word: false,
        times: false,
        minus: false,
        before: 0,
        unsure: true,
        path: false,
        ended: false,
    }
}
