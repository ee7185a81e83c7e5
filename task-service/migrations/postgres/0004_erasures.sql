-- Until when no write of the owner is let in, because the owner is being erased or has been; 0 is never.
alter table owners add column fence_time bigint not null default 0;

-- Owners who are being erased, and how much of what they had has gone.
create table erasures (
    owner_id uuid not null primary key,
    projects bigint not null,
    tasks bigint not null
);

-- One row: the last erasure that has been confirmed, in the sequence of the issuer of tokens.
create table erasure_cursor (
    id bigint not null primary key,
    epoch uuid not null,
    sequence bigint not null
);
