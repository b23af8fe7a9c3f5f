// Verifies Ratchet's access tokens with aws-jwt-verify: node aws-jwt-verify.mjs ISSUER AUDIENCE < tokens
import { createInterface } from "node:readline";
import { JwtVerifier } from "aws-jwt-verify";
import { SimpleJwksCache } from "aws-jwt-verify/jwk";

const [issuer, audience] = process.argv.slice(2);

// The library's own fetcher knows https only; with this one, an issuer on this machine works too.
const fetcher = {
  async fetch(uri) {
    const response = await fetch(uri, { signal: AbortSignal.timeout(3_000) });
    if (!response.ok) throw new Error(`the issuer answered ${response.status}`);
    return response.arrayBuffer();
  },
};

const options = {
  issuer,
  audience,
  // Access tokens only (RFC 9068), and none that need a proof (RFC 9449).
  customJwtCheck: ({ header, payload }) => {
    if (header.typ !== "at+jwt") throw new Error("not an access token");
    if (payload.cnf) throw new Error("bound to a key, whose proof is not checked here");
  },
};
const verifier = JwtVerifier.create(options, { jwksCache: new SimpleJwksCache({ fetcher }) });

for await (const token of createInterface({ input: process.stdin })) {
  try {
    console.log("ok", (await verifier.verify(token)).sub);
  } catch (error) {
    console.log("refused", error.constructor.name);
  }
}
