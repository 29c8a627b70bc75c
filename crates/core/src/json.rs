//! JSON from outside, counted while it is read: [`read`] builds a value, [`check`] only looks and takes no memory,
//! [`from_slice`] reads a type of ours after a look. What is too much is refused before it is built.
//!
//! A value in memory is up to a hundred times as large as its text (`[[],[],…]`), so a bound on bytes alone protects
//! nobody. Every list, object, key and scalar counts as one. The caller bounds the bytes: when they are here, they
//! have taken their memory already.

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};
use std::{cell::Cell, fmt};

/// What one document may have, unless its reader says otherwise: as many values as a YAML document has nodes.
pub const VALUES: usize = 250_000;
/// The deepest that can be read at all: one less than the parser itself bears, so that it is told as what it is.
pub const DEPTH: usize = 126;

/// How much a document may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Lists, objects, keys and scalars.
    pub values: usize,
    /// Levels of lists and objects; never more than [`DEPTH`].
    pub depth: usize,
    /// Whether an object may name a key twice; the last one counts then.
    pub repeated_keys: bool,
}

/// Why a text was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("it has more than {0} values; lists, objects, keys and scalars count")]
    TooMany(usize),
    #[error("it is nested deeper than {0} levels")]
    TooDeep(usize),
    #[error("{message} (line {line}, column {column})")]
    Syntax { line: usize, column: usize, message: String },
}

/// Builds the value that `bytes` stand for. Errs before it takes more memory than `limits` allow.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Value, Error> {
    walk(bytes, limits, true)
}

/// Counts what `bytes` stand for, and builds nothing. Errs as `read` does.
pub fn check(bytes: &[u8], limits: &Limits) -> Result<(), Error> {
    walk(bytes, limits, false).map(drop)
}

/// Reads a type of ours, once the text is known to be within `limits`. Errs as `read` does, or if the type has other
/// fields.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8], limits: &Limits) -> Result<T, Error> {
    if !is_small(bytes, limits) {
        check(bytes, limits)?;
    }
    serde_json::from_slice(unmarked(bytes)).map_err(|e| Error::syntax(&e))
}

/// Leaves out the byte order mark with which some programs begin a text; RFC 8259 (8.1) lets a reader ignore it.
fn unmarked(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes)
}

/// Whether a text is within the limits whatever it says, because it has fewer bytes and brackets than they allow.
/// Most are, and need not be counted.
fn is_small(bytes: &[u8], limits: &Limits) -> bool {
    let opens = || bytes.iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
    limits.repeated_keys && bytes.len() <= limits.values && opens() <= limits.depth.min(DEPTH)
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self { values: VALUES, depth: DEPTH, repeated_keys: true }
    }
}

// === impl Error ===

impl Error {
    /// Stable, for programs: `too_many_values`, `too_deep`, `syntax`.
    pub fn code(&self) -> &'static str {
        match self {
            Error::TooMany(_) => "too_many_values",
            Error::TooDeep(_) => "too_deep",
            Error::Syntax { .. } => "syntax",
        }
    }

    fn syntax(e: &serde_json::Error) -> Self {
        let message = e.to_string();
        // The place is in fields of its own.
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        Error::Syntax { line: e.line(), column: e.column(), message }
    }
}

// === the walk ===

/// Reads a text value by value. `keep` says whether the value is built.
fn walk(bytes: &[u8], limits: &Limits, keep: bool) -> Result<Value, Error> {
    let count = Count { limits, left: Cell::new(limits.values), over: Cell::new(None) };
    let mut reader = serde_json::Deserializer::from_slice(unmarked(bytes));
    let found = Counted { count: &count, depth: 0, keep }.deserialize(&mut reader);
    // What stands behind the value is a mistake, too.
    let read = found.and_then(|value| reader.end().map(|()| value));
    read.map_err(|e| count.over.take().unwrap_or_else(|| Error::syntax(&e)))
}

/// What is left of the limits.
struct Count<'l> {
    limits: &'l Limits,
    left: Cell<usize>,
    /// Which limit ended the walk; the parser's own error can't carry it.
    over: Cell<Option<Error>>,
}

impl Count<'_> {
    /// Counts one value or key.
    fn one<E: serde::de::Error>(&self) -> Result<(), E> {
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(self.stop(Error::TooMany(self.limits.values))),
        }
    }

    /// Remembers which limit ended the walk, and makes an error that ends the parser.
    fn stop<E: serde::de::Error>(&self, error: Error) -> E {
        let e = E::custom(&error);
        self.over.set(Some(error));
        e
    }
}

/// The next value, to be counted.
#[derive(Clone, Copy)]
struct Counted<'c, 'l> {
    count: &'c Count<'l>,
    depth: usize,
    keep: bool,
}

impl Counted<'_, '_> {
    /// Goes one level deeper.
    fn inside<E: serde::de::Error>(self) -> Result<Self, E> {
        let most = self.count.limits.depth.min(DEPTH);
        if self.depth >= most {
            return Err(self.count.stop(Error::TooDeep(most)));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Counted<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.count.one()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Counted<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(if self.keep { v.into() } else { Value::Null })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inside)? {
            if self.keep {
                items.push(item);
            }
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut map = Map::new();
        // Keys need not be kept, so nothing is built at all.
        if !self.keep && self.count.limits.repeated_keys {
            while access.next_key::<IgnoredAny>()?.is_some() {
                self.count.one()?;
                access.next_value_seed(inside)?;
            }
            return Ok(Value::Null);
        }
        // Without `keep` the keys are kept nevertheless, to find one that comes twice.
        while let Some(Key(key)) = access.next_key()? {
            self.count.one()?;
            let value = access.next_value_seed(inside)?;
            if !self.count.limits.repeated_keys && map.contains_key(&key) {
                return Err(A::Error::custom(format!("duplicate key `{key}`")));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// A key; a name of its own keeps `String`'s error for what is no text.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn small() -> Limits {
        Limits { values: 10, depth: 3, ..Limits::default() }
    }

    #[test]
    fn a_text_is_read_as_serde_reads_it() {
        for text in ["null", "[1,-2,3.5,\"ä\\n\",true,{\"b\":[],\"a\":{}}]", "  {\"a\":1} \n", "1e3", "\"\""]
        {
            let expected: Value = serde_json::from_str(text).expect("JSON");
            assert_eq!(read(text.as_bytes(), &Limits::default()), Ok(expected), "{text}");
            assert_eq!(check(text.as_bytes(), &Limits::default()), Ok(()), "{text}");
        }
        assert_eq!(read(b"{\"a\":1,\"a\":2}", &small()), Ok(json!({"a": 2})));
        let unique = Limits { repeated_keys: false, ..small() };
        for found in [read(b"{\"a\":1,\"a\":2}", &unique).map(drop), check(b"{\"a\":1,\"a\":2}", &unique)] {
            let error = found.expect_err("a key twice");
            assert!(error.to_string().starts_with("duplicate key `a`"), "{error}");
        }
    }

    #[test]
    fn a_mark_at_the_beginning_is_no_part_of_the_text() {
        let marked = |text: &str| format!("\u{feff}{text}").into_bytes();
        assert_eq!(read(&marked("{\"a\": 1}"), &small()).unwrap(), serde_json::json!({"a": 1}));
        assert_eq!(from_slice::<Vec<u8>>(&marked("[1]"), &small()).unwrap(), [1]);
        // Only one, and only there.
        assert!(read(&marked("\u{feff}1"), &small()).is_err() && read(b"1\xef\xbb\xbf", &small()).is_err());
        assert_eq!(read(&marked("\"\u{feff}\""), &small()).unwrap(), "\u{feff}");
    }

    #[test]
    fn lists_objects_keys_and_scalars_count() {
        for (text, fits) in [
            ("[1,2,3,4,5,6,7,8,9]", true),
            ("[1,2,3,4,5,6,7,8,9,10]", false),
            ("[[],[],[],[],[],[],[],[],[]]", true),
            ("[[],[],[],[],[],[],[],[],[],[]]", false),
            ("{\"a\":1,\"b\":2,\"c\":3,\"d\":4}", true),
            ("{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5}", false),
            ("{\"a\":1,\"a\":2,\"a\":3,\"a\":4,\"a\":5}", false),
        ] {
            let expected = if fits { Ok(()) } else { Err(Error::TooMany(10)) };
            assert_eq!(read(text.as_bytes(), &small()).map(drop), expected, "{text}");
            assert_eq!(check(text.as_bytes(), &small()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_too_deep_is_refused_as_that() {
        assert_eq!(check(b"[[[1]]]", &small()), Ok(()));
        assert_eq!(check(b"[{\"a\":[{}]}]", &small()), Err(Error::TooDeep(3)));
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert_eq!(check(deep(DEPTH).as_bytes(), &Limits::default()), Ok(()));
        assert_eq!(
            check(deep(100_000).as_bytes(), &Limits { depth: 1_000, ..Limits::default() }),
            Err(Error::TooDeep(DEPTH))
        );
    }

    #[test]
    fn what_is_no_json_says_where() {
        for text in ["", "{", "[1,]", "1 2", "{1:2}", "nul", "\"\\ud800\"", "[1e999]"] {
            let error = read(text.as_bytes(), &Limits::default()).expect_err(text);
            assert!(matches!(error, Error::Syntax { line: 1, .. }), "{text}: {error:?}");
            assert_eq!(
                check(text.as_bytes(), &Limits::default()).expect_err(text).code(),
                "syntax",
                "{text}"
            );
        }
        assert!(read(b"\"\xff\"", &Limits::default()).is_err(), "not UTF-8");
    }

    #[test]
    fn what_is_refused_takes_no_memory_worth_the_name() {
        // 16 MB of `[],`: built, they would be half a gigabyte.
        let bomb = format!("[{}[]]", "[],".repeat(5_000_000));
        let start = std::time::Instant::now();
        assert_eq!(read(bomb.as_bytes(), &Limits::default()), Err(Error::TooMany(VALUES)));
        assert!(start.elapsed() < std::time::Duration::from_secs(2), "it ends at the limit");
    }

    #[test]
    fn a_type_of_ours_is_read_after_the_look() {
        #[derive(Debug, serde::Deserialize, PartialEq)]
        struct Body {
            input: Value,
        }
        assert_eq!(from_slice::<Body>(b"{\"input\":[1]}", &small()), Ok(Body { input: json!([1]) }));
        assert!(matches!(from_slice::<Body>(b"{}", &small()), Err(Error::Syntax { .. })));
        assert_eq!(from_slice::<Body>(b"{\"input\":[1,2,3,4,5,6,7,8]}", &small()), Err(Error::TooMany(10)));
        // Few bytes, and nested too deep all the same.
        assert_eq!(from_slice::<Value>(b"[[[[]]]]", &small()), Err(Error::TooDeep(3)));
    }
}
