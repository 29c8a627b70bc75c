//! What is looked for: each value as it is, in base64 and in hexadecimal; and where a text spells one of them.
//!
//! One pass over the text finds where the first bytes of some pattern are spelled: sets of states, one bit for each of
//! these bytes, move along the edges of the text (Shift-And over a graph). Whether the rest follows is looked at only
//! there. Where no pattern is under way, a table of two bytes says whether one may begin. So the work is linear in the
//! text, whatever is in it, and little where there is nothing.

use super::spelled::{self, LONGEST, edges};
use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use std::{collections::BTreeSet, ops::Range};
use zeroize::Zeroizing;

/// So many bytes of a pattern are found by the pass: a state is a bit.
const PREFIX: usize = 8;
/// Edges end within so many slots.
const SLOTS: usize = LONGEST + 8;
/// Shorter encoded pieces would tear ordinary texts apart.
const SHORTEST_PIECE: usize = 6;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    /// With `+/` or `-_`, and broken into lines.
    Base64,
    /// In both cases, and with signs between.
    Hex,
}

struct Pattern {
    kind: Kind,
    bytes: Zeroizing<Vec<u8>>,
    /// The last state of the prefix.
    last: u8,
    /// States that stay where a sign comes that is skipped.
    stay: u8,
}

/// Everything that is looked for.
pub(super) struct Patterns {
    patterns: Vec<Pattern>,
    /// By pattern and byte: the states that the byte leads to.
    accepts: Vec<u8>,
    /// By byte: the patterns that it may begin.
    begins: Vec<Vec<u16>>,
    /// By two bytes: whether some pattern may begin with them.
    pairs: Vec<bool>,
    /// Whether some pattern begins beyond ASCII.
    high: bool,
    shortest: usize,
    longest: usize,
    /// Some pattern could stand in a number.
    pub numeric: bool,
}

/// The pass over one text after the other; its memory is used again.
pub(super) struct Scan<'p> {
    of: &'p Patterns,
    /// Patterns under way at a place, each with its states; none until a text may spell something.
    slots: Vec<Vec<(u16, u8)>>,
}

// === impl Pattern ===

impl Pattern {
    fn new(kind: Kind, bytes: Zeroizing<Vec<u8>>) -> Self {
        let prefix = bytes.len().min(PREFIX);
        // What follows the whole pattern does not belong to it.
        let inner = if bytes.len() > PREFIX { prefix } else { prefix.saturating_sub(1) };
        Self { kind, last: 1 << (prefix.max(1) - 1), stay: ((1u16 << inner) - 1) as u8, bytes }
    }

    fn accepts(&self, at: usize, byte: u8) -> bool {
        let own = self.bytes[at];
        match self.kind {
            Kind::Text => own == byte,
            Kind::Base64 => own == byte || matches!((own, byte), (b'+', b'-') | (b'/', b'_')),
            Kind::Hex => own == byte.to_ascii_lowercase(),
        }
    }

    fn skips(&self, byte: u8) -> bool {
        match self.kind {
            Kind::Text => false,
            Kind::Base64 => is_space(byte),
            Kind::Hex => is_space(byte) || matches!(byte, b':' | b'-' | b','),
        }
    }

    /// Whether a path from `at` can begin the pattern at all.
    fn may_begin(&self, text: &[u8], at: usize) -> bool {
        text.get(at).is_some_and(|byte| self.accepts(0, *byte) || spelled::is_starter(*byte))
    }

    /// Steps over `bytes` from state `at`; returns the state after them.
    fn step(&self, at: usize, bytes: &[u8]) -> Option<usize> {
        if let [byte] = bytes
            && at > 0
            && self.skips(*byte)
        {
            return Some(at);
        }
        bytes
            .iter()
            .try_fold(at, |at, byte| (at < self.bytes.len() && self.accepts(at, *byte)).then_some(at + 1))
    }

    /// Walks all paths from `at` in state `state` to the end of the pattern, or until it is in state `until.1` at
    /// `until.0`. Returns where it ends, if it does; nothing where the text ended before it was known.
    fn walk(
        &self,
        text: &[u8],
        at: usize,
        state: usize,
        until: Option<(usize, usize)>,
    ) -> Option<Option<usize>> {
        let mut open = vec![(at, state)];
        let mut seen = BTreeSet::new();
        let mut unknown = false;
        let mut end = None;
        while let Some((mut at, mut state)) = open.pop() {
            loop {
                if until.map_or(state == self.bytes.len(), |until| until == (at, state)) {
                    end = end.max(Some(at));
                    break;
                }
                if until.is_some_and(|(to, most)| at >= to || state > most) {
                    break;
                }
                let Some(&byte) = text.get(at) else {
                    unknown = true;
                    break;
                };
                if spelled::is_starter(byte) {
                    // An escape may be cut off.
                    unknown |=
                        text.len() - at < 12 && matches!(byte, b'%' | b'\\' | b'&' | b'=' | b'\'' | b'"');
                    edges(text, at, &mut |edge| {
                        if let Some(next) = self.step(state, edge.bytes())
                            && seen.insert((edge.to, next))
                        {
                            open.push((edge.to, next));
                        }
                    });
                }
                let Some(next) = self.step(state, &[byte]) else { break };
                (at, state) = (at + 1, next);
            }
            if end.is_some() && until.is_some() {
                break;
            }
        }
        if end.is_none() && unknown { None } else { Some(end) }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

// === impl Patterns ===

impl Patterns {
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut patterns = Vec::new();
        let mut add = |kind, bytes| patterns.push(Pattern::new(kind, bytes));
        let mut numeric = false;
        for value in values {
            numeric |=
                value.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
            add(Kind::Text, Zeroizing::new(value.as_bytes().to_vec()));
            // What was not UTF-8 on its way: a character of Latin-1, or bytes of UTF-8 torn apart.
            if !value.is_ascii() {
                let lost = |times: fn(char) -> usize| -> String {
                    let lose = |c: char| if c.is_ascii() { c.into() } else { "\u{fffd}".repeat(times(c)) };
                    value.chars().map(lose).collect()
                };
                for lost in [lost(|_| 1), lost(char::len_utf8)] {
                    // Nearly nothing of the value may be left in it.
                    if lost.bytes().filter(u8::is_ascii).count() >= SHORTEST_PIECE {
                        add(Kind::Text, Zeroizing::new(lost.into_bytes()));
                    }
                }
            }
            let latin: Option<Vec<u8>> = value.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
            let latin = latin.filter(|_| !value.is_ascii()).map(Zeroizing::new);
            for bytes in [Some(value.as_bytes()), latin.as_ref().map(|l| l.as_slice())].into_iter().flatten()
            {
                add(Kind::Hex, hex(bytes, ""));
                add(Kind::Hex, hex(bytes, "0x"));
                base64(bytes).into_iter().for_each(|piece| add(Kind::Base64, piece));
            }
        }
        // More could not be numbered; nobody has that many secrets.
        patterns.truncate(usize::from(u16::MAX));
        let mut this = Self {
            accepts: vec![0; 256 * patterns.len()],
            begins: vec![Vec::new(); 256],
            pairs: vec![false; 1 << 16],
            high: patterns.iter().any(|p: &Pattern| !p.bytes[0].is_ascii()),
            shortest: patterns.iter().map(|p| characters(&p.bytes)).min().unwrap_or(usize::MAX),
            longest: patterns.iter().map(|p| p.bytes.len()).max().unwrap_or(0),
            numeric,
            patterns,
        };
        for (i, pattern) in this.patterns.iter().enumerate() {
            for byte in 0..=255u8 {
                let states = (0..pattern.bytes.len().min(PREFIX)).filter(|at| pattern.accepts(*at, byte));
                let states = states.fold(0, |states, at| states | 1 << at);
                this.accepts[i * 256 + usize::from(byte)] = states;
                if states & 1 == 0 {
                    continue;
                }
                this.begins[usize::from(byte)].push(i as u16);
                for next in 0..=255u8 {
                    let follows =
                        pattern.accepts(1, next) || pattern.skips(next) || spelled::is_starter(next);
                    this.pairs[usize::from(byte) << 8 | usize::from(next)] |= follows;
                }
            }
        }
        this
    }

    /// Whether some pattern may begin here, as it is.
    fn begins(&self, text: &[u8], at: usize) -> bool {
        let next = text.get(at + 1).copied().unwrap_or_default();
        self.pairs[usize::from(text[at]) << 8 | usize::from(next)]
    }

    /// Whether some pattern may begin here, spelled in another way.
    fn spells(&self, byte: u8) -> bool {
        spelled::is_starter(byte) && (self.high || byte < 0x80)
    }

    pub fn scan(&self) -> Scan<'_> {
        Scan { of: self, slots: Vec::new() }
    }

    /// Returns from where on the end of a text may be the beginning of a pattern.
    pub fn open_end(&self, text: &[u8]) -> usize {
        let from = text.len().saturating_sub(self.longest.saturating_mul(12).min(16 << 10));
        let begins = |at: usize| {
            let open = |p: &&Pattern| p.may_begin(text, at) && p.walk(text, at, 0, None).is_none();
            self.patterns.iter().any(|pattern| open(&pattern))
        };
        (from..text.len()).find(|at| begins(*at)).unwrap_or(text.len())
    }
}

// === impl Scan ===

impl Scan<'_> {
    /// Returns where the text spells a pattern, in order and apart from each other.
    pub fn find(&mut self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let of = self.of;
        if text.len() < of.shortest {
            return found;
        }
        let Some(first) = (0..text.len()).find(|at| of.begins(text, *at) || of.spells(text[*at])) else {
            return found;
        };
        self.slots.resize(SLOTS, Vec::new());
        for at in first..text.len() {
            let byte = text[at];
            let begins = of.begins(text, at);
            let idle = self.slots[at % SLOTS].is_empty();
            let starter = if idle { of.spells(byte) } else { spelled::is_starter(byte) };
            if idle && !begins && !starter {
                continue;
            }
            let states = std::mem::take(&mut self.slots[at % SLOTS]);
            self.step(text, &states, begins, &[byte], at + 1, &mut found);
            if starter {
                edges(text, at, &mut |edge| {
                    self.step(text, &states, true, edge.bytes(), edge.to, &mut found)
                });
            }
            // The memory is used again.
            let mut states = states;
            states.clear();
            self.slots[at % SLOTS] = states;
        }
        self.slots.iter_mut().for_each(Vec::clear);
        merged(found)
    }

    /// Moves states along an edge, and begins patterns there.
    fn step(
        &mut self,
        text: &[u8],
        states: &[(u16, u8)],
        begins: bool,
        bytes: &[u8],
        to: usize,
        found: &mut Vec<Range<usize>>,
    ) {
        let of = self.of;
        let Some((&first, others)) = bytes.split_first() else {
            // Nothing is meant here.
            states.iter().for_each(|(pattern, states)| self.enter(text, *pattern, *states, to, found));
            return;
        };
        let on = |pattern: u16, states: u8, byte: u8| {
            states << 1 & of.accepts[usize::from(pattern) << 8 | usize::from(byte)]
        };
        let rest =
            |pattern: u16, states: u8| others.iter().fold(states, |states, byte| on(pattern, states, *byte));
        for (pattern, states) in states {
            let mut after = rest(*pattern, on(*pattern, *states, first));
            let of_it = &of.patterns[usize::from(*pattern)];
            if others.is_empty() && states & of_it.stay != 0 && of_it.skips(first) {
                after |= states & of_it.stay;
            }
            self.enter(text, *pattern, after, to, found);
        }
        if begins {
            for pattern in &of.begins[usize::from(first)] {
                self.enter(text, *pattern, rest(*pattern, 1), to, found);
            }
        }
    }

    fn enter(&mut self, text: &[u8], pattern: u16, states: u8, at: usize, found: &mut Vec<Range<usize>>) {
        if states == 0 {
            return;
        }
        let slot = &mut self.slots[at % SLOTS];
        let fresh = match slot.iter_mut().find(|(other, _)| *other == pattern) {
            Some((_, all)) => {
                let fresh = states & !*all;
                *all |= states;
                fresh
            }
            None => {
                slot.push((pattern, states));
                states
            }
        };
        let pattern = &self.of.patterns[usize::from(pattern)];
        if fresh & pattern.last != 0 {
            hit(text, pattern, at, found);
        }
    }
}

/// The first bytes of a pattern end at `at`: looks whether the others follow, and where it began.
fn hit(text: &[u8], pattern: &Pattern, at: usize, found: &mut Vec<Range<usize>>) {
    let prefix = pattern.bytes.len().min(PREFIX);
    let Some(Some(mut end)) = pattern.walk(text, at, prefix, None) else { return };
    let begins = |from: &usize| {
        pattern.may_begin(text, *from) && pattern.walk(text, *from, 0, Some((at, prefix))) == Some(Some(at))
    };
    let least = at.saturating_sub(prefix * LONGEST);
    let Some(mut start) = (least..at).rev().find(begins) else { return };
    // An escape may begin before what it stands for: `\"` and `"` are both a quote.
    while let Some(before) = (start.saturating_sub(LONGEST / 4).max(least)..start).rev().find(begins) {
        start = before;
    }
    if pattern.kind == Kind::Base64 {
        // The characters at its ends are shared with its neighbours.
        let of_base64 = |at: usize| {
            text.get(at).is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_'))
        };
        start -= usize::from(start > 0 && of_base64(start - 1));
        end += usize::from(of_base64(end));
        for _ in 0..2 {
            end += usize::from(text.get(end) == Some(&b'='));
        }
    }
    found.push(start..end);
}

/// Returns how many characters a text has; in Latin-1 it has as many bytes.
fn characters(utf8: &[u8]) -> usize {
    utf8.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

fn merged(mut found: Vec<Range<usize>>) -> Vec<Range<usize>> {
    found.sort_by_key(|range| range.start);
    let mut out: Vec<Range<usize>> = Vec::new();
    for range in found {
        match out.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

/// Two digits a byte, each after `prefix`.
fn hex(bytes: &[u8], prefix: &str) -> Zeroizing<Vec<u8>> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = Zeroizing::new(Vec::with_capacity(bytes.len() * (2 + prefix.len())));
    for byte in bytes {
        out.extend_from_slice(prefix.as_bytes());
        out.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    out
}

/// Base64 as it stands inside a longer encoded text (`user:password`): it depends on where the value begins, and
/// the characters at its ends are shared with its neighbours.
fn base64(bytes: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let encoded = |offset: usize| {
        let mut padded = Zeroizing::new(vec![0; offset]);
        padded.extend_from_slice(bytes);
        let text = Zeroizing::new(BASE64_STANDARD_NO_PAD.encode(&*padded));
        let start = [0, 2, 3][offset];
        let end = if padded.len().is_multiple_of(3) { text.len() } else { text.len() - 1 };
        text.as_bytes().get(start..end).map(|piece| Zeroizing::new(piece.to_vec()))
    };
    (0..3).filter_map(encoded).filter(|piece| piece.len() >= SHORTEST_PIECE).collect()
}
