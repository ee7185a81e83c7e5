//! Signatures that are none of this token by this key.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use shared::{testing::Forge, trust::Reason};

use super::{Bad, bad};
use crate::support::Scene;

pub(super) fn bad_ones(scene: &Scene) -> Vec<Bad> {
    let mut table = by_others(scene);
    for (name, tamper) in TAMPERS {
        let token = scene.token();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        tamper(&mut signature);
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        table.push(bad(format!("signature: {name}"), token, Reason::Signature));
    }
    table
}

/// What is done to the 64 bytes of a good signature.
type Tamper = (&'static str, fn(&mut Vec<u8>));

const TAMPERS: [Tamper; 15] = [
    ("a byte short", |bytes| bytes.truncate(63)),
    ("half", |bytes| bytes.truncate(32)),
    ("one byte", |bytes| bytes.truncate(1)),
    ("a byte more", |bytes| bytes.push(0)),
    ("twice", |bytes| bytes.extend_from_within(..)),
    ("first bit flipped", |bytes| bytes[0] ^= 1),
    ("sign bit of R flipped", |bytes| bytes[31] ^= 0x80),
    ("first bit of s flipped", |bytes| bytes[32] ^= 1),
    ("last bit flipped", |bytes| bytes[63] ^= 0x80),
    ("halves exchanged", |bytes| bytes.rotate_left(32)),
    ("backwards", |bytes| bytes.reverse()),
    ("all zero", |bytes| bytes.fill(0)),
    ("all ones", |bytes| bytes.fill(0xff)),
    ("the identity and zero", |bytes| {
        bytes.fill(0);
        bytes[0] = 1;
    }),
    ("s plus the order of the group", |bytes| {
        let mut carry = 0;
        for (byte, order) in bytes[32..].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            [*byte, _] = sum.to_le_bytes();
            carry = sum >> 8;
        }
        assert_eq!(carry, 0);
    }),
];

/// The order of the group of Ed25519 (RFC 8032, section 5.1), least byte first. A verifier that
/// does not compare `s` with it takes two signatures for one.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn by_others(scene: &Scene) -> Vec<Bad> {
    let header = scene.header().text();
    let payload = scene.payload().text();
    let [one, two] = [scene.token(), scene.token()];
    let (h, p) = (URL_SAFE_NO_PAD.encode(&header), URL_SAFE_NO_PAD.encode(&payload));
    let signature = |signed: &str| scene.forge.seal(signed).rsplit('.').next().unwrap().to_owned();
    let (two_signed, _) = two.rsplit_once('.').unwrap();
    let (_, one_signature) = one.rsplit_once('.').unwrap();
    let text = signature(&format!("{header}.{payload}"));
    [
        ("by a stranger's key", Forge::new().sign_raw(&header, &payload)),
        ("by another trusted key", scene.other.sign_raw(&header, &payload)),
        ("of another token", format!("{two_signed}.{one_signature}")),
        ("of the payload alone", format!("{h}.{p}.{}", signature(&p))),
        ("of the header alone", format!("{h}.{p}.{}", signature(&h))),
        ("of nothing", format!("{h}.{p}.{}", signature(""))),
        ("of both without the dot", format!("{h}.{p}.{}", signature(&format!("{h}{p}")))),
        ("of the text before base64", format!("{h}.{p}.{text}")),
        ("of the payload with another header", {
            let spaced = URL_SAFE_NO_PAD.encode(format!("{header} "));
            format!("{spaced}.{p}.{}", signature(&format!("{h}.{p}")))
        }),
        ("one character", format!("{h}.{p}.A")),
        ("not base64url", format!("{h}.{p}.!")),
    ]
    .map(|(name, token)| bad(format!("signature: {name}"), token, Reason::Signature))
    .into()
}
