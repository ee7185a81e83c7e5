-- A time of 0 means never.

-- The version rises when the password is changed, and not when the same one is hashed anew.
alter table users add column password_version bigint not null default 0;
alter table users add column disable_time bigint not null default 0;

-- Logins that have not ended. What ends one deletes it.
create table sessions (
    id uuid not null primary key,
    user_id uuid not null,
    client_label text collate "C" not null,
    -- What its tokens are good for, separated by commas.
    audiences text collate "C" not null,
    create_time bigint not null,
    last_use_time bigint not null,
    idle_expire_time bigint not null,
    expire_time bigint not null,
    -- When the last of its access tokens expires: until then its end has to be told.
    token_expire_time bigint not null
);

create index sessions_by_user on sessions (user_id, id);
create index sessions_by_idle_expire_time on sessions (idle_expire_time);

-- The refresh tokens of these sessions, used ones too: using one again tells of a thief. Each is kept
-- as its SHA-256; its successor is made from it and the nonce, and is not kept either.
create table refresh_tokens (
    hash bytea not null primary key,
    session_id uuid not null,
    generation bigint not null,
    nonce bytea not null,
    use_time bigint not null
);

-- No two tokens are in the same place, so a session never has two branches.
create unique index refresh_tokens_by_session on refresh_tokens (session_id, generation);

-- One row, locked last by every transaction that changes what verifiers must know: so the sequence
-- has no gaps, and who has seen a number has seen all before it.
create table trust_head (
    id bigint not null primary key,
    epoch uuid not null,
    sequence bigint not null,
    -- Revocations that had expired before this time have been deleted.
    forgotten_time bigint not null
);

create table revocations (
    sequence bigint not null primary key,
    -- A session, or the first half of a signing key's thumbprint.
    id uuid not null,
    cause text collate "C" not null,
    create_time bigint not null,
    expire_time bigint not null
);

create index revocations_by_expire_time on revocations (expire_time);

-- Services that may have tokens of their own. The id stands for the registration, as that of a session
-- stands for a login.
create table services (
    name text collate "C" not null primary key,
    id uuid not null,
    secret_hash bytea not null,
    -- Separated by spaces.
    scopes text collate "C" not null,
    create_time bigint not null
);
