// A client of Ratchet for browsers: signs in, stays signed in, and signs out only when the service
// says so.

import { endsSession, errorOf, isRefused, RatchetError, stateOf, type Session, type State } from './session.js';
import { sleep, turns, type Locks } from './turns.js';

export { RatchetError, type Session };

/** Where all tabs keep the refresh token in token mode, if not in memory only. */
export interface TokenStorage {
  get(): string | null | undefined | Promise<string | null | undefined>;
  /** Keeps a token; `null` when there is none any more. */
  set(refreshToken: string | null): void | Promise<void>;
}

/** The part of `Storage` that is used. */
export type Devices = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

export interface Options {
  /** The service, for example `https://auth.example.com`. */
  baseUrl: string;
  /**
   * `cookie` (default): the browser keeps the refresh token where no script can read it.
   * `token`: this client keeps it, in memory or in `storage`.
   */
  mode?: 'cookie' | 'token';
  /** Origins beside the service's own that may see the access token. */
  origins?: string[];
  /** Token mode: keeps the refresh token beyond a reload. */
  storage?: TokenStorage;
  /**
   * Where device tokens are kept, one for each user name that signed in; `null` for nowhere.
   * `localStorage` by default.
   */
  devices?: Devices | null;
  /** How long a refresh is tried again before it is given up for the moment, in ms. */
  patience?: number;
  /** Instead of `globalThis.fetch`. */
  fetch?: typeof fetch;
  /** Instead of `navigator.locks`; `null` for none. */
  locks?: Locks | null;
}

export interface Credentials {
  name: string;
  password: string;
  /** What the user calls this device. */
  device?: string;
}

/** Called with every change; without a session, `reason` says why. */
export type Listener = (session: Session | null, reason?: string) => void;

export interface Client {
  /** The session of this moment. */
  readonly session: Session | null;
  /** Finds the session that another tab, the cookie or the storage has. Call it at the start. */
  resume(): Promise<Session | null>;
  /**
   * Signs a user in. Rejects with a `RatchetError`; after too many wrong passwords its `retryAfter`
   * says when the next attempt counts. Nothing is tried again on its own account.
   */
  signIn(credentials: Credentials): Promise<Session>;
  /** Ends the session. Rejects if the service can not be reached: then it has not ended. */
  signOut(): Promise<void>;
  /** The next access token, before its time. One request, however many ask. */
  refresh(): Promise<Session | null>;
  /** `fetch` with the access token; refreshes and repeats once if it has expired. */
  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  /** Hears of every change. Returns what ends that. */
  onSession(listener: Listener): () => void;
  /**
   * Stops timers and listening; the session lives on. A request that has begun is still answered, what
   * it brings is kept in `storage`, and other tabs are told; listeners are not.
   */
  close(): void;
}

/** How long other tabs have to tell what they know, in ms. */
const TABS = 250;
/** The longest wait for an answer, in ms. */
const ANSWER = 10_000;
/** The pauses between refreshes that nobody waits for, in ms: they grow from the first to the last. */
const [AGAIN, SELDOM] = [5_000, 60_000];
/** The longest that a timer can wait, in ms. */
const LONGEST = 2 ** 31 - 1;

export function createClient(options: Options): Client {
  const { mode = 'cookie', storage, patience = 40_000 } = options;
  const base = options.baseUrl.replace(/\/+$/, '');
  const origins = [new URL(base).origin, ...(options.origins ?? [])];
  const request = options.fetch ?? ((input, init) => fetch(input, init));
  const name = `ratchet:${mode}:${base}`;
  const hasChannel = typeof BroadcastChannel === 'function';
  const locks = options.locks === undefined ? globalThis.navigator?.locks : options.locks;
  const takeTurns = turns(name, locks as Locks | undefined, hasChannel);
  const listeners = new Set<Listener>();

  let state: State = { session: null, at: 0 };
  let timer: ReturnType<typeof setTimeout> | undefined;
  let refreshing: Promise<Session | null> | undefined;
  let heard = () => {};
  let alone = true;
  let closed = false;

  const channel = hasChannel ? new BroadcastChannel(name) : undefined;
  (channel as { unref?: () => void } | undefined)?.unref?.();
  if (channel) {
    channel.onmessage = ({ data }) => {
      alone = false;
      if (data.at > state.at) apply(data);
      else if (data.ask && state.at) post(state);
      heard();
    };
  }

  /** Says something to the other tabs, also after the end: what they hold has been superseded. */
  function post(message: State | { ask: true }) {
    const last = channel && closed ? new BroadcastChannel(name) : undefined;
    (last ?? channel)?.postMessage(message);
    last?.close();
  }

  /** What a listener throws is reported, as that of any event listener, and hinders nothing. */
  function tell(listener: Listener) {
    try {
      listener(state.session, state.reason);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  /** Takes a newer word over, without telling other tabs. */
  function apply(next: State) {
    state = next;
    clearTimeout(timer);
    if (next.session) schedule(next.session.refreshAt - Date.now());
    listeners.forEach(tell);
  }

  async function learn(word: State) {
    // Newer than what it replaces, also within one millisecond or when the clock was set back.
    const next = { ...word, at: Math.max(word.at, state.at + 1) };
    // Kept before it is used: a token that is used and then forgotten could end the session.
    if (mode === 'token') await storage?.set(next.session?.refreshToken ?? null);
    post(next);
    apply(next);
    return next.session;
  }

  /** Refreshes after `ms`; if that fails, again after `pause`, and then ever more seldom. */
  function schedule(ms: number, pause = AGAIN) {
    clearTimeout(timer);
    if (closed) return;
    const due = () =>
      client.refresh().catch((thrown) => {
        // The storage or a lock may have failed instead.
        const error = thrown instanceof RatchetError ? thrown : new RatchetError('unavailable');
        if (!state.session || isRefused(error)) return;
        schedule(spread(pause, error), Math.min(pause * 2, SELDOM));
      });
    timer = setTimeout(due, Math.min(Math.max(ms, 500), LONGEST));
    (timer as { unref?: () => void }).unref?.();
  }

  /** Asks the other tabs, and waits until one knows something newer than `at`. */
  async function ask(at: number, ms: number) {
    if (!channel) return;
    const told = new Promise<void>((resolve) => {
      heard = () => state.at > at && resolve();
    });
    post({ ask: true });
    await Promise.race([told, sleep(ms)]);
    heard = () => {};
  }

  /** Reads, keeps or, if it is empty, forgets the device token of a user name. */
  function device(user: string, token?: string): string | null | undefined {
    const key = `ratchet:device:${base}:${user.toLowerCase()}`;
    try {
      const devices = options.devices === undefined ? globalThis.localStorage : options.devices;
      if (token === undefined) return devices?.getItem(key);
      if (token) devices?.setItem(key, token);
      else devices?.removeItem(key);
    } catch {
      // Storage may be forbidden or full: then this device stays a stranger.
    }
    return null;
  }

  function send(path: string, body: object) {
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
  async function insist<T>(path: string, body: object, read: (r: Response) => Promise<T>): Promise<T> {
    const end = Date.now() + patience;
    for (let wait = 250; ; wait = Math.min(wait * 2, 5_000)) {
      let error = new RatchetError('unavailable');
      try {
        const response = await send(path, body);
        if (response.ok) return await read(response);
        error = await errorOf(response);
      } catch {
        // No answer, or half of one.
      }
      const pause = spread(wait, error);
      if (isRefused(error) || Date.now() + pause > end) throw error;
      await sleep(pause);
    }
  }

  const pair = async (response: Response) => stateOf(await response.json(), Date.now());

  /** The refresh token to send, in token mode. */
  async function tokenToSend() {
    return mode === 'token' ? ((await storage?.get()) ?? state.session?.refreshToken) : undefined;
  }

  async function next(known: State): Promise<Session | null> {
    // A closed client does not hear when another tab supersedes the token that only memory holds, and
    // an old one could end the session.
    if (closed && !alone && mode === 'token' && !storage) return state.session;
    if (!alone) await ask(known.at, TABS);
    // Another tab was faster, or has signed out.
    if (state.at > known.at && (!state.session || state.session.refreshAt > Date.now())) {
      return state.session;
    }
    const refreshToken = await tokenToSend();
    if (mode === 'token' && !refreshToken) return state.session;
    try {
      return await learn(await insist('/refresh', refreshToken ? { refresh_token: refreshToken } : {}, pair));
    } catch (error) {
      if (!(error instanceof RatchetError) || !endsSession(error)) throw error;
      return learn({ session: null, reason: error.code, at: Date.now() });
    }
  }

  const client: Client = {
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
        if (!response) throw new RatchetError('unavailable');
        if (!response.ok) {
          const error = await errorOf(response);
          // As a stranger there may be attempts left.
          if (known && error.code === 'account_locked') device(credentials.name, '');
          throw error;
        }
        const answer = await response.json().catch(() => ({}));
        const signedIn = stateOf(answer, Date.now());
        if (answer.device_token) device(credentials.name, answer.device_token);
        await learn(signedIn);
        return signedIn.session as Session;
      });
    },

    async signOut() {
      await takeTurns(async () => {
        // Before `resume` this tab knows nothing, but another one may have the session.
        if (!state.at) await ask(0, TABS);
        const refreshToken = await tokenToSend();
        if (mode === 'cookie' || refreshToken) {
          const body = refreshToken ? { refresh_token: refreshToken } : {};
          await insist('/logout', body, async () => {});
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
      if (state.session && state.session.expiresAt <= Date.now()) await client.refresh();
      const again = target.clone();
      const used = state.session?.accessToken;
      const response = await request(withToken(target, used));
      if (response.status !== 401 || !used) return response;
      const expired = response.headers.get('is-token-expired') === 'true';
      // The service ended the session: a refresh says why.
      if (!expired && (await errorOf(response)).code !== 'session_ended') return response;
      if (state.session?.accessToken === used) await client.refresh();
      const fresh = state.session?.accessToken;
      return expired && fresh && fresh !== used ? request(withToken(again, fresh)) : response;
    },

    onSession(listener) {
      if (!closed) listeners.add(listener);
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
function spread(ms: number, { retryAfter = 0 }: RatchetError): number {
  return Math.max(ms, retryAfter * 1000) * (1 + Math.random());
}

function withToken(request: Request, token: string | undefined): Request {
  if (token) request.headers.set('authorization', `Bearer ${token}`);
  return request;
}
