// The demonstration: signs in with the client in `clients/js` and shows what becomes of the tokens.

import { dpop } from '/client/dpop.js';
import { createClient } from '/client/index.js';
import { leases } from '/client/leases.js';
import { isSecondFactorRequired } from '/client/second-factor.js';

import { Account, refuse } from './account.js';
import { Chain } from './chain.js';
import { copy, Exchanges } from './exchanges.js';
import { Passkeys } from './passkeys.js';
import { SecondFactor } from './second-factor.js';
import { Sessions } from './sessions.js';
import { Theft } from './theft.js';
import { ago, inWordsOfEnd, inWordsOfFailure, isAlarm, UNREACHABLE } from './words.js';

const $ = (id) => document.getElementById(id);
const settings = await (await fetch('/settings.json')).json();
const api = chosenApi() ?? settings.api;

const exchanges = new Exchanges($('exchanges'), $('no-answers'), api);
const account = new Account(api, exchanges, say);
const chain = new Chain($('tokens'), settings);
const theft = new Theft({ api, chain, exchanges, session: () => client.session, binding });
const clients = Object.fromEntries(
  ['cookie', 'token'].map((mode) => {
    const turns = navigator.locks ? {} : { locks: leases(`ratchet:${mode}:leases`) };
    return [mode, createClient({ baseUrl: api, mode, fetch: exchanges.fetch, dpop: binding, ...turns })];
  }),
);
let client = clients[recall()];
const sessions = new Sessions({
  list: $('session-list'),
  button: $('list-sessions'),
  request: (path, init) => client.fetch(api + path, init),
  run,
  say,
});

const factor = new SecondFactor({ account, client: () => client, on, say });
const passkeys = new Passkeys({ client: () => client, prepare, on, say });

/** Another API on this machine, for example a proxy that cuts answers off. */
function chosenApi() {
  const url = new URL(location.href).searchParams.get('api');
  return url && /^http:\/\/(127\.0\.0\.1|localhost):\d+$/.test(url) ? url : undefined;
}

/** Whether the user wants sessions bound to a key. Browsers offer WebCrypto only on localhost and over HTTPS. */
function isBinding() {
  return Boolean(crypto.subtle) && localStorage.getItem('key') === 'bound';
}

/** Adds proofs (DPoP) to requests if the session is, or will be, bound to a key. */
function binding(base, plain) {
  const proving = crypto.subtle ? dpop()(base, plain) : plain;
  return (input, init) => (isBinding() ? proving : plain)(input, init);
}

/** The mode, which is no secret, is kept for the next visit. */
function recall() {
  return localStorage.getItem('mode') === 'token' ? 'token' : 'cookie';
}

function changed(mode, session, reason) {
  if (clients[mode] !== client) {
    if (!session) return;
    client = clients[mode];
  }
  localStorage.setItem('mode', mode);
  account.show(Boolean(session));
  const isNew = session && ($('session').hidden || $('user').textContent !== session.user.name);
  for (const id of ['session', 'sessions', 'factor', 'passkeys']) $(id).hidden = !session;
  if (isNew || !session) [factor, passkeys].forEach((each) => each.clear());
  if (isNew) {
    chain.clear();
    theft.forget();
  }
  $('theft').hidden = mode !== 'token';
  chain.isBound = Boolean(session && decoded(session.accessToken).cnf);
  $('chain-hint').textContent =
    mode === 'token'
      ? chain.isBound
        ? 'The session is bound to a key of this browser, which no script can read. Steal the token, and present it.'
        : 'This page keeps the token in memory. Steal it, refresh twice, wait until it is old, and present it.'
      : 'The browser keeps the token in a cookie. No script can read it, so this page can only show that it changed.';
  if (session) {
    $('chain').hidden = false;
    chain.add(session.refreshToken ?? `cookie ${session.accessToken}`, mode);
    passkeys.stop();
    showUser(session, mode);
    say('Signed in.');
    if (isNew) setTimeout(() => [sessions, factor, passkeys].forEach((each) => each.show().catch(() => {})));
  } else {
    chain.end();
    if (reason === 'signed_out') clear();
    if (reason || !$('status').dataset.tone) say(inWordsOfEnd(reason), isAlarm(reason));
    void passkeys.suggest();
  }
  theft.update();
}

/** Nothing of a user stays on the page when that user has signed out. */
function clear() {
  $('chain').hidden = true;
  chain.clear();
  theft.forget();
  exchanges.clear();
  sessions.clear();
  $('claims').replaceChildren();
  for (const id of ['user', 'user-details', 'initial', 'countdown']) $(id).textContent = '';
}

const TIMES = ['exp', 'iat', 'nbf', 'auth_time'];

function showUser({ accessToken }, mode) {
  const claims = decoded(accessToken);
  $('user').textContent = claims.name;
  $('initial').textContent = claims.name.slice(0, 1).toUpperCase();
  const roles = claims.roles?.length ? `Roles: ${claims.roles.join(', ')}. ` : '';
  const place = `${mode === 'cookie' ? 'in a cookie' : 'in memory'}${claims.cnf ? ', and bound to a key' : ''}`;
  $('user-details').textContent = `${roles}Signed in ${ago(claims.auth_time)}; the refresh token is ${place}.`;
  const rows = Object.entries(claims).map(([name, value]) => {
    const row = document.createElement('tr');
    const [title, cell] = ['th', 'td'].map((kind) => document.createElement(kind));
    title.scope = 'row';
    title.textContent = name;
    const text = typeof value === 'object' ? Object.values(value).join(', ') || 'none' : String(value);
    cell.textContent = TIMES.includes(name) ? `${text} (${new Date(value * 1000).toLocaleTimeString()})` : text;
    row.append(title, cell);
    return row;
  });
  $('claims').replaceChildren(...rows);
}

function decoded(token) {
  const payload = token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(payload), (char) => char.charCodeAt(0))));
}

function say(text, alarm = false) {
  $('status').textContent = text;
  $('status').dataset.tone = alarm ? 'alarm' : 'calm';
}

/** Runs what a button or form does, once at a time, and says what goes wrong. */
function run(action) {
  return async (event) => {
    event.preventDefault();
    const element = event.currentTarget;
    if (element.ariaBusy === 'true') return;
    // Not `disabled`: the keyboard would lose its place.
    element.ariaBusy = 'true';
    try {
      await exchanges.during(() => action(element, event));
    } catch (error) {
      say(inWordsOfFailure(error), true);
    } finally {
      element.ariaBusy = 'false';
    }
  };
}

function on(id, event, action) {
  $(id).addEventListener(event, run(action));
}

/** Chooses the client for a sign-in. Returns what takes that back if it fails. */
function prepare() {
  const { mode, key = '' } = Object.fromEntries(new FormData($('sign-in')));
  // It describes the session that is still there.
  const before = localStorage.getItem('key') ?? '';
  localStorage.setItem('key', key);
  client = clients[mode];
  return () => localStorage.setItem('key', before);
}

on('sign-in', 'submit', async (form) => {
  const { name, password, device } = Object.fromEntries(new FormData(form));
  refuse(form, undefined, []);
  const giveUp = prepare();
  try {
    await client.signIn({ name, password, ...(device && { device }) });
    form.elements.password.value = '';
    $('users').focus();
  } catch (error) {
    if (isSecondFactorRequired(error)) {
      form.elements.password.value = '';
      const back = () => {
        giveUp();
        void passkeys.suggest();
      };
      return factor.continue(error, { client, name, giveUp: back });
    }
    giveUp();
    const unconfirmed = error.code === 'email_not_confirmed';
    if (unconfirmed) account.open('confirm');
    const field = unconfirmed || error.code === 'unavailable' ? undefined : form.elements.password;
    refuse(unconfirmed ? $('confirm') : form, field, [inWordsOfFailure(error)]);
  }
});
on('users', 'click', () => client.fetch(`${api}/users`));
on('expired', 'click', async () => {
  // This machine's own: the same token, signed as if it had been issued earlier.
  const made = await fetch('/expired-token', { headers: { authorization: `Bearer ${client.session.accessToken}` } });
  if (!made.ok) throw new Error('This machine could not make an expired token.');
  // Past the client, which would refresh.
  const send = binding(api, exchanges.fetch);
  await send(`${api}/users`, { headers: { authorization: `Bearer ${await made.text()}` } });
});
on('refresh', 'click', () => client.refresh());
on('sign-out', 'click', async () => {
  await client.signOut();
  $('sign-in').elements.name.focus();
});
$('copy-token').addEventListener('click', ({ currentTarget }) => copy(currentTarget, client.session?.accessToken ?? ''));
on('list-sessions', 'click', () => sessions.show());
on('end-others', 'click', () => sessions.end('/users/me/sessions?except=current', () => client.session));
on('steal', 'click', () => theft.steal());
on('lose', 'click', () => theft.lose());
// The owner finds out with the next refresh.
on('present', 'click', async () => (await theft.present()) && client.refresh());

/** What changes with time alone. */
function tick() {
  const { session } = client;
  if (session) {
    const left = Math.max(0, session.expiresAt - Date.now());
    $('life').value = Math.min(1, left / 1000 / settings.accessTokenSeconds);
    $('countdown').textContent = left ? `${Math.ceil(left / 1000)} s left` : 'expired';
  }
  chain.draw();
}

const form = $('sign-in');
form.elements.mode.value = recall();
form.elements.key.checked = isBinding();
$('bind').hidden = !crypto.subtle;
form.elements.name.value = settings.demoUser.name;
form.elements.password.value = settings.demoUser.password;
$('second-tab').href = location.pathname + location.search;
for (const mode of Object.keys(clients)) {
  // Without a user, this is no sign-out but the result of `resume`.
  clients[mode].subscribe(({ session, userId, reason }) => changed(mode, session ?? null, userId && reason));
}
setInterval(tick, 250);
try {
  const session = await client.resume();
  account.show(Boolean(session));
  if (client.status === 'unknown') say(UNREACHABLE, true);
} catch (error) {
  account.show(false);
  say(inWordsOfFailure(error), true);
}
// The link of a message leads here, from another tab or from this very page.
const follow = () => account.follow(new URLSearchParams(location.hash.slice(1)));
addEventListener('hashchange', follow);
follow();
