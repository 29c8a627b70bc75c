-- Answers of changes that had an idempotency key, each written in the transaction of its change; they go after a day.
create table answers (
    project text not null,
    route text not null,
    key text not null,
    body blob not null,
    status integer not null,
    headers text not null,
    answer blob not null,
    at integer not null,
    primary key (project, route, key)
) without rowid;

create index answers_by_age on answers (at);

-- Messages for runs that are not there yet; each is tried again when it is due, and goes when it was taken, or is over.
create table early_messages (
    id text primary key,
    place integer not null,
    run text not null,
    method text not null,
    message blob not null,
    event blob not null,
    came_at integer not null,
    due_at integer not null
);

create index early_messages_by_due on early_messages (due_at);
