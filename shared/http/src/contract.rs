//! The types of responses, for the API description in `tests/contract`.

use schemars::SchemaGenerator;

/// Adds the responses that functions share.
pub fn answers(generator: &mut SchemaGenerator) {
    generator.subschema_for::<crate::problem::Details>();
    generator.subschema_for::<crate::tokens::Body<'_>>();
}
