"use strict";
// Step-up: the signed-in user authenticates again within the session (RFC 9470).
Object.defineProperty(exports, "__esModule", { value: true });
exports.requirementOf = requirementOf;
exports.stepUp = stepUp;
const session_js_1 = require("./session.js");
const turns_js_1 = require("./turns.js");
/** What a refused request requires, if the user has to authenticate again for it; otherwise `null`. */
function requirementOf(response) {
    const challenge = response.headers.get('www-authenticate') ?? '';
    if (response.status !== 401 || !/error="?insufficient_user_authentication\b/.test(challenge))
        return null;
    const valueOf = (name) => new RegExp(`\\b${name}="?([^",]*)`).exec(challenge)?.[1];
    const [maxAge, amr] = [valueOf('max_age'), valueOf('amr_values')];
    return {
        ...(maxAge && { maxAge: Number(maxAge) }),
        ...(amr && { amr: amr.split(' ').map((methods) => methods.split('+')) }),
    };
}
/**
 * Authenticates the signed-in user again. Resolves with the session, whose access token says so from now
 * on, in all tabs. For five minutes, and until the next refresh, it stands in for the password.
 *
 * Rejects with a `RatchetError` if the service refuses. Nothing is repeated automatically. If there was no
 * answer (`unavailable`), a code may be used up: `client.refresh()` then has what it proved.
 */
async function stepUp(client, { password, code, recoveryCode }) {
    const controller = new AbortController();
    const request = async () => {
        const response = await client.fetch('/users/me/step-up', {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ password, code, recovery_code: recoveryCode }),
            signal: controller.signal,
        });
        if (!response.ok)
            throw await (0, session_js_1.errorOf)(response);
        return response.json();
    };
    const answer = await (0, turns_js_1.within)(turns_js_1.ANSWER, request()).catch((error) => {
        controller.abort();
        throw error instanceof session_js_1.RatchetError ? error : new session_js_1.RatchetError({ cause: error });
    });
    // In the place of a sign-in, so that the other tabs hear of it.
    const accept = async () => {
        const now = Date.now();
        const known = client.session;
        const session = (0, session_js_1.sessionOf)({ ...answer, session_expires_in: 0, refresh_token: known?.refreshToken }, now);
        // Meanwhile the user has signed out, or in again: the token is of another session.
        if (known?.claims.sid !== session.claims.sid) {
            throw new session_js_1.RatchetError({ code: known ? 'user_changed' : 'signed_out' });
        }
        return { ...session, sessionExpiresAt: known.sessionExpiresAt };
    };
    return client.signIn({ name: '' }, accept);
}
