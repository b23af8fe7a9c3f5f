"use strict";
// The JSON of WebAuthn level 3, also for browsers that cannot convert it, and for extensions whose
// credentials cannot.
Object.defineProperty(exports, "__esModule", { value: true });
exports.optionsOf = optionsOf;
exports.jsonOf = jsonOf;
const bytes_js_1 = require("./bytes.js");
const session_js_1 = require("./session.js");
/** Reads options for `credentials.create` or `credentials.get`. */
function optionsOf(parse, options) {
    const { user, excludeCredentials, allowCredentials } = options;
    const list = (of) => of?.map((one) => ({ ...one, id: bytes(one.id) }));
    return ((0, session_js_1.attempt)(() => PublicKeyCredential[parse](options)) ?? {
        ...options,
        challenge: bytes(options.challenge),
        user: user && { ...user, id: bytes(user.id) },
        excludeCredentials: list(excludeCredentials),
        allowCredentials: list(allowCredentials),
    });
}
const BINARY = ['clientDataJSON', 'attestationObject', 'authenticatorData', 'signature', 'userHandle'];
/** What the service verifies of a credential. */
function jsonOf(made) {
    const credential = made;
    const { id, type } = credential;
    const response = credential.response;
    return ((0, session_js_1.attempt)(() => credential.toJSON()) ?? {
        id,
        rawId: id,
        type,
        clientExtensionResults: credential.getClientExtensionResults(),
        response: {
            ...Object.fromEntries(BINARY.flatMap((name) => (response[name] ? [[name, (0, bytes_js_1.base64url)(response[name])]] : []))),
            transports: response.getTransports?.(),
        },
    });
}
const bytes = (text) => Uint8Array.from((0, session_js_1.decode)(text), (char) => char.charCodeAt(0));
