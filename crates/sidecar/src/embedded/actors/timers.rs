//! Timers: callbacks that live as long as this process (`dapr-contract` 4.6).

use tonic::Code;

use super::super::fault::Fault;
use super::super::times;
use super::Actors;
use super::reminders::{Registration, check_names, key};
use super::schedule::{Entry, Kind};

// === impl Actors ===

impl Actors {
    pub(in crate::embedded) fn register_timer(&self, registration: Registration) -> Result<(), Fault> {
        let Registration { actor_type, actor_id, name, .. } = &registration;
        check_names(actor_type, actor_id, name)?;
        self.check_hosted(actor_type)?;
        let failed = |reason: String| {
            let message = format!("error creating actor timer: {reason}");
            Fault::new("ERR_ACTOR_TIMER_CREATE", 500, Code::Internal, message)
        };
        let what = registration.plan(times::now()).map_err(failed)?;
        if self.schedule.is_full() {
            return Err(failed("there are too many timers".to_owned()));
        }
        self.schedule.put(Entry {
            kind: Kind::Timer,
            at: what.due,
            tries: 0,
            callback: registration.callback,
            what,
        });
        Ok(())
    }

    /// Removes a timer; a missing one is no error.
    pub(in crate::embedded) fn remove_timer(
        &self,
        actor_type: &str,
        actor_id: &str,
        name: &str,
    ) -> Result<(), Fault> {
        check_names(actor_type, actor_id, name)?;
        self.check_hosted(actor_type)?;
        self.schedule.remove(&key(Kind::Timer, actor_type, actor_id, name));
        Ok(())
    }
}
