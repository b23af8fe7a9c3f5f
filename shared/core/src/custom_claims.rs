//! Custom claims: claims that administrators add to a user's access tokens.
//!
//! They are at the same level as the other claims of a token, so they must not have the name of
//! one.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// The greatest total length of a user's custom claims, in bytes of JSON without white space.
pub const MAX_LEN: usize = 1024;

/// Names that no custom claim may have, in any combination of upper and lower case.
///
/// They are names of claims in access tokens or of members of introspection responses, or a
/// standard gives them a meaning that only the issuer can vouch for: RFC 7519 §4.1, RFC 7662 §2.2,
/// RFC 7800 §3.1, RFC 8417 §2.2, RFC 8693 §4, RFC 9068 §2.2, RFC 9396 §9.1, RFC 9493 §4, and
/// `OpenID` Connect.
///
/// # Security
/// A service may trust every claim of a token as a statement of the issuer. Some JSON parsers, such
/// as Go's, ignore the case of names.
///
/// Four are not from a standard: `step_up` is our own, API Gateway and Spring Security read `scp`
/// as the scope, `MicroProfile` JWT reads `upn` as the user's name, and `__proto__` may become the
/// prototype of an object in JavaScript.
const RESERVED: [&str; 42] = [
    "__proto__",
    "acr",
    "act",
    "active",
    "amr",
    "at_hash",
    "aud",
    "auth_time",
    "authorization_details",
    "azp",
    "c_hash",
    "client_id",
    "cnf",
    "email",
    "email_verified",
    "entitlements",
    "events",
    "exp",
    "groups",
    "iat",
    "iss",
    "jti",
    "may_act",
    "name",
    "nbf",
    "nonce",
    "phone_number",
    "phone_number_verified",
    "preferred_username",
    "roles",
    "scope",
    "scp",
    "sid",
    "step_up",
    "sub",
    "sub_id",
    "sub_jwk",
    "toe",
    "token_type",
    "txn",
    "upn",
    "username",
];

/// A user's custom claims: an object of at most [`MAX_LEN`] bytes, without reserved names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct CustomClaims(Map<String, Value>);

/// Why claims cannot be a user's custom claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidClaims {
    /// A claim has this reserved name, in any combination of upper and lower case.
    #[error("the claim '{0}' is reserved")]
    Reserved(&'static str),
    /// A claim's name is empty, or has a space or a character that is not printable ASCII.
    #[error("names of custom claims consist of printable ASCII characters other than spaces")]
    Name,
    /// The claims together are too long.
    #[error("custom claims together have at most {MAX_LEN} bytes as JSON")]
    TooLong,
}

impl CustomClaims {
    /// Checks the claims that an administrator wants a user to have.
    ///
    /// # Errors
    /// [`InvalidClaims`].
    pub fn new(claims: Map<String, Value>) -> Result<Self, InvalidClaims> {
        claims.keys().try_for_each(|name| check_name(name))?;
        let claims = Self(claims);
        if claims.to_string().len() > MAX_LEN { Err(InvalidClaims::TooLong) } else { Ok(claims) }
    }

    /// Reads the custom claims from a JSON object: a user's stored claims, or the payload of a
    /// token. Leaves out members whose name no custom claim may have: the other claims of a token,
    /// and claims whose name has been reserved since the object was written.
    ///
    /// # Errors
    /// The parser's error, if it is not a JSON object.
    pub fn within(object: &str) -> Result<Self, serde_json::Error> {
        let mut claims: Map<String, Value> = serde_json::from_str(object)?;
        claims.retain(|name, _| check_name(name).is_ok());
        Ok(Self(claims))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of one claim.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// All of them, by name.
    #[must_use]
    pub const fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Deserializes all of them into a type of the caller's.
    ///
    /// # Errors
    /// The deserializer's error, if the claims do not fit `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(Value::Object(self.0.clone()))
    }
}

/// JSON without white space.
impl fmt::Display for CustomClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(&self.0).map_err(|_| fmt::Error)?)
    }
}

fn check_name(name: &str) -> Result<(), InvalidClaims> {
    if let Some(reserved) = RESERVED.iter().find(|reserved| name.eq_ignore_ascii_case(reserved)) {
        Err(InvalidClaims::Reserved(reserved))
    } else if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err(InvalidClaims::Name)
    } else {
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn claims(claims: &Value) -> Result<CustomClaims, InvalidClaims> {
        CustomClaims::new(claims.as_object().unwrap().clone())
    }

    /// Custom claims of exactly this length, which must have room for one claim.
    fn of_len(len: usize) -> Map<String, Value> {
        let padding = "x".repeat(len - r#"{"a":""}"#.len());
        Map::from_iter([("a".to_owned(), Value::from(padding))])
    }

    /// Custom claims of the greatest allowed length.
    pub(crate) fn longest() -> CustomClaims {
        CustomClaims::new(of_len(MAX_LEN)).unwrap()
    }

    /// Custom claims of every length, most of them short. One in eight has the greatest length.
    pub(crate) fn valid() -> impl Strategy<Value = CustomClaims> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,24}".prop_map(Value::from),
        ];
        let value = leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,8}", inner, 0..4)
                    .prop_map(|members| Value::from(Map::from_iter(members))),
            ]
        });
        let some = prop::collection::btree_map("[!-~]{1,24}", value, 0..8)
            .prop_map(Map::from_iter)
            .prop_filter_map("custom claims", |map| CustomClaims::new(map).ok());
        prop_oneof![7 => some, 1 => Just(longest())]
    }

    #[test]
    fn reserved_names_are_refused_in_upper_and_lower_case() {
        for name in RESERVED {
            for spelling in [name.to_owned(), name.to_uppercase()] {
                let refused = claims(&json!({"plan": "pro", spelling: 1}));
                assert_eq!(refused, Err(InvalidClaims::Reserved(name)));
            }
        }
        for name in ["scp", "upn", "UPN", "__proto__", "__Proto__"] {
            assert!(matches!(claims(&json!({name: 1})), Err(InvalidClaims::Reserved(_))), "{name}");
        }
        for name in ["given_name", "locale", "plan", "https://example.com/roles", "role", "-"] {
            assert!(claims(&json!({name: null})).is_ok(), "{name}");
        }
    }

    #[test]
    fn names_that_look_like_others_are_refused() {
        // U+017F folds to the letter s in parsers that ignore case.
        for name in ["", " ", "role s", "r\u{f6}les", "role\u{17f}", "plan\u{0}", "plan\u{200b}"] {
            assert_eq!(claims(&json!({name: 1})), Err(InvalidClaims::Name), "{name:?}");
        }
    }

    #[test]
    fn the_total_length_is_limited() {
        assert_eq!(longest().to_string().len(), MAX_LEN);
        assert_eq!(CustomClaims::new(of_len(MAX_LEN + 1)), Err(InvalidClaims::TooLong));
        // An escaped character counts with its backslash.
        let quotes = "\"".repeat(MAX_LEN / 2);
        assert_eq!(claims(&json!({"a": quotes})), Err(InvalidClaims::TooLong));
    }

    #[test]
    fn names_that_were_reserved_later_are_left_out_when_claims_are_read() {
        let read =
            CustomClaims::within(r#"{"plan": "pro", "scp": "admin", "SUB": 1, "__proto__": {}}"#);
        assert_eq!(read.unwrap(), claims(&json!({"plan": "pro"})).unwrap());
        for damaged in ["", "[]", "null", r#""{}""#, "{", r#"{"a":1e999}"#] {
            assert!(CustomClaims::within(damaged).is_err(), "{damaged}");
        }
    }

    #[test]
    fn claims_can_be_deserialized_into_a_type() {
        #[derive(serde::Deserialize)]
        struct Tenant {
            tenant: u32,
        }
        let both = claims(&json!({"tenant": 7, "plan": "pro"})).unwrap();
        assert_eq!(both.read::<Tenant>().unwrap().tenant, 7);
        assert_eq!(both.get("plan"), Some(&json!("pro")));
        assert!(claims(&json!({"tenant": "7"})).unwrap().read::<Tenant>().is_err());
    }

    proptest! {
        #[test]
        fn accepted_claims_are_short_enough_and_read_back_unchanged(claims in valid()) {
            let text = claims.to_string();
            prop_assert!(text.len() <= MAX_LEN);
            prop_assert_eq!(CustomClaims::within(&text).unwrap(), claims.clone());
            prop_assert_eq!(CustomClaims::new(claims.as_map().clone()), Ok(claims));
        }
    }
}
