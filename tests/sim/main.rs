//! The simulator: the shipped turn and the real core over a simulated world, seed by seed.
//!
//! `cargo test --profile sim -p callboard-sim --features mutants --test sim` runs the regressions, then seeds in both
//! modes, then the mutant table. One seed again: `SIM_SEED=17 SIM_MODE=strict SIM_TRACE=1` before the same command.
//! `SIM_SEEDS`, `SIM_FIRST` bound a campaign, `SIM_MUTANT` takes one mutant, `SIM_MUTANTS=0` leaves the table out.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod broken;
mod bus;
mod campaign;
mod catalog;
mod check;
mod client;
mod dapr;
mod faults;
mod ledger;
mod model;
mod mutants;
mod reminders;
mod seed;
mod store;
mod workload;
mod world;

fn main() {
    // A panic of the product's tasks is caught by the runtime: here it is a violation like any other.
    std::panic::set_hook(Box::new(|panic| {
        callboard_actors::mutant::note(format!("panic: {panic}").replace('\n', " "))
    }));
    let text = |name: &str| std::env::var(name).ok();
    let number = |name: &str| text(name).and_then(|v| v.parse::<u64>().ok());
    let modes: Vec<bool> = match text("SIM_MODE").as_deref() {
        Some("strict") => vec![true],
        Some("lazy") => vec![false],
        Some(other) => panic!("SIM_MODE is {other}, not strict or lazy"),
        None => vec![true, false],
    };
    if let Some(seed) = number("SIM_SEED") {
        let mutant = text("SIM_MUTANT").map(|name| mutants::named(&name));
        for strict in modes {
            let plan =
                world::Plan { seed, strict, calm: seed::is_calm(seed), trace: text("SIM_TRACE").is_some() };
            let end = seed::run(plan, mutant);
            println!("{}", campaign::describe(&plan, &end));
        }
        return;
    }
    let seeds = number("SIM_SEEDS").unwrap_or(20_000);
    let first = number("SIM_FIRST").unwrap_or(0);
    let mut failed = false;
    if text("SIM_MUTANT").is_none() {
        failed |= !campaign::regressions(include_str!("regressions.txt"));
        failed |= !campaign::is_repeatable();
        for strict in &modes {
            failed |= !campaign::seeds(*strict, first, seeds);
        }
    }
    if number("SIM_MUTANTS") != Some(0) {
        failed |= !mutants::table(
            &modes,
            number("SIM_MUTANT_SEEDS").unwrap_or(4000),
            text("SIM_MUTANT").as_deref(),
        );
    }
    if failed {
        std::process::exit(1);
    }
}
