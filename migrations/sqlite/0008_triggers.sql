-- What starts runs by itself, and what came of it.
--
-- `revision` counts what people changed; whoever moves a schedule on compares it, and where the schedule stood. `next_at` is its
-- next occasion, `queued` one that waits for the end of `current_run`, and `look_at` when somebody looks at it: while one process
-- does, that lies ahead for the others. `secret` is sealed under a key that is not here. `made_of` is of the request that made it.
-- Of the fires the last hundred of each trigger are kept.

create table triggers (
    project     text    not null,
    id          text    not null,
    workflow_id text    not null,
    kind        text    not null,
    name        text    not null default '',
    settings    text    not null,
    enabled     integer not null,
    since       integer not null,
    revision    integer not null,
    secret      blob,
    made_of     blob,
    created_at  integer not null,
    created_by  text    not null,
    updated_at  integer not null,
    next_at     integer,
    queued      integer,
    last_at     integer,
    current_run text,
    look_at     integer,
    primary key (project, id)
) strict;

create table trigger_fires (
    project    text    not null,
    trigger_id text    not null,
    occasion   text    not null,
    at         integer not null,
    run        text,
    outcome    text    not null,
    code       text,
    detail     text,
    missed     integer not null default 0,
    primary key (project, trigger_id, occasion),
    foreign key (project, trigger_id) references triggers (project, id) on delete cascade
) strict;

create index idx_triggers_look on triggers (look_at) where look_at is not null;
create index idx_triggers_workflow on triggers (project, workflow_id, id);
create index idx_trigger_fires_at on trigger_fires (project, trigger_id, at, occasion);

-- A workflow that is hidden starts no more runs, whichever release hides it.
create trigger a_hidden_workflow_has_no_triggers after update of hidden on workflows when new.hidden = 1
begin
    delete from triggers where project = new.project and workflow_id = new.id;
end;
