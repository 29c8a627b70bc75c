//! What models cost, as the operator says it. A model that nobody has priced has none: its calls cost an unknown amount,
//! which is not nothing.

use callboard_core::{
    agent::{message::ModelReply, spec::Spec},
    price::{Price, amount},
};
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use std::{collections::BTreeMap, fmt};

/// What a million tokens of a model cost, as the settings have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Tariff {
    pub input: Amount,
    pub output: Amount,
    /// Of the part of a prompt that the provider had kept; as the rest of it, where it is not said.
    #[serde(default)]
    pub cached: Option<Amount>,
}

/// An amount of money in millionths, read exactly: `"2.50"`, `2.5`, `10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount(pub u64);

/// The prices of models, by their names as agents say them, or by the beginning of a name and `*`.
#[derive(Debug, Clone, Default)]
pub struct Prices(BTreeMap<String, Tariff>);

// === impl Prices ===

impl Prices {
    pub fn new(tariffs: BTreeMap<String, Tariff>) -> Self {
        Self(tariffs)
    }

    /// Returns what a model costs: what is said of its name, else of the longest beginning of it.
    pub fn of(&self, model: &str) -> Option<Price> {
        let begins = |(name, tariff)| match str::strip_suffix(name, "*") {
            Some(head) if model.starts_with(head) => Some((head.len(), tariff)),
            Some(_) | None => None,
        };
        let longest = || self.0.iter().map(|(name, tariff)| (name.as_str(), tariff)).filter_map(begins);
        let tariff = self.0.get(model).or_else(|| Some(longest().max_by_key(|(length, _)| *length)?.1));
        tariff.map(|tariff| tariff.price())
    }

    /// Returns the highest price of an agent's models, whichever of them answers. Errs with a model that has none.
    pub fn highest<'a>(&self, spec: &'a Spec) -> Result<Price, &'a str> {
        let chain = std::iter::once(&spec.model).chain(&spec.fallback_models);
        let mut highest = Price::default();
        for model in chain {
            highest = highest.or_higher(self.of(model).ok_or(model.as_str())?);
        }
        Ok(highest)
    }

    /// Writes into a reply of a model what it costs.
    pub(super) fn charge(&self, model: &str, reply: &mut ModelReply) {
        let Some(price) = self.of(model) else { return };
        let usage = &mut reply.usage;
        usage.priced = 1;
        usage.cost = price.of(usage.prompt_tokens, reply.cached, usage.completion_tokens);
    }
}

// === impl Tariff ===

impl Tariff {
    fn price(&self) -> Price {
        let cached = self.cached.unwrap_or(self.input).0;
        Price { input: self.input.0, output: self.output.0, cached }
    }
}

// === impl Amount ===

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;

        impl Visitor<'_> for Written {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount like 2.5, with at most six digits behind its point")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Amount, E> {
                amount(text)
                    .map(Amount)
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }

            fn visit_u64<E: Error>(self, whole: u64) -> Result<Amount, E> {
                self.visit_str(&whole.to_string())
            }

            fn visit_i64<E: Error>(self, whole: i64) -> Result<Amount, E> {
                self.visit_str(&whole.to_string())
            }

            // The shortest text that means the same float is the one that was written.
            fn visit_f64<E: Error>(self, float: f64) -> Result<Amount, E> {
                self.visit_str(&float.to_string())
            }
        }

        deserializer.deserialize_any(Written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn prices() -> Prices {
        let tariffs = json!({
            "gpt-4": {"input": 30, "output": "60.00"},
            "gpt-4*": {"input": 2.5, "output": 10, "cached": 1.25},
            "local/*": {"input": 0, "output": 0},
            "*": {"input": 0.1, "output": 0.2},
        });
        Prices::new(serde_json::from_value(tariffs).expect("prices"))
    }

    fn price(input: u64, output: u64, cached: u64) -> Option<Price> {
        Some(Price { input, output, cached })
    }

    #[test]
    fn a_name_goes_before_its_beginnings_and_a_long_beginning_before_a_short_one() {
        let prices = prices();
        assert_eq!(prices.of("gpt-4"), price(30_000_000, 60_000_000, 30_000_000));
        assert_eq!(prices.of("gpt-4o-mini"), price(2_500_000, 10_000_000, 1_250_000));
        assert_eq!(prices.of("local/gpt-4"), price(0, 0, 0));
        assert_eq!(prices.of("o3"), price(100_000, 200_000, 100_000), "0.1 and 0.2 as they are written");
        assert_eq!(Prices::default().of("gpt-4"), None);
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for wrong in [json!(-1), json!(1e-7), json!("1e3"), json!(null), json!("a lot"), json!(1e300)] {
            let tariff = json!({"input": wrong, "output": 1});
            assert!(serde_json::from_value::<Tariff>(tariff).is_err(), "{wrong}");
        }
        assert!(serde_json::from_value::<Tariff>(json!({"input": 1})).is_err(), "half a price");
    }

    #[test]
    fn the_highest_price_of_an_agent_needs_all_of_them() {
        let mut known = prices().0;
        known.remove("*");
        let prices = Prices::new(known);
        let agent = |model: &str, others: &[&str]| Spec {
            model: model.to_owned(),
            fallback_models: others.iter().map(|&name| name.to_owned()).collect(),
            ..Spec::default()
        };
        let both = agent("gpt-4o", &["gpt-4"]);
        assert_eq!(prices.highest(&both).ok(), price(30_000_000, 60_000_000, 30_000_000));
        assert_eq!(prices.highest(&agent("gpt-4", &["local/a", "o3"])), Err("o3"));
    }
}
