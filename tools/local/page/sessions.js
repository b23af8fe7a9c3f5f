// The sessions of the user, by devices.

import { ago, device } from './words.js';

export class Sessions {
  #list;
  #button;
  #request;
  #run;
  #say;

  /** `request` is `fetch` with the access token; `run` wraps what a button does. */
  constructor({ list, button, request, run, say }) {
    this.#list = list;
    this.#button = button;
    this.#request = request;
    this.#run = run;
    this.#say = say;
  }

  async show() {
    const response = await this.#request('/users/me/sessions');
    if (!response.ok) return;
    const { sessions } = await response.json();
    const focused = this.#list.contains(document.activeElement);
    this.#list.replaceChildren(...sessions.map((session) => this.#item(session)));
    // The button that had the focus is gone, and the keyboard would start again at the top.
    if (focused) this.#button.focus();
  }

  clear() {
    this.#list.replaceChildren();
  }

  async end(path, isSignedIn) {
    const response = await this.#request(path, { method: 'DELETE' });
    if (!response.ok) {
      // Without a session, the reason for that has been said already.
      if (isSignedIn()) this.#say(`That did not work: the service answered ${response.status}.`, true);
      return;
    }
    this.#say('Ended.');
    await this.show();
  }

  #item({ id, device: label, user_agent: userAgent, refreshed_at: refreshedAt, network, current }) {
    const name = label || device(userAgent);
    const item = document.createElement('li');
    const title = document.createElement('strong');
    title.textContent = name;
    const details = document.createElement('span');
    details.className = 'hint';
    details.textContent = `${label ? `${device(userAgent)}, ` : ''}${ago(refreshedAt)}, ${network}`;
    const text = document.createElement('div');
    text.append(title, current ? ' (this one)' : '', document.createElement('br'), details);
    item.append(text);
    if (!current) {
      const button = document.createElement('button');
      button.textContent = 'End';
      button.setAttribute('aria-label', `End ${name}`);
      const path = `/users/me/sessions/${encodeURIComponent(id)}`;
      button.addEventListener('click', this.#run(() => this.end(path, () => true)));
      item.append(button);
    }
    return item;
  }
}
