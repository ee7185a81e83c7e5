-- owner_id leads every key: the tables shard by owner as they are.
-- Times are microseconds since 1970, UTC.

create table owners (
    owner_id blob not null primary key,
    revision integer not null,
    projects integer not null,
    tasks integer not null
) strict, without rowid;

create table projects (
    owner_id blob not null,
    id blob not null,
    title text not null,
    description text not null,
    create_time integer not null,
    update_time integer not null,
    revision integer not null,
    primary key (owner_id, id)
) strict, without rowid;

-- due_time is the largest integer when there is none, so that it sorts last.
-- delete_time is 0 while the task is not deleted, so that it can lead the order in an index.
-- Tasks in the order of their ids are in the order of their creation.
create table tasks (
    owner_id blob not null,
    id blob not null,
    project_id blob,
    title text not null,
    description text not null,
    status integer not null,
    priority integer not null,
    due_time integer not null,
    complete_time integer,
    create_time integer not null,
    update_time integer not null,
    delete_time integer not null,
    revision integer not null,
    primary key (owner_id, id)
) strict, without rowid;

create index tasks_by_project on tasks (owner_id, project_id, delete_time, id);
create index tasks_by_update_time on tasks (owner_id, delete_time, update_time, id);
create index tasks_by_due_time on tasks (owner_id, delete_time, due_time, id);
create index tasks_by_priority on tasks (owner_id, delete_time, priority, id);

-- What the planner is to expect before anybody has analyzed: rows, then rows for each prefix of the
-- index. Without it, it prefers the index of the order to the one of the project, and so reads an
-- owner's every task to find those of one project.
analyze;
insert into sqlite_stat1 (tbl, idx, stat) values
    ('tasks', 'tasks', '1000000 10000 1'),
    ('tasks', 'tasks_by_project', '1000000 10000 100 50 1'),
    ('tasks', 'tasks_by_update_time', '1000000 10000 5000 2 1'),
    ('tasks', 'tasks_by_due_time', '1000000 10000 5000 2 1'),
    ('tasks', 'tasks_by_priority', '1000000 10000 5000 1250 1');

-- The issuer's public keys, for starting while it is away.
create table trusted_keys (
    kid text not null primary key,
    public_key blob not null
) strict, without rowid;

-- What is made once and then kept.
create table secrets (
    name text not null primary key,
    value blob not null
) strict, without rowid;
