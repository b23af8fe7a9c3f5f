// Turns over all tabs where there are no Web Locks: in pages that are not served over HTTPS. Without
// turns nobody is signed out either, but several tabs may refresh at the same time.
import { within } from './turns.js';
/** How long other tabs have to object to a lease, in ms. */
const OBJECTION = 60;
/** How long a tab waits for a lease to be given back before it claims it again, in ms. */
const LEASE = 10_000;
/**
 * Leases over a `BroadcastChannel`, to be used as `locks`. A tab claims the lease and has it if nobody
 * objects. If two claim it at the same time, the smaller claim wins; a tab that has it objects to all.
 */
export function leases(channelName = 'ratchet:leases') {
    const channel = new BroadcastChannel(channelName);
    let mine = '';
    let isHeld = false;
    let isBeaten = false;
    let freed = () => { };
    channel.onmessage = ({ data: { claim, free } }) => {
        if (free)
            freed();
        else if (mine && (isHeld || claim > mine))
            channel.postMessage({ claim: isHeld ? '' : mine });
        else if (mine)
            isBeaten = true;
    };
    return {
        async request(_name, work) {
            for (;;) {
                mine = String(Math.random());
                isBeaten = false;
                const free = new Promise((resolve) => (freed = resolve));
                channel.postMessage({ claim: mine });
                await within(OBJECTION, new Promise(() => { })).catch(() => { });
                if (!isBeaten)
                    break;
                mine = '';
                await within(LEASE, free).catch(() => { });
            }
            isHeld = true;
            try {
                return await work();
            }
            finally {
                isHeld = false;
                mine = '';
                channel.postMessage({ free: true });
            }
        },
        close: () => channel.close(),
    };
}
