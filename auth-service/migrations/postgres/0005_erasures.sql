-- Users who have been deleted. The id is all that is left of them. These rows stay: a service whose data are
-- restored from a backup is told again of whoever has been deleted since.
create table erasures (
    user_id uuid not null primary key,
    -- What the erasure is asked for by.
    id uuid not null unique,
    delete_time bigint not null
);

-- The order in which they have been deleted: places in the sequence of trust_head.
create table erasure_feed (
    sequence bigint not null primary key,
    user_id uuid not null
);

-- The services that must confirm. Nobody waits for one any more that has a settle_time; without a confirm_time it
-- was removed. A time of 0 means not yet.
create table erasure_confirmations (
    user_id uuid not null,
    service text collate "C" not null,
    settle_time bigint not null,
    confirm_time bigint not null,
    -- A JSON object of numbers.
    deleted_counts text collate "C" not null,
    primary key (user_id, service)
);

create index erasure_confirmations_by_settle_time on erasure_confirmations (settle_time, service, user_id);

-- A service that is registered may hold something of a user: an erasure waits for it rather than be called
-- complete without it. One that holds nothing is added anew with the scope trust.watch alone.
update services set scopes = scopes || ' erasure.confirm';
