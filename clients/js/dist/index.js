// A client of Ratchet for browsers: signs in, stays signed in, and signs out only when the service
// says so.
import { endsSession, errorOf, RatchetError, stateOf } from './session.js';
import { sleep, turns } from './turns.js';
export { RatchetError };
/** How long other tabs have to tell what they know, in ms. */
const TABS = 250;
/** The longest wait for an answer, in ms. */
const ANSWER = 10_000;
export function createClient(options) {
    const { mode = 'cookie', storage, patience = 40_000 } = options;
    const base = options.baseUrl.replace(/\/+$/, '');
    const origins = [new URL(base).origin, ...(options.origins ?? [])];
    const request = options.fetch ?? ((input, init) => fetch(input, init));
    const name = `ratchet:${mode}:${base}`;
    const hasChannel = typeof BroadcastChannel === 'function';
    const locks = options.locks === undefined ? globalThis.navigator?.locks : options.locks;
    const takeTurns = turns(name, locks, hasChannel);
    const listeners = new Set();
    let state = { session: null, at: 0 };
    let timer;
    let refreshing;
    let heard = () => { };
    let alone = true;
    const channel = hasChannel ? new BroadcastChannel(name) : undefined;
    channel?.unref?.();
    if (channel) {
        channel.onmessage = ({ data }) => {
            alone = false;
            if (data.at > state.at)
                apply(data);
            else if (data.ask && state.at)
                channel.postMessage(state);
            heard();
        };
    }
    /** Takes a newer word over, without telling other tabs. */
    function apply(next) {
        state = next;
        clearTimeout(timer);
        if (next.session)
            schedule(next.session.refreshAt - Date.now());
        for (const listener of listeners)
            listener(next.session, next.reason);
    }
    async function learn(next) {
        // Kept before it is used: a token that is used and then forgotten could end the session.
        if (mode === 'token')
            await storage?.set(next.session?.refreshToken ?? null);
        apply(next);
        channel?.postMessage(next);
        return next.session;
    }
    function schedule(ms) {
        clearTimeout(timer);
        // Not kept by a timer: a refusal tells the listeners, a fault is tried again.
        timer = setTimeout(() => client.refresh().catch(() => state.session && schedule(5_000)), Math.max(ms, 500));
        timer.unref?.();
    }
    /** Asks the other tabs, and waits until one knows something newer than `at`. */
    async function ask(at, ms) {
        if (!channel)
            return;
        const told = new Promise((resolve) => {
            heard = () => state.at > at && resolve();
        });
        channel.postMessage({ ask: true });
        await Promise.race([told, sleep(ms)]);
        heard = () => { };
    }
    function post(path, body) {
        return request(base + path, {
            method: 'POST',
            headers: {
                'content-type': 'application/json',
                ...(mode === 'cookie' && { 'x-ratchet': '1' }),
            },
            body: JSON.stringify(body),
            credentials: mode === 'cookie' ? 'include' : 'omit',
            signal: AbortSignal.timeout(ANSWER),
        });
    }
    /**
     * Sends the same request until it is answered: after a lost answer or a fault, the token that was
     * sent is the one that leads on.
     */
    async function insist(path, body, read) {
        const end = Date.now() + patience;
        for (let wait = 250;; wait = Math.min(wait * 2, 5_000)) {
            let error = new RatchetError('unavailable');
            try {
                const response = await post(path, body);
                if (response.ok)
                    return await read(response);
                error = await errorOf(response);
            }
            catch {
                // No answer, or half of one.
            }
            if (error.status && error.status !== 429 && error.status < 500)
                throw error;
            const pause = (error.retryAfter ?? 0) * 1000 + wait * (0.5 + Math.random() / 2);
            if (Date.now() + pause > end)
                throw error;
            await sleep(pause);
        }
    }
    const pair = async (response) => stateOf(await response.json(), Date.now());
    async function next(known) {
        if (!alone)
            await ask(known.at, TABS);
        // Another tab was faster, or has signed out.
        if (state.at > known.at && (!state.session || state.session.refreshAt > Date.now())) {
            return state.session;
        }
        const refreshToken = mode === 'token' ? ((await storage?.get()) ?? state.session?.refreshToken) : undefined;
        if (mode === 'token' && !refreshToken)
            return state.session;
        try {
            return await learn(await insist('/refresh', refreshToken ? { refresh_token: refreshToken } : {}, pair));
        }
        catch (error) {
            if (!(error instanceof RatchetError) || !endsSession(error))
                throw error;
            return learn({ session: null, reason: error.code, at: Date.now() });
        }
    }
    const client = {
        get session() {
            return state.session;
        },
        async resume() {
            await ask(state.at, TABS);
            return state.session ?? client.refresh();
        },
        async signIn(credentials) {
            return takeTurns(async () => {
                const response = await post('/authenticate', { ...credentials, mode }).catch(() => null);
                if (!response)
                    throw new RatchetError('unavailable');
                if (!response.ok)
                    throw await errorOf(response);
                const signedIn = await pair(response);
                await learn(signedIn);
                return signedIn.session;
            });
        },
        async signOut() {
            await takeTurns(async () => {
                const refreshToken = state.session?.refreshToken;
                if (mode === 'cookie' || refreshToken) {
                    const body = refreshToken ? { refresh_token: refreshToken } : {};
                    await insist('/logout', body, async () => { });
                }
                await learn({ session: null, reason: 'signed_out', at: Date.now() });
            });
        },
        refresh() {
            if (!refreshing) {
                const known = state;
                refreshing = takeTurns(() => next(known)).finally(() => {
                    refreshing = undefined;
                });
            }
            return refreshing;
        },
        async fetch(input, init) {
            const target = new Request(typeof input === 'string' ? new URL(input, `${base}/`) : input, init);
            if (!origins.includes(new URL(target.url).origin)) {
                throw new TypeError(`the access token is not for ${new URL(target.url).origin}`);
            }
            if (state.session && state.session.expiresAt <= Date.now())
                await client.refresh();
            const again = target.clone();
            const used = state.session?.accessToken;
            const response = await request(withToken(target, used));
            if (response.status !== 401 || !used)
                return response;
            const expired = response.headers.get('is-token-expired') === 'true';
            // The service ended the session: a refresh says why.
            if (!expired && (await errorOf(response)).code !== 'session_ended')
                return response;
            if (state.session?.accessToken === used)
                await client.refresh();
            const fresh = state.session?.accessToken;
            return expired && fresh && fresh !== used ? request(withToken(again, fresh)) : response;
        },
        onSession(listener) {
            listeners.add(listener);
            listener(state.session, state.reason);
            return () => void listeners.delete(listener);
        },
        close() {
            clearTimeout(timer);
            channel?.close();
            listeners.clear();
        },
    };
    return client;
}
function withToken(request, token) {
    if (token)
        request.headers.set('authorization', `Bearer ${token}`);
    return request;
}
