//! The document: the functions' descriptions, and the parts common to all.

use ratchet_http::contract::{ACCESS_TOKEN, CLIENT};
use serde_json::Value;
use utoipa::OpenApi;

/// The whole API.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Ratchet",
        description = DESCRIPTION,
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    servers((url = "/", description = "Wherever it is deployed")),
    modifiers(&Schemes)
)]
struct Api;

const DESCRIPTION: &str = "A token service: username and password in, a short-lived JWT access \
    token and a rotating refresh token out. Other methods than those named here are answered 405, \
    and unknown members of a body are ignored where the schema does not say that there are none. \
    Before any of these routes the gateway may answer 429 or 503 itself, with a `message` and no \
    `code`: when requests come faster than it lets through, or no function is free. The same \
    request later works. A path that is not named here is 404 by the gateway, \
    `{\"message\":\"Not Found\"}`, and no function runs.";

/// How routes with `security(("accessToken" = []))` or `security(("client" = []))` are called.
struct Schemes;

impl utoipa::Modify for Schemes {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
        let components = description.components.get_or_insert_default();
        components.add_security_scheme(ACCESS_TOKEN, SecurityScheme::Http(bearer.build()));
        let basic = HttpBuilder::new().scheme(HttpAuthScheme::Basic).description(Some(
            "The id and the secret of a client, as `ratchet clients create` prints them. They may \
             also be in the body, as `client_id` and `client_secret`.",
        ));
        components.add_security_scheme(CLIENT, SecurityScheme::Http(basic.build()));
    }
}

/// The whole document.
pub(crate) fn document() -> Value {
    let functions = [
        accounts::contract::Contract::openapi(),
        authenticate::contract::Contract::openapi(),
        keys::contract::Contract::openapi(),
        refresh::contract::Contract::openapi(),
        passkeys::contract::Contract::openapi(),
        revocations::contract::Contract::openapi(),
        users::contract::Contract::openapi(),
    ];
    let api = functions.into_iter().fold(Api::openapi(), utoipa::openapi::OpenApi::merge_from);
    serde_json::to_value(api).unwrap()
}
