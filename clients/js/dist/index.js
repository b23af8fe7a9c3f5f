// A client of Ratchet for browsers: signs in, stays signed in, and signs out only when the service
// says so.
import { endsSession, errorOf, isRefused, RatchetError, stateOf } from './session.js';
import { sleep, turns } from './turns.js';
export { RatchetError };
/** How long other tabs have to tell what they know, in ms. */
const TABS = 250;
/** The longest wait for an answer, in ms. */
const ANSWER = 10_000;
/** The pauses between refreshes that nobody waits for, in ms: they grow from the first to the last. */
const [AGAIN, SELDOM] = [5_000, 60_000];
/** The longest that a timer can wait, in ms. */
const LONGEST = 2 ** 31 - 1;
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
    let closed = false;
    const channel = hasChannel ? new BroadcastChannel(name) : undefined;
    channel?.unref?.();
    if (channel) {
        channel.onmessage = ({ data }) => {
            alone = false;
            if (data.at > state.at)
                apply(data);
            else if (data.ask && state.at)
                post(state);
            heard();
        };
    }
    /** Says something to the other tabs, also after the end: what they hold has been superseded. */
    function post(message) {
        const last = channel && closed ? new BroadcastChannel(name) : undefined;
        (last ?? channel)?.postMessage(message);
        last?.close();
    }
    /** What a listener throws is reported, as that of any event listener, and hinders nothing. */
    function tell(listener) {
        try {
            listener(state.session, state.reason);
        }
        catch (error) {
            queueMicrotask(() => {
                throw error;
            });
        }
    }
    /** Takes a newer word over, without telling other tabs. */
    function apply(next) {
        state = next;
        clearTimeout(timer);
        if (next.session)
            schedule(next.session.refreshAt - Date.now());
        listeners.forEach(tell);
    }
    async function learn(word) {
        // Newer than what it replaces, also within one millisecond or when the clock was set back.
        const next = { ...word, at: Math.max(word.at, state.at + 1) };
        // Kept before it is used: a token that is used and then forgotten could end the session.
        if (mode === 'token')
            await storage?.set(next.session?.refreshToken ?? null);
        post(next);
        apply(next);
        return next.session;
    }
    /** Refreshes after `ms`; if that fails, again after `pause`, and then ever more seldom. */
    function schedule(ms, pause = AGAIN) {
        clearTimeout(timer);
        if (closed)
            return;
        const due = () => client.refresh().catch((thrown) => {
            // The storage or a lock may have failed instead.
            const error = thrown instanceof RatchetError ? thrown : new RatchetError('unavailable');
            if (!state.session || isRefused(error))
                return;
            schedule(spread(pause, error), Math.min(pause * 2, SELDOM));
        });
        timer = setTimeout(due, Math.min(Math.max(ms, 500), LONGEST));
        timer.unref?.();
    }
    /** Asks the other tabs, and waits until one knows something newer than `at`. */
    async function ask(at, ms) {
        if (!channel)
            return;
        const told = new Promise((resolve) => {
            heard = () => state.at > at && resolve();
        });
        post({ ask: true });
        await Promise.race([told, sleep(ms)]);
        heard = () => { };
    }
    /** Reads, keeps or, if it is empty, forgets the device token of a user name. */
    function device(user, token) {
        const key = `ratchet:device:${base}:${user.toLowerCase()}`;
        try {
            const devices = options.devices === undefined ? globalThis.localStorage : options.devices;
            if (token === undefined)
                return devices?.getItem(key);
            if (token)
                devices?.setItem(key, token);
            else
                devices?.removeItem(key);
        }
        catch {
            // Storage may be forbidden or full: then this device stays a stranger.
        }
        return null;
    }
    function send(path, body) {
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
                const response = await send(path, body);
                if (response.ok)
                    return await read(response);
                error = await errorOf(response);
            }
            catch {
                // No answer, or half of one.
            }
            const pause = spread(wait, error);
            if (isRefused(error) || Date.now() + pause > end)
                throw error;
            await sleep(pause);
        }
    }
    const pair = async (response) => stateOf(await response.json(), Date.now());
    /** The refresh token to send, in token mode. */
    async function tokenToSend() {
        return mode === 'token' ? ((await storage?.get()) ?? state.session?.refreshToken) : undefined;
    }
    async function next(known) {
        // A closed client does not hear when another tab supersedes the token that only memory holds, and
        // an old one could end the session.
        if (closed && !alone && mode === 'token' && !storage)
            return state.session;
        if (!alone)
            await ask(known.at, TABS);
        // Another tab was faster, or has signed out.
        if (state.at > known.at && (!state.session || state.session.refreshAt > Date.now())) {
            return state.session;
        }
        const refreshToken = await tokenToSend();
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
                const known = device(credentials.name);
                const body = { ...credentials, mode, ...(known && { device_token: known }) };
                const response = await send('/authenticate', body).catch(() => null);
                if (!response)
                    throw new RatchetError('unavailable');
                if (!response.ok) {
                    const error = await errorOf(response);
                    // As a stranger there may be attempts left.
                    if (known && error.code === 'account_locked')
                        device(credentials.name, '');
                    throw error;
                }
                const answer = await response.json().catch(() => ({}));
                const signedIn = stateOf(answer, Date.now());
                if (answer.device_token)
                    device(credentials.name, answer.device_token);
                await learn(signedIn);
                return signedIn.session;
            });
        },
        async signOut() {
            await takeTurns(async () => {
                // Before `resume` this tab knows nothing, but another one may have the session.
                if (!state.at)
                    await ask(0, TABS);
                const refreshToken = await tokenToSend();
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
            if (!closed)
                listeners.add(listener);
            tell(listener);
            return () => void listeners.delete(listener);
        },
        close() {
            closed = true;
            clearTimeout(timer);
            channel?.close();
            listeners.clear();
        },
    };
    return client;
}
/** How long to wait: at least `ms` and what the service asks for, and not as long as everybody else. */
function spread(ms, { retryAfter = 0 }) {
    return Math.max(ms, retryAfter * 1000) * (1 + Math.random());
}
function withToken(request, token) {
    if (token)
        request.headers.set('authorization', `Bearer ${token}`);
    return request;
}
