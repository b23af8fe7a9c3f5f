// The second factor: the code that a sign-in asks for, and what switches it on and off.

import { passkeys } from '/client/passkeys.js';
import { secondFactor } from '/client/second-factor.js';

import { refuse } from './account.js';
import { copy } from './exchanges.js';
import { inWordsOfFailure } from './words.js';

const $ = (id) => document.getElementById(id);
/** One of these is open while a user is signed in. */
const STATES = ['factor-off', 'factor-pending', 'factor-on'];
/** What is the case after all, if the service refuses something with these codes. */
const ACTUAL = {
  second_factor_already_enabled: 'factor-on',
  second_factor_not_enabled: 'factor-off',
  second_factor_not_pending: 'factor-off',
};
/** After these refusals the user types the password again. */
const BEGIN_AGAIN = /challenge|not_pending/;
const ABOUT_NO_FIELD = /unavailable|passkey|cancelled/;

export class SecondFactor {
  #account;
  #client;
  #say;
  /** A sign-in whose password was right: its client, name and challenge, and what to do if it is given up. */
  #pending;

  /** `client` returns the client of this moment; `on` has the page run what a form or a button does. */
  constructor({ account, client, on, say }) {
    this.#account = account;
    this.#client = client;
    this.#say = say;
    const submit = (id, action) => on(id, 'submit', (form, { submitter }) => this.#submit(form, submitter?.value, action));
    submit('second-factor', ({ code, recovery }) => this.#complete(recovery ? { recoveryCode: recovery } : { code }));
    submit('set-up', ({ code }) => this.#complete({ code }));
    on('passkey-instead', 'click', ({ form }) =>
      this.#attempt(form, () => this.#complete({}, (pending) => passkeys(pending.client).completeWithPasskey(pending))),
    );
    submit('factor-off', async ({ password }) => {
      display($('factor-pending'), await this.#factor.enroll({ password }));
      this.#open('factor-pending');
    });
    submit('factor-pending', async ({ code }) => {
      const codes = await this.#factor.confirm(code);
      this.#open('factor-on');
      this.#showCodes(codes);
      this.#done('The second factor is on, and your other sessions are over.');
    });
    submit('factor-on', async ({ password, code }, action) => {
      const proof = { password, ...proofOf(code) };
      if (action === 'disable') {
        await this.#factor.disable(proof);
        this.#open('factor-off');
        return this.#done('The second factor is off, and your other sessions are over.');
      }
      this.#showCodes(await this.#factor.replaceRecoveryCodes(proof));
      this.#done('The earlier recovery codes do not work any more.');
    });
    $('use-other').addEventListener('click', () => this.#ask($('by-recovery').hidden));
    $('forget-secret').addEventListener('click', () => this.#open('factor-off'));
    for (const id of ['second-factor', 'set-up']) {
      $(id).querySelector('[data-opens]').addEventListener('click', () => this.#giveUp());
    }
    $('copy-codes').addEventListener('click', ({ currentTarget }) => copy(currentTarget, $('recovery-codes').innerText));
    $('kept-codes').addEventListener('click', () => {
      this.#hideCodes();
      $('users').focus();
    });
  }

  get #factor() {
    return secondFactor(this.#client());
  }

  /** Continues a sign-in whose password was right. `giveUp` runs if the user does not complete it. */
  async continue({ code, challenge }, { client, name, giveUp }) {
    this.#pending = { client, name, challenge, giveUp };
    if (code === 'second_factor_required') {
      this.#account.open('second-factor');
      return this.#ask(false);
    }
    try {
      display($('set-up'), await secondFactor(client).enroll({ challenge }));
      this.#account.open('set-up');
    } catch (error) {
      this.#giveUp();
      throw error;
    }
  }

  /** Shows whether the user has one. */
  async show() {
    const response = await this.#client().fetch('/users/me');
    if (!response.ok) return;
    const { second_factor: isOn } = await response.json();
    for (const id of STATES) $(id).hidden = id !== (isOn ? 'factor-on' : 'factor-off');
  }

  /** Leaves nothing of the user on the page. */
  clear() {
    this.#hideCodes();
    for (const id of STATES) {
      $(id).hidden = true;
      empty($(id));
    }
  }

  async #complete(proof, signIn = ({ client, ...pending }) => secondFactor(client).signIn({ ...pending, ...proof })) {
    try {
      const { recoveryCodes } = await signIn(this.#pending);
      this.#pending = undefined;
      this.#account.open('sign-in');
      $('users').focus();
      if (recoveryCodes) this.#showCodes(recoveryCodes);
    } catch (error) {
      if (!BEGIN_AGAIN.test(error.code)) throw error;
      this.#giveUp();
      this.#account.open('sign-in');
      refuse($('sign-in'), undefined, [inWords(error)]);
    }
    for (const id of ['second-factor', 'set-up']) empty($(id));
  }

  #giveUp() {
    this.#pending?.giveUp();
    this.#pending = undefined;
    for (const id of ['second-factor', 'set-up']) empty($(id));
  }

  /** Asks for a code of the app, or for a recovery code. */
  #ask(byRecovery) {
    const form = $('second-factor');
    refuse(form, undefined, []);
    for (const [label, isAsked] of [['by-app', !byRecovery], ['by-recovery', byRecovery]]) {
      const input = $(label).querySelector('input');
      input.value = '';
      $(label).hidden = input.disabled = !isAsked;
      if (isAsked) input.focus();
    }
    $('use-other').textContent = byRecovery ? 'Use the app' : 'Use a recovery code';
  }

  /** Runs what a form does, and says what was wrong with it. */
  #submit(form, button, action) {
    return this.#attempt(form, () => action(Object.fromEntries(new FormData(form)), button));
  }

  async #attempt(form, action) {
    refuse(form, undefined, []);
    try {
      await action();
    } catch (error) {
      const actual = STATES.includes(form.id) && ACTUAL[error.code];
      if (actual) return this.#correct(actual, error);
      const { password, code, recovery } = form.elements;
      const typed = recovery && !recovery.disabled ? recovery : (code ?? password);
      const field = error.code === 'wrong_password' ? password : typed;
      refuse(form, ABOUT_NO_FIELD.test(error.code) ? undefined : field, [inWords(error)]);
    }
  }

  /** Another tab was faster, or an answer was lost. */
  #correct(state, error) {
    this.#open(state);
    refuse($(state), undefined, [inWords(error)]);
  }

  #open(state) {
    for (const id of STATES) {
      $(id).hidden = id !== state;
      if (id !== state) empty($(id));
    }
    $(state).querySelector('input').focus();
  }

  #done(text) {
    for (const id of STATES) empty($(id));
    this.#say(text);
  }

  #showCodes(codes) {
    const items = codes.map((text) => {
      const item = document.createElement('li');
      const code = document.createElement('code');
      code.textContent = text;
      item.append(code);
      return item;
    });
    $('recovery-codes').replaceChildren(...items);
    $('recovery').hidden = false;
    $('kept-codes').focus();
  }

  #hideCodes() {
    $('recovery').hidden = true;
    $('recovery-codes').replaceChildren();
  }
}

const inWords = (error) =>
  error.code === 'malformed_request'
    ? 'A code from the app has six digits. A recovery code is like 7k3mp-x9v2q.'
    : inWordsOfFailure(error);

/** What somebody has typed: apps show six digits, and recovery codes are longer. */
function proofOf(text) {
  const code = text.replace(/\s/g, '');
  return /^\d{6}$/.test(code) ? { code } : { recoveryCode: text.trim() };
}

/** Shows a new secret. The QR code is an image, whose text can do nothing in this page. */
function display(form, { secret, qrCode }) {
  const content = $('enrollment').content.cloneNode(true);
  content.querySelector('img').src = qrCode;
  content.querySelector('code').textContent = secret;
  form.querySelector('.enrollment').replaceChildren(content);
}

/** Removes what was typed, and the secret. */
function empty(form) {
  form.reset();
  form.querySelector('.enrollment')?.replaceChildren();
}
