// The demonstration: signs in with the client in `clients/js` and shows what becomes of the tokens.

import { createClient } from '/client/index.js';
import { leases } from '/client/leases.js';

import { Account, refuse } from './account.js';
import { Chain } from './chain.js';

const $ = (id) => document.getElementById(id);
const settings = await (await fetch('/settings.json')).json();
const api = chosenApi() ?? settings.api;

/** Why the user was signed out, in words. */
const REASONS = {
  signed_out: 'You are signed out.',
  missing_refresh_token: 'You are not signed in.',
  reuse_detected:
    'The session has been ended: an old refresh token was presented, so somebody may have stolen it. Thief and owner are both out.',
  revoked: 'The session has been ended from another device.',
  expired_idle: 'The session was not used for too long.',
  expired_absolute: 'The session has reached the end of its life.',
  user_disabled: 'This user may not sign in any more.',
};
const ALARMS = ['reuse_detected', 'user_disabled'];

const account = new Account(api, say);
const chain = new Chain($('tokens'), settings.retryWindowSeconds);
const clients = Object.fromEntries(
  ['cookie', 'token'].map((mode) => {
    const turns = navigator.locks ? {} : { locks: leases(`ratchet:${mode}:leases`) };
    return [mode, createClient({ baseUrl: api, mode, ...turns })];
  }),
);
let client = clients[recall()];
let lastAccessToken;
let stolen;

/** Another API on this machine, for example a proxy that cuts answers off. */
function chosenApi() {
  const url = new URL(location.href).searchParams.get('api');
  return url && /^http:\/\/127\.0\.0\.1:\d+$/.test(url) ? url : undefined;
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
  for (const id of ['session', 'sessions']) $(id).hidden = !session;
  $('theft').hidden = mode !== 'token';
  $('chain-hint').textContent =
    mode === 'token'
      ? 'This page keeps the token in memory. Steal it, refresh, wait until it is old, and present it.'
      : 'The browser keeps the token in a cookie. No script can read it, so there is nothing to show but that it changed.';
  if (session) {
    $('chain').hidden = false;
    lastAccessToken = session.accessToken;
    chain.add(session.refreshToken ?? `cookie ${session.accessToken}`, mode);
    say('Signed in.');
  } else {
    chain.end();
    const known = Object.hasOwn(REASONS, reason ?? '') ? REASONS[reason] : undefined;
    if (reason || !$('status').dataset.tone) {
      say(known ?? (reason ? `The session is over: ${reason}.` : REASONS.missing_refresh_token), ALARMS.includes(reason));
    }
  }
}

function say(text, alarm = false) {
  $('status').textContent = text;
  $('status').dataset.tone = alarm ? 'alarm' : 'calm';
}

/** Shows an answer as it came. */
async function show(request, response) {
  const headers = ['content-type', 'is-token-expired', 'www-authenticate', 'retry-after'];
  const lines = headers
    .filter((name) => response.headers.has(name))
    .map((name) => `${name === 'is-token-expired' ? 'IS-TOKEN-EXPIRED' : name}: ${response.headers.get(name)}`);
  const body = await response.clone().text();
  $('answer').hidden = false;
  $('answer-text').textContent = [request, '', String(response.status), ...lines, '', pretty(body)].join('\n');
  return response;
}

function pretty(body) {
  try {
    const hide = (name, value) =>
      /_token$/.test(name) && typeof value === 'string' ? `${value.slice(0, 16)}…` : value;
    return JSON.stringify(JSON.parse(body), hide, 2);
  } catch {
    return body;
  }
}

/** Runs what a button does; what goes wrong is said, not lost. */
function run(action) {
  return async (happening) => {
    happening.preventDefault();
    try {
      await action(happening.target);
    } catch (error) {
      say(`${error.message ?? error}`, true);
    }
  };
}

function on(id, event, action) {
  $(id).addEventListener(event, run(action));
}

function signInError({ code, message, retryAfter }) {
  if (code === 'account_locked') return `${message} Choose a new password by e-mail.`;
  return code === 'too_many_attempts' && retryAfter ? `${message} Try again in ${retryAfter} s.` : message;
}

on('sign-in', 'submit', async (form) => {
  const { name, password, device, mode } = Object.fromEntries(new FormData(form));
  refuse(form, undefined, []);
  client = clients[mode];
  try {
    chain.clear();
    forgetTheft();
    await client.signIn({ name, password, ...(device && { device }) });
    form.elements.password.value = '';
    $('users').focus();
  } catch (error) {
    const unconfirmed = error.code === 'email_not_confirmed';
    if (unconfirmed) account.open('confirm');
    const field = unconfirmed || error.code === 'unavailable' ? undefined : form.elements.password;
    refuse(unconfirmed ? $('confirm') : form, field, [signInError(error)]);
  }
});
on('users', 'click', async () => show('GET /users', await client.fetch('/users')));
on('expired', 'click', async () => {
  const left = client.session.expiresAt - Date.now();
  if (left > 0) say(`The token still lives for ${Math.ceil(left / 1000)} s; it is sent when it has expired.`);
  const old = lastAccessToken;
  await new Promise((resolve) => setTimeout(resolve, Math.max(left, 0) + 1_000));
  // Past the client, which would refresh.
  const answer = await fetch(`${api}/users`, { headers: { authorization: `Bearer ${old}` } });
  await show('GET /users', answer);
});
on('refresh', 'click', () => client.refresh());
on('sign-out', 'click', async () => {
  await client.signOut();
  $('sign-in').elements.name.focus();
});
on('list-sessions', 'click', listSessions);
on('end-others', 'click', () => end('/users/me/sessions?except=current'));

async function end(path) {
  const response = await show(`DELETE ${path}`, await client.fetch(path, { method: 'DELETE' }));
  if (!response.ok) {
    // Without a session, the reason for that has been said already.
    if (client.session) say(`That did not work: the service answered ${response.status}.`, true);
    return;
  }
  say('Ended.');
  await listSessions();
}

async function listSessions() {
  const response = await show('GET /users/me/sessions', await client.fetch('/users/me/sessions'));
  if (!response.ok) return;
  const { sessions } = await response.json();
  const list = $('session-list');
  const focused = list.contains(document.activeElement);
  list.replaceChildren(...sessions.map(sessionItem));
  // The button that had the focus is gone, and the keyboard would start again at the top.
  if (focused) $('list-sessions').focus();
}

function sessionItem(session) {
  const item = document.createElement('li');
  const label = session.device || session.user_agent || 'a client';
  item.textContent = `${label}${session.current ? ' (this one)' : ''}`;
  if (!session.current) {
    const button = document.createElement('button');
    button.textContent = 'End';
    button.setAttribute('aria-label', `End ${label}`);
    button.addEventListener('click', run(() => end(`/users/me/sessions/${encodeURIComponent(session.id)}`)));
    item.append(' ', button);
  }
  return item;
}

on('steal', 'click', () => {
  stolen = client.session?.refreshToken;
  chain.steal(stolen);
  $('present').disabled = false;
  $('theft-story').textContent = 'A copy of the token is in the hands of a thief. Nobody has noticed.';
});
on('present', 'click', async () => {
  // The thief has the token and nothing else: no client, no cookie.
  const response = await fetch(`${api}/refresh`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ refresh_token: stolen }),
  });
  await show('POST /refresh (the thief)', response);
  $('theft-story').textContent = response.ok
    ? 'The token is live, or was superseded within the retry window: the thief was led to the same live token as the owner. There is still one chain; whoever falls behind the other by more than the window trips the alarm.'
    : 'The token is old. Only somebody who kept a copy would present it, so the whole session has been ended.';
  if (response.ok) {
    stolen = (await response.json()).refresh_token;
    chain.add(stolen, 'token');
    chain.steal(stolen);
  } else {
    await client.refresh();
  }
});

function forgetTheft() {
  stolen = undefined;
  $('present').disabled = true;
  $('theft-story').textContent = '';
}

function tick() {
  const session = client.session;
  if (session) {
    const left = Math.max(0, session.expiresAt - Date.now());
    $('life').value = Math.min(1, left / 1000 / settings.accessTokenSeconds);
    $('countdown').textContent = left ? `${Math.ceil(left / 1000)} s left` : 'expired';
  }
  chain.draw();
}

const form = $('sign-in');
form.elements.mode.value = recall();
form.elements.name.value = settings.demoUser.name;
form.elements.password.value = settings.demoUser.password;
$('second-tab').href = location.href;
for (const mode of Object.keys(clients)) {
  // Without a user it is no sign-out, but the answer to `resume`.
  clients[mode].subscribe(({ session, userId, reason }) => changed(mode, session, userId && reason));
}
setInterval(tick, 250);
try {
  await client.resume();
  if (client.status === 'unknown') {
    account.show(false);
    say('The service cannot be reached. Trying again.', true);
  }
} catch (error) {
  account.show(false);
  say(error.message, true);
}
// The link of a message leads here, from another tab or from this very page.
const follow = () => account.follow(new URLSearchParams(location.hash.slice(1)));
addEventListener('hashchange', follow);
follow();
