//! The document: what is said of each operation, one module per function, and the schemas.

mod accounts;
mod authenticate;
mod keys;
mod operation;
mod refresh;
mod users;

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// The whole document.
pub(crate) async fn document() -> Value {
    let mut paths = Map::new();
    let groups = [
        authenticate::operations(),
        refresh::operations(),
        users::operations(),
        accounts::operations(),
        keys::operations(),
    ];
    for operation in groups.into_iter().flatten() {
        let (path, method, described) = operation.describe().await;
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        if let Some(methods) = methods.as_object_mut() {
            methods.insert(method, described);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ratchet",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A token service: username and password in, a short-lived JWT access \
                token and a rotating refresh token out. Other methods than those named here are \
                answered 405, and unknown members of a body are ignored where the schema does \
                not say that there are none. Before any of these routes the gateway may answer \
                429 or 503 itself, with a `message` and no `code`: when requests come faster than \
                it lets through, or no function is free. The same request later works. A path that \
                is not named here is 404 by the gateway, `{\"message\":\"Not Found\"}`, and no \
                function runs.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "Wherever it is deployed"}],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "accessToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
    })
}

/// What travels: bodies of requests as they are read, bodies of answers as they are written.
fn schemas() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut read = SchemaGenerator::new(settings.clone().for_deserialize());
    ::authenticate::requests(&mut read);
    ::refresh::requests(&mut read);
    ::accounts::requests(&mut read);
    let mut written = SchemaGenerator::new(settings.for_serialize());
    ratchet_http::contract::answers(&mut written);
    ::refresh::answers(&mut written);
    ::users::answers(&mut written);
    ::accounts::answers(&mut written);
    ::keys::answers(&mut written);
    let mut schemas = read.take_definitions(true);
    schemas.extend(written.take_definitions(true));
    schemas
}
