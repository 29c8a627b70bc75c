-- Projects: a run is known by project and id, a workflow belongs to a project. All there is so far is of `default`.
--
-- `history` and `run_values` stay as they are. Their `run` is the text of a run's id, which is the id itself in `default`
-- and `project~id` elsewhere: it says the project already and is unique over all of them. Another key would mean to copy
-- these tables, the largest there are by far, while a start waits.
-- `runs` is copied, since SQLite changes no key in place: one row per run, and no other table refers to it.
-- `last_at`, the time of a history's last entry, spares lists of runs the way to each run's history, which SQL would have
-- to find by a text that only the program makes.
-- In keys that are searched by both, the id stands before the project: it tells rows apart at the first comparison, which
-- each append makes several times.
-- `workflows` keeps its key, as its ids are unique anyway: a column with a constant default, no row is written.

alter table workflows add column project text not null default 'default';

create table runs_by_project (
    project       text    not null default 'default',
    id            text    not null,
    workflow_id   text,
    version       integer,
    status        text    not null,
    summary       text    not null,
    seq           integer not null,
    last_at       integer not null,
    created_at    integer not null,
    ended_at      integer,
    retain_until  integer,
    next_check_at integer,
    cleaned_seq   integer not null default 0,
    purging       integer not null default 0,
    purged        integer not null default 0,
    primary key (id, project)
) strict;

insert into runs_by_project
    (id, workflow_id, version, status, summary, seq, last_at, created_at, ended_at, retain_until, next_check_at,
    cleaned_seq, purging, purged)
select r.id, r.workflow_id, r.version, r.status, r.summary, r.seq, coalesce(h.created_at, r.created_at), r.created_at,
    r.ended_at, r.retain_until, r.next_check_at, r.cleaned_seq, r.purging, r.purged
from runs r
left join history h on h.run = r.id and h.seq = r.seq
order by r.rowid;

drop table runs;
alter table runs_by_project rename to runs;

create index idx_workflows_listed on workflows (project, id) where hidden = 0;
create index idx_runs_created on runs (project, created_at, id);
create index idx_runs_workflow on runs (workflow_id, project, created_at, id);
create index idx_runs_status on runs (project, status, created_at, id);
create index idx_runs_next_check on runs (next_check_at) where next_check_at is not null;
