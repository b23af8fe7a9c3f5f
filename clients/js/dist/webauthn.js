// The JSON of WebAuthn level 3, also for browsers that cannot convert it, and for extensions whose
// credentials cannot.
import { base64url } from './bytes.js';
import { attempt, decode } from './session.js';
/** Reads options for `credentials.create` or `credentials.get`. */
export function optionsOf(parse, options) {
    const { user, excludeCredentials, allowCredentials } = options;
    const list = (of) => of?.map((one) => ({ ...one, id: bytes(one.id) }));
    return (attempt(() => PublicKeyCredential[parse](options)) ?? {
        ...options,
        challenge: bytes(options.challenge),
        user: user && { ...user, id: bytes(user.id) },
        excludeCredentials: list(excludeCredentials),
        allowCredentials: list(allowCredentials),
    });
}
const BINARY = ['clientDataJSON', 'attestationObject', 'authenticatorData', 'signature', 'userHandle'];
/** What the service verifies of a credential. */
export function jsonOf(made) {
    const credential = made;
    const { id, type } = credential;
    const response = credential.response;
    return (attempt(() => credential.toJSON()) ?? {
        id,
        rawId: id,
        type,
        clientExtensionResults: credential.getClientExtensionResults(),
        response: {
            ...Object.fromEntries(BINARY.flatMap((name) => (response[name] ? [[name, base64url(response[name])]] : []))),
            transports: response.getTransports?.(),
        },
    });
}
const bytes = (text) => Uint8Array.from(decode(text), (char) => char.charCodeAt(0));
