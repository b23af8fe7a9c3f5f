// The operations of checks on a server, the same for every server.

import { Gate, NoAnswer, connected, send } from './http.js';
import { sleep } from './process.js';

/**
 * What came of presenting a refresh token. A fault (no answer, 5xx, 429) is not a refusal: it says
 * nothing about the token.
 *
 * @typedef {{ ok: boolean, refused: boolean, fault: boolean, status: number, error?: string,
 *   refresh_token?: string, access_token?: string, answer?: object }} Outcome
 */

export class Trial {
  #gate;

  /**
   * @param {object} server a running server, as an adapter returns it (see README.md)
   * @param {{ patience: number, trials: (wanted: number) => number, log?: (text: string) => void }} options
   *   `patience` is the longest real wait in seconds; `trials` scales how often a race is run
   */
  constructor(server, { patience, trials, log = () => {} }) {
    this.server = server;
    this.patience = patience;
    this.trials = trials;
    this.log = log;
    this.#gate = new Gate(server.mostInFlight ?? 256);
  }

  send(request, { timeout = this.server.timeout, socket } = {}) {
    return this.#gate.run(() => send(request, { timeout, socket }));
  }

  /** Signs in. That is not what is measured: one that gets no answer, on a busy machine, is tried again. */
  async signIn(options) {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.#gate.run(() => this.server.signIn(options ?? {}));
      } catch (error) {
        if (!(error instanceof NoAnswer) || attempt === 3) throw error;
        await sleep(500);
      }
    }
  }

  /** Presents a refresh token; `session` is whose it is, and is not changed. */
  async refresh(session, token = session.refresh_token, options = {}) {
    try {
      const answer = await this.send(await this.server.request.refresh(token, session), options);
      return outcome(answer, token);
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      return { ok: false, refused: false, fault: true, status: 0, error: error.message };
    }
  }

  /** Presents one token `uses` times at the same moment, over connections that are open already. */
  async refreshTogether(session, uses) {
    const { url } = await this.server.request.refresh(session.refresh_token, session);
    const ready = uses <= (this.server.mostInFlight ?? 256) ? await times(uses, () => connected(url)) : [];
    return times(uses, (index) => this.refresh(session, session.refresh_token, { socket: ready[index] }));
  }

  /** Refreshes and keeps what comes back, as a client does. Throws if that does not work. */
  async rotate(session) {
    const next = await this.refresh(session);
    if (!next.ok) throw new Error(`a first-hand refresh token was not accepted: ${next.status} ${next.error ?? ''}`);
    session.refresh_token = next.refresh_token;
    session.access_token = next.access_token ?? session.access_token;
    return next;
  }

  /**
   * Whether a token refreshes. A fault is tried again: only a refusal is a no at once. Throws if
   * there is no answer at all: that says nothing about the token.
   */
  async works(session, token = session.refresh_token) {
    for (let attempt = 0; ; attempt += 1) {
      const outcome = await this.refresh(session, token);
      if (!outcome.fault) return outcome.ok;
      if (attempt === 4) {
        if (outcome.status === 0) throw new Error(`no answer about a token: ${outcome.error}`);
        return false;
      }
      await sleep(300);
    }
  }

  /** Whether introspection calls a token active; `undefined` if the server has none. */
  async active(session, token) {
    const request = this.server.request.introspect?.(token, session);
    if (!request) return undefined;
    return (await this.send(request)).json?.active === true;
  }

  revoke(session, token = session.refresh_token) {
    return this.send(this.server.request.revoke(token, session));
  }

  /** What a protected resource answers to an access token. */
  async resource(accessToken, session) {
    return this.send(await this.server.request.resource(accessToken, session));
  }

  async opens(accessToken, session) {
    return (await this.resource(accessToken, session)).status === 200;
  }

  /** The shortest pause between two steps that this server tells apart. */
  gap() {
    return sleep((this.server.gap ?? 0) * 1000);
  }

  get movesTime() {
    return this.server.time !== undefined;
  }

  /** Whether this many seconds can be made to pass. */
  canPass(seconds) {
    return this.movesTime || seconds <= this.patience;
  }

  /** Lets time pass for a session: by moving it where the server allows that, else by waiting. */
  async pass(seconds, session) {
    if (seconds <= 0) return;
    if (this.movesTime) await this.server.time.pass(seconds, session);
    else await sleep(seconds * 1000);
  }

  /** A session for the next trial of a race: the last one an hour later if that is cheap, else a new one. */
  async fresh(session) {
    if (session && this.server.time?.perSession && !session.over) {
      await this.pass(3600, session);
      return session;
    }
    return this.signIn();
  }
}

function outcome({ status, json, headers }, presented) {
  const ok = status === 200 && typeof json?.access_token === 'string';
  const fault = status >= 500 || status === 429;
  return {
    ok,
    fault,
    refused: !ok && !fault,
    status,
    error: json?.error ?? json?.code,
    // RFC 6749 §6: an answer without a refresh token leaves the old one in use.
    refresh_token: ok ? (json.refresh_token ?? presented) : undefined,
    access_token: json?.access_token,
    answer: { json, headers },
  };
}

/** `3 × 200, 17 × 400`, the most frequent first. */
export function tally(values) {
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts]
    .sort(([a, m], [b, n]) => n - m || String(a).localeCompare(String(b)))
    .map(([value, count]) => `${count} × ${value}`)
    .join(', ');
}

export const times = (count, task) => Promise.all(Array.from({ length: count }, (_, index) => task(index)));

/** Tasks side by side, at most `width` of them. */
export async function sideBySide(count, width, task) {
  const gate = new Gate(width);
  return times(count, (index) => gate.run(() => task(index)));
}
