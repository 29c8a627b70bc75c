-- Which installation this is, and how far it has come: the sidecar's file says the same, so that a start sees whether the two are of
-- one time. `generation` counts starts and minutes at work; 0 is before the first.

alter table installation add column name text;
alter table installation add column generation integer not null default 0;
