//! Request bodies: limited in size, of the one type that the route accepts, and never echoed.

use axum::{
    body::to_bytes,
    extract::{FromRequest, Request},
};
use http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use crate::Problem;

/// The longest body, in bytes.
pub const MAX_BODY: usize = 16 * 1024;

/// A description of a request body, for the response to a malformed one.
pub trait Describe {
    /// What a well-formed body looks like.
    const EXPECTED: &'static str;
}

/// A JSON body (RFC 8259).
///
/// # Security
/// The parser's message may quote the value that it could not read, for example a password. The
/// response only says what is expected.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + Describe, S: Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let body = read(request, "application/json").await?;
        // As text first, because the parser does not check the encoding of members that it skips.
        let value = str::from_utf8(&body)
            .ok()
            .and_then(|body| serde_json::from_str(body).ok())
            .ok_or(Problem::MalformedRequest { expected: T::EXPECTED })?;
        Ok(Self(value))
    }
}

/// A form body (RFC 6749 appendix B). A repeated parameter is an error (RFC 6749 §3.2).
#[derive(Debug)]
pub struct Form<T>(pub T);

impl<T: DeserializeOwned + Describe, S: Sync> FromRequest<S> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let body = read(request, "application/x-www-form-urlencoded").await?;
        let value = serde_urlencoded::from_bytes(&body)
            .map_err(|_| Problem::MalformedRequest { expected: T::EXPECTED })?;
        Ok(Self(value))
    }
}

async fn read(request: Request, content_type: &'static str) -> Result<bytes::Bytes, Problem> {
    if !is_of_type(request.headers(), content_type) {
        return Err(Problem::UnsupportedMediaType { expected: content_type });
    }
    to_bytes(request.into_body(), MAX_BODY).await.map_err(|_| Problem::PayloadTooLarge)
}

fn is_of_type(headers: &HeaderMap, expected: &str) -> bool {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(expected)
}

/// Reads a request of the fuzzer, and prints the result.
///
/// # Errors
/// The refusal.
#[cfg(fuzzing)]
pub async fn read_printed<E>(content_type: &[u8], body: &[u8]) -> Result<String, Problem>
where
    E: FromRequest<(), Rejection = Problem> + std::fmt::Debug,
{
    let mut request = Request::new(axum::body::Body::from(body.to_vec()));
    if let Ok(value) = http::HeaderValue::from_bytes(content_type) {
        request.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    E::from_request(request, &()).await.map(|body| format!("{body:?}"))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Login {
        #[serde(alias = "Password")]
        password: String,
    }

    impl Describe for Login {
        const EXPECTED: &'static str = "a login";
    }

    async fn json(content_type: &str, body: impl Into<Body>) -> Result<Json<Login>, Problem> {
        let request =
            Request::builder().header("content-type", content_type).body(body.into()).unwrap();
        Json::from_request(request, &()).await
    }

    #[tokio::test]
    async fn a_body_that_is_not_utf8_is_refused_even_in_unknown_members() {
        let body = &b"{\"password\":\"x\",\"other\":\"\xff\"}"[..];
        let refusal = json("application/json", body).await.unwrap_err();
        assert_eq!(refusal, Problem::MalformedRequest { expected: "a login" });
    }

    #[tokio::test]
    async fn both_spellings_of_a_member_are_read() {
        for body in [r#"{"password":"x"}"#, r#"{"Password":"x"}"#] {
            assert_eq!(json("application/json", body).await.unwrap().0.password, "x");
        }
        assert!(json("Application/JSON; charset=utf-8", r#"{"password":"x"}"#).await.is_ok());
    }

    #[tokio::test]
    async fn malformed_bodies_are_refused_without_quoting_them() {
        let malformed = Problem::MalformedRequest { expected: "a login" };
        let deep = "[".repeat(10_000);
        for body in [
            "",
            "{",
            "[]",
            "null",
            r#"{"password":1}"#,
            r#"{"password":"x","Password":"y"}"#,
            r#"{"password":"x"} trailing"#,
            "{\"password\":\"\u{0}\"}",
            &deep,
        ] {
            let refusal = json("application/json", body.to_owned()).await.unwrap_err();
            assert_eq!(refusal, malformed, "{body:.40}");
        }
        let refusal = json("application/json", vec![b'"', 0xff, b'"']).await.unwrap_err();
        assert_eq!(refusal, malformed);
    }

    #[tokio::test]
    async fn other_content_types_are_refused_unread() {
        for content_type in ["", "text/plain", "application/jsonp", "application/problem+json"] {
            assert_eq!(
                json(content_type, r#"{"password":"x"}"#).await.unwrap_err(),
                Problem::UnsupportedMediaType { expected: "application/json" }
            );
        }
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused() {
        let body = format!(r#"{{"password":"{}"}}"#, "x".repeat(MAX_BODY));
        assert_eq!(json("application/json", body).await.unwrap_err(), Problem::PayloadTooLarge);
    }

    #[tokio::test]
    async fn a_repeated_form_parameter_is_refused() {
        let form = |body: &'static str| {
            Form::<Login>::from_request(
                Request::builder()
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(body.into())
                    .unwrap(),
                &(),
            )
        };
        assert_eq!(form("password=a%20b+c").await.unwrap().0.password, "a b c");
        assert!(form("password=a&password=b").await.is_err());
    }
}
