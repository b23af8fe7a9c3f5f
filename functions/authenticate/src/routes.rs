pub(crate) mod authenticate;
pub(crate) mod email;
pub(crate) mod second_factor;
