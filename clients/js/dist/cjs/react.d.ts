import type { Client, Session, Status, User } from './index.js';
export interface SignedInOrNot {
    /** `unknown` at first, and on a server. */
    readonly status: Status;
    readonly session: Session | null;
    readonly user: User | null;
}
/**
 * The session of a client. Renders again when it changes, and resumes the session that the browser has
 * when the first component needs it.
 */
export declare function useSession(client: Client): SignedInOrNot;
