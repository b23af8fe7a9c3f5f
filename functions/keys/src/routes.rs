pub(crate) mod jwks;
pub(crate) mod metadata;
