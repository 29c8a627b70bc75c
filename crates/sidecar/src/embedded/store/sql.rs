//! Every statement, one constant each. Times are milliseconds since the epoch; `?` parameters are numbered.

pub(in crate::embedded) const LAYOUT: &str = "
create table if not exists state (
  id integer primary key,
  store text not null,
  key text not null,
  data blob not null,
  version integer not null,
  expires integer,
  unique (store, key)
);
create index if not exists state_expires on state (expires) where expires is not null;
create table if not exists message (
  id integer primary key,
  pubsub text not null,
  topic text not null,
  event blob not null,
  metadata text not null,
  expires integer
);
create index if not exists message_topic on message (pubsub, topic, id);
create table if not exists reminder (
  actor_type text not null,
  actor_id text not null,
  name text not null,
  id text not null,
  data text not null,
  due_time text not null,
  period text not null,
  ttl text not null,
  due integer not null,
  every integer,
  left_over integer,
  expires integer,
  retry_every integer not null,
  retries integer,
  primary key (actor_type, actor_id, name)
) without rowid;
create table if not exists mark (
  one integer primary key check (one = 1),
  installation text not null,
  generation integer not null
);
pragma user_version = 1;
";

pub(in crate::embedded) const HAS_MARK: &str =
    "select exists (select 1 from sqlite_master where type = 'table' and name = 'mark')";

pub(in crate::embedded) const MARK: &str = "select installation, generation from mark where one = 1";

pub(super) const PUT_MARK: &str = "
insert or replace into mark (one, installation, generation) values (1, ?1, ?2)";

pub(in crate::embedded) const KEYS: &str = "
select store, key from state
where substr(key, -length(?1)) = ?1 and (expires is null or expires > ?3) order by store, key limit ?2";

pub(in crate::embedded) const GET: &str = "
select data, version, expires from state
where store = ?1 and key = ?2 and (expires is null or expires > ?3)";

pub(super) const GET_MANY: &str = "
select key, data, version, expires from state
where store = ?1 and key in (select value from json_each(?2)) and (expires is null or expires > ?3)";

/// `?4` the new expiry, `?5` whether to keep an old one, `?6` now. An expired row counts as missing.
pub(super) const PUT: &str = "
insert into state (store, key, data, version, expires) values (?1, ?2, ?3, 1, ?4)
on conflict (store, key) do update set
  data = excluded.data,
  version = case when expires is not null and expires <= ?6 then 1 else version + 1 end,
  expires = case when ?5 and (expires is null or expires > ?6) then expires else excluded.expires end";

pub(super) const PUT_FIRST: &str = "
insert into state (store, key, data, version, expires) values (?1, ?2, ?3, 1, ?4)
on conflict (store, key) do update set data = excluded.data, version = 1, expires = excluded.expires
where expires is not null and expires <= ?5";

pub(super) const PUT_FENCED: &str = "
update state set
  data = ?3, version = version + 1, expires = case when ?5 then expires else ?4 end
where store = ?1 and key = ?2 and version = ?7 and (expires is null or expires > ?6)";

pub(super) const REMOVE: &str = "delete from state where store = ?1 and key = ?2";

pub(super) const REMOVE_FENCED: &str = "
delete from state where store = ?1 and key = ?2 and version = ?3 and (expires is null or expires > ?4)";

pub(super) const EXPIRE: &str = "
delete from state where id in (select id from state where expires <= ?1 limit 1000)";

pub(super) const PUBLISH: &str = "
insert into message (id, pubsub, topic, event, metadata, expires) values (?1, ?2, ?3, ?4, ?5, ?6)";

/// Ids are the writer's: rows that are gone must not give theirs away while topics remember them.
pub(super) const LAST_MESSAGE: &str = "select coalesce(max(id), 0) from message";

pub(super) const FORGET: &str = "delete from message where id in (select value from json_each(?1))";

pub(super) const PURGE: &str = "delete from message where pubsub = ?1 and topic = ?2 and id <= ?3";

pub(super) const LIMIT_MESSAGES: &str = "
update message set expires = ?3 where pubsub = ?1 and topic = ?2 and expires is null";

pub(super) const EXPIRED_MESSAGES: &str = "
select id from message where pubsub = ?1 and topic = ?2 and expires <= ?3 order by id limit ?4";

pub(super) const MESSAGES: &str = "
select id, event, metadata, expires from message
where pubsub = ?1 and topic = ?2 and id > ?3 order by id limit ?4";

pub(super) const BACKLOG: &str = "
select pubsub, topic, count(*) as count, max(id) as newest from message group by pubsub, topic";

pub(super) const PUT_REMINDER: &str = "
insert or replace into reminder
  (actor_type, actor_id, name, id, data, due_time, period, ttl, due, every, left_over, expires, retry_every, retries)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";

pub(super) const REMOVE_REMINDER: &str = "
delete from reminder where actor_type = ?1 and actor_id = ?2 and name = ?3";

pub(super) const END_REMINDER: &str = "
delete from reminder where actor_type = ?1 and actor_id = ?2 and name = ?3 and id = ?4";

pub(super) const MOVE_REMINDER: &str = "
update reminder set due = ?5, left_over = ?6
where actor_type = ?1 and actor_id = ?2 and name = ?3 and id = ?4";

pub(super) const REMINDERS: &str = "
select actor_type, actor_id, name, id, data, due_time, period, ttl, due, every, left_over, expires, retry_every,
  retries
from reminder";
