// Passkeys: signing in with one, and the user's own.

import { conditionalAvailable, passkeys, passkeysAvailable } from '/client/passkeys.js';

import { refuse } from './account.js';
import { ago, inWordsOfFailure } from './words.js';

const $ = (id) => document.getElementById(id);
/** One of these is open while a user is signed in. */
const FORMS = ['passkey-add', 'passkey-rename', 'passkey-remove'];
const HINT = 'A passkey signs you in without a password. This device keeps it, and asks for its own lock.';
const OFF = 'This service has no passkeys: PasskeyRpId is not set.';
/** Browsers have no passkeys for addresses. */
const isAddress = /^[\d.]+$|:/.test(location.hostname);

export class Passkeys {
  #client;
  #prepare;
  #say;
  /** Ends the suggestions of the field for the name, while there are any. */
  #suggested;
  /** The one that a form is about. */
  #chosen;

  /**
   * `client` returns the client of this moment; `prepare` has it chosen for a sign-in, and returns what
   * takes that back; `on` has the page run what a form or a button does.
   */
  constructor({ client, prepare, on, say }) {
    this.#client = client;
    this.#prepare = prepare;
    this.#say = say;
    on('use-passkey', 'click', () => this.#signIn());
    this.#on(on, 'passkey-add', async (fields) => {
      const { name } = await this.#keys.addPasskey(fields);
      return `${name} has been added.`;
    });
    this.#on(on, 'passkey-rename', async ({ name }) => {
      await this.#keys.renamePasskey(this.#chosen.id, name);
      return `${this.#chosen.name} is now called ${name}.`;
    });
    this.#on(on, 'passkey-remove', async ({ password }) => {
      await this.#keys.removePasskey(this.#chosen.id, password);
      return `${this.#chosen.name} has been removed, and your other sessions are over.`;
    });
    $('sign-in').addEventListener('change', ({ target }) => {
      if (this.#suggested && /radio|checkbox/.test(target.type)) void this.suggest();
    });
    for (const id of FORMS) $(id).querySelector('[data-back]')?.addEventListener('click', () => this.#open('passkey-add'));
    for (const id of ['use-passkey', 'passkey-instead']) $(id).hidden = isAddress || !passkeysAvailable();
  }

  get #keys() {
    return passkeys(this.#client());
  }

  /** Has the browser suggest passkeys while the user types a name. */
  async suggest() {
    if (isAddress || !(await conditionalAvailable()) || this.#client().session) return;
    this.stop();
    const own = (this.#suggested = new AbortController());
    this.#prepare();
    try {
      await this.#keys.signInWithPasskey({ conditional: true, signal: own.signal });
      $('users').focus();
    } catch (error) {
      if (this.#suggested === own) this.#suggested = undefined;
      if (error.code === 'not_found') $('use-passkey').hidden = $('passkey-instead').hidden = true;
      if (error.code === 'invalid_passkey') this.#refuse(error);
    }
  }

  /** The user is signed in. */
  stop() {
    this.#suggested?.abort();
    this.#suggested = undefined;
  }

  /** Shows the user's passkeys. */
  async show() {
    $('passkeys-hint').textContent = HINT;
    if (isAddress) return this.#sendToLocalhost();
    try {
      this.#list(await this.#keys.passkeys());
      if (FORMS.every((id) => $(id).hidden)) $('passkey-add').hidden = !passkeysAvailable();
    } catch (error) {
      $('passkeys-hint').textContent = error.code === 'not_found' ? OFF : inWordsOfFailure(error);
    }
  }

  /** Leaves nothing of the user on the page. */
  clear() {
    this.#chosen = undefined;
    $('passkey-list').replaceChildren();
    for (const id of FORMS) {
      $(id).hidden = true;
      empty($(id));
    }
  }

  async #signIn() {
    const takeBack = this.#prepare();
    refuse($('sign-in'), undefined, []);
    try {
      const device = $('sign-in').elements.device.value;
      await this.#keys.signInWithPasskey({ ...(device && { device }) });
      $('users').focus();
    } catch (error) {
      takeBack();
      this.#refuse(error);
      void this.suggest();
    }
  }

  #refuse(error) {
    refuse($('sign-in'), undefined, [inWordsOfFailure(error)]);
  }

  /** Runs what a form does, and says what was wrong with it. `action` resolves with what to say if nothing was. */
  #on(on, id, action) {
    on(id, 'submit', async (form) => {
      refuse(form, undefined, []);
      try {
        const said = await action(Object.fromEntries(new FormData(form)));
        empty(form);
        this.#open('passkey-add');
        this.#say(said);
        await this.show();
      } catch (error) {
        const { password, name } = form.elements;
        const field = { wrong_password: password, malformed_request: name }[error.code];
        refuse(form, field, [inWordsOfFailure(error)]);
      }
    });
  }

  #open(id) {
    for (const form of FORMS.map($)) {
      form.hidden = form.id !== id;
      if (form.hidden) empty(form);
    }
    $(id).querySelector('input').focus();
  }

  #list(all) {
    $('passkey-list').replaceChildren(...all.map((passkey) => this.#item(passkey)));
  }

  #item(passkey) {
    const { name, createdAt, lastUsedAt, backedUp } = passkey;
    const item = document.createElement('li');
    const text = document.createElement('div');
    const title = document.createElement('strong');
    title.textContent = name;
    const details = document.createElement('span');
    details.className = 'hint';
    const used = lastUsedAt ? `used ${ago(lastUsedAt / 1000)}` : 'not used yet';
    details.textContent = `Added ${ago(createdAt / 1000)}, ${used}, ${backedUp ? 'with a copy elsewhere' : 'on one device only'}`;
    text.append(title, document.createElement('br'), details);
    const actions = document.createElement('div');
    actions.className = 'actions';
    for (const [label, form] of [['Rename', 'passkey-rename'], ['Remove', 'passkey-remove']]) {
      const button = document.createElement('button');
      button.textContent = label;
      button.setAttribute('aria-label', `${label} ${name}`);
      button.addEventListener('click', () => {
        this.#chosen = passkey;
        for (const which of document.querySelectorAll('#passkeys .which')) which.textContent = name;
        this.#open(form);
      });
      actions.append(button);
    }
    item.append(text, actions);
    return item;
  }

  #sendToLocalhost() {
    const link = document.createElement('a');
    link.href = `http://localhost:${location.port}/`;
    link.textContent = `http://localhost:${location.port}`;
    $('passkeys-hint').replaceChildren('Passkeys need a domain, and this page is open at an address. Open it at ', link, '.');
  }
}

function empty(form) {
  form.reset();
  refuse(form, undefined, []);
}
