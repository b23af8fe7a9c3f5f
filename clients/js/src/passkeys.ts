// Passkeys (WebAuthn): signing in with one, alone or in place of a code, and the user's own.

import { call } from './call.js';
import type { Body, Client, Credentials } from './index.js';
import { isRefused, RatchetError, type Session } from './session.js';
import { jsonOf, optionsOf, type OptionsJson } from './webauthn.js';

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
  addPasskey(passkey: Stoppable & { password?: string; name: string }): Promise<Passkey>;
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
export const passkeysAvailable = () => typeof PublicKeyCredential === 'function';

/** Whether this browser can offer passkeys among its suggestions for a field. */
export const conditionalAvailable = async (): Promise<boolean> =>
  passkeysAvailable() && !!(await PublicKeyCredential.isConditionalMediationAvailable?.());

type SignIn = FirstFactor & Pick<Continuation, 'name'> & Partial<Continuation>;

/** What the service wants to know, and what it has to get back with the answer. */
interface Ceremony {
  readonly ceremony: string;
  readonly options: OptionsJson;
  readonly expires_in: number;
}

/** How often to look whether a ceremony is about to expire, in ms. */
const LOOK = 5_000;
/** The pause after a service that could not be reached, in ms. */
const AGAIN = 30_000;

/** Passkeys for the user of a client. */
export function passkeys(client: Client): Passkeys {
  const own = (method: string, path: string, body?: object) => call(client, method, `/users/me/passkeys${path}`, body);
  const one = (method: string, id: string, body: object) => own(method, `/${encodeURIComponent(id)}`, body);

  async function signIn({ name, challenge, device, conditional, signal }: SignIn): Promise<Session> {
    const begin = () => client.post('/passkeys/options', { challenge }, (answer) => answer as unknown as Ceremony);
    const chosen = await alone((until) => choose(begin, until, conditional), signal, conditional);
    // The turn begins with the answer: while the user chooses, other tabs have to be able to refresh.
    return client.signIn({ name } as Credentials, (_path, { mode }: Body, read) =>
      client.post('/passkeys/authenticate', { ...chosen, challenge, device, mode }, read),
    );
  }

  return {
    // Without a name: the answer has no device token to keep under it.
    signInWithPasskey: (options) => signIn({ name: '', ...options }),
    completeWithPasskey: signIn,
    async addPasskey({ password, name, signal }) {
      const { ceremony, options } = (await own('POST', '/options', { password })) as unknown as Ceremony;
      const publicKey = optionsOf('parseCreationOptionsFromJSON', options);
      const credential = await alone((until) => navigator.credentials.create({ publicKey, signal: until }), signal);
      const register = () => own('POST', '', { ceremony, credential: jsonOf(credential), name });
      // Registering twice is registering once. Not at all would leave the device a passkey that opens nothing.
      const answer = await register().catch((error) => {
        if (isRefused(error)) throw error;
        return register();
      });
      return passkeyOf(answer);
    },
    passkeys: async () => ((await own('GET', '')).passkeys as Body[]).map(passkeyOf),
    renamePasskey: async (id, name) => passkeyOf(await one('PATCH', id, { name })),
    removePasskey: async (id, password) => void (await one('DELETE', id, { password })),
  };
}

/** The suggestions and the dialog of this page, while they wait for the user. */
let suggestions: AbortController | undefined;
let dialog: AbortController | undefined;

/** Asks the browser for a passkey, in place of what waits for one. */
async function alone<T>(ask: (until: AbortSignal) => Promise<T>, signal?: AbortSignal, conditional?: boolean): Promise<T> {
  const one = following(signal);
  suggestions?.abort();
  if (conditional) {
    suggestions = one;
    if (dialog && !dialog.signal.aborted) one.abort();
  } else {
    dialog?.abort();
    dialog = one;
  }
  try {
    one.signal.throwIfAborted();
    return await ask(one.signal);
  } catch (cause) {
    const { name } = cause as Error;
    const code = /InvalidState/.test(name) ? 'passkey_exists' : /Abort|NotAllowed/.test(name) && 'cancelled';
    throw code ? new RatchetError({ code, cause }) : cause;
  } finally {
    // It does not wait any more, nor listen to `signal`.
    one.abort();
  }
}

/** Has the user choose a passkey. While the browser only suggests them, options are replaced before they expire. */
async function choose(begin: () => Promise<Ceremony>, until: AbortSignal, conditional?: boolean) {
  for (let next = await begin(); ; ) {
    const { ceremony, options } = next;
    const one = following(until);
    let due = Date.now() + next.expires_in * 800;
    const look = () => {
      if (!conditional || document.hidden || Date.now() < due) return;
      due = Infinity;
      begin().then(
        (other) => {
          next = other;
          one.abort();
        },
        () => (due = Date.now() + AGAIN),
      );
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
    } catch (error) {
      if (next.ceremony === ceremony) throw error;
    } finally {
      clearInterval(timer);
      one.abort();
    }
  }
}

/** A controller that is also aborted by `signal`. */
function following(signal: AbortSignal | undefined): AbortController {
  const controller = new AbortController();
  const abort = () => controller.abort();
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort, controller);
  return controller;
}

function passkeyOf({ id, name, created_at: createdAt, last_used_at: lastUsedAt, backed_up: backedUp }: Body): Passkey {
  return { id, name, createdAt: ms(createdAt), lastUsedAt: ms(lastUsedAt), backedUp } as Passkey;
}

const ms = (seconds: unknown) => (seconds as number) * 1000 || undefined;
