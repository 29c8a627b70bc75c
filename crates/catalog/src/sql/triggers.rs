//! Triggers and their fires, as both databases are asked for them. An instant is bound as each of them keeps it.

/// Puts the columns of a trigger after some words, by name: a later schema may have more.
macro_rules! triggers {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " project, id, workflow_id, kind, name, settings, enabled, since, revision, secret, made_of, created_at, created_by,
                updated_at, next_at, queued, last_at, current_run ",
            $after
        )
    };
}
pub(crate) use triggers;

pub(crate) const MAKE: &str = "
    insert into triggers (project, id, workflow_id, kind, name, settings, enabled, since, revision, secret, made_of, created_at,
        created_by, updated_at, next_at, look_at)
    select $1, $2, w.id, $4, $5, $6, $7, $8, 1, $9, $10, $8, $11, $8, $12, $12
    from workflows w where w.project = $1 and w.id = $3 and not w.hidden
    on conflict (project, id) do nothing";

pub(crate) const IS_THERE: &str = "select exists (select 1 from triggers where project = $1 and id = $2)";

pub(crate) const READ: &str = triggers!("select", "from triggers where project = $1 and id = $2");

pub(crate) const REVISION: &str = "select revision from triggers where project = $1 and id = $2";

pub(crate) const CHANGE: &str = triggers!(
    "update triggers set name = $4, settings = $5, enabled = $6, since = $7, secret = $8, updated_at = $9,
        revision = revision + 1,
        next_at = case when $10 then $11 else next_at end, look_at = case when $10 then $11 else look_at end,
        queued = case when $10 then null else queued end
    where project = $1 and id = $2 and revision = $3
    returning",
    ""
);

pub(crate) const DELETE: &str = "delete from triggers where project = $1 and id = $2";

pub(crate) const MOVE: &str = "
    update triggers set next_at = $6, queued = $7, last_at = $8, current_run = $9, look_at = $10
    where project = $1 and id = $2 and revision = $3 and next_at is not distinct from $4 and queued is not distinct from $5";

pub(crate) const FIRE: &str = "
    insert into trigger_fires (project, trigger_id, occasion, at, run, outcome, code, detail, missed)
    select $1, t.id, $3, $4, $5, $6, $7, $8, $9 from triggers t where t.project = $1 and t.id = $2
    on conflict (project, trigger_id, occasion) do update set at = excluded.at, run = excluded.run, outcome = excluded.outcome,
        code = excluded.code, detail = excluded.detail, missed = excluded.missed
    where trigger_fires.outcome <> 'started'";

/// Forgets all but the newest.
pub(crate) const FORGET: &str = "
    delete from trigger_fires
    where project = $1 and trigger_id = $2 and (at, occasion) < (
        select at, occasion from trigger_fires where project = $1 and trigger_id = $2
        order by at desc, occasion desc limit 1 offset $3)";

pub(crate) const LAST: &str = "
    select project, trigger_id, occasion, at, run, outcome, code, detail, missed from trigger_fires
    where project = $1 and trigger_id = $2 order by at desc, occasion desc limit $3";
