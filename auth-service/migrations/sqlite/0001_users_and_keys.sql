-- Times are microseconds since 1970, UTC.

-- Users in the order of their ids are in the order of their registration.
create table users (
    id blob not null primary key,
    username text not null,
    email text not null,
    image_url text not null,
    password_hash text not null,
    create_time integer not null,
    update_time integer not null
) strict, without rowid;

-- What a user logs in by: the username and the e-mail address in lower case. An address has an "@"
-- and a username never has, so both share one key. A name is claimed by "insert .. on conflict do
-- nothing": the index decides who has it, also between two processes, and losing is no SQL error.
create table user_names (
    name text not null primary key,
    user_id blob not null
) strict, without rowid;

create index user_names_by_user on user_names (user_id);

-- A key's state follows from the times: the latest that is activated signs.
create table signing_keys (
    seq integer not null primary key,
    kid text not null unique,
    public_key blob not null,
    sealed_seed blob not null,
    create_time integer not null,
    activate_time integer not null
) strict;
