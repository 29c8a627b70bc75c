-- Definitions, runs, histories, values, keys, pins, answers, early messages, the API's keys and
-- projects, the audit, and embeddings; who may touch what; the months.
--
-- Run by the owner, in one transaction. `workflows`, `workflow_nodes`, `workflow_edges` and `embeddings` are asked for by name
-- and column; what is added to them has a default, so that whoever knows only the columns asked for can still insert.
-- Names are compared byte by byte (`collate "C"`), whatever the database's language is: lists are sorted by them.
-- JSON that has to come back as it was is text; `jsonb` is only what other programs look into.

create extension if not exists vector with schema public;

-- ---------------------------------------------------------------- definitions

create table workflows (
    id          uuid primary key,
    name        varchar(255) not null,
    description text,
    created_at  timestamptz default now(),
    updated_at  timestamptz default now(),
    metadata    jsonb,
    project     text collate "C" not null default 'default',
    version     integer not null default 0,
    hidden      boolean not null default false,
    unique (project, id)
) partition by range (id);

-- An id of another kind, an imported one, one of a clock that is wrong: all need a place.
create table workflows_default partition of workflows default;

create table workflow_versions (
    project     text collate "C" not null,
    workflow_id uuid not null,
    version     integer not null,
    name        text not null,
    description text,
    definition  text not null,
    problems    text not null default '[]',
    metadata    text not null default '{}',
    created_at  timestamptz not null,
    primary key (workflow_id, version),
    foreign key (project, workflow_id) references workflows (project, id)
);

-- The latest version's nodes and edges.
create table workflow_nodes (
    id          uuid primary key,
    workflow_id uuid references workflows (id),
    type        varchar(50) not null,
    config      jsonb,
    position    jsonb,
    project     text collate "C" not null default 'default',
    version     integer not null default 0,
    node        text,
    parent_id   uuid references workflow_nodes (id)
);

create table workflow_edges (
    id          uuid primary key,
    workflow_id uuid references workflows (id),
    source_id   uuid references workflow_nodes (id),
    target_id   uuid references workflow_nodes (id),
    config      jsonb,
    project     text collate "C" not null default 'default',
    version     integer not null default 0
);

create index idx_workflow_nodes_workflow on workflow_nodes (workflow_id);
create index idx_workflow_nodes_parent on workflow_nodes (parent_id);
create index idx_workflow_edges_workflow on workflow_edges (workflow_id);
-- Without these two the deletion of a node reads all edges.
create index idx_workflow_edges_source on workflow_edges (source_id);
create index idx_workflow_edges_target on workflow_edges (target_id);

-- ---------------------------------------------------------------- runs

-- The judge: whether there is a run of this name, and where its history ends. An append moves `seq` and `hash`, which stand in
-- no index. `created_at` is this server's clock at the first append: it names the month of everything of this run, so no host's
-- clock can name one that is not there.
create table run_ids (
    project    text collate "C" not null,
    run        text collate "C" not null,
    created_at timestamptz not null default now(),
    seq        bigint not null,
    hash       bytea not null,
    primary key (project, run)
) with (fillfactor = 70);

create table runs (
    run_created_at timestamptz not null,
    project        text collate "C" not null,
    run            text collate "C" not null,
    -- As the run's first event says: what lists show and are sorted by.
    created_at     timestamptz not null,
    workflow_id    uuid,
    version        integer,
    status         text collate "C" not null,
    summary        text not null,
    seq            bigint not null,
    last_at        timestamptz not null,
    ended_at       timestamptz,
    retain_until   timestamptz,
    next_check_at  timestamptz,
    cleaned_seq    bigint not null default 0,
    purging        boolean not null default false,
    purged         boolean not null default false,
    primary key (run_created_at, project, run)
) partition by range (run_created_at);

create table history (
    run_created_at timestamptz not null,
    project        text collate "C" not null,
    run            text collate "C" not null,
    seq            bigint not null,
    at             timestamptz not null,
    hash           bytea not null,
    event          text not null,
    primary key (run_created_at, project, run, seq)
) partition by range (run_created_at);

create table run_values (
    run_created_at timestamptz not null,
    project        text collate "C" not null,
    run            text collate "C" not null,
    key            text collate "C" not null,
    value          bytea not null,
    primary key (run_created_at, project, run, key)
) partition by range (run_created_at);

-- Each list is read off one of these from its cursor on, month by month, merged.
create index idx_runs_created on runs (project, created_at desc, run desc);
create index idx_runs_workflow on runs (project, workflow_id, created_at desc, run desc);
create index idx_runs_status on runs (project, status, created_at desc, run desc);
create index idx_runs_next_check on runs (next_check_at) where next_check_at is not null;

-- ---------------------------------------------------------------- pins, keys

create table pins (
    project  text collate "C" not null,
    hash     bytea not null,
    document bytea not null,
    used_at  timestamptz not null,
    primary key (project, hash)
);

create table internal_keys (
    id         integer primary key,
    secret     bytea not null check (length(secret) = 32),
    created_at timestamptz not null
);

-- No release before this one has used Postgres, so there is no process that does not sign.
create table installation (
    one         integer primary key check (one = 1),
    signed_only boolean not null
);
insert into installation (one, signed_only) values (1, true);

-- ---------------------------------------------------------------- what is asked again, or too early

-- Answers of changes that had an idempotency key, each written in the transaction of its change; they go after a day.
create table answers (
    project text collate "C" not null,
    route   text collate "C" not null,
    key     text collate "C" not null,
    body    bytea not null,
    status  integer not null,
    headers text not null,
    answer  bytea not null,
    at      timestamptz not null,
    primary key (project, route, key)
);
create index idx_answers_at on answers (at);

-- Messages for runs that are not there yet; each is tried again when it is due, and goes when it was taken, or is over. An id is
-- of somebody else's making: any text, also one that Postgres has no place for.
create table early_messages (
    id      bytea primary key,
    place   bigint not null generated always as identity,
    project text collate "C" not null,
    run     text collate "C" not null,
    method  text not null,
    message bytea not null,
    event   bytea not null,
    came_at timestamptz not null,
    due_at  timestamptz not null
);
create index idx_early_messages_due on early_messages (due_at);

-- ---------------------------------------------------------------- who may ask, and what was changed by whom

-- A project that is deleted keeps its row: its id is never given again, so that nothing of the old one is found by the new.
create table projects (
    id         text collate "C" primary key,
    name       text not null default '',
    created_at timestamptz not null,
    deleted_at timestamptz
);
insert into projects (id, created_at) values ('default', date_trunc('second', now()));

-- A key's secret is not here: `hash` is an HMAC of it. After a rotation the hash before it is good until `previous_until`.
create table api_keys (
    id             text collate "C" primary key,
    project        text collate "C" not null references projects (id),
    role           text not null,
    name           text not null default '',
    hash           bytea not null check (length(hash) = 32),
    previous_hash  bytea check (length(previous_hash) = 32),
    previous_until timestamptz,
    created_at     timestamptz not null,
    created_by     text not null,
    rotated_at     timestamptz,
    expires_at     timestamptz,
    revoked_at     timestamptz,
    last_used_at   timestamptz
);
create index idx_api_keys_project on api_keys (project, id);

-- Only added to. A row may go when it is older than 400 days; that and nothing else the triggers let pass, whoever asks.
-- Rows of refused requests have a `code`, and the start of their minute as `at`: one of a kind is enough for a minute.
create table audit (
    seq     bigint primary key generated always as identity,
    at      timestamptz not null,
    project text collate "C" not null,
    subject text not null,
    via     text not null,
    route   text not null,
    object  text,
    before  bytea,
    after   bytea,
    code    text,
    source  text
);
create index idx_audit_project on audit (project, seq);
create index idx_audit_at on audit (at);
create unique index idx_audit_refused on audit (source, code, at) where code is not null;

create function audit_stays() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if tg_op = 'DELETE' then
        if old.at > now() - interval '400 days' then
            raise exception 'the audit is kept for 400 days' using errcode = 'restrict_violation';
        end if;
        return old;
    end if;
    raise exception 'the audit is only added to' using errcode = 'restrict_violation';
end $$;
create trigger audit_is_not_changed before update on audit for each row execute function audit_stays();
create trigger audit_is_kept before delete on audit for each row execute function audit_stays();
create trigger audit_is_not_emptied before truncate on audit for each statement execute function audit_stays();

-- ---------------------------------------------------------------- embeddings

create table embeddings (
    id           uuid primary key,
    workflow_id  uuid references workflows (id),
    content_type varchar(50),
    embedding    vector(1536),
    metadata     jsonb,
    project      text collate "C" not null default 'default',
    content      text
);
create index idx_embeddings_workflow on embeddings (workflow_id);
create index idx_embeddings_project on embeddings (project);
create index idx_embeddings_hnsw on embeddings using hnsw (embedding vector_cosine_ops);

-- ---------------------------------------------------------------- who may what

-- Three roles that nobody logs in as. A process's login is a member of the first; its transactions take one of the three on. The
-- first is a member of the others to take them on, and has none of their rights before it does.
do $$ declare role text; begin
    foreach role in array array['callboard_engine', 'callboard_api', 'callboard_access'] loop
        continue when exists (select from pg_roles where rolname = role);
        begin
            execute format('create role %I nologin noinherit', role);
        exception
            -- Roles are the server's: another database of it is being migrated.
            when duplicate_object or unique_violation then null;
            when insufficient_privilege then
                raise exception 'the role % is missing, and % may not create it: let an administrator create it with nologin, and '
                    'grant it to % with admin option', role, current_user, current_user;
        end;
    end loop;
end $$;
do $$ declare role text; begin
    foreach role in array array['callboard_api', 'callboard_access'] loop
        if not pg_has_role('callboard_engine', role, 'member') then
            execute format('grant %I to callboard_engine', role);
        end if;
    end loop;
end $$;
-- The owner's own processes take them on, too.
do $$ begin
    execute format('grant callboard_engine, callboard_api, callboard_access to %I', current_user);
exception when insufficient_privilege or invalid_grant_operation then
    -- An administrator made them, and says who is a member.
    null;
end $$;
grant usage on schema public to callboard_engine, callboard_api, callboard_access;

-- Rights on parents only: a month has no policy of its own, so nobody may name one.
do $$ declare t text; begin
    foreach t in array array['workflows', 'workflow_versions', 'workflow_nodes', 'workflow_edges', 'run_ids', 'runs', 'history',
                             'run_values', 'pins', 'embeddings', 'answers', 'early_messages'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy engine on %I to callboard_engine using (true) with check (true)', t);
        execute format('create policy own on %I to callboard_api using (project = current_setting(''callboard.project'', true)) '
            'with check (project = current_setting(''callboard.project'', true))', t);
        execute format('grant select, insert, update, delete on %I to callboard_engine', t);
        execute format('grant select on %I to callboard_api', t);
    end loop;
end $$;
grant insert, update, delete on workflows, workflow_versions, workflow_nodes, workflow_edges, embeddings to callboard_api;
grant insert, update on answers to callboard_api;
-- Nobody is shown these.
revoke all on early_messages from callboard_api;
grant select, insert, update, delete on internal_keys, installation to callboard_engine;
grant select on schema_versions to callboard_engine, callboard_api;

-- Who may ask is asked before a project is known, so this role has the rows of all; of the rest it sees whether a project is empty.
do $$ declare t text; begin
    foreach t in array array['projects', 'api_keys', 'audit', 'runs', 'workflows'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy access on %I to callboard_access using (true) with check (true)', t);
    end loop;
end $$;
grant select, insert, update on projects, api_keys to callboard_access;
grant select, insert, delete on audit to callboard_access;
grant select (project) on runs to callboard_access;
grant select (project, hidden) on workflows to callboard_access;

-- ---------------------------------------------------------------- months

-- Makes this month and the following ones. Any process may ask for it, as the owner: a table is made beside its parent and then
-- attached, which disturbs neither appends nor readers. It waits a second at most, and whoever asked asks again later.
create function make_partitions(months integer) returns void
language plpgsql security definer set search_path = public, pg_temp set lock_timeout = '1s' as $$
declare
    t text;
    name text;
    first timestamptz;
    next timestamptz;
begin
    if not pg_try_advisory_xact_lock(7203, 1) then
        return;
    end if;
    for i in 0..months loop
        first := (date_trunc('month', now() at time zone 'UTC') + i * interval '1 month') at time zone 'UTC';
        next := (first at time zone 'UTC' + interval '1 month') at time zone 'UTC';
        foreach t in array array['runs', 'history', 'run_values'] loop
            name := t || to_char(first at time zone 'UTC', '_YYYYMM');
            continue when to_regclass(name) is not null;
            execute format('create table %I (like %I including all)', name, t);
            execute format('alter table %I attach partition %I for values from (%L) to (%L)', t, name, first, next);
        end loop;
    end loop;
end $$;

-- The first id of version 7 that can be made at an instant.
create function first_id(at timestamptz) returns uuid
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Makes months of `workflows`. New months of a table with a default partition wait for its readers and stop its writers meanwhile,
-- so they are made two years ahead, by the migration and then by whoever looks after the database.
create function make_workflow_partitions(months integer) returns void
language plpgsql set search_path = public, pg_temp set lock_timeout = '1s' as $$
declare
    name text;
    first timestamptz;
    next timestamptz;
begin
    for i in 0..months loop
        first := (date_trunc('month', now() at time zone 'UTC') + i * interval '1 month') at time zone 'UTC';
        next := (first at time zone 'UTC' + interval '1 month') at time zone 'UTC';
        name := 'workflows' || to_char(first at time zone 'UTC', '_YYYYMM');
        continue when to_regclass(name) is not null;
        execute format('create table %I (like workflows including all)', name);
        execute format('alter table workflows attach partition %I for values from (%L) to (%L)', name, first_id(first), first_id(next));
    end loop;
end $$;

-- Drops the months that ended before an instant, oldest first, as far as no run in them can still be needed: all are purged from the
-- state store and none is looked at again. Returns the names of the months that went. The owner's alone: histories are gone with it.
create function drop_months_before(before timestamptz) returns setof text
language plpgsql set search_path = public, pg_temp set lock_timeout = '1s' as $$
declare
    name text;
    first timestamptz;
    last timestamptz;
    is_needed boolean;
begin
    for name in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'runs'::regclass and c.relname ~ '^runs_[0-9]{6}$' order by c.relname
    loop
        first := to_date(right(name, 6), 'YYYYMM')::timestamp at time zone 'UTC';
        last := (to_date(right(name, 6), 'YYYYMM')::timestamp + interval '1 month') at time zone 'UTC';
        exit when last > before;
        execute format('select exists (select from %I where not purged or next_check_at is not null)', name) into is_needed;
        continue when is_needed;
        delete from run_ids where created_at >= first and created_at < last;
        execute format('drop table %I, %I, %I', name, 'history_' || right(name, 6), 'run_values_' || right(name, 6));
        return next name;
    end loop;
end $$;

revoke all on function make_partitions, make_workflow_partitions, drop_months_before from public;
grant execute on function make_partitions to callboard_engine;

select make_partitions(3);
select make_workflow_partitions(24);
