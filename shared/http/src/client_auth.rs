//! How clients authenticate (RFC 6749 §2.3.1): with HTTP Basic, or in the body.

use std::fmt;

use http::{HeaderMap, header};
use ratchet_core::encoding::from_base64;
use zeroize::Zeroizing;

/// What a 401 for a client says in `WWW-Authenticate` (RFC 7617 §2).
pub const BASIC_CHALLENGE: &str = r#"Basic realm="ratchet""#;

/// The id and the secret that a client presented, unverified.
///
/// # Security
/// The secret does not print and is wiped when dropped.
#[derive(PartialEq, Eq)]
pub struct PresentedClient {
    /// The id.
    pub id: String,
    /// The secret.
    pub secret: Zeroizing<String>,
}

impl fmt::Debug for PresentedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresentedClient").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why a request presents no client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientAuthError {
    /// The header and the body both authenticate, or name different clients.
    #[error("a client authenticates in one way only")]
    TwoMethods,
    /// Neither the header nor the body authenticates, or the header cannot be read.
    #[error("no client authenticates")]
    Absent,
}

/// Reads the credential of a request: from its header, or from `client_id` and `client_secret` in
/// the body.
///
/// # Errors
/// [`ClientAuthError`].
pub fn presented_client(
    headers: &HeaderMap,
    client_id: Option<String>,
    client_secret: Option<Zeroizing<String>>,
) -> Result<PresentedClient, ClientAuthError> {
    if headers.contains_key(header::AUTHORIZATION) {
        if client_secret.is_some() {
            return Err(ClientAuthError::TwoMethods);
        }
        let client = basic(headers).ok_or(ClientAuthError::Absent)?;
        // An id alone does not authenticate, but it has to be the same one.
        if client_id.is_some_and(|id| id != client.id) {
            return Err(ClientAuthError::TwoMethods);
        }
        return Ok(client);
    }
    match (client_id, client_secret) {
        (Some(id), Some(secret)) => Ok(PresentedClient { id, secret }),
        _ => Err(ClientAuthError::Absent),
    }
}

/// The credentials of HTTP Basic. Id and secret are encoded as in a form before they are joined.
fn basic(headers: &HeaderMap) -> Option<PresentedClient> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let joined = Zeroizing::new(from_base64(encoded.trim())?);
    let (id, secret) = str::from_utf8(&joined).ok()?.split_once(':')?;
    Some(PresentedClient { id: decoded(id)?.to_string(), secret: decoded(secret)? })
}

/// Decodes a value as in a form.
fn decoded(value: &str) -> Option<Zeroizing<String>> {
    let form = Zeroizing::new(["v=", value].concat());
    let [(_, value)]: [(String, Zeroizing<String>); 1] =
        serde_urlencoded::from_str::<Vec<_>>(&form).ok()?.try_into().ok()?;
    Some(value)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use ratchet_core::encoding::to_base64;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let values = values.iter().map(|value| HeaderValue::from_str(value).unwrap());
        values.map(|value| (header::AUTHORIZATION, value)).collect()
    }

    fn of(joined: &str) -> String {
        format!("Basic {}", to_base64(joined.as_bytes()))
    }

    fn client(id: &str, secret: &str) -> PresentedClient {
        PresentedClient { id: id.to_owned(), secret: Zeroizing::new(secret.to_owned()) }
    }

    fn read(
        values: &[&str],
        id: Option<&str>,
        secret: Option<&str>,
    ) -> Result<PresentedClient, ClientAuthError> {
        let secret = secret.map(|secret| Zeroizing::new(secret.to_owned()));
        presented_client(&headers(values), id.map(str::to_owned), secret)
    }

    #[test]
    fn basic_is_decoded_as_a_form_and_its_scheme_has_no_case() {
        for (joined, id, secret) in [
            ("a-b:rs1_x-y", "a-b", "rs1_x-y"),
            ("a%2Db:rs1%5Fx%2Dy", "a-b", "rs1_x-y"),
            ("a:b:c", "a", "b:c"),
            ("a:b+c%26", "a", "b c&"),
            (":", "", ""),
        ] {
            assert_eq!(read(&[&of(joined)], None, None), Ok(client(id, secret)), "{joined}");
        }
        let other_case = of("a:b").replacen("Basic", "bASIC", 1);
        assert_eq!(read(&[&other_case], None, None), Ok(client("a", "b")));
    }

    #[test]
    fn what_is_no_basic_header_presents_nobody() {
        let twice = [of("a:b"), of("a:b")];
        assert_eq!(
            read(&twice.each_ref().map(String::as_str), None, None),
            Err(ClientAuthError::Absent)
        );
        for value in [
            "Bearer eyJ",
            "Basic",
            "Basic ",
            "Basic !",
            "Basic YQ",
            &of("without a colon"),
            &of("a:b&c=d"),
            &format!("{}, {}", of("a:b"), of("a:b")),
            "Basic /zo6",
        ] {
            assert_eq!(read(&[value], None, None), Err(ClientAuthError::Absent), "{value}");
        }
    }

    #[test]
    fn the_body_needs_both_members() {
        assert_eq!(read(&[], Some("a"), Some("b")), Ok(client("a", "b")));
        for (id, secret) in [(None, None), (Some("a"), None), (None, Some("b"))] {
            assert_eq!(read(&[], id, secret), Err(ClientAuthError::Absent));
        }
    }

    #[test]
    fn two_methods_at_once_are_refused() {
        let header = of("a:b");
        assert_eq!(read(&[&header], Some("a"), None), Ok(client("a", "b")));
        for (id, secret) in [(Some("a"), Some("b")), (None, Some("b")), (Some("other"), None)] {
            let refusal = read(&[&header], id, secret);
            assert_eq!(refusal, Err(ClientAuthError::TwoMethods));
        }
        let refusal = read(&["Bearer eyJ"], Some("a"), Some("b"));
        assert_eq!(refusal, Err(ClientAuthError::TwoMethods));
    }

    #[test]
    fn the_secret_does_not_print() {
        assert!(!format!("{:?}", client("a", "canary")).contains("canary"));
    }
}
