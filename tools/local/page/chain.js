// The chain of refresh tokens, as a list that a screen reader can read too.

/** What a token is called in each state. */
const WORDS = { live: 'live', recent: 'superseded', bound: 'superseded', late: 'late', old: 'old', dead: 'dead' };
const TIMES = ['', 'once', 'twice', 'three times', 'four times'];

export class Chain {
  #list;
  #window;
  #lateRecoveries;
  #tokens = [];
  #ended = false;
  /** Whether the session is bound to a key of this browser. */
  isBound = false;

  constructor(list, { retryWindowSeconds, lateRecoveries }) {
    this.#list = list;
    this.#window = retryWindowSeconds * 1000;
    this.#lateRecoveries = lateRecoveries;
  }

  /** The next token. One that is known already has arrived after all, if its answer was lost. */
  add(token, mode, { isLost = false } = {}) {
    const known = this.#tokens.find((known) => known.token === token);
    if (known) {
      known.isLost &&= isLost;
      return this.draw();
    }
    this.#ended = false;
    const last = this.#tokens.at(-1);
    if (last) last.supersededAt = Date.now();
    // A cookie cannot be read: its tokens are counted.
    const number = mode === 'token' ? generation(token) : (last?.number ?? -1) + 1;
    const text = mode === 'token' ? `rt1_…${token.slice(-8)}` : 'in the cookie';
    this.#tokens.push({ token, number, text, isLost });
    this.#tokens.splice(0, this.#tokens.length - 8);
    this.draw();
  }

  steal(token) {
    for (const known of this.#tokens) known.stolen ||= known.token === token;
    this.draw();
  }

  /** The session is over: no token refreshes anything. */
  end() {
    this.#ended = true;
    this.draw();
  }

  clear() {
    this.#tokens = [];
    this.draw();
  }

  draw() {
    const items = this.#tokens.map((token, place) => this.#item(token, place === this.#tokens.length - 2));
    // Only what has changed, so that a reader is not interrupted.
    if (items.map((item) => item.outerHTML).join() !== [...this.#list.children].map((item) => item.outerHTML).join()) {
      this.#list.replaceChildren(...items);
    }
  }

  /** The state of a token under the service's rules. `left` is the rest of its retry window, in seconds. */
  #stateOf(supersededAt, left, isBeforeLive) {
    if (this.#ended) return 'dead';
    if (supersededAt === undefined) return 'live';
    if (this.isBound) return 'bound';
    if (left > 0) return 'recent';
    return isBeforeLive && this.#lateRecoveries ? 'late' : 'old';
  }

  #item({ number, text, supersededAt, stolen, isLost }, isBeforeLive) {
    const item = document.createElement('li');
    const left = supersededAt === undefined ? 0 : Math.ceil((supersededAt + this.#window - Date.now()) / 1000);
    const state = this.#stateOf(supersededAt, left, isBeforeLive);
    item.dataset.state = state;
    const title = document.createElement('strong');
    title.textContent = `Token ${number}: ${WORDS[state]}`;
    const code = document.createElement('code');
    code.textContent = text;
    const remark = document.createElement('span');
    remark.textContent = {
      live: this.isBound ? 'Good for one refresh, with the key.' : 'Good for one refresh.',
      recent: `Leads to the live one for ${left} s.`,
      bound: 'Leads to the live one, but only with the key.',
      late: `Its successor is live, but may have been lost on the way. So it still leads on, ${TIMES[this.#lateRecoveries]} in eight refreshes.`,
      old: 'Too old to lead on: presenting it looks like theft.',
      dead: 'Refreshes nothing.',
    }[state];
    item.append(title, code, remark);
    for (const [name, text] of [[stolen && 'stolen', 'Stolen'], [isLost && 'lost', 'Never arrived']]) {
      if (!name) continue;
      const mark = document.createElement('strong');
      mark.className = name;
      mark.textContent = text;
      item.append(mark);
    }
    return item;
  }
}

/** The generation that a token names: four bytes behind the ids of user and session. */
export function generation(token) {
  const text = token.slice('rt1_'.length).replaceAll('-', '+').replaceAll('_', '/');
  const bytes = Uint8Array.from(atob(text.slice(0, 48)), (char) => char.charCodeAt(0));
  return new DataView(bytes.buffer).getUint32(32);
}
