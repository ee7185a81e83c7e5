//! What the databases themselves saw, noted in the transactions that did it.

use uuid::Uuid;

use crate::{Engine, Place};

/// Notes every project and every task that there is or ever comes.
const OWNED_SQLITE: &str = "
create table audit (line text);
insert into audit select lower(hex(owner_id)) || ' tasks ' || lower(hex(id)) from tasks;
insert into audit select lower(hex(owner_id)) || ' projects ' || lower(hex(id)) from projects;
create trigger audit_task after insert on tasks begin
    insert into audit values (lower(hex(new.owner_id)) || ' tasks ' || lower(hex(new.id)));
end;
create trigger audit_project after insert on projects begin
    insert into audit values (lower(hex(new.owner_id)) || ' projects ' || lower(hex(new.id)));
end;";

const OWNED_POSTGRES: &str = "
create table audit (line text);
create function owned(owner uuid, kind text, id uuid) returns text language sql
    return replace(owner::text, '-', '') || ' ' || kind || ' ' || replace(id::text, '-', '');
insert into audit select owned(owner_id, 'tasks', id) from tasks;
insert into audit select owned(owner_id, 'projects', id) from projects;
create function note() returns trigger language plpgsql as $$ begin
    insert into audit values (owned(new.owner_id, tg_table_name, new.id));
    return null;
end $$;
create trigger note after insert on tasks for each row execute function note();
create trigger note after insert on projects for each row execute function note();";

/// Notes whatever happens to a part of an erasure after it has begun.
const SETTLED_SQLITE: &str = "
create table audit (line text);
create trigger audit_part after update on erasure_confirmations
when (old.settle_time, old.confirm_time, old.deleted_counts)
    <> (new.settle_time, new.confirm_time, new.deleted_counts) begin
    insert into audit values (lower(hex(new.user_id)) || ' ' || new.service);
end;";

const SETTLED_POSTGRES: &str = "
create table audit (line text);
create function note() returns trigger language plpgsql as $$ begin
    insert into audit values (replace(new.user_id::text, '-', '') || ' ' || new.service);
    return null;
end $$;
create trigger note after update on erasure_confirmations for each row
when ((old.settle_time, old.confirm_time, old.deleted_counts)
    <> (new.settle_time, new.confirm_time, new.deleted_counts)) execute function note();";

/// Begins to note what is written in the databases of both services.
pub(super) async fn begin(auth: &Place, task: &Place) {
    let (settled, owned) = match task.engine {
        Engine::Sqlite => (SETTLED_SQLITE, OWNED_SQLITE),
        Engine::Postgres => (SETTLED_POSTGRES, OWNED_POSTGRES),
    };
    auth.execute(settled).await;
    task.execute(owned).await;
}

/// All that was noted, in order.
pub(super) async fn lines(place: &Place) -> Vec<String> {
    let mut lines = place.lines("select line from audit").await;
    lines.sort_unstable();
    lines
}

/// That a task, or whatever the kind is, is or was an owner's. Without an id it is how every such line begins.
pub(super) fn owned(owner: Uuid, kind: &str, id: Option<Uuid>) -> String {
    let id = id.map(|id| id.simple().to_string()).unwrap_or_default();
    format!("{} {kind} {id}", owner.simple())
}

/// That a service has settled its part in the erasure of a user.
pub(super) fn settled(user: Uuid, service: &str) -> String {
    format!("{} {service}", user.simple())
}
