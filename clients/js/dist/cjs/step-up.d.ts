import type { Client } from './index.js';
import { type Session } from './session.js';
/** What the user authenticates with. For users with a second factor, the password alone is not enough. */
export type StepUpProof = {
    readonly password: string;
    readonly code?: never;
    readonly recoveryCode?: never;
} | {
    readonly password?: string;
    readonly code: string;
    readonly recoveryCode?: never;
} | {
    readonly password?: string;
    readonly recoveryCode: string;
    readonly code?: never;
};
/** What a service requires of the user's authentication. */
export interface Requirement {
    /** How many seconds ago it may have been. */
    readonly maxAge?: number;
    /** Alternatives, each with all the methods that it needs: `[['hwk'], ['pwd', 'otp']]`. */
    readonly amr?: readonly (readonly string[])[];
}
/** What a refused request requires, if the user has to authenticate again for it; otherwise `null`. */
export declare function requirementOf(response: Response): Requirement | null;
/**
 * Authenticates the signed-in user again. Resolves with the session, whose access token says so from now
 * on, in all tabs. For five minutes, and until the next refresh, it stands in for the password.
 *
 * Rejects with a `RatchetError` if the service refuses. Nothing is repeated automatically. If there was no
 * answer (`unavailable`), a code may be used up: `client.refresh()` then has what it proved.
 */
export declare function stepUp(client: Client, { password, code, recoveryCode }: StepUpProof): Promise<Session>;
