pub(crate) mod authenticate;
pub(crate) mod passkeys;
pub(crate) mod step_up;
