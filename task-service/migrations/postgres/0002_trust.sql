-- What the service knows of the issuer of tokens, for starting while it is away. It is fetched anew
-- where there is none yet.
drop table trusted_keys;

-- One row: how far it knows everything, the issuer's public keys, one after another, and a digest of
-- it all, with every revocation, so that damage is noticed.
create table trust_state (
    id bigint not null primary key,
    epoch uuid not null,
    sequence bigint not null,
    heard_time bigint not null,
    forgotten_time bigint not null,
    public_keys bytea not null,
    revocations bigint not null,
    digest bytea not null
);

-- Sessions and keys that have ended, until their last token has expired.
create table trust_revocations (
    id uuid not null primary key,
    expire_time bigint not null
);
