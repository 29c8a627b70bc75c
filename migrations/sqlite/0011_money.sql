-- What calls cost, in millionths of a unit of the prices' currency, beside how many calls are in it: of the others it is not known.
-- What was summed up before had no prices.

alter table usage_by_day add column priced_calls integer not null default 0;
alter table usage_by_day add column cost integer not null default 0;
