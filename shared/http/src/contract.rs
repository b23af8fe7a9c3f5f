//! The types of answers, for the API's description in `contract/`.

use schemars::SchemaGenerator;

/// Adds the answers that functions share.
pub fn answers(generator: &mut SchemaGenerator) {
    generator.subschema_for::<crate::problem::Details>();
    generator.subschema_for::<crate::tokens::Body<'_>>();
}
