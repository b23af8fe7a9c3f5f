// Verifies Ratchet's access tokens with aws-jwt-verify: node aws-jwt-verify.mjs ISSUER AUDIENCE < tokens
import { createInterface } from "node:readline";
import { JwtVerifier } from "aws-jwt-verify";

const [issuer, audience] = process.argv.slice(2);
const verifier = JwtVerifier.create({
  issuer,
  audience,
  // Access tokens only (RFC 9068).
  customJwtCheck: ({ header }) => {
    if (header.typ !== "at+jwt") throw new Error("not an access token");
  },
});

for await (const token of createInterface({ input: process.stdin })) {
  try {
    console.log("ok", (await verifier.verify(token)).sub);
  } catch (error) {
    console.log("refused", error.constructor.name);
  }
}
