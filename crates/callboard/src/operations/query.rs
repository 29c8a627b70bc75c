//! Reads the fields of a query as types of ours, and finds all mistakes at once, as `request` does with bodies.
//!
//! A type says of each of its fields how its text is read. What is wrong is gathered, so that whoever gave three wrong fields is
//! told of three. Fields nobody knows are not looked at: proxies add some.

use super::Refusal;
use callboard_core::Problem;
use serde::de::{
    DeserializeOwned,
    value::{Error as NoWord, StrDeserializer},
};
use std::str::FromStr;

/// What is asked for in a query.
pub trait Query: Sized {
    /// Reads its fields. What it returns counts only where nothing was wrong.
    fn read(fields: &mut Fields<'_>) -> Self;
}

/// The fields of a query, and what is wrong with those that were read.
pub struct Fields<'a> {
    given: &'a [(String, String)],
    problems: Vec<Problem>,
}

/// Reads a query, or says everything that is wrong with it.
pub fn query<T: Query>(given: &[(String, String)]) -> Result<T, Refusal> {
    let mut fields = Fields { given, problems: Vec::new() };
    let read = T::read(&mut fields);
    match fields.problems.is_empty() {
        true => Ok(read),
        false => Err(Refusal::malformed_query(fields.problems)),
    }
}

// === impl Query ===

impl<A: Query, B: Query> Query for (A, B) {
    fn read(fields: &mut Fields<'_>) -> Self {
        (A::read(fields), B::read(fields))
    }
}

impl<A: Query, B: Query, C: Query> Query for (A, B, C) {
    fn read(fields: &mut Fields<'_>) -> Self {
        (A::read(fields), B::read(fields), C::read(fields))
    }
}

// === impl Fields ===

impl Fields<'_> {
    /// Returns a field that may be given once. `read` says what it has to be like.
    pub fn one<T>(&mut self, name: &'static str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let mut given = self.given.iter().filter(|(field, _)| field == name);
        let (_, text) = given.next()?;
        if given.next().is_some() {
            self.wrong(name, "is given twice");
        }
        read(text).map_err(|message| self.wrong(name, message)).ok()
    }

    /// Returns a field that may be given several times.
    pub fn all<T>(&mut self, name: &'static str, read: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let texts = self.given.iter().filter(|(field, _)| field == name).map(|(_, text)| read(text));
        let (mut found, mut wrong) = (Vec::new(), Vec::new());
        texts.for_each(|text| match text {
            Ok(value) => found.push(value),
            Err(message) => wrong.push(message),
        });
        wrong.into_iter().for_each(|message| self.wrong(name, message));
        found
    }

    pub fn text(&mut self, name: &'static str) -> Option<String> {
        self.one(name, |text| Ok(text.to_owned()))
    }

    pub fn number<T: FromStr>(&mut self, name: &'static str) -> Option<T> {
        self.one(name, |text| text.parse().map_err(|_| "must be a number that is not negative".to_owned()))
    }

    /// Returns a field that says yes or no.
    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        self.one(name, |text| text.parse().map_err(|_| "must be true or false".to_owned()))
    }

    /// Returns a field that is one of some words.
    pub fn word<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        self.one(name, word)
    }

    /// Notes what is wrong with a field.
    pub fn wrong(&mut self, name: &'static str, message: impl Into<String>) {
        self.problems.push(Problem::new(name, "invalid", message));
    }
}

/// Reads one of the words that a type of ours is written as.
pub fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    T::deserialize(StrDeserializer::<NoWord>::new(text)).map_err(|error| {
        let error = error.to_string();
        // What was given is not repeated: it may be long.
        error.rsplit_once(", expected ").map_or(error.clone(), |(_, words)| format!("must be {words}"))
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Changes, Filter, Page, UsageAsked, Which};
    use super::*;

    /// Reads a query as it stands in an address.
    fn wrong<T: Query>(text: &str) -> Vec<String> {
        let field = |field: &str| field.split_once('=').map(|(name, text)| (name.into(), text.into()));
        let fields: Vec<(String, String)> = text.split('&').filter_map(field).collect();
        let refusal = query::<T>(&fields).err().expect("mistakes");
        assert_eq!(refusal.code, "invalid_query");
        refusal.problems.expect("problems").iter().map(|problem| problem.path.clone()).collect()
    }

    #[test]
    fn every_mistake_of_a_query_is_found() {
        let all = "limit=0&from=yesterday&to=2&order=cost&text=--&at=1&limit=3";
        assert_eq!(wrong::<(Page, Filter)>(all), ["limit", "limit", "from", "to", "at", "text", "order"],);
        assert_eq!(
            wrong::<(Page, UsageAsked)>("limit=x&by=cost&by=price&from=2026-13-01"),
            ["limit", "from", "by", "by"]
        );
        assert_eq!(
            wrong::<(Page, Changes, Which)>("limit=1001&status=done&generation=-1"),
            ["limit", "status", "generation"]
        );
    }

    #[test]
    fn a_word_that_is_none_of_them_is_told_which_there_are() {
        let fields = [("status".to_owned(), "x".repeat(5000))];
        let refusal = query::<Which>(&fields).expect_err("a mistake");
        let problem = &refusal.problems.expect("problems")[0];
        assert!(problem.message.starts_with("must be one of `pending`"), "{problem}");
        assert!(problem.message.len() < 300, "{problem}");
    }
}
