//! Whether a project may begin another run: it is not paused, and has not reached a limit.
//!
//! The catalog is asked once a second for each project that something begins in; what began here since is counted beside. So
//! a limit is kept exactly by one process that is alone, and nearly by several. Runs that go on are stopped by nothing here.

use crate::{protocol::Fault, services::Services};
use callboard_catalog::Standing;
use callboard_core::{Code, Span, Timestamp, id::ProjectId, price};
use parking_lot::Mutex;
use std::collections::HashMap;

/// How long an answer of the catalog stands.
const FRESH: Span = Span::secs(1);
/// Projects that are known; more than that and all are forgotten.
const KNOWN: usize = 1024;
const DAY: i64 = 86_400_000;

/// Where projects stand. Each process has its own picture.
#[derive(Default)]
pub(crate) struct Quotas(Mutex<HashMap<ProjectId, Known>>);

#[derive(Clone, Copy)]
struct Known {
    standing: Standing,
    /// When the catalog was asked, in steady time.
    asked: Timestamp,
    /// Runs that began here since.
    begun: u64,
}

/// Why nothing begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closed {
    Paused,
    Runs(u64),
    TokensToday(u64),
    CostToday(u64),
    CostThisMonth(u64),
}

// === impl Quotas ===

impl Quotas {
    /// Counts a run that is about to begin, or says why it may not.
    pub async fn begin(&self, services: &Services, project: &ProjectId) -> Result<(), Fault> {
        let (now, wall) = (services.clock.steady(), services.clock.now());
        if !self.is_fresh(project, now) {
            let day: String = wall.to_string().chars().take(10).collect();
            let month = format!("{}01", day.get(..8).unwrap_or_default());
            match services.catalog.standing(project, &day, &month).await {
                Ok(standing) => self.learn(project, standing.unwrap_or_default(), now),
                Err(error) if self.0.lock().contains_key(project) => {
                    tracing::debug!(%project, %error, "where the project stands is not known now");
                }
                Err(error) => return Err(Fault::unavailable(error.to_string())),
            }
        }
        let mut all = self.0.lock();
        let Some(known) = all.get_mut(project) else { return Ok(()) };
        match known.standing.closed(known.begun) {
            Some(closed) => Err(closed.fault(project, wall)),
            None => {
                known.begun += 1;
                Ok(())
            }
        }
    }

    /// Whether what is known need not be asked again. Of many who find it old one asks, and the others go by it.
    fn is_fresh(&self, project: &ProjectId, now: Timestamp) -> bool {
        match self.0.lock().get_mut(project) {
            Some(known) if now.since(known.asked) < FRESH => true,
            Some(known) => {
                known.asked = now;
                false
            }
            None => false,
        }
    }

    fn learn(&self, project: &ProjectId, standing: Standing, asked: Timestamp) {
        let mut all = self.0.lock();
        if all.len() >= KNOWN && !all.contains_key(project) {
            all.clear();
        }
        all.insert(project.clone(), Known { standing, asked, begun: 0 });
    }
}

/// Says why nothing begins in a project that stands like this, where `begun` more runs are open.
trait Judged {
    fn closed(&self, begun: u64) -> Option<Closed>;
}

impl Judged for Standing {
    fn closed(&self, begun: u64) -> Option<Closed> {
        let limits = &self.limits;
        let reached = |limit: Option<u64>, used: u64| limit.filter(|limit| used >= *limit);
        if self.paused {
            return Some(Closed::Paused);
        }
        // The longest wait first: whoever is told to come back should not be refused again then.
        let month = reached(limits.cost_per_month, self.cost_this_month).map(Closed::CostThisMonth);
        let day = || reached(limits.cost_per_day, self.cost_today).map(Closed::CostToday);
        let tokens = || reached(limits.tokens_per_day, self.tokens_today).map(Closed::TokensToday);
        let runs = || reached(limits.runs, self.runs.saturating_add(begun)).map(Closed::Runs);
        month.or_else(day).or_else(tokens).or_else(runs)
    }
}

// === impl Closed ===

impl Closed {
    fn fault(self, project: &ProjectId, now: Timestamp) -> Fault {
        let spent = |what: String, wait: u32| {
            let detail =
                format!("the project {project} has used {what}: it begins no run until then is over");
            Fault { retry_after: Some(wait), ..Fault::new(429, Code::ProjectBudgetReached, detail) }
        };
        match self {
            Closed::Paused => {
                let detail = format!("the project {project} is paused: nothing new begins in it");
                Fault::new(409, Code::ProjectPaused, detail)
            }
            Closed::Runs(limit) => {
                let detail = format!(
                    "the project {project} has {limit} runs that have not ended, which is all it may"
                );
                Fault { retry_after: Some(1), ..Fault::new(429, Code::TooManyRuns, detail) }
            }
            Closed::TokensToday(limit) => {
                spent(format!("the {limit} tokens that it may on a day (of UTC)"), until_tomorrow(now))
            }
            Closed::CostToday(limit) => {
                let limit = price::shown(limit);
                spent(format!("the {limit} that it may spend on a day (of UTC)"), until_tomorrow(now))
            }
            Closed::CostThisMonth(limit) => {
                let limit = price::shown(limit);
                spent(format!("the {limit} that it may spend in a month (of UTC)"), until_next_month(now))
            }
        }
    }
}

/// Seconds, rounded up.
fn seconds(ms: i64) -> u32 {
    u32::try_from((ms + 999) / 1000).unwrap_or(u32::MAX)
}

fn until_tomorrow(now: Timestamp) -> u32 {
    seconds(DAY - now.0.rem_euclid(DAY))
}

fn until_next_month(now: Timestamp) -> u32 {
    let text = now.to_string();
    let number = |from: usize, to: usize| text.get(from..to).and_then(|digits| digits.parse::<u32>().ok());
    let next = number(0, 4).zip(number(5, 7)).and_then(|(year, month)| {
        let (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        Timestamp::parse(&format!("{year:04}-{month:02}-01T00:00:00Z"))
    });
    next.map_or_else(|| until_tomorrow(now), |next| seconds(next.0 - now.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use callboard_catalog::ProjectLimits;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("an instant")
    }

    #[test]
    fn a_limit_is_reached_where_what_is_used_is_as_much() {
        let limits = ProjectLimits {
            runs: Some(3),
            tokens_per_day: Some(100),
            cost_per_day: Some(10),
            cost_per_month: Some(50),
        };
        let open =
            Standing { limits, runs: 2, tokens_today: 99, cost_today: 9, cost_this_month: 49, paused: false };
        assert_eq!(open.closed(0), None);
        assert_eq!(open.closed(1), Some(Closed::Runs(3)), "one began here meanwhile");
        assert_eq!(Standing { runs: 3, ..open }.closed(0), Some(Closed::Runs(3)));
        assert_eq!(Standing { tokens_today: 100, ..open }.closed(9), Some(Closed::TokensToday(100)));
        let spent = Standing { cost_today: 11, tokens_today: 100, ..open };
        assert_eq!(spent.closed(0), Some(Closed::CostToday(10)));
        assert_eq!(Standing { cost_this_month: 50, ..spent }.closed(0), Some(Closed::CostThisMonth(50)));
        assert_eq!(Standing { paused: true, ..spent }.closed(0), Some(Closed::Paused));
        let without = Standing { limits: ProjectLimits::default(), runs: 9, cost_today: 9, ..open };
        assert_eq!(without.closed(u64::MAX), None);
        let nothing = ProjectLimits { runs: Some(0), ..ProjectLimits::default() };
        assert_eq!(Standing { limits: nothing, ..Standing::default() }.closed(0), Some(Closed::Runs(0)));
    }

    #[test]
    fn whoever_is_refused_is_told_when_to_come_back() {
        let wait = |closed: Closed, now: &str| closed.fault(&ProjectId::DEFAULT, at(now)).retry_after;
        assert_eq!(wait(Closed::CostToday(1), "2027-01-31T23:59:00.001Z"), Some(60));
        assert_eq!(wait(Closed::TokensToday(1), "2027-01-31T00:00:00Z"), Some(86_400));
        assert_eq!(wait(Closed::CostThisMonth(1), "2027-01-31T23:59:00Z"), Some(60));
        assert_eq!(wait(Closed::CostThisMonth(1), "2027-12-31T23:00:00Z"), Some(3600));
        assert_eq!(wait(Closed::CostThisMonth(1), "2028-02-28T00:00:00Z"), Some(2 * 86_400));
        assert_eq!(wait(Closed::Paused, "2027-01-31T00:00:00Z"), None);
        let told = Closed::CostToday(2_500_000).fault(&ProjectId::DEFAULT, at("2027-01-31T00:00:00Z"));
        assert!(told.detail.contains("2.50"), "{}", told.detail);
    }

    #[test]
    fn of_many_who_find_a_picture_old_one_asks() {
        let (quotas, project) = (Quotas::default(), ProjectId::DEFAULT);
        assert!(!quotas.is_fresh(&project, Timestamp(0)), "it was never asked");
        quotas.learn(&project, Standing::default(), Timestamp(0));
        assert!(quotas.is_fresh(&project, Timestamp(999)));
        assert!(!quotas.is_fresh(&project, Timestamp(1000)));
        assert!(quotas.is_fresh(&project, Timestamp(1000)), "somebody asks already");
    }
}
