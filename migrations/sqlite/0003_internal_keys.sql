-- Keys that our actors sign their messages with, and whether a message without a signature is still taken.
--
-- The newest key signs; the one before it verifies, too. They stand here, since no definition can read the catalog.
-- An installation that is new refuses unsigned messages at once. One that was there before may still have processes of the
-- release before, which sign nothing: it refuses them once `callboard migrate --finish` has said that there are none. What
-- was there before is known by its rows, or by the time of its first migration where nothing has run yet.

create table internal_keys (
    id         integer primary key,
    secret     blob    not null check (length(secret) = 32),
    created_at integer not null
) strict;

create table installation (
    one         integer primary key check (one = 1),
    signed_only integer not null
) strict;

insert into installation (one, signed_only)
select 1, case
    when exists (select 1 from workflows) or exists (select 1 from runs) then 0
    when (select min(installed_on) from _sqlx_migrations) < datetime('now', '-1 minute') then 0
    else 1
end;
