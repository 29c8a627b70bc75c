//! An actor's `wake` reminder, as far as this process knows of it.
//!
//! What is remembered here is no proof: a registration that was given up may have gone through, and another process may
//! have registered one. So a removal is asked for even where nothing is known.

use crate::{failpoint::failpoint, services::Services, wake};
use callboard_core::Timestamp;
use std::time::Duration;
use tokio::task::AbortHandle;

/// How the reminder comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Armed {
    /// When it comes first, by the wall clock.
    pub due: Timestamp,
    /// Every half minute, for work that must not stand still; else every ten minutes.
    pub often: bool,
}

/// What is known of the reminder.
#[derive(Default)]
enum State {
    /// Nobody asked for one here.
    #[default]
    Unknown,
    /// The actor began here, and certainly has none.
    None,
    /// A task asks for it in a while.
    Promised(AbortHandle),
    /// This process registered it, or it came here.
    Registered(Armed),
}

/// One actor's reminder.
#[derive(Default)]
pub struct Reminder {
    state: State,
    /// After a failure it is left alone until then, in steady time.
    cools_until: Timestamp,
}

impl Reminder {
    /// The actor begins here: it has no reminder, and may end before it needs one.
    pub fn begin(&mut self) {
        if matches!(self.state, State::Unknown) {
            self.state = State::None;
        }
    }

    /// The actor was read from the store: the process that had it before may have registered a reminder.
    pub fn doubt(&mut self) {
        if matches!(self.state, State::None) {
            self.state = State::Unknown;
        }
    }

    /// The reminder came, so there is one. It does not matter who registered it.
    pub fn note(&mut self, armed: Armed) {
        if !matches!(self.state, State::Registered(_)) {
            self.set(State::Registered(armed));
        }
    }

    /// Whether the actor began here and no reminder was asked for yet.
    pub fn is_none(&self) -> bool {
        matches!(self.state, State::None)
    }

    /// Whether a task will ask for it in a while.
    pub fn is_promised(&self) -> bool {
        matches!(self.state, State::Promised(_))
    }

    /// Returns how the reminder was registered, as far as this process knows.
    pub fn registered(&self) -> Option<Armed> {
        match self.state {
            State::Registered(armed) => Some(armed),
            State::Unknown | State::None | State::Promised(_) => None,
        }
    }

    /// Whether registering and removing are left alone for now, after a failure.
    pub fn cools(&self, services: &Services) -> bool {
        services.clock.steady() < self.cools_until
    }

    /// Notes the task that asks for it in a while.
    pub fn promise(&mut self, task: AbortHandle) {
        self.set(State::Promised(task));
    }

    /// The task that was to ask for it asks now.
    pub fn redeem(&mut self) {
        if self.is_promised() {
            // `set` would abort the task, and it is the task that calls this.
            self.state = State::Unknown;
        }
    }

    /// Registers it, or changes it.
    pub async fn register(&mut self, services: &Services, kind: &str, id: &str, want: Armed) {
        // An error does not say that nothing was registered.
        self.doubt();
        let often = services.settings.pause(wake::OFTEN);
        let (due, period) = if want.often {
            (often, often)
        } else {
            let due = Duration::from_millis(want.due.since(services.clock.now()).0);
            (due, services.settings.pause(wake::SELDOM))
        };
        failpoint!("arm.before");
        match wake::arm(services, kind, id, due, period).await {
            Ok(()) => {
                failpoint!("arm.after");
                self.set(State::Registered(want));
            }
            Err(error) => {
                self.cool(services);
                tracing::debug!(kind, id, %error, "wake is not registered");
            }
        }
    }

    /// Removes the reminder. Returns whether it is certainly gone.
    pub async fn remove(&mut self, services: &Services, kind: &str, id: &str) -> bool {
        if self.is_promised() {
            // Nobody asked for one yet.
            self.set(State::None);
            return true;
        }
        if self.cools(services) {
            return false;
        }
        failpoint!("disarm.before");
        match wake::disarm(services, kind, id).await {
            Ok(()) => {
                failpoint!("disarm.after");
                // Another process may have registered one meanwhile, so this is no proof that there is none.
                self.state = State::Unknown;
                true
            }
            Err(error) => {
                self.cool(services);
                tracing::debug!(kind, id, %error, "wake is not removed yet");
                false
            }
        }
    }

    /// Gives a promise up, because the reminder is asked for at once.
    pub fn forget_promise(&mut self) {
        if self.is_promised() {
            self.set(State::Unknown);
        }
    }

    /// Leaves the reminder alone for a while: the scheduler is not asked again by each turn.
    fn cool(&mut self, services: &Services) {
        self.cools_until = services.clock.steady() + services.settings.paced(wake::COOL);
    }

    /// Changes what is known. A task that promised the reminder has nothing left to do.
    fn set(&mut self, state: State) {
        if let State::Promised(task) = std::mem::replace(&mut self.state, state) {
            task.abort();
        }
    }
}
