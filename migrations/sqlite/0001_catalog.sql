-- Definitions, their versions, runs, histories and values.
--
-- Ids are text (UUIDv7 where we make them), instants are milliseconds since the epoch, JSON is text.
-- `history` keeps a rowid on purpose: entries of many runs go to the table's end, so a commit dirties few pages.

create table workflows (
    id          text primary key,
    name        text    not null,
    description text,
    created_at  integer not null,
    updated_at  integer not null,
    metadata    text    not null default '{}',
    version     integer not null,
    hidden      integer not null default 0
) strict;

create table workflow_versions (
    workflow_id text    not null references workflows (id),
    version     integer not null,
    name        text    not null,
    description text,
    definition  text    not null,
    problems    text    not null default '[]',
    metadata    text    not null default '{}',
    created_at  integer not null,
    primary key (workflow_id, version)
) strict, without rowid;

-- One row per node and version; the id is UUIDv5 of workflow, version and node.
create table workflow_nodes (
    id          text primary key,
    workflow_id text    not null references workflows (id),
    type        text    not null,
    config      text,
    position    text,
    version     integer not null,
    node        text    not null,
    parent_id   text references workflow_nodes (id)
) strict;

create table workflow_edges (
    id          text primary key,
    workflow_id text    not null references workflows (id),
    source_id   text    not null references workflow_nodes (id),
    target_id   text    not null references workflow_nodes (id),
    config      text,
    version     integer not null
) strict;

create table runs (
    id            text primary key,
    workflow_id   text,
    version       integer,
    status        text    not null,
    summary       text    not null,
    seq           integer not null,
    created_at    integer not null,
    ended_at      integer,
    retain_until  integer,
    next_check_at integer,
    cleaned_seq   integer not null default 0,
    purging       integer not null default 0,
    purged        integer not null default 0
) strict;

create table history (
    run        text    not null,
    seq        integer not null,
    created_at integer not null,
    hash       blob    not null,
    event      text    not null,
    unique (run, seq)
) strict;

create table run_values (
    run   text not null,
    key   text not null,
    value blob not null,
    unique (run, key)
) strict;

create index idx_workflow_nodes_workflow on workflow_nodes (workflow_id, version);
create index idx_workflow_edges_workflow on workflow_edges (workflow_id, version);
create index idx_runs_created on runs (created_at, id);
create index idx_runs_workflow on runs (workflow_id, created_at, id);
create index idx_runs_status on runs (status, created_at, id);
create index idx_runs_next_check on runs (next_check_at) where next_check_at is not null;
