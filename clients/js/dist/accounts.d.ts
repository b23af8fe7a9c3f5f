import type { Client } from './index.js';
import { type Session } from './session.js';
/** What the link or the code of a message proves. */
export type Proof = {
    readonly token: string;
} | {
    readonly email: string;
    readonly code: string;
};
/** The user's own account. */
export interface Account {
    readonly id: string;
    readonly name: string;
    readonly email: string;
    readonly emailConfirmed: boolean;
    /** The address that replaces `email` once it is confirmed. */
    readonly pendingEmail?: string | undefined;
    readonly roles: readonly string[];
    readonly status: string;
    /** Whether sign-ins need a second factor. */
    readonly secondFactor: boolean;
}
/** One of the user's sessions. All times are milliseconds since 1970. */
export interface SessionEntry {
    readonly id: string;
    /** Whether it is this client's own. */
    readonly current: boolean;
    /** What the user called the device. */
    readonly device?: string | undefined;
    readonly userAgent: string;
    readonly network: string;
    readonly signedInAt: number;
    readonly refreshedAt: number;
    readonly idleExpiresAt: number;
    readonly absoluteExpiresAt: number;
}
/**
 * Every method rejects with a `RatchetError` if the service refuses. Nothing that a password is sent
 * with is tried again automatically.
 */
export interface Accounts {
    /**
     * Registers a user, who has to confirm the address. Resolves even if the name or the address is
     * taken: only the message says so. `password_refused` has the `rules` that the password misses.
     */
    register(user: {
        name: string;
        email: string;
        password: string;
    }): Promise<void>;
    /** Confirms an address. With the user name of the registration, a code counts for no other one. */
    confirmEmail(proof: Proof & {
        name?: string;
    }): Promise<void>;
    /** Sends the message for `confirmEmail` again, for one registration if `name` is its user name. */
    resendConfirmation(email: string, name?: string): Promise<void>;
    /** Sends a message for `resetPassword`, if it is the address of an account. */
    requestPasswordReset(email: string): Promise<void>;
    /** Sets a new password, and ends all sessions of the user. */
    resetPassword(request: Proof & {
        password: string;
    }): Promise<void>;
    /** Sends a message for `signInWithMail`, if it is the confirmed address of an account. */
    requestSignInMail(email: string): Promise<void>;
    /**
     * Signs the user in with a message: the client's session is then as after its own `signIn`. Rejects as that
     * does if a second factor is required.
     */
    signInWithMail(proof: Proof & {
        device?: string;
    }): Promise<Session>;
    /** Changes the password of the signed-in user, and ends the other sessions, or all of them. */
    changePassword(request: {
        current: string;
        new: string;
        keepThisSession?: boolean;
    }): Promise<void>;
    /** Asks for another address, which has to be confirmed. A step-up can replace the password. */
    changeEmail(request: {
        email: string;
        password?: string;
    }): Promise<void>;
    /** The account of the signed-in user. */
    me(): Promise<Account>;
    /** Deletes the account of the signed-in user. A step-up can replace the password. */
    deleteAccount(password?: string): Promise<void>;
    readonly sessions: {
        /** The user's live sessions, the one refreshed last first. */
        list(): Promise<SessionEntry[]>;
        /** Ends one of them. */
        end(id: string): Promise<void>;
        endOthers(): Promise<void>;
        /** Ends all of them, this one too. */
        endAll(): Promise<void>;
    };
}
/** The accounts API for the user of a client. */
export declare function accounts(client: Client): Accounts;
