import type { Client } from './index.js';
import { type Session } from './session.js';
/** One of the user's passkeys. All times are milliseconds since 1970. */
export interface Passkey {
    readonly id: string;
    /** What the user calls it. */
    readonly name: string;
    readonly createdAt: number;
    /** Absent if nobody has signed in with it yet. */
    readonly lastUsedAt?: number | undefined;
    /** Whether its keeper has a copy elsewhere, so that it outlives the device. */
    readonly backedUp: boolean;
}
/** Ends the browser's dialog, or the wait for a choice. */
export interface Stoppable {
    signal?: AbortSignal;
}
export interface FirstFactor extends Stoppable {
    /**
     * The browser offers passkeys among its suggestions for the field with
     * `autocomplete="username webauthn"`, instead of in a dialog.
     */
    conditional?: boolean;
    /** What the user calls this device. */
    device?: string;
}
/** A sign-in that has begun with the right password. */
export interface Continuation extends Stoppable {
    /** The same as in `signIn`. The device token is kept under it. */
    name: string;
    /** That of `SecondFactorRequired`. */
    challenge: string;
}
/**
 * Every method rejects with a `RatchetError` if the service refuses, and with the code `cancelled` if
 * the user, the browser or `signal` ends the browser's dialog; browsers do not say which. Its `cause`
 * is the browser's own error. Other errors of the browser, such as a `SecurityError` on a page of
 * another domain, are passed on.
 *
 * A page can ask the browser for one passkey at a time. A dialog ends what still waits. Suggestions end
 * other suggestions, and are `cancelled` while there is a dialog.
 */
export interface Passkeys {
    /**
     * Signs in the user of a passkey, without a name or a password. With `conditional`, call it when the
     * field appears: it waits until the user chooses one of the suggestions, however long that takes.
     */
    signInWithPasskey(options?: FirstFactor): Promise<Session>;
    /**
     * Completes a sign-in with a passkey in place of a code. Rejects with `no_passkey` if the user has
     * none. After that and `cancelled`, a code can follow.
     */
    completeWithPasskey(continuation: Continuation): Promise<Session>;
    /**
     * Makes a passkey for the signed-in user. `name` is what the user calls it. Some step-ups can replace
     * the password. Rejects with `passkey_exists` if this device has one already.
     */
    addPasskey(passkey: Stoppable & {
        password?: string;
        name: string;
    }): Promise<Passkey>;
    /** The user's passkeys. */
    passkeys(): Promise<Passkey[]>;
    renamePasskey(id: string, name: string): Promise<Passkey>;
    /**
     * Removes one, and ends the other sessions. Some step-ups can replace the password. The device keeps
     * its part, which opens nothing any more.
     */
    removePasskey(id: string, password?: string): Promise<void>;
}
/** Whether this browser has passkeys. */
export declare const passkeysAvailable: () => boolean;
/** Whether this browser can offer passkeys among its suggestions for a field. */
export declare const conditionalAvailable: () => Promise<boolean>;
/** Passkeys for the user of a client. */
export declare function passkeys(client: Client): Passkeys;
