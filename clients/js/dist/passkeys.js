// Passkeys (WebAuthn): signing in with one, alone or in place of a code, and the user's own.
import { call } from './call.js';
import { isRefused, RatchetError } from './session.js';
import { jsonOf, optionsOf } from './webauthn.js';
/** Whether this browser has passkeys. */
export const passkeysAvailable = () => typeof PublicKeyCredential === 'function';
/** Whether this browser can offer passkeys among its suggestions for a field. */
export const conditionalAvailable = async () => passkeysAvailable() && !!(await PublicKeyCredential.isConditionalMediationAvailable?.());
/** How often to look whether a ceremony is about to expire, in ms. */
const LOOK = 5_000;
/** The pause after a service that could not be reached, in ms. */
const AGAIN = 30_000;
/** Passkeys for the user of a client. */
export function passkeys(client) {
    const own = (method, path, body) => call(client, method, `/users/me/passkeys${path}`, body);
    const one = (method, id, body) => own(method, `/${encodeURIComponent(id)}`, body);
    async function signIn({ name, challenge, device, conditional, signal }) {
        const begin = () => client.post('/passkeys/options', { challenge }, (answer) => answer);
        const chosen = await alone((until) => choose(begin, until, conditional), signal, conditional);
        // The turn begins with the answer: while the user chooses, other tabs have to be able to refresh.
        return client.signIn({ name }, (_path, { mode }, read) => client.post('/passkeys/authenticate', { ...chosen, challenge, device, mode }, read));
    }
    return {
        // Without a name: the answer has no device token to keep under it.
        signInWithPasskey: (options) => signIn({ name: '', ...options }),
        completeWithPasskey: signIn,
        async addPasskey({ password, name, signal }) {
            const { ceremony, options } = (await own('POST', '/options', { password }));
            const publicKey = optionsOf('parseCreationOptionsFromJSON', options);
            const credential = await alone((until) => navigator.credentials.create({ publicKey, signal: until }), signal);
            const register = () => own('POST', '', { ceremony, credential: jsonOf(credential), name });
            // Registering twice is registering once. Not at all would leave the device a passkey that opens nothing.
            const answer = await register().catch((error) => {
                if (isRefused(error))
                    throw error;
                return register();
            });
            return passkeyOf(answer);
        },
        passkeys: async () => (await own('GET', '')).passkeys.map(passkeyOf),
        renamePasskey: async (id, name) => passkeyOf(await one('PATCH', id, { name })),
        removePasskey: async (id, password) => void (await one('DELETE', id, { password })),
    };
}
/** The suggestions and the dialog of this page, while they wait for the user. */
let suggestions;
let dialog;
/** Asks the browser for a passkey, in place of what waits for one. */
async function alone(ask, signal, conditional) {
    const one = following(signal);
    suggestions?.abort();
    if (conditional) {
        suggestions = one;
        if (dialog && !dialog.signal.aborted)
            one.abort();
    }
    else {
        dialog?.abort();
        dialog = one;
    }
    try {
        one.signal.throwIfAborted();
        return await ask(one.signal);
    }
    catch (cause) {
        const { name } = cause;
        const code = /InvalidState/.test(name) ? 'passkey_exists' : /Abort|NotAllowed/.test(name) && 'cancelled';
        throw code ? new RatchetError({ code, cause }) : cause;
    }
    finally {
        // It does not wait any more, nor listen to `signal`.
        one.abort();
    }
}
/** Has the user choose a passkey. While the browser only suggests them, options are replaced before they expire. */
async function choose(begin, until, conditional) {
    for (let next = await begin();;) {
        const { ceremony, options } = next;
        const one = following(until);
        let due = Date.now() + next.expires_in * 800;
        const look = () => {
            if (!conditional || document.hidden || Date.now() < due)
                return;
            due = Infinity;
            begin().then((other) => {
                next = other;
                one.abort();
            }, () => (due = Date.now() + AGAIN));
        };
        const timer = setInterval(look, LOOK);
        // At once when the user returns to the page, who may choose right away.
        addEventListener('visibilitychange', look, one);
        try {
            const chosen = await navigator.credentials.get({
                publicKey: optionsOf('parseRequestOptionsFromJSON', options),
                signal: one.signal,
                ...(conditional && { mediation: 'conditional' }),
            });
            return { ceremony, credential: jsonOf(chosen) };
        }
        catch (error) {
            if (next.ceremony === ceremony)
                throw error;
        }
        finally {
            clearInterval(timer);
            one.abort();
        }
    }
}
/** A controller that is also aborted by `signal`. */
function following(signal) {
    const controller = new AbortController();
    const abort = () => controller.abort();
    if (signal?.aborted)
        abort();
    signal?.addEventListener('abort', abort, controller);
    return controller;
}
function passkeyOf({ id, name, created_at: createdAt, last_used_at: lastUsedAt, backed_up: backedUp }) {
    return { id, name, createdAt: ms(createdAt), lastUsedAt: ms(lastUsedAt), backedUp };
}
const ms = (seconds) => seconds * 1000 || undefined;
