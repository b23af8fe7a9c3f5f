"use strict";
// Sessions, and how the service's answers are read.
Object.defineProperty(exports, "__esModule", { value: true });
exports.ageOf = exports.claimsOf = exports.decode = exports.RatchetError = void 0;
exports.attempt = attempt;
exports.sessionOf = sessionOf;
exports.errorOf = errorOf;
exports.isRefused = isRefused;
exports.endsSession = endsSession;
/** Returns nothing if `work` throws, as storage, locks and channels do where a browser blocks them. */
function attempt(work) {
    try {
        return work();
    }
    catch {
        return undefined;
    }
}
/** A refusal by the service, or a failure to reach it (`unavailable`). */
class RatchetError extends Error {
    constructor({ code = 'unavailable', title = code, ...details } = {}) {
        super(title);
        Object.assign(this, details, { name: 'RatchetError', code });
    }
}
exports.RatchetError = RatchetError;
/** Reads base64url: one character for each byte. */
const decode = (text) => atob(text.replace(/-/g, '+').replace(/_/g, '/'));
exports.decode = decode;
/** Reads the claims of a JWT. Not every React Native has a `TextDecoder`. */
const claimsOf = (token) => JSON.parse(decodeURIComponent(escape((0, exports.decode)(token.split('.')[1]))));
exports.claimsOf = claimsOf;
/**
 * Orders refresh tokens of version 1 by age: behind the user's id they carry that of the session, which
 * begins with its time, and the generation.
 */
const ageOf = (token = '') => attempt(() => (0, exports.decode)(token.slice(4, 52)).slice(16)) ?? '';
exports.ageOf = ageOf;
/**
 * Reads a token pair that arrived at `now`.
 *
 * Throws if it is none: an answer that cannot be read is no answer.
 */
function sessionOf(pair, now) {
    const { access_token: accessToken, refresh_token: refreshToken } = pair;
    const after = (seconds) => now + pair[seconds] * 1000;
    const claims = (0, exports.claimsOf)(accessToken);
    const [expiresAt, refreshAt] = [after('expires_in'), after('refresh_after')];
    if (!claims.sub || !(expiresAt + refreshAt > 0))
        throw new RatchetError();
    return {
        user: { id: claims.sub, name: claims.name, roles: claims.roles },
        accessToken: accessToken,
        claims,
        expiresAt,
        refreshAt,
        sessionExpiresAt: after('session_expires_in'),
        refreshToken,
    };
}
/** Reads a refusal. What a proxy, a gateway or a firewall answers is not the service's word. */
async function errorOf(response) {
    const problem = await response
        .clone()
        .json()
        .catch(() => { });
    const own = /^urn:ratchet:/.test(problem?.type) && problem;
    const retryAfter = +response.headers.get('retry-after') || undefined;
    return new RatchetError({ ...own, status: response.status, retryAfter });
}
/** Whether the service refused, and would refuse the same request again. */
function isRefused({ code, status }) {
    return code !== 'unavailable' && status < 500 && status !== 429;
}
/**
 * Whether nobody is signed in after this refusal of a refresh token. `session` is the session that was known
 * before. If there was none, a refused proof means that the token's key is not here. A refused
 * nonce does not.
 */
function endsSession({ code, status }, session) {
    return /proof/.test(code) ? !session : status === 401 && !/unavailable|mismatch|elsewhere/.test(code);
}
