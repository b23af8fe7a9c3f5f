//! Optional members of requests.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{
        Error, MapAccess, SeqAccess, Visitor,
        value::{
            BoolDeserializer, BorrowedStrDeserializer, F64Deserializer, I64Deserializer,
            MapAccessDeserializer, SeqAccessDeserializer, StrDeserializer, U64Deserializer,
        },
    },
};

/// Reads an optional member. `null` and an empty string count as absent, because that is how many
/// clients leave a member out. Forms and queries mean the same by a parameter without a value
/// (RFC 6749 §3.2).
///
/// A field needs `#[serde(default, deserialize_with = "optional")]`.
///
/// # Errors
/// The error of `T`, if the member is neither absent nor a `T`.
pub fn optional<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_any(OptionalVisitor(PhantomData))
}

/// Looks for `null` and the empty string, and passes everything else on to `T`.
struct OptionalVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OptionalVisitor<T> {
    type Value = Option<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an optional value")
    }

    fn visit_unit<E: Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Option<T>, E> {
        T::deserialize(BoolDeserializer::new(value)).map(Some)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Option<T>, E> {
        T::deserialize(I64Deserializer::new(value)).map(Some)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Option<T>, E> {
        T::deserialize(U64Deserializer::new(value)).map(Some)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Option<T>, E> {
        T::deserialize(F64Deserializer::new(value)).map(Some)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Option<T>, E> {
        match value {
            "" => Ok(None),
            value => T::deserialize(StrDeserializer::new(value)).map(Some),
        }
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Option<T>, E> {
        match value {
            "" => Ok(None),
            value => T::deserialize(BorrowedStrDeserializer::new(value)).map(Some),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Option<T>, A::Error> {
        T::deserialize(SeqAccessDeserializer::new(seq)).map(Some)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::cookie::Mode;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Members {
        #[serde(deserialize_with = "optional")]
        text: Option<Zeroizing<String>>,
        #[serde(alias = "Flag", deserialize_with = "optional")]
        flag: Option<bool>,
        #[serde(deserialize_with = "optional")]
        mode: Option<Mode>,
        #[serde(deserialize_with = "optional")]
        list: Option<Vec<String>>,
        #[serde(deserialize_with = "optional")]
        number: Option<u8>,
    }

    fn read(json: &str) -> Result<Members, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn null_and_the_empty_string_count_as_absent() {
        for member in ["text", "flag", "Flag", "mode", "list", "number"] {
            for value in ["null", r#""""#] {
                let read = read(&format!(r#"{{"{member}": {value}}}"#)).unwrap();
                assert_eq!(read, Members::default(), "{member} {value}");
            }
        }
        assert_eq!(read("{}").unwrap(), Members::default());
        let form: Members = serde_urlencoded::from_str("text=&mode=").unwrap();
        assert_eq!(form, Members::default());
    }

    #[test]
    fn everything_else_is_read_as_the_member_is() {
        let json =
            r#"{"text": "a\u0062", "flag": false, "mode": "cookie", "list": [], "number": 7}"#;
        let members = Members {
            text: Some(Zeroizing::new("ab".to_owned())),
            flag: Some(false),
            mode: Some(Mode::Cookie),
            list: Some(Vec::new()),
            number: Some(7),
        };
        assert_eq!(read(json).unwrap(), members);
        let form: Members = serde_urlencoded::from_str("text=a+b&mode=token").unwrap();
        assert_eq!(form.text.unwrap().as_str(), "a b");
        for json in [
            r#"{"text": 1}"#,
            r#"{"text": " ", "flag": "true"}"#,
            r#"{"flag": 0}"#,
            r#"{"mode": "Cookie"}"#,
            r#"{"mode": {}}"#,
            r#"{"list": [null]}"#,
            r#"{"list": {}}"#,
            r#"{"number": 256}"#,
            r#"{"number": -1}"#,
            r#"{"number": 1.5}"#,
            r#"{"text": "a", "text": "b"}"#,
            r#"{"flag": true, "Flag": true}"#,
        ] {
            assert!(read(json).is_err(), "{json}");
        }
    }
}
