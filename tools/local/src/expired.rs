//! Makes expired access tokens, so that developers need not wait for a token to expire.

use ratchet_core::{
    encoding::from_base64url, jws::SignatureAlgorithm, key_ring::KeyRing, time::UnixSeconds,
};
use serde_json::{Map, Value, json};

/// How long ago the token expired. Verifiers allow for clocks that differ, Spring by a minute.
const SINCE: u64 = 300;

/// The same token, as if it had been issued earlier and had expired [`SINCE`] seconds ago. It is
/// signed by the key ring like any other. `None` if `token` is not an access token.
pub(crate) fn expired(
    token: &str,
    ring: &str,
    algorithm: SignatureAlgorithm,
    now: UnixSeconds,
) -> Option<String> {
    let payload = token.split('.').nth(1)?;
    let mut claims: Map<String, Value> = serde_json::from_slice(&from_base64url(payload)?).ok()?;
    let seconds = |name: &str| claims.get(name).and_then(Value::as_u64);
    let life = seconds("exp")?.checked_sub(seconds("iat")?)?;
    let end = now.get().checked_sub(SINCE)?;
    claims.insert("exp".to_owned(), json!(end));
    claims.insert("iat".to_owned(), json!(end.checked_sub(life)?));
    let ring = KeyRing::parse_for(ring, algorithm, now).ok()?;
    let signed = ring.signer(now)?.sign("at+jwt", Value::Object(claims).to_string().as_bytes());
    signed.ok().map(|token| token.to_string())
}

#[cfg(test)]
mod tests {
    use ratchet_core::{encoding::to_base64url, key_ring::NewKey};

    use super::*;

    fn claims(token: &str) -> Value {
        let payload = token.split('.').nth(1).unwrap();
        serde_json::from_slice(&from_base64url(payload).unwrap()).unwrap()
    }

    #[test]
    fn an_expired_token_differs_in_its_times_only() {
        let key = NewKey::signing(SignatureAlgorithm::Es256).unwrap().expose();
        let ring = json!({"keys": [key, NewKey::tag().unwrap().expose()]}).to_string();
        let live = json!({"sub": "ada", "iat": 1_000, "exp": 1_300});
        let token = format!("x.{}.x", to_base64url(live.to_string().as_bytes()));
        let expired =
            expired(&token, &ring, SignatureAlgorithm::Es256, UnixSeconds::new(1_010)).unwrap();
        assert_eq!(claims(&expired), json!({"sub": "ada", "iat": 410, "exp": 710}));
    }

    #[test]
    fn what_is_no_token_makes_none() {
        let now = UnixSeconds::new(1_000);
        let endless = format!("x.{}.x", to_base64url(b"{\"sub\":\"ada\"}"));
        for token in ["", "a.b.c", endless.as_str()] {
            assert_eq!(expired(token, "{}", SignatureAlgorithm::Es256, now), None, "{token}");
        }
    }
}
