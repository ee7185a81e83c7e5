-- Until when no write of the owner is let in, because the owner is being erased or has been; 0 is never.
alter table owners add column fence_time integer not null default 0;

-- Owners who are being erased, and how much of what they had has gone.
create table erasures (
    owner_id blob not null primary key,
    projects integer not null,
    tasks integer not null
) strict, without rowid;

-- One row: the last erasure that has been confirmed, in the sequence of the issuer of tokens.
create table erasure_cursor (
    id integer not null primary key,
    epoch blob not null,
    sequence integer not null
) strict;
