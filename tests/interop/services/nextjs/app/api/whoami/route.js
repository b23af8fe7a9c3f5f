// app/api/whoami/route.js: a protected route handler of Next.js, with jose.
//
// ISSUER=http://127.0.0.1:9000 AUDIENCE=ratchet npx next dev --port 8080

import { createRemoteJWKSet, errors, jwtVerify } from "jose";

const { ISSUER, AUDIENCE } = process.env;
/** The issuer's keys. The first request sets them, because `next build` loads this file too, perhaps without ISSUER. */
let keys;

const refuse = (status, headers) => Response.json({ status }, { status, headers });

/** Wraps a handler: it is called with the claims of a valid access token. */
const authenticated = (handle) => async (request) => {
  const token = request.headers.get("authorization")?.match(/^Bearer (\S+)$/i)?.[1];
  if (!token) return refuse(401, { "WWW-Authenticate": "Bearer" });
  let user;
  try {
    keys ??= createRemoteJWKSet(new URL(`${ISSUER}/.well-known/jwks.json`));
    const { payload } = await jwtVerify(token, keys, {
      issuer: ISSUER,
      audience: AUDIENCE,
      typ: "at+jwt",
      algorithms: ["ES256", "EdDSA", "RS256"],
      requiredClaims: ["sub", "exp", "iat", "sid"],
    });
    // Bound to a key, whose proof is not checked here.
    if (payload.cnf) throw new errors.JWTClaimValidationFailed("bound", payload, "cnf");
    user = payload;
  } catch (error) {
    // Without the keys there is no verdict: a 401 would sign the user out.
    const isVerdict = error instanceof errors.JOSEError && !["ERR_JOSE_GENERIC", "ERR_JWKS_TIMEOUT"].includes(error.code);
    if (!isVerdict) return refuse(503, { "Retry-After": "1" });
    return refuse(401, { "WWW-Authenticate": 'Bearer error="invalid_token"' });
  }
  return handle(request, user);
};

export const GET = authenticated((request, { sub, sid, roles }) => Response.json({ sub, sid, roles }));
