// Verifies Ratchet's access tokens with jose: node jose.mjs ISSUER AUDIENCE < tokens
import { createInterface } from "node:readline";
import { createRemoteJWKSet, jwtVerify } from "jose";

const [issuer, audience] = process.argv.slice(2);
const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`));

async function verify(token) {
  const { payload } = await jwtVerify(token, keys, {
    issuer,
    audience,
    typ: "at+jwt",
    algorithms: ["ES256", "EdDSA", "RS256"],
    requiredClaims: ["sub", "exp", "iat", "sid"],
  });
  if (payload.cnf) throw new Error("bound to a key, whose proof is not checked here");
  return payload;
}

for await (const token of createInterface({ input: process.stdin })) {
  try {
    console.log("ok", (await verify(token)).sub);
  } catch (error) {
    console.log("refused", error.code ?? error.name);
  }
}
