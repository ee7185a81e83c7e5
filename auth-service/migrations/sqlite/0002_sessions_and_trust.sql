-- A time of 0 means never.

-- The version rises when the password is changed, and not when the same one is hashed anew.
alter table users add column password_version integer not null default 0;
alter table users add column disable_time integer not null default 0;

-- Logins that have not ended. What ends one deletes it.
create table sessions (
    id blob not null primary key,
    user_id blob not null,
    client_label text not null,
    -- What its tokens are good for, separated by commas.
    audiences text not null,
    create_time integer not null,
    last_use_time integer not null,
    idle_expire_time integer not null,
    expire_time integer not null,
    -- When the last of its access tokens expires: until then its end has to be told.
    token_expire_time integer not null
) strict, without rowid;

create index sessions_by_user on sessions (user_id, id);
create index sessions_by_idle_expire_time on sessions (idle_expire_time);

-- The refresh tokens of these sessions, used ones too: using one again tells of a thief. Each is kept
-- as its SHA-256; its successor is made from it and the nonce, and is not kept either.
create table refresh_tokens (
    hash blob not null primary key,
    session_id blob not null,
    generation integer not null,
    nonce blob not null,
    use_time integer not null
) strict, without rowid;

-- No two tokens are in the same place, so a session never has two branches.
create unique index refresh_tokens_by_session on refresh_tokens (session_id, generation);

-- One row, locked last by every transaction that changes what verifiers must know: so the sequence
-- has no gaps, and who has seen a number has seen all before it.
create table trust_head (
    id integer not null primary key,
    epoch blob not null,
    sequence integer not null,
    -- Revocations that had expired before this time have been deleted.
    forgotten_time integer not null
) strict;

create table revocations (
    sequence integer not null primary key,
    -- A session, or the first half of a signing key's thumbprint.
    id blob not null,
    cause text not null,
    create_time integer not null,
    expire_time integer not null
) strict;

create index revocations_by_expire_time on revocations (expire_time);

-- Services that may have tokens of their own. The id stands for the registration, as that of a session
-- stands for a login.
create table services (
    name text not null primary key,
    id blob not null,
    secret_hash blob not null,
    -- Separated by spaces.
    scopes text not null,
    create_time integer not null
) strict, without rowid;
