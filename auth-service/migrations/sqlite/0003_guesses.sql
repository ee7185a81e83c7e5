-- What is remembered of guesses until it makes no difference any more. The key is a keyed hash of
-- the account, the network or both; the time, in microseconds since 1970, is when a bucket of
-- guesses is full again, or when it is forgotten that a user has logged in from a network. A key that
-- is not here is a full bucket, or nothing known: rows whose time has passed are deleted.
create table guesses (
    key blob not null primary key,
    end_time integer not null
) strict, without rowid;

create index guesses_by_time on guesses (end_time);
