pub(crate) mod revocations;
