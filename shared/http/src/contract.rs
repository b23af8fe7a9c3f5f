//! The types of bodies, for the API description in `tests/contract`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// The schema of an optional member that is no string: a `T`, or what counts as absent.
#[derive(Debug)]
pub struct Optional<T>(T);

impl<T: JsonSchema> JsonSchema for Optional<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Optional{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        json_schema!({"anyOf": [value, {"enum": [null, ""]}]})
    }
}

/// Adds the responses that functions share.
pub fn answers(generator: &mut SchemaGenerator) {
    generator.subschema_for::<crate::problem::Details>();
    generator.subschema_for::<crate::tokens::Body<'_>>();
}
