-- Drafts: what is edited, at most one for each workflow, beside its published versions, which never change.
--
-- `workflows.version` is the latest published version, 0 before the first. `drafts` counts what was ever saved as a draft: a
-- draft's revision is never given again. `renamed` is what people call a workflow, where that is not what its latest version says.
-- `source` is the text of a definition that came as YAML; `hash` is null of versions that were saved before there was one.

alter table workflows add column drafts integer not null default 0;
alter table workflows add column renamed text not null default '{}';

alter table workflow_versions add column note text;
alter table workflow_versions add column author text;
alter table workflow_versions add column source text;
alter table workflow_versions add column hash blob;

create table workflow_drafts (
    workflow_id text primary key references workflows (id),
    revision    integer not null,
    base        integer not null,
    name        text    not null,
    description text,
    definition  text    not null,
    problems    text    not null default '[]',
    metadata    text    not null default '{}',
    author      text,
    source      text,
    updated_at  integer not null
) strict;

-- A latest version with problems was a draft, so it becomes one. No run can have begun with it. Older ones with problems stay:
-- they can be read.
insert into workflow_drafts (workflow_id, revision, base, name, description, definition, problems, metadata, updated_at)
select w.id, 1, v.version, v.name, v.description, v.definition, v.problems, v.metadata, v.created_at
from workflows w
join workflow_versions v on v.workflow_id = w.id and v.version = w.version
where w.hidden = 0 and v.problems <> '[]';

delete from workflow_edges where (workflow_id, version) in (select workflow_id, base from workflow_drafts);
delete from workflow_nodes where (workflow_id, version) in (select workflow_id, base from workflow_drafts);
delete from workflow_versions where (workflow_id, version) in (select workflow_id, base from workflow_drafts);

update workflows set drafts = 1, version = coalesce((
    select max(v.version) from workflow_versions v where v.workflow_id = workflows.id and v.problems = '[]'), 0)
where id in (select workflow_id from workflow_drafts);

update workflow_drafts set base = (select w.version from workflows w where w.id = workflow_drafts.workflow_id);
