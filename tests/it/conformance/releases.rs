//! The one table of what differs: between releases of daprd, and between daprd and the embedded server.
//!
//! What is not in here is the same everywhere and stands in the cases. The embedded server follows the newest
//! release; a row where it does not says why, and `docs/sidecar.md` repeats that sentence.

use tonic::Code;

use crate::harness::{Release, release};

/// Which column of the table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Before 1.15.
    Daprd14,
    /// Since 1.15; the values are those of 1.18.3.
    Daprd18,
    Embedded,
}

/// One row: what each server does.
pub struct Row<T> {
    pub name: &'static str,
    v1_14: T,
    v1_18: T,
    embedded: T,
    /// The embedded server differs from the newest release, and means to.
    pub differs: bool,
}

impl Server {
    /// Returns the column of the daprd in use.
    pub fn of_daprd() -> Self {
        if release() < Release::V1_15 { Self::Daprd14 } else { Self::Daprd18 }
    }
}

impl<T: Clone> Row<T> {
    pub fn of(&self, server: Server) -> T {
        match server {
            Server::Daprd14 => self.v1_14.clone(),
            Server::Daprd18 => self.v1_18.clone(),
            Server::Embedded => self.embedded.clone(),
        }
    }
}

macro_rules! table {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $v1_14:expr, $v1_18:expr $(=> $embedded:expr, $why:literal)?;)+) => {
        $($(#[$doc])* pub const $name: Row<$type> = Row {
            name: stringify!($name),
            v1_14: $v1_14,
            v1_18: $v1_18,
            embedded: table!(@embedded $v1_18 $(, $embedded)?),
            differs: table!(@differs $($why)?),
        };)+

        /// The rows where the embedded server differs, each with its reason.
        pub const DIFFERENCES: &[(&str, &str)] = &[$($((stringify!($name), $why),)?)+];
    };
    (@embedded $v1_18:expr) => { $v1_18 };
    (@embedded $v1_18:expr, $embedded:expr) => { $embedded };
    (@differs) => { false };
    (@differs $why:literal) => { true };
}

/// What a call to an actor of an application that died comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadApp {
    Fails,
    /// For another host, until the caller gives up.
    Waits,
}

/// How a reminder that is read shows data registered over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReminderData {
    Json,
    /// A protobuf message in JSON, its value in base64.
    Bytes,
}

/// Status and error code of a refusal.
pub type Refusal = (u16, &'static str);

table! {
    // State.
    /// A save with an etag for a key that does not exist.
    ETAG_ON_A_MISSING_KEY: Refusal = (204, ""), (204, "")
        => (409, "ERR_STATE_SAVE"), "A save with an etag never creates the key: 409 instead of 204, because the version that was read is gone.";
    /// Whether a transaction's other keys are written when one fails its etag.
    TRANSACTION_IS_TORN: bool = true, true
        => false, "A transaction is all or nothing: on Redis the keys beside a refused one are written.";

    /// 9007199254740993, saved over HTTP.
    BIG_NUMBER: &'static str = "9007199254740992", "9007199254740992"
        => "9007199254740993", "A value saved over HTTP is kept as it was written; daprd reads its numbers as 64-bit floats.";

    // Publishing.
    /// The path of bulk publishing without `alpha`.
    BULK_PUBLISH_PATH: Refusal = (404, "ERR_PUBSUB_NOT_FOUND"), (204, "");
    EMPTY_TOPIC: Code = Code::InvalidArgument, Code::NotFound;
    /// `cloudevent.subject` in the publisher's metadata.
    EVENT_SUBJECT: Option<&'static str> = None, Some("s");
    /// The header in which a subscriber sees the publisher's metadata `other`.
    METADATA_HEADER: Option<&'static str> = None, Some("kept");
    /// Whether a route that answers 404 sends a message to the dead letter topic; else it is dropped.
    UNFOUND_IS_DEAD_LETTERED: bool = false, true;
    /// Whether a first subscriber gets what was published before it came.
    UNREAD_IS_KEPT: bool = true, true
        => false, "A topic nobody subscribes to keeps nothing; on Redis a new subscriber begins with everything the stream still has.";
    /// A second stream on a topic that has one.
    SECOND_STREAM: Code = Code::Unknown, Code::Ok;

    // Actors.
    /// The callback header `Dapr-Api-Call`.
    API_CALL_HEADER: Option<&'static str> = None, Some("true");
    /// Whether the message of a failed method names the application's status.
    STATUS_IN_THE_MESSAGE: bool = false, true;
    /// A type nobody hosts is looked for so many milliseconds.
    UNKNOWN_TYPE_COSTS: u64 = 4_000, 4_000
        => 0, "A call to an actor type nobody hosts fails at once instead of after 5 s: there is no other host to wait for.";
    /// Whether two turns of one actor overlap once a waiting caller has given up.
    TURNS_OVERLAP: bool = false, true
        => false, "Turns of one actor never overlap: in daprd 1.18.3 the next turn starts beside the running one when a waiting caller gives up.";

    UNKNOWN_TYPE_CODE: Code = Code::Internal, Code::FailedPrecondition;
    /// An actor id with other characters than letters, digits, `_`, `-` and `.`.
    STRICT_NAMES: u16 = 200, 200
        => 400, "Names of actor types, actor ids, methods, reminders and timers are 1 to 256 of the characters `A-Z a-z 0-9 _ - . ~`; daprd takes almost any.";
    /// Whether an actor's transaction looks at etags over HTTP.
    ACTOR_ETAG_IS_CHECKED: bool = true, true;
    ACTOR_TRANSACTION_IS_TORN: bool = true, true
        => false, "A transaction of an actor's state is all or nothing, too.";
    /// Reading the state of an actor that is not active.
    STATE_OF_AN_INACTIVE_ACTOR: Refusal = (400, "ERR_ACTOR_INSTANCE_MISSING"), (204, "");
    CALL_OF_A_DEAD_APP: DeadApp = DeadApp::Fails, DeadApp::Waits
        => DeadApp::Fails, "The application is not probed: a call to an actor of an application that is gone fails at once; daprd 1.18 lets it wait for another host.";

    // Reminders.
    /// A reminder of a type that this sidecar does not host.
    REMINDER_OF_A_STRANGER: Refusal = (403, "ERR_ACTOR_REMINDER_NON_HOSTED"), (403, "ERR_ACTOR_REMINDER_NON_HOSTED");
    /// Milliseconds from a failed tick of a reminder with a period of four seconds to the next callback.
    RETRY_OF_A_BEAT: u64 = 4_000, 1_000;
    /// Whether ticks come up to a second before they are due.
    EARLY_TICKS: bool = true, false;
    /// Callbacks of a one-shot reminder that always fails.
    ONE_SHOT_TRIES: usize = 1, 4;
    /// Callbacks of one that always fails, with a policy of one retry.
    TRIES_BY_POLICY: usize = 1, 2;
    /// Whether `X-DaprReminderCancel` in the answer to a timer's callback ends the timer.
    TIMER_CAN_END_ITSELF: bool = false, true;
    /// A reminder registered again with `overwrite: false`.
    KEPT_REMINDER: Refusal = (204, ""), (409, "ERR_ACTOR_REMINDER_ALREADY_EXISTS");
    /// Reading a reminder that does not exist.
    MISSING_REMINDER: Refusal = (500, "ERR_ACTOR_REMINDER_GET"), (404, "ERR_ACTOR_REMINDER_NOT_FOUND");
    LIST_REMINDERS: Code = Code::Unknown, Code::Ok;
    REMINDER_DATA: ReminderData = ReminderData::Bytes, ReminderData::Json;
    /// Whether a reminder that is read shows its period as it was sent.
    PERIOD_AS_SENT: bool = false, false
        => true, "A reminder that is read shows its period as it was sent, not in the Scheduler's notation.";
    TTL_BEFORE_THE_FIRST_TICK: Refusal = (204, ""), (500, "ERR_ACTOR_REMINDER_CREATE");

    // Everything else.
    LOCK: Refusal = (500, "ERR_LOCK_STORE_NOT_CONFIGURED"), (500, "ERR_LOCK_STORE_NOT_CONFIGURED")
        => (501, "ERR_UNIMPLEMENTED"), "What is not offered answers 501 `ERR_UNIMPLEMENTED` or gRPC `Unimplemented`, with its name: bindings, configuration, locks, cryptography, conversation, jobs, workflows, state queries and bulk subscriptions.";

    // Delivery.
    /// Deliveries of a message whose subscriber fails, without policy and dead letter topic, while a handler
    /// that answers at last takes its fourth.
    PLAIN_FAILURE_IS_REDELIVERED: bool = true, false
        => true, "A failed delivery without a retry policy and dead letter topic is tried again, for ever and ever more slowly; daprd with Redis acknowledges it since 1.17, and it is gone.";
    /// Tries before the dead letter topic, without a policy.
    PLAIN_TRIES_BEFORE_DEAD_LETTER: usize = 1, 1
        => 4, "Without a retry policy a delivery is tried three more times before it goes to the dead letter topic, instead of at once.";
}
