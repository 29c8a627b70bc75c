//! What calls of models cost, in whole numbers: a float would lose parts of what many calls come to.
//!
//! Money is counted in millionths of a unit, of the currency that the operator's prices are in. Which currency that is
//! nobody here knows.

use crate::call::Usage;
use serde::{Deserialize, Serialize};

/// A million: of tokens that a price is for, and of parts of a unit of money.
const MILLION: u64 = 1_000_000;
/// Digits behind the point of a price.
const DIGITS: usize = 6;

/// What a million tokens of a model cost, each in millionths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Of the prompt.
    pub input: u64,
    /// Of the answer.
    pub output: u64,
    /// Of the part of the prompt that the provider had kept from calls before.
    pub cached: u64,
}

/// Reads an amount as people write it, `2.5` or `10`, into millionths. Nothing for what is no amount, has more than six
/// digits behind its point, or is more than anybody pays.
pub fn amount(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
    let has_point = text.contains('.');
    if whole.is_empty() || has_point && part.is_empty() || part.len() > DIGITS {
        return None;
    }
    if !is_number(whole) || !is_number(part) {
        return None;
    }
    let part: u64 = format!("{part:0<DIGITS$}").parse().ok()?;
    let sum = whole.parse::<u64>().ok()?.checked_mul(MILLION)?.checked_add(part)?;
    (sum <= Usage::LIMIT).then_some(sum)
}

/// Writes millionths as people read them: with two digits behind the point, or as many more as it takes.
pub fn shown(micros: u64) -> String {
    let part = format!("{:0DIGITS$}", micros % MILLION);
    let digits = part.trim_end_matches('0').len().max(2);
    format!("{}.{}", micros / MILLION, &part[..digits])
}

// === impl Price ===

impl Price {
    /// Returns what a call costs, rounded to a millionth. Of the prompt `cached` tokens had been kept.
    pub fn of(&self, prompt: u64, cached: u64, completion: u64) -> u64 {
        let cached = cached.min(prompt);
        let part = |tokens: u64, price: u64| u128::from(tokens) * u128::from(price);
        let sum = part(prompt - cached, self.input)
            .saturating_add(part(cached, self.cached))
            .saturating_add(part(completion, self.output));
        let million = u128::from(MILLION);
        let rounded = sum.saturating_add(million / 2) / million;
        u64::try_from(rounded).unwrap_or(u64::MAX).min(Usage::LIMIT)
    }

    /// Returns the higher of each: what a call costs at most, whichever of the two models answers.
    #[must_use]
    pub fn or_higher(self, other: Self) -> Self {
        Self {
            input: self.input.max(other.input),
            output: self.output.max(other.output),
            cached: self.cached.max(other.cached),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_exactly_or_not_at_all() {
        for (text, micros) in [
            ("0", 0),
            ("10", 10_000_000),
            ("2.5", 2_500_000),
            ("0.15", 150_000),
            ("0.000001", 1),
            ("007.10", 7_100_000),
            ("9007199254.740992", Usage::LIMIT),
        ] {
            assert_eq!(amount(text), Some(micros), "{text}");
        }
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "1,5",
            "0.0000001",
            "1.2.3",
            " 1",
            "9007199254.740993",
            "99999999999999999999",
            "NaN",
        ] {
            assert_eq!(amount(text), None, "{text}");
        }
    }

    #[test]
    fn an_amount_is_shown_as_it_is_read() {
        for (micros, text) in
            [(0, "0.00"), (1, "0.000001"), (150_000, "0.15"), (2_500_000, "2.50"), (1_234_567, "1.234567")]
        {
            assert_eq!(shown(micros), text);
            assert_eq!(amount(text), Some(micros));
        }
    }

    #[test]
    fn a_call_costs_what_its_tokens_do() {
        let price = Price { input: 2_500_000, output: 10_000_000, cached: 1_250_000 };
        assert_eq!(price.of(0, 0, 0), 0);
        assert_eq!(price.of(1000, 0, 100), 3500);
        // What the provider had kept is cheaper, and is a part of the prompt.
        assert_eq!(price.of(1000, 400, 100), 1500 + 500 + 1000);
        assert_eq!(price.of(10, 99, 0), 13, "12.5, and no more is cached than there is");
        // 0.1 and 0.2 a million have no exact float.
        let small = Price { input: 100_000, output: 200_000, cached: 0 };
        assert_eq!((0..3).map(|_| small.of(10, 0, 10)).sum::<u64>(), 9);
        assert_eq!(small.of(4, 0, 0), 0, "0.4 of a millionth");
        assert_eq!(small.of(5, 0, 0), 1, "half of a millionth");
        let most = Price { input: u64::MAX, output: u64::MAX, cached: u64::MAX };
        assert_eq!(most.of(u64::MAX, 0, u64::MAX), Usage::LIMIT);
    }

    #[test]
    fn the_highest_price_of_a_chain_is_the_higher_of_each() {
        let one = Price { input: 1, output: 9, cached: 3 };
        let other = Price { input: 5, output: 2, cached: 1 };
        assert_eq!(one.or_higher(other), Price { input: 5, output: 9, cached: 3 });
    }
}
