//! Ceremonies with an authenticator in software.

#![allow(clippy::unwrap_used, reason = "a test ends at what it cannot continue with")]

use authenticator::Passkey;
use ratchet_core::ids::UserId;
use ratchet_webauthn::{
    AuthenticationAnswer, Begun, InvalidRelyingParty, NewCredential, Refusal, RegistrationAnswer,
    RelyingParty, Verified,
};
use serde_json::{Value, json};

const ORIGIN: &str = "https://app.example.com";
const USER: UserId = UserId::from_bytes([7; 16]);

fn party() -> RelyingParty {
    let origins = [ORIGIN, "https://example.com", "android:apk-key-hash:abc"];
    RelyingParty::new("example.com", "Example", &origins.map(str::to_owned)).unwrap()
}

fn registration(answer: Value) -> RegistrationAnswer {
    serde_json::from_value(answer).unwrap()
}

fn authentication(answer: Value) -> AuthenticationAnswer {
    serde_json::from_value(answer).unwrap()
}

/// A passkey that is registered.
fn registered() -> (Passkey, NewCredential) {
    let Begun { options, state } = party().begin_registration(USER, "ada", []).unwrap();
    let passkey = Passkey::create(&options);
    let answer = registration(passkey.registration(&options, ORIGIN));
    let new = party().finish_registration(&answer, &state).unwrap();
    (passkey, new)
}

fn verify(
    passkey: &mut Passkey,
    credential: &str,
    origin: &str,
    change: impl FnOnce(&mut Value),
) -> Result<Verified, Refusal> {
    let Begun { options, state } = party().begin_authentication([]).unwrap();
    let mut answer = passkey.assertion(&options, origin);
    change(&mut answer);
    party().finish_authentication(&authentication(answer), &state, credential)
}

#[test]
fn options_ask_for_discoverable_passkeys_with_a_verified_user_and_no_attestation() {
    let (_, NewCredential { credential, .. }) = registered();
    let begun = party().begin_registration(USER, "ada", [credential.as_str()]).unwrap();
    let options = begun.options;
    assert_eq!(options["rp"], json!({"name": "Example", "id": "example.com"}));
    assert_eq!(options["attestation"], "none");
    assert_eq!(options["authenticatorSelection"]["residentKey"], "required");
    assert_eq!(options["authenticatorSelection"]["userVerification"], "required");
    assert_eq!(options["excludeCredentials"].as_array().map(Vec::len), Some(1));
    let begun = party().begin_authentication([]).unwrap();
    assert_eq!(begun.options["rpId"], "example.com");
    assert_eq!(begun.options["userVerification"], "required");
    assert_eq!(begun.options["allowCredentials"], json!([]));
    let begun = party().begin_authentication([credential.as_str()]).unwrap();
    assert_eq!(begun.options["allowCredentials"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_passkey_that_was_registered_signs_in_and_counts() {
    let (mut passkey, NewCredential { id, mut credential, backed_up }) = registered();
    assert_eq!((&id, backed_up), (&passkey.id, false));
    for _ in 0..3 {
        let verified = verify(&mut passkey, &credential, ORIGIN, |_| ()).unwrap();
        credential = verified.credential.unwrap();
    }
    passkey.counts = false;
    let again = verify(&mut passkey, &credential, ORIGIN, |_| ());
    assert!(matches!(again, Err(Refusal::Cloned)), "the counter stands still");
}

#[test]
fn a_passkey_that_does_not_count_need_not_be_written() {
    let (mut passkey, NewCredential { credential, .. }) = registered();
    passkey.counts = false;
    let verified = verify(&mut passkey, &credential, ORIGIN, |_| ()).unwrap();
    assert_eq!(verified.credential, None);
}

#[test]
fn the_answer_says_whose_it_may_be() {
    let (mut passkey, _) = registered();
    let Begun { options, .. } = party().begin_authentication([]).unwrap();
    let answer = passkey.assertion(&options, ORIGIN);
    let claimed = authentication(answer.clone()).claimed();
    assert_eq!((claimed.user_id, claimed.credential_id), (Some(USER), passkey.id));
    for handle in [json!(null), json!("AAAA")] {
        let mut answer = answer.clone();
        answer["response"]["userHandle"] = handle;
        assert_eq!(authentication(answer).claimed().user_id, None);
    }
}

#[test]
fn every_changed_answer_is_refused() {
    let (mut passkey, NewCredential { credential, .. }) = registered();
    let (mut other, _) = registered();
    for origin in ["https://evil.example", "http://app.example.com", "https://a.app.example.com"] {
        let verified = verify(&mut passkey, &credential, origin, |_| ());
        assert!(matches!(verified, Err(Refusal::Wrong(_))), "{origin}");
    }
    for member in ["authenticatorData", "clientDataJSON", "signature"] {
        let verified = verify(&mut passkey, &credential, ORIGIN, |answer| {
            let text = answer["response"][member].as_str().unwrap();
            let first = if text.starts_with('A') { "B" } else { "A" };
            answer["response"][member] = json!([first, &text[1..]].concat());
        });
        assert!(verified.is_err(), "{member}");
    }
    assert!(verify(&mut other, &credential, ORIGIN, |_| ()).is_err(), "another passkey");
    let verified = verify(&mut other, &credential, ORIGIN, |answer| {
        answer["rawId"] = json!(ratchet_core::encoding::to_base64url(&passkey.id));
    });
    assert!(matches!(verified, Err(Refusal::Wrong(_))), "another key");
    passkey.verifies_user = false;
    let verified = verify(&mut passkey, &credential, ORIGIN, |_| ());
    assert!(matches!(verified, Err(Refusal::Wrong(_))), "nobody was verified");
}

#[test]
fn a_passkey_that_devices_share_says_so() {
    let Begun { options, state } = party().begin_registration(USER, "ada", []).unwrap();
    let mut passkey = Passkey::create(&options);
    (passkey.is_shared, passkey.counts) = (true, false);
    let answer = registration(passkey.registration(&options, ORIGIN));
    let new = party().finish_registration(&answer, &state).unwrap();
    assert!(new.backed_up);
    assert!(verify(&mut passkey, &new.credential, ORIGIN, |_| ()).unwrap().backed_up);
}

#[test]
fn a_page_in_a_frame_of_another_site_does_not_sign_in() {
    let (mut passkey, NewCredential { credential, .. }) = registered();
    for (member, value) in [("crossOrigin", json!(true)), ("topOrigin", json!("https://a.example"))]
    {
        passkey.client_data = vec![(member.to_owned(), value)];
        let verified = verify(&mut passkey, &credential, ORIGIN, |_| ());
        assert!(matches!(verified, Err(Refusal::Framed)), "{member}");
    }
}

#[test]
fn the_state_stays_short_and_a_long_credential_is_refused() {
    let (_, NewCredential { credential, .. }) = registered();
    let many = [credential.as_str(); 20];
    let begun = party().begin_registration(USER, "ada", many).unwrap();
    assert_eq!(begun.options["excludeCredentials"].as_array().map(Vec::len), Some(20));
    assert!(begun.state.len() < 1_024, "{}", begun.state.len());
    let Begun { options, state } = party().begin_registration(USER, "ada", []).unwrap();
    let mut passkey = Passkey::create(&options);
    passkey.attests = true;
    let answer = registration(passkey.registration(&options, ORIGIN));
    assert!(party().finish_registration(&answer, &state).is_ok());
    let mut answer = passkey.registration(&options, ORIGIN);
    answer["response"]["transports"] = json!(vec!["internal"; 1_000]);
    let refused = party().finish_registration(&registration(answer), &state);
    assert!(matches!(refused, Err(Refusal::TooLong)));
}

#[test]
fn an_answer_is_good_for_its_own_ceremony_only() {
    let (mut passkey, NewCredential { credential, .. }) = registered();
    let [one, two] = [0; 2].map(|_| party().begin_authentication([]).unwrap());
    let answer = authentication(passkey.assertion(&one.options, ORIGIN));
    assert!(party().finish_authentication(&answer, &two.state, &credential).is_err());
    assert!(party().finish_authentication(&answer, &one.state, &credential).is_ok());
}

#[test]
fn a_registration_on_another_page_or_without_a_verified_user_is_refused() {
    let Begun { options, state } = party().begin_registration(USER, "ada", []).unwrap();
    let mut passkey = Passkey::create(&options);
    let answer = registration(passkey.registration(&options, "https://evil.example"));
    assert!(party().finish_registration(&answer, &state).is_err());
    passkey.verifies_user = false;
    let answer = registration(passkey.registration(&options, ORIGIN));
    assert!(party().finish_registration(&answer, &state).is_err());
}

#[test]
fn what_is_no_state_or_credential_is_a_fault_and_no_refusal() {
    let (mut passkey, NewCredential { credential, .. }) = registered();
    let Begun { options, state } = party().begin_authentication([]).unwrap();
    let answer = authentication(passkey.assertion(&options, ORIGIN));
    for (state, credential) in [("{}", credential.as_str()), (&state, "{}")] {
        let verified = party().finish_authentication(&answer, state, credential);
        assert!(matches!(verified, Err(Refusal::Unreadable(_))));
    }
}

#[test]
fn a_relying_party_has_origins_that_browsers_accept_for_its_id() {
    let party = |id: &str, origins: &[&str]| {
        let origins: Vec<String> = origins.iter().map(|&origin| origin.to_owned()).collect();
        RelyingParty::new(id, "Example", &origins).err()
    };
    assert_eq!(party("example.com", &["https://example.com"]), None);
    assert_eq!(party("localhost", &["http://localhost:3000"]), None);
    assert_eq!(party("example.com", &[]), Some(InvalidRelyingParty::NoOrigin));
    let foreign = ["https://example.com", "https://badexample.com"];
    assert_eq!(party("example.com", &foreign), Some(InvalidRelyingParty::Id));
    for bad in ["example.com", "https://example.com/", "https://example.com/app", "*"] {
        let error = InvalidRelyingParty::Origin(bad.to_owned());
        assert_eq!(party("example.com", &[bad]), Some(error));
    }
}
