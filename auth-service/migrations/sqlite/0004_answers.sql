-- The answers to writes that may be asked for again, each with a digest of what was asked for. The owner
-- is the user; that of the opening of an account is a keyed hash of its username, and the answer holds no
-- name: so with the rows of a user all that is in the answers about them can go.
create table answers (
    owner_id blob not null,
    method text not null,
    request_id blob not null,
    digest text not null,
    answer text not null,
    expire_time integer not null,
    primary key (owner_id, method, request_id)
) strict, without rowid;

create index answers_by_expire_time on answers (expire_time);
