//! The wire format of tagged tokens, fixed by vectors. Each was computed from the format's
//! description with another language's HMAC, not with this crate.

#![allow(missing_docs, clippy::unwrap_used, reason = "a failure ends the test")]

use ratchet_core::{
    challenge::{MailCode, MailToken, Purpose},
    client::{ClientName, Credential},
    device_token::{DeviceId, DeviceToken},
    encoding::to_base64url,
    ids::{ClientId, SessionId, UserId},
    key_ring::TagKey,
    refresh_token::RefreshToken,
    secret::TokenSecret,
    time::{UnixMillis, UnixSeconds},
};

const NOW: UnixSeconds = UnixSeconds::new(1_780_000_000);

const REFRESH: &str = "rt1_AQEBAQEBAQEBAQEBAQEBAQICAgICAgICAgICAgICAgIAAAADBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAT73UBlx6XF1B6Z4SHGRdpa";

const DEVICE: &str =
    "dt1_AQEBAQEBAQEBAQEBAQEBAQICAgICAgICAgICAgICAgIAAAAAahilAAAAAZwcOKQAdOHy0TV2tJbee15otNc8eA";

const CLIENT_ID: &str = "01010101-0101-0101-0101-010101010101";

const CLIENT: &str = "rs1_BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQYo4zyjVfaBB166ossxXc8";

const MAIL: &str =
    "rm1_AwEBAQEBAQEBAQEBAQEBAQEEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBESfwISuGrMjA7NwCOWPpDE";

const CODE: &str = "fspdzsE4LnxKjhC689epKdp-EO5UPhmfCe1mCiQNOGA";

fn key() -> TagKey {
    TagKey::new(&[7; 32])
}

#[test]
fn refresh_token() {
    let token = RefreshToken {
        user_id: UserId::from_bytes([1; 16]),
        session_id: SessionId::from_bytes([2; 16]),
        generation: 3,
        secret: TokenSecret::new([4; 32]),
    };
    assert_eq!(token.encode(&key()).expose(), REFRESH);
    let read = RefreshToken::parse(REFRESH, [&key()]).unwrap();
    assert_eq!((read.user_id, read.session_id), (token.user_id, token.session_id));
    assert_eq!((read.generation, read.secret.expose()), (3, &[4; 32]));
}

#[test]
fn device_token() {
    let token = DeviceToken {
        user_id: UserId::from_bytes([1; 16]),
        device_id: DeviceId::from_bytes([2; 16]),
        issued_at: NOW,
        cut_seen: UnixMillis::new(1_770_000_000_000),
    };
    assert_eq!(token.encode("Ada", &key()).expose(), DEVICE);
    assert_eq!(DeviceToken::parse(DEVICE, "ada", [&key()], NOW), Some(token));
}

#[test]
fn client_secret() {
    let made = Credential::new(ClientId::from_bytes([1; 16]), TokenSecret::new([4; 32]));
    assert_eq!(made.encode(&key()).expose(), CLIENT);
    let now = made.client_id.created_at().seconds();
    let read = Credential::parse(CLIENT_ID, CLIENT, [&key()], now).unwrap();
    assert!(made.client(ClientName::parse("orders").unwrap()).accepts(&read));
}

#[test]
fn mail_token() {
    let token = MailToken {
        purpose: Purpose::ResetPassword,
        user_id: UserId::from_bytes([1; 16]),
        secret: TokenSecret::new([4; 32]),
    };
    assert_eq!(token.encode(&key()).as_str(), MAIL);
    let read = MailToken::parse(MAIL, [&key()]).unwrap();
    assert_eq!((read.purpose, read.user_id), (token.purpose, token.user_id));
    assert_eq!(read.secret.expose(), &[4; 32]);
}

#[test]
fn hash_of_a_mailed_code() {
    let code = MailCode::parse("000042").unwrap();
    let hash = code.hash(Purpose::ResetPassword, UserId::from_bytes([1; 16]), &key());
    assert_eq!(to_base64url(hash.as_bytes()), CODE);
}
