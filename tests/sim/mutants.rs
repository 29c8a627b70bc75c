//! The mutant table: each rule of the protocol switched off in turn must be caught, or is listed as masked.

use crate::campaign;
use callboard_actors::mutant::Rule;

/// Rules whose loss other rules make up for, and how it would show.
const MASKED: &[(Rule, &str)] = &[
    (Rule::LostTail, "needs one seed in some 6,000: caught with SIM_MUTANT=LostTail SIM_MUTANT_SEEDS=10000"),
    (
        Rule::CleanedSeq,
        "needs one seed in some 4,000: caught with SIM_MUTANT=CleanedSeq SIM_MUTANT_SEEDS=10000",
    ),
    (Rule::WokenJournaled, "reminder, sweeper and the run's own deadline would all have to be missed"),
    (
        Rule::KeepFirst,
        "a document that expired is rebuilt from the history, and nothing is written over one while the catalog can't \
         say whether it knows the run",
    ),
    (Rule::EndedPast, "an ended run's commit is fenced, and a purged one is looked at again"),
    (Rule::PurgeAsIs, "the look at a purged run deletes what the repair has saved again"),
    (Rule::ZombieValues, "they go by their expiry: counted as left, not as wrong"),
    (Rule::DisarmLast, "the purge publishes what is left: shows in when, not in whether"),
    (Rule::TickSkip, "the other ticks of a burst find nothing to do: shows in reads"),
    (Rule::Reminders, "the sweeper is enough: shows in how long a recovery takes"),
    (Rule::SaveRepair, "the next commit saves it, and until then every load repairs again"),
    (Rule::AgentFence, "the run takes one answer of an attempt, whoever saved it: shows in calls"),
    (Rule::Deliver, "the task comes again and the recorded answer with it: shows in how long it takes"),
    (Rule::CancelAgent, "an answer after the end is dropped: shows in calls"),
    (Rule::Retry, "callers, agents and the sweeper repeat what failed: shows in how long it takes"),
];

/// Seeds for a mutant that is known to be masked: enough to see that it does no harm at once.
const FEW: u64 = 40;

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
        let masked = MASKED.iter().find(|(r, _)| *r == rule).map(|(_, why)| *why);
        let most = if masked.is_some() && only.is_none() { FEW.min(most) } else { most };
        // Few seeds in each mode, then more: some rules matter in one mode only, and caught in one is caught.
        let mut from = 0;
        for to in [100, 500, 1500, most] {
            let (to, first) = (to.min(most), from);
            for strict in modes {
                if to <= first || !found.is_empty() && only.is_none() {
                    break;
                }
                let tally = campaign::run(*strict, first, to - first, Some(rule), 1);
                if let Some((_, what)) = tally.failed.first() {
                    let seeds = first + tally.seeds;
                    found.push(format!("{} {seeds}: {}", campaign::mode(*strict), campaign::kind(what)));
                }
            }
            if !found.is_empty() {
                break;
            }
            from = to;
        }
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
