//! The mutant table: each rule of the protocol switched off in turn must be caught, or is listed as masked.

use crate::campaign;
use callboard_actors::mutant::Rule;

/// Rules whose loss other rules make up for, and how it would show.
const MASKED: &[(Rule, &str)] = &[];

pub fn named(name: &str) -> Rule {
    let found = Rule::ALL.iter().find(|rule| format!("{rule:?}") == name);
    *found.unwrap_or_else(|| panic!("there is no mutant {name}; there is {:?}", Rule::ALL))
}

/// Runs the table. Returns whether every mutant was caught or is known to be masked.
pub fn table(modes: &[bool], most: u64, only: Option<&str>) -> bool {
    let only = only.map(named);
    let mut survived = Vec::new();
    let mut caught = 0;
    println!("{:<48} caught as (seeds needed)", "rule off");
    for rule in Rule::ALL.iter().copied().filter(|r| only.is_none_or(|o| o == *r)) {
        let mut found = Vec::new();
        for strict in modes {
            let tally = campaign::run(*strict, 0, most, Some(rule), 1);
            if let Some((_, what)) = tally.failed.first() {
                found.push(format!("{} {}: {}", campaign::mode(*strict), tally.seeds, campaign::kind(what)));
            }
        }
        let masked = MASKED.iter().find(|(r, _)| *r == rule).map(|(_, why)| *why);
        let shown = match (found.is_empty(), masked) {
            (false, _) => found.join("; "),
            (true, Some(why)) => format!("masked: {why}"),
            (true, None) => format!("SURVIVES {most} seeds"),
        };
        println!("{:<48} {shown}", format!("{rule:?}: {}", rule.name()));
        caught += usize::from(!found.is_empty());
        if found.is_empty() && masked.is_none() {
            survived.push(rule);
        }
    }
    println!("mutants: {} caught of {}, surviving: {survived:?}", caught, Rule::ALL.len());
    survived.is_empty()
}
