-- owner_id leads every key: the tables shard by owner as they are.
-- Times are microseconds since 1970, UTC.

create table owners (
    owner_id uuid not null primary key,
    revision bigint not null,
    projects bigint not null,
    tasks bigint not null
);

create table projects (
    owner_id uuid not null,
    id uuid not null,
    title text collate "C" not null,
    description text collate "C" not null,
    create_time bigint not null,
    update_time bigint not null,
    revision bigint not null,
    primary key (owner_id, id)
);

-- due_time is the largest bigint when there is none, so that it sorts last.
-- delete_time is 0 while the task is not deleted, so that it can lead the order in an index.
-- Tasks in the order of their ids are in the order of their creation.
create table tasks (
    owner_id uuid not null,
    id uuid not null,
    project_id uuid,
    title text collate "C" not null,
    description text collate "C" not null,
    status bigint not null,
    priority bigint not null,
    due_time bigint not null,
    complete_time bigint,
    create_time bigint not null,
    update_time bigint not null,
    delete_time bigint not null,
    revision bigint not null,
    primary key (owner_id, id)
);

create index tasks_by_project on tasks (owner_id, project_id, delete_time, id);
create index tasks_by_update_time on tasks (owner_id, delete_time, update_time, id);
create index tasks_by_due_time on tasks (owner_id, delete_time, due_time, id);
create index tasks_by_priority on tasks (owner_id, delete_time, priority, id);

-- The issuer's public keys, for starting while it is away.
create table trusted_keys (
    kid text collate "C" not null primary key,
    public_key bytea not null
);

-- What is made once and then kept.
create table secrets (
    name text collate "C" not null primary key,
    value bytea not null
);
