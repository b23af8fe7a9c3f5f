// A client of Ratchet: signs in, stays signed in, and signs out only when the service says so.
import { ageOf, attempt, endsSession, errorOf, isRefused, RatchetError, sessionOf } from './session.js';
import { eventOf, learned, newer, NOTHING } from './state.js';
import { ANSWER, turns, within } from './turns.js';
export { RatchetError } from './session.js';
/** How long other tabs have to say what they know, in ms. */
const TABS = 250;
/** The longest wait for the storage, in ms. */
const STORAGE = 2_000;
/** How long `resume` waits, in ms. */
const RESUME = 3_000;
/** The first pause between refreshes in the background, in ms. */
const AGAIN = 5_000;
/** The longest of them. */
const SELDOM = 60_000;
/** The longest wait of a timer, in ms. Browsers count 31 bits. */
const LONGEST = 1e9;
/** What a page shares with the others of its origin. On a server, those would be other users. */
function inPage(given, find) {
    return given === undefined && typeof document === 'object' ? attempt(find) : given;
}
export function createClient(options) {
    const { mode = 'cookie', origins = [], patience = 40_000, fetch: plain = (input, init) => fetch(input, init), } = options;
    const base = /^(https?:\/\/.+?)\/*$/.exec(options.baseUrl)?.[1];
    if (!base)
        throw new TypeError('baseUrl: needs an http(s) URL');
    const request = options.dpop?.(base, plain) ?? plain;
    const isCookie = mode === 'cookie';
    const storage = isCookie ? undefined : options.storage;
    const prefix = `ratchet:${base}:`;
    const name = prefix + mode;
    const channel = inPage(options.channel, () => new BroadcastChannel(name));
    const devices = inPage(options.devices, () => localStorage);
    const takeTurn = turns(name, inPage(options.locks, () => navigator.locks));
    const listeners = new Set();
    let word = NOTHING;
    let timer;
    let pause = AGAIN;
    let heard = () => { };
    let alone = true;
    let closed = false;
    /** A token that was refused although it had just been refreshed. */
    let refusedToken;
    if (channel) {
        channel.onmessage = ({ data }) => {
            alone = false;
            if (data)
                become(newer(word, data));
            else
                say(word);
        };
    }
    function say(message) {
        // It may have been closed.
        attempt(() => channel?.postMessage(message));
    }
    function become(next) {
        if (next === word)
            return;
        const event = eventOf(word, next);
        word = next;
        heard();
        pause = AGAIN;
        clearTimeout(timer);
        if (word.session)
            schedule(word.session.refreshAt - Date.now());
        // What a listener throws is an uncaught error, and stops neither the others nor this client.
        if (event)
            listeners.forEach((listener) => queueMicrotask(() => closed || listener(event)));
    }
    /** Takes over what the service said, unless that comes too late. */
    async function accept(session, reason, since) {
        const next = () => learned(word, session, reason, since, Date.now());
        if (next() !== word) {
            // Kept before it is used: a token that is used and then forgotten could end the session. If it cannot be
            // kept, the session lasts until the next reload.
            // A token whose key is not here stays as it is: another client may have the key. So does one that is
            // not new: another program may have rotated it.
            if (session ? session.refreshToken !== word.session?.refreshToken : !/proof/.test(reason)) {
                await inTime(() => storage?.set(session?.refreshToken ?? null)).catch(() => { });
            }
            become(next());
            say(word);
        }
        return word.session;
    }
    /** The refresh token to send, in token mode. */
    async function tokenToSend() {
        const own = word.session?.refreshToken;
        const kept = await inTime(() => storage?.get()).catch((error) => {
            if (!own)
                throw unavailable(error);
        });
        // The storage may have missed something, or another program may have rotated the token.
        return kept && ageOf(kept) >= ageOf(own) ? kept : own;
    }
    function schedule(ms) {
        clearTimeout(timer);
        timer = setTimeout(() => refresh().catch(() => { }), Math.min(Math.max(ms, 500), LONGEST));
        // Must not keep a program running that has nothing else to do (Node).
        timer.unref?.();
    }
    /** Asks the other tabs, and waits until one knows something newer. */
    async function ask() {
        if (!channel)
            return;
        say(null);
        await within(TABS, new Promise((resolve) => (heard = resolve))).catch(() => { });
    }
    function post(path, body, read = (answer) => answer) {
        const controller = new AbortController();
        const answer = async () => {
            const response = await request(base + path, {
                method: 'POST',
                headers: { 'content-type': 'application/json', ...(isCookie && { 'x-ratchet': '1' }) },
                body: JSON.stringify(body),
                credentials: isCookie ? 'include' : 'omit',
                signal: controller.signal,
            });
            if (!response.ok)
                throw await errorOf(response);
            return read(response.status === 204 ? {} : await response.json());
        };
        return within(ANSWER, answer()).catch((error) => {
            controller.abort();
            throw error instanceof RatchetError ? error : unavailable(error);
        });
    }
    /** Tries again until the service has answered. Others get their turn during the pauses. */
    async function insist(work) {
        const end = Date.now() + patience;
        for (let wait = 250;; wait *= 2) {
            try {
                return await takeTurn(work);
            }
            catch (error) {
                const ms = spread(wait, error);
                if (isRefused(error) || Date.now() + ms > end)
                    throw error;
                await within(ms, new Promise(() => { })).catch(() => { });
                if (closed)
                    throw error;
            }
        }
    }
    async function rotate(known) {
        if (!alone)
            await ask();
        const since = word;
        // Another tab was faster, or the user has signed in or out.
        if (since !== known && !(since.session?.refreshAt <= Date.now()))
            return since.session;
        const token = await tokenToSend();
        if (!isCookie && !token)
            return since.reason ? null : accept(null, 'signed_out', since);
        return post('/refresh', { refresh_token: token }, read).then((session) => accept(session, undefined, since), (error) => {
            if (!endsSession(error, since.session))
                throw error;
            return accept(null, error.code, since);
        });
    }
    function send(target, token) {
        if (token)
            target.headers.set('authorization', `Bearer ${token}`);
        return request(target);
    }
    const isFresh = () => word.session?.expiresAt > Date.now();
    const refresh = shared(async () => {
        // It does not hear any more when another tab replaces the token, and an old one ends the session.
        if (closed)
            return word.session;
        const known = word;
        return insist(() => rotate(known)).catch((error) => {
            if (!isRefused(error)) {
                if (!word.reason)
                    schedule(spread(pause, error));
                pause = Math.min(pause * 2, SELDOM);
            }
            throw error;
        });
    });
    const resume = shared(async () => {
        await ask();
        return (word.session ??
            within(RESUME, refresh()).catch((error) => {
                if (isRefused(error))
                    throw error;
                return word.session;
            }));
    });
    return {
        get session() {
            return word.session;
        },
        get status() {
            return word.session ? 'signed_in' : word.reason ? 'signed_out' : 'unknown';
        },
        resume,
        refresh,
        post,
        signIn(credentials, send = post) {
            return takeTurn(async () => {
                // Kept for each user name: with it, attempts from this device are counted apart from others.
                const key = prefix + credentials.name.toLowerCase();
                const body = { ...credentials, mode, device_token: attempt(() => devices?.getItem(key)) ?? undefined };
                const session = await send('/authenticate', body, (answer) => {
                    if (answer.device_token)
                        attempt(() => devices?.setItem(key, answer.device_token));
                    return read(answer);
                }).catch((error) => {
                    // As an unknown device there may be attempts left.
                    if (error.code === 'account_locked')
                        attempt(() => devices?.removeItem(key));
                    throw error;
                });
                await accept(session);
                return session;
            });
        },
        async signOut() {
            let about;
            await insist(async () => {
                // Before `resume` this tab knows nothing, but another one may have the session.
                if (!word.at)
                    await ask();
                const since = word;
                // Somebody has signed in meanwhile: that is another session.
                if ((about ??= since.about) !== since.about)
                    return;
                const token = await tokenToSend();
                if (isCookie || token) {
                    await post('/logout', { refresh_token: token }).catch((error) => {
                        // A token that the service cannot read opens nothing.
                        if (error.code !== 'malformed_request')
                            throw error;
                    });
                }
                await accept(null, 'signed_out', since);
            });
        },
        async getAccessToken() {
            if (!word.at)
                await resume();
            if (!word.reason && !isFresh())
                await refresh();
            return isFresh() ? word.session.accessToken : null;
        },
        async fetch(input, init) {
            const isPath = /^\/(?!\/)/.test(input);
            const target = new Request(isPath ? base + input : input, init);
            if (!isPath && ![base, ...origins].some((url) => new URL(url).origin === new URL(target.url).origin)) {
                throw new TypeError('not in origins');
            }
            const userId = (word.at ? word.session : await resume())?.user.id;
            /** The token, as long as it is one of the user for whom this request was made. */
            const token = () => (word.session?.user.id === userId ? word.session?.accessToken : undefined);
            if (userId && !isFresh())
                await refresh();
            const used = token();
            if (userId && !used)
                throw new RatchetError({ code: word.reason ?? 'user_changed' });
            const again = target.clone();
            const response = await send(target, used);
            const { status } = response;
            if (!used || (status !== 401 && status !== 403))
                return response;
            // The service means what it says. A gateway may refuse an expired token in words of its own,
            // which is worth one refresh.
            const isGateways = (await errorOf(response)).code === 'unavailable';
            if (isGateways ? used === refusedToken : status === 403)
                return response;
            // A refresh does not authenticate the user again, and its token is no longer that of a step-up.
            if (/user_auth/.test(response.headers.get('www-authenticate')))
                return response;
            if (token() === used) {
                await refresh().catch((error) => {
                    if (status === 401)
                        throw error;
                });
            }
            const fresh = token();
            if (!fresh || fresh === used)
                return response;
            const repeated = await send(again, fresh);
            if (repeated.status === status)
                refusedToken = fresh;
            return repeated;
        },
        subscribe(listener) {
            listeners.add(listener);
            return () => listeners.delete(listener);
        },
        close() {
            closed = true;
            clearTimeout(timer);
            // After what is in flight, which other tabs have to hear of.
            void takeTurn(async () => channel?.close());
        },
    };
}
/** Does `work` once, however many ask for it before it is done. */
function shared(work) {
    let running;
    return () => (running ??= work().finally(() => (running = undefined)));
}
/** How long to wait: at least `ms` and what the service asks for, and not as long as everybody else. */
function spread(ms, { retryAfter = 0 }) {
    return Math.max(ms, retryAfter * 1000) * (1 + Math.random());
}
const inTime = (work) => within(STORAGE, (async () => work())());
const read = (answer) => sessionOf(answer, Date.now());
const unavailable = (cause) => new RatchetError({ cause });
