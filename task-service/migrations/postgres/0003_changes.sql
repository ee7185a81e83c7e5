-- What a client may build on: the order of changes, deletions that can be taken back, orders that
-- every list has an index for, answers that can be given again.

-- deleted is 1 while the task is deleted, so that it can lead an order in an index. title_key is the
-- title without regard to case, as the service makes it; that of other letters than ASCII has it made
-- at its next start.
alter table tasks add column deleted bigint not null default 0;
alter table tasks add column title_key text collate "C" not null default '';
update tasks set deleted = case when delete_time <> 0 then 1 else 0 end, title_key = lower(title);

create table unfolded_titles (
    owner_id uuid not null,
    id uuid not null,
    primary key (owner_id, id)
);

insert into unfolded_titles (owner_id, id)
select owner_id, id from tasks where octet_length(title) <> length(title);

drop index tasks_by_project;
drop index tasks_by_update_time;
drop index tasks_by_due_time;
drop index tasks_by_priority;

create unique index tasks_by_revision on tasks (owner_id, revision);
create index tasks_by_create_time on tasks (owner_id, deleted, create_time, id);
create index tasks_by_update_time on tasks (owner_id, deleted, update_time, id);
create index tasks_by_due_time on tasks (owner_id, deleted, due_time, id);
create index tasks_by_priority on tasks (owner_id, deleted, priority, id);
create index tasks_by_title on tasks (owner_id, deleted, title_key, id);
create index project_tasks_by_create_time on tasks (owner_id, project_id, deleted, create_time, id);
create index project_tasks_by_update_time on tasks (owner_id, project_id, deleted, update_time, id);
create index project_tasks_by_due_time on tasks (owner_id, project_id, deleted, due_time, id);
create index project_tasks_by_priority on tasks (owner_id, project_id, deleted, priority, id);
create index project_tasks_by_title on tasks (owner_id, project_id, deleted, title_key, id);

create unique index projects_by_revision on projects (owner_id, revision);

-- Nothing that was deleted up to this revision is kept.
alter table owners add column forgotten_revision bigint not null default 0;

-- Projects that are gone, until everybody who watches must have heard of it.
create table deleted_projects (
    owner_id uuid not null,
    id uuid not null,
    delete_time bigint not null,
    revision bigint not null,
    primary key (owner_id, id)
);

create unique index deleted_projects_by_revision on deleted_projects (owner_id, revision);
create index deleted_projects_by_delete_time on deleted_projects (owner_id, delete_time, id);

-- The answers to writes that may be asked for again, each with a digest of what was asked for.
create table answers (
    owner_id uuid not null,
    method text collate "C" not null,
    request_id uuid not null,
    digest text collate "C" not null,
    answer text collate "C" not null,
    expire_time bigint not null,
    primary key (owner_id, method, request_id)
);

create index answers_by_expire_time on answers (owner_id, expire_time);
