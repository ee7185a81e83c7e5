//! A header with surprises. Each is signed by the right key all the same.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use shared::trust::Reason;

use super::{Bad, bad};
use crate::support::Scene;

pub(super) fn bad_ones(scene: &Scene) -> Vec<Bad> {
    [json, members, keyed_hash, key_id].iter().flat_map(|theme| theme(scene)).collect()
}

pub(super) fn good_ones(scene: &Scene) -> Vec<(&'static str, String)> {
    let header = scene.header().text();
    vec![
        ("a header with spaces", scene.with_header(format!(" {header}\n"))),
        ("an escaped member", scene.with_header(header.replace(r#""alg""#, r#""\u0061lg""#))),
        ("the other key", scene.other.sign(&scene.claims())),
    ]
}

fn json(scene: &Scene) -> Vec<Bad> {
    let header = scene.header();
    let text = header.text();
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    [
        ("header: a space", b" ".to_vec()),
        ("header: null", b"null".to_vec()),
        ("header: a number", b"1".to_vec()),
        ("header: a string", br#""EdDSA""#.to_vec()),
        ("header: a list", b"[]".to_vec()),
        ("header: a header in a list", format!("[{text}]").into()),
        ("header: names and values in a list", br#"["alg","EdDSA"]"#.to_vec()),
        ("header: cut off", text.trim_end_matches('}').into()),
        ("header: a word behind", format!("{text}x").into()),
        ("header: a second object behind", format!("{text}{text}").into()),
        ("header: a NUL behind", format!("{text}\0").into()),
        ("header: a byte order mark", format!("\u{feff}{text}").into()),
        ("header: UTF-16", utf16),
        ("header: not UTF-8", [b"{\"\xff\":0,".as_slice(), &text.as_bytes()[1..]].concat()),
        ("header: half a surrogate pair", header.clone().with("kid", r#""\ud800""#).text().into()),
        ("header: single quotes", text.replace('"', "'").into()),
        ("header: a comment", header.text_after("/**/").into()),
        ("header: a comma behind", text.replace('}', ",}").into()),
        ("header: nested too deep", deep.into()),
        ("header: alg twice", header.text_after(r#""alg":"EdDSA","#).into()),
        ("header: alg twice, none first", header.text_after(r#""alg":"none","#).into()),
        ("header: alg twice, escaped", header.text_after(r#""\u0061lg":"EdDSA","#).into()),
        ("header: typ twice", header.text_after(r#""typ":"at+jwt","#).into()),
        ("header: kid twice", header.text_after(r#""kid":"x","#).into()),
        ("header: an unknown member twice", header.text_after(r#""x":1,"x":1,"#).into()),
    ]
    .map(|(name, header)| bad(name, scene.with_header(header), Reason::HeaderJson))
    .into()
}

fn members(scene: &Scene) -> Vec<Bad> {
    let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, scene.forge.public().x());
    let jwk = [jwk.as_str()];
    let own_key: (_, _, &[&str]) = ("jwk", Reason::HeaderMember, &jwk);
    let mut table = Vec::new();
    for (name, reason, values) in MEMBERS.into_iter().chain([own_key]) {
        for json in values {
            let token = scene.with_header(scene.header().with(name, json).text());
            table.push(bad(format!("header: {name} is {json}"), token, reason));
        }
    }
    for (name, reason) in
        [("alg", Reason::Algorithm), ("typ", Reason::Type), ("kid", Reason::KeyId)]
    {
        let token = scene.with_header(scene.header().without(name).text());
        table.push(bad(format!("header: no {name}"), token, reason));
    }
    table.push(bad("header: no member", scene.with_header("{}"), Reason::Algorithm));
    table
}

/// A member, why it is refused, and what it is set to.
const MEMBERS: [(&str, Reason, &[&str]); 22] = [
    (
        "alg",
        Reason::Algorithm,
        &[
            r#""none""#,
            r#""None""#,
            r#""NONE""#,
            r#""nOnE""#,
            r#""""#,
            r#""HS256""#,
            r#""RS256""#,
            r#""PS256""#,
            r#""ES256""#,
            r#""Ed25519""#,
            r#""Ed448""#,
            r#""eddsa""#,
            r#""EDDSA""#,
            r#""EdDSA ""#,
            r#"" EdDSA""#,
            r#""EdDSA\u0000""#,
            r#"["EdDSA"]"#,
            r#"{"EdDSA":1}"#,
            "0",
            "true",
            "null",
        ],
    ),
    (
        "typ",
        Reason::Type,
        &[
            r#""JWT""#,
            r#""jwt""#,
            r#""AT+JWT""#,
            r#""at+JWT""#,
            r#""at+jwt ""#,
            r#""application/at+jwt""#,
            r#""logout+jwt""#,
            r#""""#,
            r#"["at+jwt"]"#,
            "1",
            "null",
        ],
    ),
    ("crit", Reason::Critical, &["[]", r#"["exp"]"#, r#"["b64"]"#, r#""exp""#, "null"]),
    ("kid", Reason::KeyId, &[r#""""#, "1", "null", "[]", "{}"]),
    (
        "kid",
        Reason::KeyUnknown,
        &[r#""unknown""#, r#"" ""#, r#""../../dev/null""#, r#""' or 1=1 --""#],
    ),
    ("jku", Reason::HeaderMember, &[r#""https://evil.example/keys""#]),
    ("jwk", Reason::HeaderMember, &["null"]),
    ("x5u", Reason::HeaderMember, &[r#""https://evil.example/cert""#]),
    ("x5c", Reason::HeaderMember, &[r#"["MIIB"]"#]),
    ("x5t", Reason::HeaderMember, &[r#""x""#]),
    ("x5t#S256", Reason::HeaderMember, &[r#""x""#]),
    ("b64", Reason::HeaderMember, &["true", "false"]),
    ("cty", Reason::HeaderMember, &[r#""JWT""#]),
    ("zip", Reason::HeaderMember, &[r#""DEF""#]),
    ("enc", Reason::HeaderMember, &[r#""A256GCM""#]),
    ("epk", Reason::HeaderMember, &["{}"]),
    ("iss", Reason::HeaderMember, &[r#""taskmanager""#]),
    ("exp", Reason::HeaderMember, &["1"]),
    ("ALG", Reason::HeaderMember, &[r#""EdDSA""#]),
    ("alg ", Reason::HeaderMember, &[r#""EdDSA""#]),
    ("Crit", Reason::HeaderMember, &["[]"]),
    ("", Reason::HeaderMember, &["null"]),
];

/// What everybody knows, the public key, used as the secret of a symmetric signature.
fn keyed_hash(scene: &Scene) -> Vec<Bad> {
    let key = scene.forge.public();
    [
        ("HS256 by the key's bytes", "HS256", hmac::HMAC_SHA256, key.bytes().to_vec()),
        ("HS256 by the key's text", "HS256", hmac::HMAC_SHA256, key.x().into()),
        ("HS256 by the key's id", "HS256", hmac::HMAC_SHA256, key.kid().into()),
        ("HS512 by the key's bytes", "HS512", hmac::HMAC_SHA512, key.bytes().to_vec()),
    ]
    .map(|(name, alg, algorithm, secret)| {
        let header = scene.header().with("alg", format!("\"{alg}\"")).text();
        let header = URL_SAFE_NO_PAD.encode(header);
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(scene.payload().text()));
        let tag = hmac::sign(&hmac::Key::new(algorithm, &secret), signed.as_bytes());
        bad(name, format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag)), Reason::Algorithm)
    })
    .into()
}

fn key_id(scene: &Scene) -> Vec<Bad> {
    let kid = scene.forge.public().kid().to_owned();
    let other = scene.other.public().kid().to_owned();
    let inverted: String = kid
        .chars()
        .map(|c| if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect();
    [
        ("kid: in the other case", inverted, Reason::KeyUnknown),
        ("kid: a space behind", format!("{kid} "), Reason::KeyUnknown),
        ("kid: cut off", kid.chars().take(42).collect(), Reason::KeyUnknown),
        ("kid: of another trusted key", other, Reason::Signature),
    ]
    .map(|(name, kid, reason)| {
        let header = scene.header().with("kid", format!("\"{kid}\""));
        bad(name, scene.with_header(header.text()), reason)
    })
    .into()
}
