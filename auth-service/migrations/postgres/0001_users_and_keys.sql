-- Times are microseconds since 1970, UTC.

-- Users in the order of their ids are in the order of their registration.
create table users (
    id uuid not null primary key,
    username text collate "C" not null,
    email text collate "C" not null,
    image_url text collate "C" not null,
    password_hash text collate "C" not null,
    create_time bigint not null,
    update_time bigint not null
);

-- What a user logs in by: the username and the e-mail address in lower case. An address has an "@"
-- and a username never has, so both share one key. A name is claimed by "insert .. on conflict do
-- nothing": the index decides who has it, also between two processes, and losing is no SQL error.
create table user_names (
    name text collate "C" not null primary key,
    user_id uuid not null
);

create index user_names_by_user on user_names (user_id);

-- A key's state follows from the times: the latest that is activated signs.
create table signing_keys (
    seq bigint not null primary key,
    kid text collate "C" not null unique,
    public_key bytea not null,
    sealed_seed bytea not null,
    create_time bigint not null,
    activate_time bigint not null
);
