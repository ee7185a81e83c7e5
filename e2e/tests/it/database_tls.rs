//! A database that is reached over a network.

use e2e::{AuthServer, clock, on_postgres, postgres::Server, tls::Authority};
use shared::database::{Database, Postgres, Settings};
use sqlx::{Executor, Row};

on_postgres!(a_database_is_reached_over_tls_if_its_certificate_is_good);

async fn a_database_is_reached_over_tls_if_its_certificate_is_good() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = Server::start_encrypted(&authority).await;
    let place = server.encrypted_place("localhost", &authority.file()).await;
    let auth = AuthServer::start_at(place, clock(), []).await;
    auth.register("ann").await;
    let mut operator = server.connect().await;
    let encrypted = "select count(*) > 0 and bool_and(ssl) from pg_stat_ssl
                     join pg_stat_activity using (pid) where application_name = 'auth-service'";
    assert!(operator.fetch_one(encrypted).await.unwrap().get::<bool, _>(0));

    for (machine, authority) in [("localhost", &other), ("127.0.0.1", &authority)] {
        let place = server.encrypted_place(machine, &authority.file()).await;
        let settings = Settings::new("test", &place.url).unwrap();
        let opened = Database::<Postgres>::open(&settings, &auth_service::store::MIGRATIONS).await;
        let fault = opened.unwrap_err().to_string();
        assert!(fault.contains("invalid peer certificate"), "{fault}");
    }
}
