// What a signed-in client knows, and how the service's answers are read.
/** A refusal, or no answer in the end. `code` is the service's own, or `unavailable`. */
export class RatchetError extends Error {
    code;
    status;
    retryAfter;
    constructor(code, status = 0, message = code, 
    /** In how many seconds to try again, if the service said so. */
    retryAfter) {
        super(message);
        this.code = code;
        this.status = status;
        this.retryAfter = retryAfter;
        this.name = 'RatchetError';
    }
}
/** Reads a token pair. */
export function stateOf(body, at) {
    const { access_token: accessToken, refresh_token: refreshToken } = body;
    const after = (name) => at + Number(body[name]) * 1000;
    const expiresAt = after('expires_in');
    if (typeof accessToken !== 'string' || !Number.isFinite(expiresAt)) {
        throw new RatchetError('unavailable', 0, 'not a token pair');
    }
    return {
        session: {
            accessToken,
            expiresAt,
            refreshAt: after('refresh_after') || expiresAt,
            sessionExpiresAt: after('session_expires_in'),
            refreshToken: typeof refreshToken === 'string' ? refreshToken : undefined,
        },
        at,
    };
}
/** Reads a refusal; whatever is not the service's own has no code of it. */
export async function errorOf(response) {
    const problem = await response
        .clone()
        .json()
        .catch(() => ({}));
    const { status } = response;
    const own = String(problem?.type).startsWith('urn:ratchet:problem:');
    const code = own ? String(problem.code) : status >= 500 ? 'unavailable' : 'refused';
    const retryAfter = Number(response.headers.get('retry-after')) || undefined;
    return new RatchetError(code, status, own ? String(problem.title) : code, retryAfter);
}
/** Whether the same request would be refused again: an answer that is neither a fault nor a limit. */
export function isRefused({ status }) {
    return status >= 400 && status < 500 && status !== 429;
}
/**
 * Whether nothing can come of the refresh token any more. Only the service's own word counts: a
 * fault, a gateway's 401, or a refusal of the request leaves the session alone.
 */
export function endsSession({ code, status }) {
    return status === 401 && !['refused', 'access_token_mismatch', 'elsewhere'].includes(code);
}
