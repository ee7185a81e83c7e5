//! Guesses from many networks, as a trusted proxy tells them apart.

use std::time::Duration;

use e2e::{AuthServer, Engine, PASSWORD, Person, on_every_engine};

use super::{
    account,
    guesses::{Answer, answer, from},
    register, start,
};

on_every_engine!(
    nobody_elsewhere_can_lock_the_owner_out,
    a_network_is_known_for_ninety_days,
    guesses_from_one_network_at_many_accounts_are_limited,
    a_network_that_is_not_a_trusted_proxy_speaks_for_nobody_else,
    half_an_address_of_ipv6_is_a_network,
    successes_take_nothing_from_an_account_or_a_network,
);

const PROXY: (&str, &str) = ("AUTH_TRUSTED_PROXIES", "192.0.2.0/24,127.0.0.1");
const DAY: Duration = Duration::from_hours(24);
const HOME: &str = "198.51.100.1";

/// A server behind a proxy, and everybody who is behind the same.
async fn proxied<const N: usize>(
    on: Engine,
    settings: [(&'static str, &str); N],
) -> (AuthServer, Person) {
    let server = start(on, settings).await;
    let mut anyone = server.anonymous();
    register(&mut anyone, account("ann")).await;
    (server, anyone)
}

async fn enter(anyone: &mut Person, address: &str, name: &str) -> Answer {
    answer(anyone.auth.login(from(address, name, PASSWORD)).await)
}

async fn guess(anyone: &mut Person, address: &str, name: &str) -> Answer {
    answer(anyone.auth.login(from(address, name, "not the password")).await)
}

/// Guesses from a new network each time until it is told to wait. How many were looked at.
async fn guess_from_everywhere(anyone: &mut Person, name: &str) -> usize {
    for count in 0..=50 {
        if guess(anyone, &format!("203.0.113.{count}"), name).await != Answer::Wrong {
            return count;
        }
    }
    panic!("there is no end to it")
}

async fn nobody_elsewhere_can_lock_the_owner_out(on: Engine) {
    let (server, mut anyone) = proxied(on, [PROXY, ("AUTH_ACCOUNT_GUESS_LIMIT", "20/1h")]).await;
    assert_eq!(enter(&mut anyone, HOME, "ann").await, Answer::Right);
    assert_eq!(guess_from_everywhere(&mut anyone, "ann").await, 20);
    assert_eq!(enter(&mut anyone, "198.51.100.2", "ann").await, Answer::Later(180));
    for _ in 0..3 {
        assert_eq!(enter(&mut anyone, HOME, "ann@example.com").await, Answer::Right);
    }
    assert_eq!(guess_from_everywhere(&mut anyone, "ann").await, 0, "that was no help to others");
    assert_eq!(guess_from_everywhere(&mut anyone, "nobody").await, 20);

    // At home too there is an end.
    for _ in 0..10 {
        assert_eq!(guess(&mut anyone, HOME, "ann").await, Answer::Wrong);
    }
    assert_eq!(enter(&mut anyone, HOME, "ann").await, Answer::Later(60));
    server.clock.advance(Duration::from_mins(3));
    assert_eq!(enter(&mut anyone, "198.51.100.2", "ann").await, Answer::Right);
}

async fn a_network_is_known_for_ninety_days(on: Engine) {
    let (server, mut anyone) = proxied(on, [PROXY, ("AUTH_ACCOUNT_GUESS_LIMIT", "5/1h")]).await;
    assert_eq!(enter(&mut anyone, HOME, "ann").await, Answer::Right);
    for (days, known) in [(89, true), (89, true), (90, false)] {
        server.clock.advance(days * DAY);
        assert_eq!(guess_from_everywhere(&mut anyone, "ann").await, 5);
        let expected = if known { Answer::Right } else { Answer::Later(720) };
        assert_eq!(enter(&mut anyone, HOME, "ann").await, expected);
    }
}

async fn guesses_from_one_network_at_many_accounts_are_limited(on: Engine) {
    let (_server, mut anyone) = proxied(on, [PROXY, ("AUTH_NETWORK_GUESS_LIMIT", "20/1h")]).await;
    register(&mut anyone, account("bob")).await;
    assert_eq!(enter(&mut anyone, HOME, "ann").await, Answer::Right);
    for number in 0..20 {
        let name = format!("nobody{number}");
        assert_eq!(guess(&mut anyone, HOME, &name).await, Answer::Wrong);
    }
    for name in ["nobody0", "somebody", "bob"] {
        assert_eq!(guess(&mut anyone, HOME, name).await, Answer::Later(180));
    }
    assert_eq!(enter(&mut anyone, HOME, "ann").await, Answer::Right, "who is known here");
    assert_eq!(enter(&mut anyone, HOME, "bob").await, Answer::Later(180), "who is not");
    assert_eq!(enter(&mut anyone, "198.51.100.2", "bob").await, Answer::Right);
}

async fn a_network_that_is_not_a_trusted_proxy_speaks_for_nobody_else(on: Engine) {
    for trusted in ["", "192.0.2.0/24,::1"] {
        let (_server, mut anyone) = proxied(on, [("AUTH_TRUSTED_PROXIES", trusted)]).await;
        assert_eq!(guess_from_everywhere(&mut anyone, "ann").await, 10);
        assert_eq!(enter(&mut anyone, HOME, "ann").await, Answer::Later(60));
    }
    // What a proxy did not add itself, and what comes from the wrong end, is not believed either.
    let (_server, mut anyone) = proxied(on, [PROXY]).await;
    for number in 0..10 {
        let chain = format!("203.0.113.{number}, {HOME}, 192.0.2.{number}");
        assert_eq!(guess(&mut anyone, &chain, "ann").await, Answer::Wrong);
    }
    assert_eq!(enter(&mut anyone, HOME, "ann").await, Answer::Later(60));
    assert_eq!(enter(&mut anyone, "203.0.113.1", "ann").await, Answer::Right);
}

async fn half_an_address_of_ipv6_is_a_network(on: Engine) {
    let (_server, mut anyone) = proxied(on, [PROXY]).await;
    for number in 0..10 {
        let address = format!("[2001:db8:0:1:{number:x}::{number:x}]:4711");
        assert_eq!(guess(&mut anyone, &address, "ann").await, Answer::Wrong);
    }
    let (same, other) = ("2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:2::");
    assert_eq!(enter(&mut anyone, same, "ann").await, Answer::Later(60));
    assert_eq!(enter(&mut anyone, other, "ann").await, Answer::Right);
}

async fn successes_take_nothing_from_an_account_or_a_network(on: Engine) {
    let loose = [("AUTH_ACCOUNT_GUESS_LIMIT", "1/1h"), ("AUTH_NETWORK_GUESS_LIMIT", "1/1h")];
    let (_server, mut anyone) = proxied(on, [PROXY, loose[0], loose[1]]).await;
    for number in 0..5 {
        let address = format!("203.0.113.{number}");
        assert_eq!(enter(&mut anyone, &address, "ann").await, Answer::Right, "{address}");
    }
    for name in ["bob", "eve", "kim"] {
        register(&mut anyone, account(name)).await;
        assert_eq!(enter(&mut anyone, HOME, name).await, Answer::Right, "{name}");
    }
    assert_eq!(guess(&mut anyone, "203.0.113.99", "bob").await, Answer::Wrong);
    assert_eq!(enter(&mut anyone, "203.0.113.98", "bob").await, Answer::Later(3_600));
}
