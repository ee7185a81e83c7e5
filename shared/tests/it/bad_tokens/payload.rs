//! A payload that is no JSON object with each claim once.

use shared::trust::Reason;

use super::{Bad, bad};
use crate::support::Scene;

const CLAIMS: [&str; 11] =
    ["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "sid", "client_id", "scope", "unknown"];

pub(super) fn bad_ones(scene: &Scene) -> Vec<Bad> {
    let payload = scene.payload().with("nbf", 1).with("scope", r#""a""#).with("unknown", 1);
    let text = payload.text();
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let mut table: Vec<(String, Vec<u8>)> = [
        ("a space", b" ".to_vec()),
        ("null", b"null".to_vec()),
        ("a number", b"1".to_vec()),
        ("true", b"true".to_vec()),
        ("a string", br#""claims""#.to_vec()),
        ("a list", b"[]".to_vec()),
        ("claims in a list", format!("[{text}]").into()),
        ("claims in a string", serde_json::to_vec(&text).unwrap()),
        ("another token", scene.token().into()),
        ("cut off", text.trim_end_matches('}').into()),
        ("a word behind", format!("{text}x").into()),
        ("a second object behind", format!("{text}{{}}").into()),
        ("a NUL behind", format!("{text}\0").into()),
        ("a byte order mark", format!("\u{feff}{text}").into()),
        ("UTF-16", text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("not UTF-8", [b"{\"\xff\":0,".as_slice(), &text.as_bytes()[1..]].concat()),
        ("half a surrogate pair", payload.clone().with("jti", r#""\ud800""#).text().into()),
        ("a raw line end in a string", payload.clone().with("jti", "\"\n\"").text().into()),
        ("a comment", payload.text_after("/**/").into()),
        ("a comma behind", text.replace('}', ",}").into()),
        ("nested too deep", payload.clone().with("unknown", deep).text().into()),
        ("iss twice, escaped", payload.text_after(r#""\u0069ss":"taskmanager","#).into()),
    ]
    .map(|(name, text)| (name.to_owned(), text))
    .into();
    for number in ["NaN", "Infinity", "+1", "01", "0x1", "1_000", ".5", "1.", "--1"] {
        let text = payload.clone().with("exp", number).text();
        table.push((format!("exp is {number}"), text.into()));
    }
    for claim in CLAIMS {
        let text = payload.text_after(&format!(r#""{claim}":null,"#));
        table.push((format!("{claim} twice"), text.into()));
    }
    let refused = |(name, payload)| {
        bad(format!("payload: {name}"), scene.with_payload(payload), Reason::ClaimsJson)
    };
    table.into_iter().map(refused).collect()
}

pub(super) fn good_ones(scene: &Scene) -> Vec<(&'static str, String)> {
    let payload = scene.payload();
    let text = payload.text();
    let spaced = text.replace(',', ",\n ");
    vec![
        ("claims with spaces", scene.with_payload(spaced)),
        ("an escaped claim", scene.with_payload(text.replace(r#""iss""#, r#""\u0069ss""#))),
        ("an unknown claim", scene.with_payload(payload.with("unknown", "[{}]").text())),
    ]
}
