-- What calls cost, in millionths of a unit of the prices' currency, beside how many calls are in it: of the others it is not known.
-- What was summed up before had no prices.

alter table usage_by_day add column priced_calls integer not null default 0;
alter table usage_by_day add column cost integer not null default 0;

-- A project that is paused begins no run. Its limits, and those of a key, are JSON: what is not in it is not bounded.
alter table projects add column paused_at integer;
alter table projects add column limits text not null default '{}';
alter table api_keys add column limits text not null default '{}';
