// A hook for React: who is signed in, and what that changes.
import { useEffect, useSyncExternalStore } from 'react';
const UNKNOWN = { status: 'unknown', session: null, user: null };
/** What each client said last: React compares by identity. */
const seen = new WeakMap();
function look(client) {
    const { status, session } = client;
    const last = seen.get(client);
    if (last?.status === status && last.session === session)
        return last;
    const now = { status, session, user: session && session.user };
    seen.set(client, now);
    return now;
}
/**
 * The session of a client. Renders again when it changes, and resumes the session that the browser has
 * when the first component needs it.
 */
export function useSession(client) {
    useEffect(() => {
        // A refusal to serve this page at all is an error of its configuration, which the console shows.
        if (client.status === 'unknown')
            void client.resume();
    }, [client]);
    return useSyncExternalStore(client.subscribe, () => look(client), () => UNKNOWN);
}
