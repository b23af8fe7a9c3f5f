// The authorization code flow, as a client goes through it.

import { createHash, randomBytes } from 'node:crypto';

import { CookieJar, form, send } from '../../lib/http.js';

/** A sign-in as far as the code: where to go, and what the code is redeemed with. */
export function codeRequest({ authorize, client, redirect, scope, ...others }) {
  const verifier = randomBytes(32).toString('base64url');
  const url = new URL(authorize);
  const query = {
    client_id: client,
    redirect_uri: redirect,
    response_type: 'code',
    state: randomBytes(12).toString('base64url'),
    nonce: randomBytes(12).toString('base64url'),
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...(scope && { scope }),
    ...others,
  };
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return { url: url.href, verifier };
}

/** Goes through the redirects to the client's page, and redeems the code. */
export async function codeFlow({
  authorize,
  token,
  client,
  redirect,
  scope,
  headers,
  jar = new CookieJar(),
  dpop,
  ...others
}) {
  const { url, verifier } = codeRequest({ authorize, client, redirect, scope, ...others });
  const back = await jar.follow({ url }, redirect);
  return redeem({ token, client, redirect, verifier, back, headers, dpop });
}

/** Redeems the code of the URL that the client was called back with. */
export async function redeem({ token, client, redirect, verifier, back, headers, dpop }) {
  const code = back.searchParams.get('code');
  if (!code) throw new Error(`no code: ${back.search}`);
  const fields = {
    grant_type: 'authorization_code',
    code,
    redirect_uri: redirect,
    client_id: client,
    code_verifier: verifier,
  };
  const answer = await send(form(token, fields, { ...headers, ...dpop }));
  if (!answer.json?.refresh_token) throw new Error(`no tokens: ${answer.status} ${answer.text.slice(0, 300)}`);
  return answer.json;
}
