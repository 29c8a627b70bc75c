//! Keys and projects, as both databases are asked for them. An instant is bound as each of them keeps it.

/// The columns of a key, of projects that are there.
macro_rules! keys {
    ($which:literal) => {
        concat!(
            "select k.id, k.project, k.role, k.name, k.hash, k.previous_hash, k.previous_until, k.created_at, k.created_by,
                k.rotated_at, k.expires_at, k.revoked_at, k.last_used_at, k.limits
            from api_keys k
            join projects p on p.id = k.project and p.deleted_at is null
            where ",
            $which
        )
    };
}

pub(crate) const ANY: &str = "select exists (select 1 from api_keys)";

pub(crate) const READ: &str = keys!("k.id = $1");

pub(crate) const LIST: &str =
    keys!("k.project = $1 and (cast($2 as text) is null or k.id > $2) order by k.id limit $3");

pub(crate) const MAKE: &str = "
    insert into api_keys (id, project, role, name, hash, created_at, created_by, expires_at, limits)
    select $1, p.id, $3, $4, $5, $6, $7, $8, $9 from projects p where p.id = $2 and p.deleted_at is null";

pub(crate) const RENEW: &str = "
    update api_keys set previous_hash = hash, previous_until = $4, hash = $3, rotated_at = $5
    where project = $1 and id = $2 and revoked_at is null";

pub(crate) const REVOKE: &str =
    "update api_keys set revoked_at = coalesce(revoked_at, $3) where project = $1 and id = $2";

/// Processes say it late, and in any order.
pub(crate) const USED: &str = "
    update api_keys set last_used_at = $2 where id = $1 and (last_used_at is null or last_used_at < $2)";

pub(crate) const PROJECT: &str =
    "select id, name, created_at, paused_at, limits from projects where id = $1 and deleted_at is null";

pub(crate) const PROJECTS: &str = "
    select id, name, created_at, paused_at, limits from projects
    where deleted_at is null and (cast($1 as text) is null or id > $1) order by id limit $2";

pub(crate) const MAKE_PROJECT: &str =
    "insert into projects (id, name, created_at) values ($1, $2, $3) on conflict (id) do nothing";

pub(crate) const PAUSE_PROJECT: &str =
    "update projects set paused_at = coalesce(paused_at, $2) where id = $1 and deleted_at is null";

pub(crate) const RESUME_PROJECT: &str =
    "update projects set paused_at = null where id = $1 and deleted_at is null";

pub(crate) const LIMIT_PROJECT: &str = "update projects set limits = $2 where id = $1 and deleted_at is null";

pub(crate) const DELETE_PROJECT: &str =
    "update projects set deleted_at = $2 where id = $1 and deleted_at is null";

pub(crate) const REVOKE_ALL: &str =
    "update api_keys set revoked_at = $2 where project = $1 and revoked_at is null";
