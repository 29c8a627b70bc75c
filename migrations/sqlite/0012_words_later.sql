-- The index of words is written for many runs at once, and before somebody asks it. Written for each run as it begins, it cost a
-- third more writes to this file.

-- What a trigger does on a conflict, the statement that sets it off decides; so it looks first.
create table words_to_index (place integer primary key, project text not null) strict;

drop trigger run_words_begin;
drop trigger run_words_change;
create trigger run_words_begin after insert on runs when new.words <> '' begin
    insert into words_to_index (place, project) select new.place, new.project
    where not exists (select 1 from words_to_index where place = new.place);
end;
create trigger run_words_change after update of words on runs when new.words <> old.words begin
    insert into words_to_index (place, project) select new.place, new.project
    where not exists (select 1 from words_to_index where place = new.place);
end;
