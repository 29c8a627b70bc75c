//! Many seeds on all processors, and what is said about them.

use crate::{
    seed::{self, End},
    world::Plan,
};
use callboard_actors::mutant::Rule;
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

const THREADS: u64 = 2;

/// What came out of many seeds.
#[derive(Default)]
pub struct Tally {
    pub seeds: u64,
    pub failed: Vec<(u64, String)>,
    pub seen: BTreeMap<&'static str, u64>,
    pub steps: u64,
    pub attempts: u64,
    pub calls: u64,
    pub values: u64,
    pub agents: u64,
}

/// Runs seeds until all are done, or `enough` have failed.
pub fn run(strict: bool, first: u64, count: u64, off: Option<Rule>, enough: usize) -> Tally {
    let next = AtomicU64::new(first);
    let failures = AtomicU64::new(0);
    let work = || {
        let mut tally = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count || failures.load(Ordering::Relaxed) >= enough as u64 {
                return tally;
            }
            let end = seed::run(Plan { seed, strict, calm: seed::is_calm(seed), trace: false }, off);
            failures.fetch_add(u64::from(end.violation.is_some()), Ordering::Relaxed);
            tally.add(seed, end);
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        let mut all = Tally::default();
        threads.into_iter().for_each(|t| all.join(t.join().expect("a seed does not panic")));
        all.failed.sort();
        all
    })
}

/// Runs a mode's seeds and prints what they found. Returns whether nothing was violated.
pub fn seeds(strict: bool, first: u64, count: u64) -> bool {
    let began = Instant::now();
    let tally = run(strict, first, count, None, usize::MAX);
    let took = began.elapsed().as_secs_f64();
    let n = tally.seeds.max(1) as f64;
    println!(
        "{}: {} of {} seeds violate an invariant; {:.0} seeds/s; {:.1} steps a seed; {:.3} calls an attempt; \
         left to expire per seed: {:.3} values, {:.3} agents",
        mode(strict),
        tally.failed.len(),
        tally.seeds,
        tally.seeds as f64 / took,
        tally.steps as f64 / n,
        tally.calls as f64 / tally.attempts.max(1) as f64,
        tally.values as f64 / n,
        tally.agents as f64 / n,
    );
    let seen: Vec<String> = tally.seen.iter().map(|(what, times)| format!("{times} {what}")).collect();
    println!("  bitten: {}", seen.join(", "));
    let mut kinds: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (seed, what) in &tally.failed {
        kinds.entry(kind(what)).or_default().push(*seed);
    }
    for (what, seeds) in &kinds {
        println!("  {:>5} {what} (seeds {:?})", seeds.len(), &seeds[..seeds.len().min(8)]);
    }
    if let Some((seed, _)) = tally.failed.first() {
        let plan = Plan { seed: *seed, strict, calm: seed::is_calm(*seed), trace: false };
        let end = seed::run(plan, None);
        println!("{}", end.lines.join("\n"));
        println!("{}", describe(&plan, &end));
    }
    tally.failed.is_empty()
}

/// Seeds that failed once, run first for ever. A line is `mode seed`, then why it is there.
pub fn regressions(list: &str) -> bool {
    let mut good = true;
    let mut count = 0;
    for line in list.lines().filter(|l| !l.trim_start().starts_with('#') && !l.trim().is_empty()) {
        let mut words = line.split_whitespace();
        let (Some(mode), Some(Ok(seed))) = (words.next(), words.next().map(str::parse)) else {
            panic!("a regression is `mode seed why`: {line}");
        };
        let plan = Plan { seed, strict: mode == "strict", calm: seed::is_calm(seed), trace: false };
        let end = seed::run(plan, None);
        count += 1;
        if end.violation.is_some() {
            println!("{}\n{}", end.lines.join("\n"), describe(&plan, &end));
            good = false;
        }
    }
    println!("regressions: {count} seeds, {}", if good { "all good" } else { "FAILED" });
    good
}

/// The same seed gives the same log, byte by byte.
pub fn is_repeatable() -> bool {
    let mut good = true;
    for seed in 0..24 {
        let plan = Plan { seed, strict: seed % 2 == 0, calm: seed::is_calm(seed), trace: false };
        let (one, two) = (seed::run(plan, None), seed::run(plan, None));
        if one.digest != two.digest {
            let differs = one.lines.iter().zip(&two.lines).find(|(a, b)| a != b);
            println!("seed {seed} does not repeat itself: {differs:?}");
            good = false;
        }
    }
    println!("repetition: 24 seeds twice, {}", if good { "byte-equal logs" } else { "FAILED" });
    good
}

pub fn describe(plan: &Plan, end: &End) -> String {
    let mode = mode(plan.strict);
    let calm = if plan.calm { ", without faults" } else { "" };
    match &end.violation {
        Some(what) => format!(
            "seed {} ({mode}{calm}): {what}\nagain: SIM_SEED={} SIM_MODE={mode} SIM_TRACE=1 cargo test --profile sim \
             -p callboard-sim --features mutants --test sim",
            plan.seed, plan.seed
        ),
        None => format!("seed {} ({mode}{calm}): good, {} steps, {:?}", plan.seed, end.steps, end.seen),
    }
}

pub fn mode(strict: bool) -> &'static str {
    if strict { "strict" } else { "lazy" }
}

/// A violation without its particulars, to count alike ones.
pub fn kind(what: &str) -> String {
    let word = |w: &str| {
        if w.chars().any(|c| c.is_ascii_digit()) && !w.starts_with("INV") {
            "…".to_owned()
        } else {
            w.to_owned()
        }
    };
    what.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

// === impl Tally ===

impl Tally {
    fn add(&mut self, seed: u64, end: End) {
        self.seeds += 1;
        self.failed.extend(end.violation.map(|what| (seed, what)));
        for (what, times) in end.seen {
            *self.seen.entry(what).or_default() += times;
        }
        self.steps += end.steps;
        self.attempts += end.attempts;
        self.calls += end.calls;
        self.values += end.left.values;
        self.agents += end.left.agents;
    }

    fn join(&mut self, other: Tally) {
        self.seeds += other.seeds;
        self.failed.extend(other.failed);
        for (what, times) in other.seen {
            *self.seen.entry(what).or_default() += times;
        }
        self.steps += other.steps;
        self.attempts += other.attempts;
        self.calls += other.calls;
        self.values += other.values;
        self.agents += other.agents;
    }
}
