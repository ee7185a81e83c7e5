//! Claims that are missing, of the wrong type, or say what the issuer does not.

use shared::trust::Reason;

use super::{Bad, bad};
use crate::support::{ANN, AUDIENCE, NOW, SESSION, Scene};

/// The longest life, in seconds.
const MAX_LIFE: i64 = 24 * 60 * 60;

pub(super) fn bad_ones(scene: &Scene) -> Vec<Bad> {
    [kinds, audiences, texts, ids, times].iter().flat_map(|theme| theme(scene)).collect()
}

/// A token in which some claims are set to some JSON.
fn token(scene: &Scene, claims: &[(&str, String)]) -> String {
    let set =
        |payload: crate::support::Object, (claim, json): &(&str, String)| payload.with(claim, json);
    scene.with_payload(claims.iter().fold(scene.payload(), set).text())
}

fn one(scene: &Scene, claim: &str, json: impl Into<String>, reason: Reason) -> Bad {
    let json = json.into();
    let name = format!("{claim} is {}", json.chars().take(60).collect::<String>());
    bad(name, token(scene, &[(claim, json)]), reason)
}

fn kinds(scene: &Scene) -> Vec<Bad> {
    let mut table = Vec::new();
    for claim in ["iss", "sub", "aud", "exp", "iat", "jti", "sid", "client_id"] {
        let token = scene.with_payload(scene.payload().without(claim).text());
        table.push(bad(format!("no {claim}"), token, Reason::ClaimMissing(claim)));
    }
    for claim in ["iss", "sub", "jti", "sid", "client_id", "scope"] {
        table.push(one(scene, claim, r#""""#, Reason::ClaimValue(claim)));
        for json in ["null", "1", "true", "{}", r#"["taskmanager"]"#] {
            table.push(one(scene, claim, json, Reason::ClaimType(claim)));
        }
    }
    for claim in ["exp", "iat", "nbf"] {
        let whole = format!("\"{NOW}\"");
        let float = format!("{NOW}.0");
        for json in [
            "null",
            "true",
            "[]",
            "{}",
            &whole,
            &float,
            "1.8e9",
            "-0",
            "9223372036854775808",
            "-9223372036854775809",
            "18446744073709551616",
        ] {
            table.push(one(scene, claim, json, Reason::ClaimType(claim)));
        }
    }
    table
}

fn audiences(scene: &Scene) -> Vec<Bad> {
    let many = vec![format!("\"{AUDIENCE}\""); 17].join(",");
    let (kind, value) = (Reason::ClaimType("aud"), Reason::ClaimValue("aud"));
    [
        (format!("\"{AUDIENCE}\""), kind),
        (r#""""#.to_owned(), kind),
        ("null".to_owned(), kind),
        ("1".to_owned(), kind),
        (format!(r#"{{"{AUDIENCE}":1}}"#), kind),
        (format!(r#"["{AUDIENCE}",1]"#), kind),
        (format!(r#"["{AUDIENCE}",null]"#), kind),
        (format!(r#"[["{AUDIENCE}"]]"#), kind),
        ("[]".to_owned(), value),
        (format!("[{many}]"), value),
        (r#"["auth-service"]"#.to_owned(), Reason::Audience),
        (r#"["TASK-SERVICE"]"#.to_owned(), Reason::Audience),
        (r#"["task-service "]"#.to_owned(), Reason::Audience),
        (r#"["task-service/"]"#.to_owned(), Reason::Audience),
        (r#"["task"]"#.to_owned(), Reason::Audience),
        (r#"["task-service,auth-service"]"#.to_owned(), Reason::Audience),
        (r#"["*"]"#.to_owned(), Reason::Audience),
        (r#"[""]"#.to_owned(), Reason::Audience),
    ]
    .map(|(json, reason)| one(scene, "aud", json, reason))
    .into()
}

fn texts(scene: &Scene) -> Vec<Bad> {
    [
        "somebody",
        "taskmanager/",
        "https://taskmanager",
        "TaskManager",
        " taskmanager",
        "taskmanager ",
        r"taskmanager\n",
        r"taskmanager\u0000",
        "taskmanage",
    ]
    .map(|issuer| one(scene, "iss", format!("\"{issuer}\""), Reason::Issuer))
    .into()
}

fn ids(scene: &Scene) -> Vec<Bad> {
    let spellings = |id: uuid::Uuid| {
        [
            format!("{{{id}}}"),
            id.urn().to_string(),
            id.to_string().to_uppercase(),
            id.simple().to_string(),
            format!(" {id}"),
            format!("{id} "),
            format!("{id}0"),
            id.to_string()[1..].to_owned(),
            id.to_string().replace('-', "_"),
            id.to_string().replace('f', "g"),
            "ann".to_owned(),
        ]
    };
    let mut table = Vec::new();
    for (claim, id) in [("sub", ANN), ("sid", SESSION)] {
        for text in spellings(id) {
            table.push(one(scene, claim, format!("\"{text}\""), Reason::ClaimValue(claim)));
        }
    }
    table
}

fn times(scene: &Scene) -> Vec<Bad> {
    let (least, most) = (i64::MIN, i64::MAX);
    [
        ("ended the leeway ago", NOW - 60, NOW - 5, None, Reason::Expired),
        ("ended a second more than the leeway ago", NOW - 60, NOW - 6, None, Reason::Expired),
        ("ended long ago", NOW - MAX_LIFE, NOW - MAX_LIFE + 60, None, Reason::Expired),
        ("ended before 1970", -60, -1, None, Reason::Expired),
        ("ended at the beginning of time", least, least + 60, None, Reason::Expired),
        ("of no life", NOW, NOW, None, Reason::Life),
        ("of negative life", NOW, NOW - 1, None, Reason::Life),
        ("of a second too long a life", NOW, NOW + MAX_LIFE + 1, None, Reason::Life),
        ("of endless life", NOW, most, None, Reason::Life),
        ("of a life from the beginning to the end", least, most, None, Reason::Life),
        ("of a life from the end to the beginning", most, least, None, Reason::Life),
        ("ends before 1970", NOW, -1, None, Reason::Life),
        ("ends in 1970", NOW, 0, None, Reason::Life),
        ("ends in milliseconds", NOW, (NOW + 60) * 1000, None, Reason::Life),
        ("issued before 1970", -1, NOW + 60, None, Reason::Life),
        ("issued beyond the leeway", NOW + 6, NOW + 60, None, Reason::IssuedInFuture),
        ("issued in a day", NOW + MAX_LIFE, NOW + MAX_LIFE + 60, None, Reason::IssuedInFuture),
        ("issued at the end of time", most - 60, most, None, Reason::IssuedInFuture),
        ("begins beyond the leeway", NOW, NOW + 60, Some(NOW + 6), Reason::NotYetValid),
        ("begins after its end", NOW, NOW + 60, Some(NOW + 61), Reason::NotYetValid),
        ("begins at the end of time", NOW, NOW + 60, Some(most), Reason::NotYetValid),
    ]
    .map(|(name, iat, exp, nbf, reason)| bad(name, timed(scene, iat, exp, nbf), reason))
    .into()
}

fn timed(scene: &Scene, iat: i64, exp: i64, nbf: Option<i64>) -> String {
    let mut claims = vec![("iat", iat.to_string()), ("exp", exp.to_string())];
    claims.extend(nbf.map(|nbf| ("nbf", nbf.to_string())));
    token(scene, &claims)
}

pub(super) fn good_ones(scene: &Scene) -> Vec<(&'static str, String)> {
    let sixteen = vec![format!("\"{AUDIENCE}\""); 16].join(",");
    let set = |claim, json: &str| token(scene, &[(claim, json.to_owned())]);
    vec![
        ("ended less than the leeway ago", timed(scene, NOW - 60, NOW - 4, None)),
        ("of the longest life", timed(scene, NOW, NOW + MAX_LIFE, None)),
        ("of the shortest life", timed(scene, NOW, NOW + 1, None)),
        ("issued in the leeway", timed(scene, NOW + 5, NOW + 60, None)),
        ("begins in the leeway", timed(scene, NOW, NOW + 60, Some(NOW + 5))),
        ("began before 1970", timed(scene, NOW, NOW + 60, Some(-1))),
        ("sixteen audiences", set("aud", &format!("[{sixteen}]"))),
        ("the audience among others", set("aud", &format!(r#"["x","{AUDIENCE}","y"]"#))),
        ("a scope", set("scope", r#""users:read trust:read""#)),
        ("an id of the token that is no UUID", set("jti", r#""1""#)),
    ]
}
