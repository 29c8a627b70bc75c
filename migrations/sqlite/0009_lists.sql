-- What is asked over all runs of a project: which have these words, what waits for a person, what was used on which day.
--
-- `words` are the words by which a run is found, in small letters, made by the program: so both databases have the same. `place`
-- stands for a run in their index: its creation, and 21 bits of its name for runs of one millisecond. The index holds no text.
-- It is written when a run begins and when one ends, not in between.
-- `asks` is a list in JSON of what waits for a person in this run; `approvals` has the same, a row for each.

alter table runs add column words text not null default '';
alter table runs add column place integer not null default 0;
alter table runs add column asks text not null default '[]';
alter table runs add column counted_seq integer not null default 0;

create virtual table run_words using fts5 (
    words, content = '', contentless_delete = 1, detail = none, prefix = '2 3 4', tokenize = "ascii tokenchars '=-'"
);

-- Runs there are: as well as SQL can tell words apart. A place is taken once.
update runs set
    place = (max(min(created_at, 4398046511103), -4398046511104) << 21) | (rowid & 2097151),
    words = lower(trim(
        replace(replace(replace(replace(replace(replace(
            id || ' ' || coalesce((
                select v.name from workflow_versions v where v.workflow_id = runs.workflow_id and v.version = runs.version
            ), '')
            || ' ' || coalesce(iif(json_valid(summary), summary ->> '$.error.code', ''), '')
            || ' ' || coalesce(iif(json_valid(summary), summary ->> '$.error.message', ''), ''),
            '-', ' '), '_', ' '), ':', ' '), '.', ' '), ',', ' '), '=', ' ')
    )) || ' =p=' || project || coalesce(' =w=' || workflow_id, '');
insert or ignore into run_words (rowid, words) select place, words from runs;

create trigger run_words_begin after insert on runs when new.words <> '' begin
    insert or ignore into run_words (rowid, words) values (new.place, new.words);
end;
create trigger run_words_change after update of words on runs when new.words <> old.words begin
    delete from run_words where rowid = new.place;
    insert or ignore into run_words (rowid, words) values (new.place, new.words);
end;

create index idx_runs_place on runs (project, place);

create table approvals (
    project text not null,
    run text not null,
    step text not null,
    since integer not null,
    asked text not null,
    primary key (project, run, step)
) strict, without rowid;
create index idx_approvals_since on approvals (project, since, run, step);

create trigger asks_begin after insert on runs when new.asks <> '[]' begin
    insert into approvals (project, run, step, since, asked)
    select new.project, new.id, value ->> 0, value ->> 1, value ->> 2 from json_each(new.asks);
end;
create trigger asks_change after update of asks on runs when new.asks <> old.asks begin
    delete from approvals where project = new.project and run = new.id;
    insert into approvals (project, run, step, since, asked)
    select new.project, new.id, value ->> 0, value ->> 1, value ->> 2 from json_each(new.asks);
end;

-- A row for each day and whoever used something on it; added to when a run ends, for all of it that was not added before.
create table usage_by_day (
    project text not null,
    day text not null,
    workflow_id text not null,
    agent text not null,
    model text not null,
    calls integer not null,
    prompt_tokens integer not null,
    completion_tokens integer not null,
    primary key (project, day, workflow_id, agent, model)
) strict, without rowid;
