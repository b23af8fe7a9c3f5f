/** A session as the application sees it. All times are milliseconds since 1970. */
export interface Session {
    /** For requests that do not go through `fetch`, a WebSocket for example. In memory only. */
    readonly accessToken: string;
    /** When the access token ends. */
    readonly expiresAt: number;
    /** When it will be refreshed. */
    readonly refreshAt: number;
    /** When the user has to sign in again, however often the session is refreshed. */
    readonly sessionExpiresAt: number;
    /** Token mode only: in cookie mode no script has it. */
    readonly refreshToken?: string | undefined;
}
/** What tabs tell each other: the newest word. */
export interface State {
    readonly session: Session | null;
    /** Why there is no session: a `code` of the service, or `signed_out`. */
    readonly reason?: string | undefined;
    /** When this was learnt; a later word replaces an earlier one. */
    readonly at: number;
}
/** A refusal, or no answer in the end. `code` is the service's own, or `unavailable`. */
export declare class RatchetError extends Error {
    readonly code: string;
    readonly status: number;
    /** In how many seconds to try again, if the service said so. */
    readonly retryAfter?: number | undefined;
    constructor(code: string, status?: number, message?: string, 
    /** In how many seconds to try again, if the service said so. */
    retryAfter?: number | undefined);
}
/** Reads a token pair. */
export declare function stateOf(body: Record<string, unknown>, at: number): State;
/** Reads a refusal; whatever is not the service's own has no code of it. */
export declare function errorOf(response: Response): Promise<RatchetError>;
/** Whether the same request would be refused again: an answer that is neither a fault nor a limit. */
export declare function isRefused({ status }: RatchetError): boolean;
/**
 * Whether nothing can come of the refresh token any more. Only the service's own word counts: a
 * fault, a gateway's 401, or a refusal of the request leaves the session alone.
 */
export declare function endsSession({ code, status }: RatchetError): boolean;
