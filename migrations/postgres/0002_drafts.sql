-- Drafts: what is edited, at most one for each workflow, beside its published versions, which never change.
--
-- `workflows.version` is the latest published version, 0 before the first. `drafts` counts what was ever saved as a draft: a
-- draft's revision is never given again. `renamed` is what people call a workflow, where that is not what its latest version says.
-- `source` is the text of a definition that came as YAML, in bytes: Postgres has no place for the character 0. `hash` is null of
-- versions that were saved before there was one.

alter table workflows add column drafts integer not null default 0;
alter table workflows add column renamed text not null default '{}';

alter table workflow_versions add column note text;
alter table workflow_versions add column author text;
alter table workflow_versions add column source bytea;
alter table workflow_versions add column hash bytea;

create table workflow_drafts (
    project     text collate "C" not null,
    workflow_id uuid primary key,
    revision    integer not null,
    base        integer not null,
    name        text not null,
    description text,
    definition  text not null,
    problems    text not null default '[]',
    metadata    text not null default '{}',
    author      text,
    source      bytea,
    updated_at  timestamptz not null,
    foreign key (project, workflow_id) references workflows (project, id)
);

-- A latest version with problems was a draft, so it becomes one. No run can have begun with it. Older ones with problems stay:
-- they can be read. Nodes and edges of it go; those of the version before are written again by the next one.
insert into workflow_drafts
    (project, workflow_id, revision, base, name, description, definition, problems, metadata, updated_at)
select w.project, w.id, 1, v.version, v.name, v.description, v.definition, v.problems, v.metadata, v.created_at
from workflows w
join workflow_versions v on v.workflow_id = w.id and v.version = w.version
where not w.hidden and v.problems <> '[]';

delete from workflow_edges e using workflow_nodes n, workflow_drafts d
where n.workflow_id = d.workflow_id and n.node is not null and (e.source_id = n.id or e.target_id = n.id);
delete from workflow_nodes n using workflow_drafts d where n.workflow_id = d.workflow_id and n.node is not null;
delete from workflow_versions v using workflow_drafts d where v.workflow_id = d.workflow_id and v.version = d.base;

update workflows w set drafts = 1, version = coalesce((
    select max(v.version) from workflow_versions v where v.workflow_id = w.id and v.problems = '[]'), 0)
from workflow_drafts d where d.workflow_id = w.id;

update workflow_drafts d set base = w.version from workflows w where w.id = d.workflow_id;

alter table workflow_drafts enable row level security;
create policy engine on workflow_drafts to callboard_engine using (true) with check (true);
create policy own on workflow_drafts to callboard_api using (project = current_setting('callboard.project', true))
    with check (project = current_setting('callboard.project', true));
grant select, insert, update, delete on workflow_drafts to callboard_engine;
grant select, insert, update, delete on workflow_drafts to callboard_api;
