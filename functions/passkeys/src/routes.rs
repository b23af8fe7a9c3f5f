pub(crate) mod authenticate;
pub(crate) mod passkeys;
