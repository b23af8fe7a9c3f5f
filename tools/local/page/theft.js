// What can happen to a refresh token: somebody copies it, or an answer is lost.

import { generation } from './chain.js';

const $ = (id) => document.getElementById(id);

export class Theft {
  #api;
  #chain;
  #exchanges;
  #session;
  #binding;
  #stolen;

  /**
   * `session` returns the session of this moment. `binding` adds proofs to the owner's requests, if the
   * session is bound to a key.
   */
  constructor({ api, chain, exchanges, session, binding }) {
    this.#api = api;
    this.#chain = chain;
    this.#exchanges = exchanges;
    this.#session = session;
    this.#binding = binding;
  }

  /** Only somebody who is signed in has a token that could be stolen. */
  update() {
    const token = this.#session()?.refreshToken;
    for (const id of ['steal', 'lose']) $(id).disabled = !token;
    $('present').disabled = !token || !this.#stolen;
  }

  forget() {
    this.#stolen = undefined;
    $('theft-story').textContent = '';
    this.update();
  }

  steal() {
    this.#stolen = this.#session().refreshToken;
    this.#chain.steal(this.#stolen);
    this.update();
    this.#tell('A thief has a copy of the token. Nobody has noticed.');
  }

  /** The thief has the token and nothing else: no client, no cookie, no key. Whether the owner may be out. */
  async present() {
    const owners = generation(this.#session().refreshToken);
    const response = await this.#refresh(this.#stolen, 'the thief');
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) {
      const verdict = answer.code ? `${response.status} ${answer.code}` : response.status;
      this.#tell(
        {
          reuse_detected: `The service answered ${verdict}. The token is old, and only somebody who kept a copy would present it, so the whole session has ended.`,
          invalid_dpop_proof: `The service answered ${verdict}. The session is bound to a key that the thief does not have: the token is worth nothing to them, and the owner goes on.`,
          unavailable: `The service answered ${verdict}: no verdict yet.`,
        }[answer.code] ?? `The service answered ${verdict}: the thief got nothing.`,
      );
      return response.status === 401;
    }
    this.#stolen = answer.refresh_token;
    this.#chain.add(this.#stolen, 'token');
    this.#chain.steal(this.#stolen);
    this.#tell(
      generation(this.#stolen) > owners
        ? 'The service answered 200: the thief came first and moved the chain on. The owner is one step behind now; there is still one chain, and the second of them to fall too far behind trips the alarm.'
        : 'The service answered 200: the token leads to the same live token that the owner has. There is still one chain; whichever of them falls too far behind trips the alarm.',
    );
    return false;
  }

  /** The service rotates the token, and this page never sees the answer. */
  async lose() {
    const proving = (send) => this.#binding(this.#api, send);
    const response = await this.#refresh(this.#session().refreshToken, 'lost on the way', proving);
    if (!response.ok) return this.#tell(`The service answered ${response.status}: nothing was rotated.`);
    const { refresh_token: next } = await response.json();
    this.#chain.add(next, 'token', { isLost: true });
    this.#tell('The service has rotated the token, but its answer was lost. This page still has the superseded one: refresh, and see where that leads.');
  }

  #refresh(token, who, proving = (send) => send) {
    const send = proving((input, init) => this.#exchanges.fetch(input, init, who));
    const request = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ refresh_token: token }),
    };
    return send(`${this.#api}/refresh`, request);
  }

  #tell(text) {
    $('theft-story').textContent = text;
  }
}
