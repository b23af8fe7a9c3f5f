// Access tokens at the protected resource.

import { cannotTell, fails, notOffered, verdict } from '../lib/result.js';
import { decode, edited, hmacWithPublicKey, unsigned } from '../lib/jwt.js';
import { tally } from '../lib/trial.js';

async function publishedKeys(t) {
  const metadata = t.server.request.metadata && (await t.send({ url: t.server.request.metadata() })).json;
  return metadata?.jwks_uri ? ((await t.send({ url: metadata.jwks_uri })).json?.keys ?? []) : [];
}

async function tried(t, session, tokens) {
  const answers = [];
  for (const [name, token] of Object.entries(tokens)) {
    answers.push({ name, status: (await t.resource(token, session)).status });
  }
  const open = answers.filter(({ status }) => status < 400 || status >= 500);
  return verdict(
    open.length === 0,
    open.length
      ? open.map(({ name, status }) => `${name}: ${status}`).join('; ')
      : `${answers.length} variants: ${tally(answers.map(({ status }) => status))}`,
  );
}

export default [
  {
    id: 'access-token',
    promises: {
      unsigned: { title: 'Access tokens without a signature are refused', sources: ['RFC 8725 §2.1, §3.1'] },
      edited: { title: 'Access tokens with edited claims or header are refused', sources: ['RFC 8725 §3.3, §3.10'] },
      'hmac-confusion': {
        title: 'Access tokens under HMAC with the public key are refused',
        sources: ['RFC 8725 §2.1, §3.1'],
      },
      'token-confusion': {
        title: 'Refresh tokens and ID tokens are no access tokens',
        sources: ['RFC 8725 §3.11, §3.12', 'RFC 9068 §4'],
      },
      typ: { title: 'Access tokens are typed `at+jwt`', sources: ['RFC 9068 §2.1', 'RFC 8725 §3.11'] },
    },
    async run(t) {
      const session = await t.signIn();
      const token = session.access_token;
      const jwt = decode(token);
      const opened = await t.resource(token, session);
      if (opened.status !== 200) {
        const why = cannotTell(`a genuine access token is answered ${opened.status}`);
        return { unsigned: why, edited: why, 'hmac-confusion': why, 'token-confusion': why, typ: why };
      }
      const others = {
        'refresh token': session.refresh_token,
        ...(session.id_token && { 'ID token': session.id_token }),
      };
      const confusion = await tried(t, session, others);
      if (!jwt) {
        const opaque = notOffered('opaque access tokens');
        return {
          unsigned: opaque,
          edited: await tried(t, session, {
            'a letter more': `${token}A`,
            'last letter missing': token.slice(0, -1),
            reversed: [...token].reverse().join(''),
          }),
          'hmac-confusion': opaque,
          'token-confusion': confusion,
          typ: opaque,
        };
      }
      const keys = (await publishedKeys(t)).filter(({ kty }) => kty !== 'oct');
      const jwk = keys.find(({ kid }) => kid === jwt.header.kid) ?? keys[0];
      const hour = Math.floor(Date.now() / 1000) + 3600;
      return {
        unsigned: await tried(
          t,
          session,
          Object.fromEntries(['none', 'None', 'NONE', 'nOnE'].map((alg) => [alg, unsigned(token, alg)])),
        ),
        edited: await tried(t, session, {
          sub: edited(token, { claims: { sub: 'somebody-else' } }),
          exp: edited(token, { claims: { exp: hour } }),
          iss: edited(token, { claims: { iss: 'http://127.0.0.1:1/elsewhere' } }),
          aud: edited(token, { claims: { aud: 'another-api' } }),
          kid: edited(token, { header: { kid: '../../dev/null' } }),
          jku: edited(token, { header: { jku: 'http://127.0.0.1:1/keys' } }),
          jwk: edited(token, { header: { jwk: { kty: 'oct', k: 'AA' } } }),
          crit: edited(token, { header: { crit: ['x'], x: 1 } }),
        }),
        'hmac-confusion': jwk
          ? await tried(
              t,
              session,
              Object.fromEntries(['pem', 'der', 'json'].map((how) => [how, hmacWithPublicKey(token, jwk, how)])),
            )
          : notOffered('no public key is published'),
        'token-confusion': confusion,
        typ: verdict(
          /^(application\/)?at\+jwt$/i.test(jwt.header.typ ?? ''),
          `\`${jwt.header.typ ?? 'none'}\`, ${jwt.header.alg}`,
        ),
      };
    },
  },
  {
    id: 'access-token-end',
    moves: true,
    waits: 20,
    promises: {
      'on-time': {
        title: 'An access token opens nothing after its end (±2 s)',
        sources: ['RFC 9068 §4', 'RFC 6750 §3.1'],
      },
    },
    async run(t) {
      // An access token's end is in the token: only a server's whole clock moves it.
      const movable = t.movesTime && !t.server.time.perSession;
      const session = await t.signIn(movable ? {} : { lifetimes: 'short' });
      const life = session.expires_in;
      if (!life) return { 'on-time': cannotTell('its life is not told (`expires_in`)') };
      if (!movable && life > t.patience)
        return { 'on-time': cannotTell(`${life} s are longer than the run waits (${t.patience} s)`) };
      const wait = (seconds) =>
        movable ? t.pass(seconds, session) : new Promise((done) => setTimeout(done, seconds * 1000));
      const began = Date.now();
      await wait(life - 2);
      const before = await t.opens(session.access_token, session);
      if (!movable && !before && Date.now() - began > (life - 0.5) * 1000) {
        return { 'on-time': cannotTell('the machine is too slow') };
      }
      await wait(4);
      const after = await t.resource(session.access_token, session);
      const what = `${life} s: 2 s before ${before ? 'open' : 'closed'}, 2 s after ${after.status}`;
      if (after.status !== 200) return { 'on-time': verdict(before, what) };
      // A tolerance between clocks, or no end at all?
      await wait(20);
      return { 'on-time': fails(`${what}, 22 s after ${(await t.resource(session.access_token, session)).status}`) };
    },
  },
];
