-- What is asked over all runs of a project: which have these words, what waits for a person, what was used on which day.
--
-- The words by which a run is found stand beside `runs`, in rows that are short and of one index: `runs` is written at each append, words
-- when a run begins and when it ends. The program makes them, so both databases have the same.

create table run_words (
    run_created_at timestamptz not null,
    project        text collate "C" not null,
    run            text collate "C" not null,
    created_at     timestamptz not null,
    words          tsvector not null,
    primary key (run_created_at, project, run)
);
create index idx_run_words on run_words using gin (words);
create index idx_run_words_created on run_words (project, created_at desc, run desc);

-- Runs there are: as well as SQL can tell words apart.
insert into run_words (run_created_at, project, run, created_at, words)
select r.run_created_at, r.project, r.run, r.created_at, array_to_tsvector(array(
    select distinct left(word, 64) from (
        select unnest(regexp_split_to_array(lower(concat_ws(' ', r.run, v.name, s.error ->> 'code', s.error ->> 'message') collate "default"), '[^[:alnum:]]+'))
        union all select '=p=' || r.project
        union all select '=w=' || r.workflow_id
    ) as w (word) where word <> ''
))
from runs r
left join workflow_versions v on v.workflow_id = r.workflow_id and v.version = r.version
cross join lateral (select case when r.summary like '%"error":{%' and r.summary not like '%\\u0000%' then r.summary::json -> 'error' end as error) s;

alter table runs add column asks text not null default '[]';
alter table runs add column counted_seq bigint not null default 0;

create table approvals (
    project text collate "C" not null,
    run     text collate "C" not null,
    step    text collate "C" not null,
    since   bigint not null,
    asked   text not null,
    primary key (project, run, step)
);
create index idx_approvals_since on approvals (project, since, run, step);

-- What is asked is passed on as it was written: a text in it may be one that Postgres has no place for.
create function asks_follow() returns trigger
language plpgsql set search_path = public, pg_temp as $$
begin
    if tg_op = 'UPDATE' then
        delete from approvals where project = new.project and run = new.run;
    end if;
    insert into approvals (project, run, step, since, asked)
    select new.project, new.run, value ->> 0, (value ->> 1)::bigint, value ->> 2 from json_array_elements(new.asks::json);
    return null;
end $$;
create trigger asks_begin after insert on runs for each row when (new.asks <> '[]') execute function asks_follow();
create trigger asks_change after update of asks on runs for each row when (new.asks <> old.asks) execute function asks_follow();

-- A row for each day and whoever used something on it; added to when a run ends, for all of it that was not added before.
create table usage_by_day (
    project           text collate "C" not null,
    day               text collate "C" not null,
    workflow_id       text collate "C" not null,
    agent             text collate "C" not null,
    model             text collate "C" not null,
    calls             bigint not null,
    prompt_tokens     bigint not null,
    completion_tokens bigint not null,
    primary key (project, day, workflow_id, agent, model)
);

do $$ declare t text; begin
    foreach t in array array['run_words', 'approvals', 'usage_by_day'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy engine on %I to callboard_engine using (true) with check (true)', t);
        execute format('create policy own on %I to callboard_api using (project = current_setting(''callboard.project'', true)) '
            'with check (project = current_setting(''callboard.project'', true))', t);
        execute format('grant select, insert, update, delete on %I to callboard_engine', t);
        execute format('grant select on %I to callboard_api', t);
    end loop;
end $$;

-- Runs of the caller's project that have these words, newest first. As the owner's, since under row-level security an operator like `@@`
-- may not choose the rows: every run would be looked at. The newest runs are looked through first: of words that are in many they have
-- enough, and words that are in few are found by the index.
create function search_runs(
    query tsquery, span_from timestamptz, span_to timestamptz, before_at timestamptz, before_run text, most integer
) returns table (month timestamptz, name text)
language plpgsql stable security definer rows 100 set search_path = public, pg_temp set plan_cache_mode = force_custom_plan as $$
declare
    own text := current_setting('callboard.project', true);
    begun timestamptz := coalesce(span_from, '-infinity');
    ended timestamptz := coalesce(span_to, 'infinity');
    looked constant integer := 5000;
    there integer;
begin
    if before_at is null then
        before_at := 'infinity';
        before_run := '';
    end if;
    select count(*) into there from (
        select 1 from (
            select w.words from run_words w
            where w.project = own and w.created_at >= begun and w.created_at < ended and (w.created_at, w.run) < (before_at, before_run)
            order by w.created_at desc, w.run desc limit looked
        ) newest where newest.words @@ query limit most
    ) enough;
    if there >= most then
        return query
            select newest.run_created_at, newest.run from (
                select w.* from run_words w
                where w.project = own and w.created_at >= begun and w.created_at < ended and (w.created_at, w.run) < (before_at, before_run)
                order by w.created_at desc, w.run desc limit looked
            ) newest where newest.words @@ query
            order by newest.created_at desc, newest.run desc limit most;
        return;
    end if;
    return query
        with matching as materialized (
            select w.run_created_at, w.run, w.created_at from run_words w
            where w.words @@ query and w.project = own and w.created_at >= begun and w.created_at < ended
                and (w.created_at, w.run) < (before_at, before_run)
        )
        select m.run_created_at, m.run from matching m order by m.created_at desc, m.run desc limit most;
end $$;
revoke all on function search_runs from public;
grant execute on function search_runs to callboard_api;

-- As before, and the words of what goes.
create or replace function drop_months_before(before timestamptz) returns setof text
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
        delete from run_words where run_created_at >= first and run_created_at < last;
        delete from run_ids where created_at >= first and created_at < last;
        execute format('drop table %I, %I, %I', name, 'history_' || right(name, 6), 'run_values_' || right(name, 6));
        return next name;
    end loop;
end $$;
