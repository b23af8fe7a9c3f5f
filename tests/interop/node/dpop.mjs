// Signs in with a proof by `dpop`, and goes on with oauth4webapi, which makes its own proofs:
// node dpop.mjs ISSUER NAME PASSWORD
import * as dpop from "dpop";
import * as oauth from "oauth4webapi";

const [issuer, name, password] = process.argv.slice(2);

const url = new URL(issuer);
const found = await oauth.discoveryRequest(url, { algorithm: "oauth2" });
const server = await oauth.processDiscoveryResponse(url, found);
const client = { client_id: "first-party" };
const said = { algorithms: server.dpop_signing_alg_values_supported };

async function signIn(keys, nonce) {
  const path = `${issuer}/authenticate`;
  const proof = await dpop.generateProof(keys, path, "POST", nonce);
  const headers = { "content-type": "application/json", dpop: proof };
  return fetch(path, { method: "POST", headers, body: JSON.stringify({ name, password }) });
}

/** Repeats a request once if the service wants its nonce. */
async function withNonce(request) {
  try {
    return await request();
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    return request();
  }
}

for (const algorithm of ["ES256", "RS256"]) {
  const keys = await dpop.generateKeyPair(algorithm);
  const first = await signIn(keys);
  const second = await signIn(keys, first.headers.get("dpop-nonce"));
  const tokens = await second.json();

  const DPoP = oauth.DPoP(client, keys);
  const next = await withNonce(async () => {
    const options = { DPoP };
    const response = await oauth.refreshTokenGrantRequest(
      server, client, oauth.None(), tokens.refresh_token, options);
    return oauth.processRefreshTokenResponse(server, client, response);
  });
  const users = new URL(`${issuer}/users`);
  const opened = await withNonce(() =>
    oauth.protectedResourceRequest(next.access_token, "GET", users, undefined, null, { DPoP }));
  const stolen = await fetch(users, { headers: { authorization: `Bearer ${next.access_token}` } });
  const claims = JSON.parse(Buffer.from(next.access_token.split(".")[1], "base64url"));
  said[algorithm] = {
    first: [first.status, (await first.json()).code],
    types: [tokens.token_type, next.token_type],
    opened: opened.status,
    stolen: stolen.status,
    bound: claims.cnf.jkt === (await dpop.calculateThumbprint(keys.publicKey)),
  };
}
console.log(JSON.stringify(said));
