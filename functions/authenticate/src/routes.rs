pub(crate) mod authenticate;
pub(crate) mod second_factor;
