pub(crate) mod health;
pub(crate) mod logout;
pub(crate) mod oauth2_error;
pub(crate) mod oauth2_introspect;
pub(crate) mod oauth2_revoke;
pub(crate) mod oauth2_token;
pub(crate) mod refresh;
