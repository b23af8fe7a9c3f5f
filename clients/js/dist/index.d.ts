import { RatchetError, type Session } from './session.js';
import { type Locks } from './turns.js';
export { RatchetError, type Session };
/** Where all tabs keep the refresh token in token mode, if not in memory only. */
export interface TokenStorage {
    get(): string | null | undefined | Promise<string | null | undefined>;
    /** Keeps a token; `null` when there is none any more. */
    set(refreshToken: string | null): void | Promise<void>;
}
/** The part of `Storage` that is used. */
export type Devices = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;
export interface Options {
    /** The service, for example `https://auth.example.com`. */
    baseUrl: string;
    /**
     * `cookie` (default): the browser keeps the refresh token where no script can read it.
     * `token`: this client keeps it, in memory or in `storage`.
     */
    mode?: 'cookie' | 'token';
    /** Origins beside the service's own that may see the access token. */
    origins?: string[];
    /** Token mode: keeps the refresh token beyond a reload. */
    storage?: TokenStorage;
    /**
     * Where device tokens are kept, one for each user name that signed in; `null` for nowhere.
     * `localStorage` by default.
     */
    devices?: Devices | null;
    /** How long a refresh is tried again before it is given up for the moment, in ms. */
    patience?: number;
    /** Instead of `globalThis.fetch`. */
    fetch?: typeof fetch;
    /** Instead of `navigator.locks`; `null` for none. */
    locks?: Locks | null;
}
export interface Credentials {
    name: string;
    password: string;
    /** What the user calls this device. */
    device?: string;
}
/** Called with every change; without a session, `reason` says why. */
export type Listener = (session: Session | null, reason?: string) => void;
export interface Client {
    /** The session of this moment. */
    readonly session: Session | null;
    /** Finds the session that another tab, the cookie or the storage has. Call it at the start. */
    resume(): Promise<Session | null>;
    /**
     * Signs a user in. Rejects with a `RatchetError`; after too many wrong passwords its `retryAfter`
     * says when the next attempt counts. Nothing is tried again on its own account.
     */
    signIn(credentials: Credentials): Promise<Session>;
    /** Ends the session. Rejects if the service can not be reached: then it has not ended. */
    signOut(): Promise<void>;
    /** The next access token, before its time. One request, however many ask. */
    refresh(): Promise<Session | null>;
    /** `fetch` with the access token; refreshes and repeats once if it has expired. */
    fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
    /** Hears of every change. Returns what ends that. */
    onSession(listener: Listener): () => void;
    /**
     * Stops timers and listening; the session lives on. A request that has begun is still answered, what
     * it brings is kept in `storage`, and other tabs are told; listeners are not.
     */
    close(): void;
}
export declare function createClient(options: Options): Client;
