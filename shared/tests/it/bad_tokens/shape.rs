//! Not three parts, too long, or not base64url.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use shared::trust::{MAX_TOKEN_SIZE, Reason};

use super::{Bad, bad};
use crate::support::Scene;

pub(super) fn bad_ones(scene: &Scene) -> Vec<Bad> {
    [parts, size, encoding].iter().flat_map(|theme| theme(scene)).collect()
}

pub(super) fn good_ones(scene: &Scene) -> Vec<(&'static str, String)> {
    vec![
        ("a token as the issuer writes it", scene.token()),
        ("the longest token", sized(scene, MAX_TOKEN_SIZE)),
    ]
}

fn parts(scene: &Scene) -> Vec<Bad> {
    let token = scene.token();
    let (signed, s) = token.rsplit_once('.').unwrap();
    let (h, p) = signed.split_once('.').unwrap();
    let json = format!(r#"{{"protected":"{h}","payload":"{p}","signature":"{s}"}}"#);
    [
        ("empty", String::new()),
        ("a space", " ".to_owned()),
        ("a line end", "\n".to_owned()),
        ("a NUL", "\0".to_owned()),
        ("one dot", ".".to_owned()),
        ("two dots", "..".to_owned()),
        ("three dots", "...".to_owned()),
        ("four dots", "....".to_owned()),
        ("as many dots as fit", ".".repeat(MAX_TOKEN_SIZE)),
        ("a word", "token".to_owned()),
        ("not ASCII", "ключ".to_owned()),
        ("an opaque token", "rt_0123456789abcdef".to_owned()),
        ("header alone", h.to_owned()),
        ("header and payload", format!("{h}.{p}")),
        ("unsecured: no signature", format!("{h}.{p}.")),
        ("no payload", format!("{h}..{s}")),
        ("no header", format!(".{p}.{s}")),
        ("a dot before", format!(".{token}")),
        ("a dot after", format!("{token}.")),
        ("two signatures", format!("{token}.{s}")),
        ("five parts, as when encrypted", format!("{h}.{p}.{s}.{p}.{s}")),
        ("two tokens", format!("{token}.{token}")),
        ("other separators", format!("{h}:{p}:{s}")),
        ("wide dots", token.replace('.', "\u{ff0e}")),
        ("escaped dots", token.replace('.', "%2E")),
        ("as JSON", json),
    ]
    .map(|(name, token)| bad(name, token, Reason::Malformed))
    .into()
}

fn size(scene: &Scene) -> Vec<Bad> {
    [
        ("one byte too long, good otherwise", sized(scene, MAX_TOKEN_SIZE + 1)),
        ("too long and not three parts", ".".repeat(MAX_TOKEN_SIZE + 1)),
        ("a megabyte", "a".repeat(1 << 20)),
    ]
    .map(|(name, token)| bad(name, token, Reason::Oversize))
    .into()
}

fn encoding(scene: &Scene) -> Vec<Bad> {
    let mut table = Vec::new();
    for (name, spoil) in SPOILS {
        let header = scene.header().with("kid", r#""????>>>>""#).text();
        let header = spoil(header.as_bytes());
        let payload = URL_SAFE_NO_PAD.encode(scene.payload().text());
        let token = scene.forge.seal(&format!("{header}.{payload}"));
        table.push(bad(format!("header: {name}"), token, Reason::HeaderEncoding));

        let header = URL_SAFE_NO_PAD.encode(scene.header().text());
        let payload = spoil(scene.payload().with("jti", r#""????>>>>""#).text().as_bytes());
        let token = scene.forge.seal(&format!("{header}.{payload}"));
        table.push(bad(format!("payload: {name}"), token, Reason::ClaimsEncoding));

        // Some signatures have a character that the two alphabets write differently; take one.
        let token = std::iter::repeat_with(|| scene.token())
            .find(|token| token.rsplit('.').next().is_some_and(|s| s.contains(['-', '_'])));
        let token = token.unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = spoil(&URL_SAFE_NO_PAD.decode(signature).unwrap());
        let token = format!("{signed}.{signature}");
        table.push(bad(format!("signature: {name}"), token, Reason::Signature));
    }
    let token = scene.token();
    table.extend([
        bad("a space before", format!(" {token}"), Reason::HeaderEncoding),
        bad("a line end before", format!("\n{token}"), Reason::HeaderEncoding),
        bad("the scheme again", format!("Bearer {token}"), Reason::HeaderEncoding),
        bad("in quotes", format!("\"{token}\""), Reason::HeaderEncoding),
        bad("a space after", format!("{token} "), Reason::Signature),
        bad("a line end after", format!("{token}\r\n"), Reason::Signature),
    ]);
    table
}

/// What resembles base64url: a name, and how to write bytes that way.
type Spoil = (&'static str, fn(&[u8]) -> String);

const SPOILS: [Spoil; 8] = [
    ("padding", |bytes| format!("{}=", tight(bytes))),
    ("more padding", |bytes| format!("{}==", tight(bytes))),
    ("the standard alphabet", |bytes| {
        let text = STANDARD_NO_PAD.encode(bytes);
        assert!(text.contains(['+', '/']), "the alphabets differ");
        text
    }),
    ("bits to spare that are not zero", |bytes| {
        let mut text = URL_SAFE_NO_PAD.encode(open_ended(bytes));
        let last = text.pop().unwrap();
        text.push(char::from_u32(u32::from(last) + 1).unwrap());
        text
    }),
    ("a character that completes no byte", |bytes| {
        let mut bytes = open_ended(bytes);
        bytes.extend(b"  ");
        format!("{}A", URL_SAFE_NO_PAD.encode(bytes))
    }),
    ("a space within", |bytes| broken(bytes, " ")),
    ("a line end within", |bytes| broken(bytes, "\r\n")),
    ("a letter that is not ASCII", |bytes| broken(bytes, "é")),
];

fn tight(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn broken(bytes: &[u8], by: &str) -> String {
    let mut text = tight(bytes);
    text.insert_str(8, by);
    text
}

/// The bytes, with spaces behind until their last character in base64 has four bits to spare.
fn open_ended(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    while bytes.len() % 3 != 1 {
        bytes.push(b' ');
    }
    bytes
}

/// A good token of exactly this length.
fn sized(scene: &Scene, length: usize) -> String {
    // Base64 skips some lengths; a space in the header shifts it past those.
    let candidates = (0..3).flat_map(|spaces| (length / 2..length).map(move |fill| (spaces, fill)));
    let token = candidates
        .map(|(spaces, fill)| {
            let header = scene.header().text() + &" ".repeat(spaces);
            let payload = scene.payload().with("jti", format!("\"{}\"", "j".repeat(fill)));
            scene.forge.sign_raw(header, payload.text())
        })
        .find(|token| token.len() == length);
    token.unwrap()
}
