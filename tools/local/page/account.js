// What comes before a session: registration, the message that confirms an address, and a new
// password for one that was forgotten.

import { UNREACHABLE } from './words.js';

const $ = (id) => document.getElementById(id);
/** One of these is open while no user is signed in. */
const PANELS = ['sign-in', 'second-factor', 'set-up', 'register', 'confirm', 'forgot', 'reset'];
/** How long a message may take, in ms. */
const DELIVERY = 30_000;

export class Account {
  #exchanges;
  #api;
  #say;
  #open = 'sign-in';
  #signedIn = false;
  /** From the link of a message; without it the code is typed. */
  #token;

  constructor(api, exchanges, say) {
    this.#api = api;
    this.#exchanges = exchanges;
    this.#say = say;
    for (const button of document.querySelectorAll('[data-opens]')) {
      button.addEventListener('click', () => this.open(button.dataset.opens));
    }
    this.#on('register', ({ name, email, password }) => this.#register({ name, email, password }));
    this.#on('confirm', (fields) => this.#confirm(fields));
    this.#on('forgot', ({ email }) => this.#forgot(email));
    this.#on('reset', (fields) => this.#reset(fields));
    $('resend').addEventListener('click', () => this.#run('confirm', () => this.#resend()));
  }

  /** Shows a panel, and brings the keyboard there. */
  open(panel) {
    this.#open = panel;
    this.show(this.#signedIn);
    for (const form of PANELS.map($)) refuse(form, undefined, []);
    const fields = [...$(panel).elements].filter((field) => field.matches('input:enabled'));
    (fields.find((field) => !field.value) ?? fields[0] ?? $(panel).querySelector('button')).focus();
  }

  /** Hides what a user who is signed in does not need. */
  show(signedIn) {
    this.#signedIn = signedIn;
    for (const panel of PANELS) $(panel).hidden = panel !== this.#open || (signedIn && !this.#token);
    if (signedIn) $('mail').hidden = true;
  }

  /**
   * Goes on where the link of a message leads: its fragment has action and token. Nothing is sent
   * before a person presses the button: programs that read mail open links.
   */
  follow(fragment) {
    const token = fragment.get('token');
    const panel = { 'confirm-email': 'confirm', 'change-email': 'confirm', 'reset-password': 'reset' }[
      fragment.get('action')
    ];
    if (!token || !panel) return;
    // It works once, and has no business in the history.
    history.replaceState(null, '', location.pathname);
    this.#byLink(panel, token);
    this.open(panel);
  }

  /** With a token there is nothing else to prove. */
  #byLink(panel, token) {
    this.#token = token;
    const typed = $(panel).querySelector('.proof');
    typed.hidden = typed.disabled = Boolean(token);
    $('resend').hidden = Boolean(token);
  }

  async #register(request) {
    const arrived = await this.#awaitMail(request.email);
    await this.#post('/users', request);
    $('register').elements.password.value = '';
    $('sign-in').elements.name.value = request.name;
    $('sign-in').elements.password.value = '';
    $('confirm').elements.email.value = request.email;
    this.#say('Look into your mail: a message is on its way to confirm the address.');
    this.#byLink('confirm', undefined);
    this.open('confirm');
    arrived();
  }

  async #confirm({ email, code }) {
    await this.#post('/users/confirm-email', this.#token ? { token: this.#token } : { email, code });
    this.#done('confirm', 'The address is confirmed.');
  }

  async #resend() {
    const { email } = $('confirm').elements;
    if (!email.reportValidity()) return;
    const arrived = await this.#awaitMail(email.value);
    await this.#post('/users/confirm-email/resend', { email: email.value });
    this.#say('If there is anything to confirm, another message is on its way.');
    arrived();
  }

  async #forgot(email) {
    const arrived = await this.#awaitMail(email);
    await this.#post('/users/password-reset', { email });
    $('reset').elements.email.value = email;
    this.#say('If it is the address of an account, a message is on its way.');
    this.#byLink('reset', undefined);
    this.open('reset');
    arrived();
  }

  async #reset({ email, code, password }) {
    const proof = this.#token ? { token: this.#token } : { email, code };
    await this.#post('/users/password-reset/confirm', { ...proof, password });
    this.#done('reset', 'The password is set, and all sessions are over.');
  }

  #done(panel, text) {
    $(panel).reset();
    this.#byLink(panel, undefined);
    $('mail').hidden = true;
    this.#say(this.#signedIn ? text : `${text} Sign in.`);
    this.open('sign-in');
  }

  /** Runs what a form does, and says what was wrong with it. */
  #on(id, action) {
    $(id).addEventListener('submit', (event) => {
      event.preventDefault();
      this.#run(id, () => action(Object.fromEntries(new FormData(event.target))));
    });
  }

  async #run(id, action) {
    const form = $(id);
    if (form.ariaBusy === 'true') return;
    refuse(form, undefined, []);
    form.ariaBusy = 'true';
    try {
      await action();
    } catch (error) {
      const { code, rules = [] } = error;
      if (code === 'invalid_proof') this.#byLink(id, undefined);
      const { password, code: typed, name } = form.elements;
      const field = { password_refused: password, invalid_proof: typed, malformed_request: name }[code];
      refuse(form, field, rules.length ? rules.map((rule) => rule.detail) : [inWords(error)]);
    } finally {
      form.ariaBusy = 'false';
    }
  }

  async #post(path, body) {
    const request = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    };
    const response = await this.#exchanges
      .during(() => this.#exchanges.fetch(this.#api + path, request))
      .catch(() => undefined);
    if (response?.ok) return;
    throw (await response?.json().catch(() => undefined)) ?? { code: 'unavailable' };
  }

  /** Shows the next message to an address, from this machine's own mail, once it is asked for. */
  async #awaitMail(email) {
    $('mail').hidden = true;
    const known = (await mailOf(email)).length;
    const end = Date.now() + DELIVERY;
    const look = async () => {
      const messages = await mailOf(email);
      if (messages.length > known) showMail(messages.at(-1));
      else if (Date.now() < end) setTimeout(look, 300);
    };
    return () => void look();
  }
}

function inWords({ code, title }) {
  return (
    {
      malformed_request:
        'A name has 1 to 64 letters, digits and signs, without spaces and / : @ < > \\. An address is like ada@example.com.',
      invalid_proof: 'The link or the code is wrong, used or expired. Ask for another message.',
      unavailable: UNREACHABLE,
    }[code] ??
    title ??
    'That did not work.'
  );
}

/** Says what a form was refused for, all at once, and which field that is about. */
export function refuse(form, field, texts) {
  const items = texts.map((text) => {
    const item = document.createElement('li');
    item.textContent = text;
    return item;
  });
  const list = document.createElement('ul');
  list.append(...items);
  $(`${form.id}-error`).replaceChildren(...(items.length ? [list] : []));
  for (const input of form.elements) input.removeAttribute('aria-invalid');
  if (texts.length && field) {
    field.setAttribute('aria-invalid', 'true');
    field.focus();
  }
}

async function mailOf(email) {
  const response = await fetch('/mail.json').catch(() => undefined);
  const { messages = [] } = response?.ok ? await response.json() : {};
  return messages.filter(({ to }) => to === email.toLowerCase());
}

function showMail({ subject, text }) {
  const lines = text.split('\n\n').map((line) => {
    const paragraph = document.createElement('p');
    if (!line.startsWith(`${location.origin}/`)) {
      paragraph.textContent = line;
      return paragraph;
    }
    const link = document.createElement('a');
    link.href = line;
    link.textContent = line;
    paragraph.append(link);
    return paragraph;
  });
  $('mail-subject').textContent = subject;
  $('mail-text').replaceChildren(...lines);
  $('mail').hidden = false;
}
