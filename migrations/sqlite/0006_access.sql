-- Who may ask, in which project, and what was changed by whom.
--
-- A key's secret is not here: `hash` is an HMAC of it. After a rotation the hash before it is good until `previous_until`.
-- A project that is deleted keeps its row: its id is never given again, so that nothing of the old one is found by the new.
-- `audit` is only added to. A row may go when it is older than 400 days; that and nothing else the triggers let pass.
-- Rows of refused requests have a `code`, and the start of their minute as `at`: one of a kind is enough for a minute.

create table projects (
    id         text primary key,
    name       text    not null default '',
    created_at integer not null,
    deleted_at integer
) strict;

insert into projects (id, created_at) values ('default', cast(strftime('%s', 'now') as integer) * 1000);

create table api_keys (
    id             text primary key,
    project        text    not null references projects (id),
    role           text    not null,
    name           text    not null default '',
    hash           blob    not null check (length(hash) = 32),
    previous_hash  blob check (previous_hash is null or length(previous_hash) = 32),
    previous_until integer,
    created_at     integer not null,
    created_by     text    not null,
    rotated_at     integer,
    expires_at     integer,
    revoked_at     integer,
    last_used_at   integer
) strict;

create table audit (
    seq     integer primary key autoincrement,
    at      integer not null,
    project text    not null,
    subject text    not null,
    via     text    not null,
    route   text    not null,
    object  text,
    before  blob,
    after   blob,
    code    text,
    source  text
) strict;

create index idx_api_keys_project on api_keys (project, id);
create index idx_audit_project on audit (project, seq);
create index idx_audit_at on audit (at);
create unique index idx_audit_refused on audit (source, code, at) where code is not null;

create trigger audit_is_not_changed before update on audit
begin
    select raise(abort, 'the audit is only added to');
end;

create trigger audit_is_kept before delete on audit
when old.at > (cast(strftime('%s', 'now') as integer) - 400 * 86400) * 1000
begin
    select raise(abort, 'the audit is kept for 400 days');
end;
