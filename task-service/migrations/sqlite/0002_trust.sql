-- What the service knows of the issuer of tokens, for starting while it is away. It is fetched anew
-- where there is none yet.
drop table trusted_keys;

-- One row: how far it knows everything, the issuer's public keys, one after another, and a digest of
-- it all, with every revocation, so that damage is noticed.
create table trust_state (
    id integer not null primary key,
    epoch blob not null,
    sequence integer not null,
    heard_time integer not null,
    forgotten_time integer not null,
    public_keys blob not null,
    revocations integer not null,
    digest blob not null
) strict;

-- Sessions and keys that have ended, until their last token has expired.
create table trust_revocations (
    id blob not null primary key,
    expire_time integer not null
) strict, without rowid;
