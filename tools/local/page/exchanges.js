// Requests and their answers, the newest first, in a column that does not move the page.

const HEADERS = ['content-type', 'dpop-nonce', 'is-token-expired', 'www-authenticate', 'retry-after', 'location'];
const KEPT = 30;

export class Exchanges {
  #list;
  #hint;
  #api;
  /** How many actions of the user are under way. */
  #actions = 0;

  constructor(list, hint, api) {
    this.#list = list;
    this.#hint = hint;
    this.#api = api;
  }

  /** What `action` asks is shown open; what a client asks by itself is listed. */
  async during(action) {
    this.#actions += 1;
    try {
      return await action();
    } finally {
      this.#actions -= 1;
    }
  }

  /** `fetch` that shows what it does. */
  fetch = async (input, init, who) => {
    const request = new Request(input, init);
    const { method, url } = request;
    const proof = request.headers.get('dpop');
    const sent = [proof ? `dpop: ${proof.slice(0, 16)}…` : '', pretty(await request.clone().text())].filter(Boolean).join('\n\n');
    const begun = performance.now();
    const title = `${method} ${url.startsWith(this.#api) ? url.slice(this.#api.length) : url}`;
    const isAsked = this.#actions > 0;
    const show = (status, lines, body) =>
      this.#add({ title, who, sent, status, lines, body, isAsked, ms: Math.round(performance.now() - begun) });
    try {
      const response = await fetch(request);
      const lines = HEADERS.filter((name) => response.headers.has(name)).map(
        (name) => `${name === 'is-token-expired' ? 'IS-TOKEN-EXPIRED' : name}: ${response.headers.get(name)}`,
      );
      const body = await response.clone().text();
      show(response.status, lines, body);
      return response;
    } catch (error) {
      show('no answer', [], '');
      throw error;
    }
  };

  clear() {
    this.#list.replaceChildren();
    this.#hint.hidden = false;
  }

  #add({ title, who, sent, status, lines, body, isAsked, ms }) {
    this.#hint.hidden = true;
    const item = document.createElement('li');
    const details = document.createElement('details');
    const summary = document.createElement('summary');
    const code = document.createElement('code');
    code.textContent = title;
    const badge = document.createElement('span');
    badge.className = 'badge';
    badge.dataset.tone = typeof status === 'number' && status < 400 ? 'good' : 'bad';
    badge.textContent = status;
    const remark = document.createElement('span');
    remark.className = 'hint';
    remark.textContent = ` ${ms} ms${who ? `, ${who}` : isAsked ? '' : ', by itself'}`;
    summary.append(badge, ' ', code, remark);
    const text = document.createElement('pre');
    text.tabIndex = 0;
    text.setAttribute('aria-label', `${title}, ${status}`);
    const request = [title, ...(sent ? ['', sent] : [])];
    text.textContent = [...request, '', String(status), ...lines, '', pretty(body)].join('\n');
    details.append(summary, text, copyButton(text));
    item.append(details);
    this.#list.prepend(item);
    if (isAsked) {
      for (const other of this.#list.querySelectorAll('details[open]')) other.open = false;
      this.#list.querySelector('#answer-text')?.removeAttribute('id');
      text.id = 'answer-text';
      details.open = true;
      this.#list.scrollTop = 0;
    }
    while (this.#list.children.length > KEPT) this.#list.lastElementChild.remove();
  }
}

function copyButton(text) {
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = 'Copy';
  button.addEventListener('click', () => copy(button, text.textContent));
  return button;
}

/** Copies, and says on the button whether that worked. */
export async function copy(button, text) {
  const label = button.dataset.label ?? button.textContent;
  button.dataset.label = label;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = 'Copied';
  } catch {
    button.textContent = 'The browser does not allow it';
  }
  setTimeout(() => (button.textContent = label), 1_500);
}

/** What is not shown at all. */
const SECRETS = ['password', 'secret', 'uri', 'qr_svg', 'recovery_code', 'recovery_codes'];

/** What is cut short like tokens. */
const LONG = ['challenge', 'ceremony', 'clientDataJSON', 'attestationObject', 'authenticatorData', 'signature', 'publicKey'];

function pretty(body) {
  try {
    const isToken = (name) => /_token$/.test(name) || LONG.includes(name);
    const hide = (name, value) =>
      isToken(name) && typeof value === 'string' ? `${value.slice(0, 16)}…` : SECRETS.includes(name) ? '…' : value;
    return JSON.stringify(JSON.parse(body), hide, 2);
  } catch {
    return body;
  }
}
