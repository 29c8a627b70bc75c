-- Pins: who the agents of runs are, one document for all runs that began with the same agents, by its content's hash.
--
-- `used_at` is when a run last began with it, to within half a day: no row of a run says which one it named, and none is
-- written for it. One goes when every run that may need it is purged.

create table pins (
    project  text    not null default 'default',
    hash     blob    not null,
    document blob    not null,
    used_at  integer not null,
    primary key (hash, project)
) strict;
