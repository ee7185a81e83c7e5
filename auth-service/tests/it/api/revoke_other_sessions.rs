//! `UserService.RevokeOtherSessions`.

use e2e::{AuthServer, Engine, on_every_engine, refused};
use shared::pb::auth::RevokeOtherSessionsRequest;
use tonic::Code;

use super::{reason, refresh, refreshed, session};

on_every_engine!(every_session_ends_but_the_one_of_the_call);

async fn every_session_ends_but_the_one_of_the_call(on: Engine) {
    let server = AuthServer::start_on(on).await;
    let (ann, bob) = (server.register("ann").await, server.register("bob").await);
    let (phone, laptop) = (session(&server, "ann").await, session(&server, "ann").await);
    let revoke = async |token: &str| {
        let request = RevokeOtherSessionsRequest {};
        let answer = server.bearer(token).users.revoke_other_sessions(request).await;
        answer.map(|answer| tonic::Response::new(answer.into_inner().revoked_count))
    };
    for count in [2, 0] {
        let revoked = revoke(&phone.access_token).await.unwrap().into_inner();
        assert_eq!(revoked, count);
    }
    for ended in [&ann.token, &laptop.access_token] {
        assert_eq!(reason(&server, ended).await, "TOKEN_REVOKED");
        assert_eq!(refused(revoke(ended).await).kind(), (Code::Unauthenticated, "TOKEN_REVOKED"));
    }
    let ended = refused(refresh(&server, &laptop.refresh_token).await);
    assert_eq!(ended.kind(), (Code::Unauthenticated, "TOKEN_INVALID"));
    let next = refreshed(&server, &phone.refresh_token).await;
    for alive in [&phone.access_token, &next.access_token, &bob.token] {
        assert_eq!(reason(&server, alive).await, "");
    }
}
