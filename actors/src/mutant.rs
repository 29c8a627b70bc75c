//! The rules of the turn that the simulator switches off one by one, to prove that it would notice.
//!
//! `rule!` stands where a condition is a rule, `mutant!` where without the rule something else would be done; both read
//! in place, and a search for them lists the protocol. Rules that the simulated store, bus and catalog can break from
//! outside are switched off there, and stand here only for their names. Without the feature `mutants` a `rule!` is its
//! condition, a `mutant!` is nothing, and there is no list.

#[cfg(feature = "mutants")]
macro_rules! rules {
    ($($rule:ident = $name:literal,)*) => {
        /// A rule of the protocol, named by what happens without it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Rule { $($rule,)* }

        impl Rule {
            pub const ALL: &[Rule] = &[$(Rule::$rule,)*];

            pub fn name(self) -> &'static str {
                match self { $(Rule::$rule => $name,)* }
            }
        }
    };
}

#[cfg(feature = "mutants")]
rules! {
    Fence = "document saved without etag",
    DropCache = "cache kept after a failed save",
    WakePast = "wake trusts the cache",
    JournalFirst = "acts before the journal",
    WholeTail = "journals this turn's events only",
    KeepUnjournaled = "snapshot drops the unjournaled tail",
    OperationIds = "no operation ids",
    AttemptFence = "answers of earlier attempts count",
    Sweeper = "no sweeper",
    Grant = "no grant for at_most_once",
    TurnKeys = "value keys by seq, not by turn",
    RestoreValues = "missing values not taken from the catalog",
    ReadTip = "load does not read the history's end",
    CompareHash = "load does not compare the history's hash",
    LostTail = "tail that names a lost value is kept",
    CleanedSeq = "cleaned-up mark without its seq",
    LookAgain = "purged run not looked at again",
    LookDue = "a late sweep counts as the look at a purged run",
    FirstJournaled = "first commit not journaled before the answer",
    WokenJournaled = "a rested run's new work not journaled at once",
    FirstTtl = "first document without expiry",
    AgentDisarm = "agent's wake that another process registered stays",
    Republish = "no task is published again",
    EtagMoved = "refused values deleted before the etag moved",
    Tombstone = "agent's answer not kept",
    InFlight = "effects in flight are performed again",
    EndedPast = "ended run used from the cache",
    PurgeAsIs = "purging run repaired like any other",
    ZombieValues = "zombie's values stay",
    DisarmLast = "disarmed and marked before all is published",
    TickSkip = "every tick of a burst is taken",
    Reminders = "no reminders, the sweeper only",
    SaveRepair = "repaired document not saved",
    KeepFirst = "second save leaves the first one's expiry",
    Timer = "no in-process timer for near deadlines",
    PublishJournaled = "published before it is journaled",
    RememberPublished = "header says published before it is",
    JournalValues = "values not journaled",
    Mailbox = "turns of a run overlap in a host",
    AgentFence = "agent saved without etag",
    Deliver = "agent delivers once, acknowledged or not",
    Reserve = "agent goes on without asking the budget",
    CancelAgent = "agents of a cancelled run are not told",
    Retry = "unknown commit is not decided again",
    DecideAgain = "refused on what the cache says",
    AnswerValue = "answer whose value is lost is recorded",
    UnknownIsFailed = "unknown commit is answered as a failure",
}

/// A condition of the protocol: what stands here, and false where the simulator has switched the rule off.
#[cfg(not(feature = "mutants"))]
macro_rules! rule {
    ($rule:ident, $condition:expr) => {
        $condition
    };
}

#[cfg(feature = "mutants")]
macro_rules! rule {
    ($rule:ident, $condition:expr) => {
        ($condition) && $crate::mutant::holds($crate::mutant::Rule::$rule)
    };
}

/// What is done where the simulator has switched the rule off. In every other build there is nothing here.
#[cfg(not(feature = "mutants"))]
macro_rules! mutant {
    ($rule:ident, $($wrong:tt)*) => {};
}

#[cfg(feature = "mutants")]
macro_rules! mutant {
    ($rule:ident, $($wrong:tt)*) => {
        if !$crate::mutant::holds($crate::mutant::Rule::$rule) {
            $($wrong)*
        }
    };
}

pub(crate) use {mutant, rule};

#[cfg(feature = "mutants")]
thread_local! {
    static OFF: std::cell::Cell<Option<Rule>> = const { std::cell::Cell::new(None) };
    static AUDIT: std::cell::RefCell<Vec<String>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// Whether the rule holds on this thread.
#[cfg(feature = "mutants")]
pub fn holds(rule: Rule) -> bool {
    OFF.get() != Some(rule)
}

/// Switches a rule off on this thread, or all on.
#[cfg(feature = "mutants")]
pub fn switch_off(rule: Option<Rule>) {
    OFF.set(rule);
}

/// Notes something that must never be, seen from inside.
#[cfg(feature = "mutants")]
pub fn note(what: impl Into<String>) {
    AUDIT.with_borrow_mut(|all| all.push(what.into()));
}

/// Takes what was noted on this thread.
#[cfg(feature = "mutants")]
pub fn notes() -> Vec<String> {
    AUDIT.take()
}
