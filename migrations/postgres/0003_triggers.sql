-- What starts runs by itself, and what came of it.
--
-- `revision` counts what people changed; whoever moves a schedule on compares it, and where the schedule stood. `next_at` is its
-- next occasion, `queued` one that waits for the end of `current_run`, and `look_at` when somebody looks at it: while one process
-- does, that lies ahead for the others. `secret` is sealed under a key that is not here. `made_of` is of the request that made it.
-- Of the fires the last hundred of each trigger are kept.

create table triggers (
    project     text collate "C" not null,
    id          text collate "C" not null,
    workflow_id uuid not null,
    kind        text not null,
    name        text not null default '',
    settings    text not null,
    enabled     boolean not null,
    since       timestamptz not null,
    revision    bigint not null,
    secret      bytea,
    made_of     bytea,
    created_at  timestamptz not null,
    created_by  text not null,
    updated_at  timestamptz not null,
    next_at     timestamptz,
    queued      timestamptz,
    last_at     timestamptz,
    current_run text collate "C",
    look_at     timestamptz,
    primary key (project, id),
    foreign key (project, workflow_id) references workflows (project, id)
);

create table trigger_fires (
    project    text collate "C" not null,
    trigger_id text collate "C" not null,
    occasion   text collate "C" not null,
    at         timestamptz not null,
    run        text collate "C",
    outcome    text not null,
    code       text,
    detail     text,
    missed     bigint not null default 0,
    primary key (project, trigger_id, occasion),
    foreign key (project, trigger_id) references triggers (project, id) on delete cascade
);

create index idx_triggers_look on triggers (look_at) where look_at is not null;
create index idx_triggers_workflow on triggers (project, workflow_id, id);
create index idx_trigger_fires_at on trigger_fires (project, trigger_id, at, occasion);

do $$ declare t text; begin
    foreach t in array array['triggers', 'trigger_fires'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy engine on %I to callboard_engine using (true) with check (true)', t);
        execute format('create policy own on %I to callboard_api using (project = current_setting(''callboard.project'', true)) '
            'with check (project = current_setting(''callboard.project'', true))', t);
        execute format('grant select, insert, update, delete on %I to callboard_engine, callboard_api', t);
    end loop;
end $$;

-- A workflow that is hidden starts no more runs, whichever release hides it.
create function forget_triggers() returns trigger
language plpgsql set search_path = public, pg_temp as $$
begin
    delete from triggers where project = new.project and workflow_id = new.id;
    return null;
end $$;
create trigger a_hidden_workflow_has_no_triggers after update of hidden on workflows
    for each row when (new.hidden) execute function forget_triggers();
