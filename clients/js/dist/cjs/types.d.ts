import type { Session } from './session.js';
import type { ClientEvent } from './state.js';
import type { Locks } from './turns.js';
/** Keeps the refresh token beyond a reload, in token mode. Shared by all tabs or processes. */
export interface TokenStorage {
    get(): string | null | undefined | Promise<string | null | undefined>;
    /** `null` when there is no token any more. */
    set(refreshToken: string | null): void | Promise<void>;
}
/** The part of `Storage` that is used. */
export type Devices = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;
/** The part of `BroadcastChannel` that is used. */
export interface Channel {
    postMessage(message: unknown): void;
    onmessage: ((event: MessageEvent) => void) | null;
    close(): void;
}
/** Wraps a plain `fetch` for a client of `baseUrl`. */
export type Binding = (baseUrl: string, plain: typeof fetch) => typeof fetch;
export interface Options {
    /** The service, for example `https://auth.example.com`. A path is kept. */
    baseUrl: string;
    /**
     * `cookie` (default): the browser keeps the refresh token where no script can read it.
     * `token`: this client keeps it, in memory or in `storage`.
     */
    mode?: 'cookie' | 'token';
    /** Origins other than the service's own that may receive the access token. */
    origins?: string[];
    /** Token mode: keeps the refresh token beyond a reload. */
    storage?: TokenStorage;
    /** How long a request to the service is retried while it cannot be reached, in ms. */
    patience?: number;
    /** Instead of `globalThis.fetch`. */
    fetch?: typeof fetch;
    /** Binds sessions to a key of this browser: `dpop()` of `@ratchet-auth/client/dpop`. */
    dpop?: Binding;
    /**
     * Where device tokens are kept, one per user name; `null` for nowhere. In a page the default is
     * `localStorage`, elsewhere nowhere.
     */
    devices?: Devices | null;
    /**
     * How clients that share a session tell each other about it. In a page the default is a
     * `BroadcastChannel` of its origin, elsewhere `null`: on a server it would mix users up.
     */
    channel?: Channel | null;
    /** How they take turns. In a page the default is `navigator.locks`, elsewhere `null`. */
    locks?: Locks | null;
}
export interface Credentials {
    /** The user name or the confirmed e-mail address. */
    name: string;
    password: string;
    /** What the user calls this device. */
    device?: string;
}
/**
 * `unknown` until the client has found out: before `resume`, and while the service cannot be reached.
 * It does not mean that the user has to sign in.
 */
export type Status = 'unknown' | 'signed_in' | 'signed_out';
/** A JSON object of the service. */
export type Body = Record<string, unknown>;
export interface Client {
    /** The current session. */
    readonly session: Session | null;
    readonly status: Status;
    /**
     * Finds the session that another tab, the cookie or the storage has. Call it at the start. Resolves
     * within a few seconds. If the service cannot be reached by then, `status` is still `unknown`, the
     * client keeps trying, and an event reports what it finds.
     */
    resume(): Promise<Session | null>;
    /**
     * Signs a user in. Rejects with a `RatchetError`. After too many wrong passwords its `retryAfter`
     * says when the next attempt is allowed. Never retried automatically, unless the service refuses a
     * proof (`dpop`): that is not an attempt. `send` is for the entries `second-factor` and `passkeys`.
     */
    signIn(credentials: Credentials, send?: Client['post']): Promise<Session>;
    /** Ends the session. Rejects if the service cannot be reached: then the session has not ended. */
    signOut(): Promise<void>;
    /** Refreshes now. Concurrent calls share one request. */
    refresh(): Promise<Session | null>;
    /**
     * An access token that has not expired, or `null` if nobody is signed in. Rejects with
     * `unavailable` if it has to be refreshed and the service cannot be reached.
     */
    getAccessToken(): Promise<string | null>;
    /**
     * `fetch` with the access token; a path is relative to `baseUrl`. If the token is refused, it is
     * refreshed and the request repeated, once, and only as the same user: otherwise it rejects with
     * `user_changed` or the reason of the sign-out.
     */
    fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
    /** Posts to the service without an access token. Resolves with the body, rejects with a `RatchetError`. */
    post<T = Body>(path: string, body: object, read?: (answer: Body) => T): Promise<T>;
    /** Calls `listener` with each event from now on. Returns a function that stops that. */
    subscribe(listener: (event: ClientEvent) => void): () => void;
    /**
     * Stops timers, listeners and the channel; the session lives on. A request in flight is still
     * answered: its token is kept in `storage`, and other tabs hear of it.
     */
    close(): void;
}
