// A protected API with Express and jose.
//
// ISSUER=http://127.0.0.1:9000 AUDIENCE=ratchet ORIGIN=http://localhost:5173 PORT=8080 node service.mjs

import cors from "cors";
import express from "express";
import { createRemoteJWKSet, errors, jwtVerify } from "jose";

const { ISSUER, AUDIENCE, ORIGIN, PORT } = process.env;
const keys = createRemoteJWKSet(new URL(`${ISSUER}/.well-known/jwks.json`));

/** Lets requests with a valid access token pass, with its claims in `request.user`. */
async function authenticate(request, response, next) {
  const token = request.headers.authorization?.match(/^Bearer (\S+)$/i)?.[1];
  if (!token) return response.set("WWW-Authenticate", "Bearer").sendStatus(401);
  try {
    const { payload } = await jwtVerify(token, keys, {
      issuer: ISSUER,
      audience: AUDIENCE,
      typ: "at+jwt",
      algorithms: ["ES256", "EdDSA", "RS256"],
      requiredClaims: ["sub", "exp", "iat", "sid"],
    });
    // Bound to a key, whose proof is not checked here.
    if (payload.cnf) throw new errors.JWTClaimValidationFailed("bound", payload, "cnf");
    request.user = payload;
  } catch (error) {
    // Without the keys there is no verdict: a 401 would sign the user out.
    const isVerdict = error instanceof errors.JOSEError && !["ERR_JOSE_GENERIC", "ERR_JWKS_TIMEOUT"].includes(error.code);
    if (!isVerdict) return response.set("Retry-After", "1").sendStatus(503);
    return response.set("WWW-Authenticate", 'Bearer error="invalid_token"').sendStatus(401);
  }
  next();
}

/** Lets users with a role pass. */
const needs = (role) => (request, response, next) =>
  request.user.roles?.includes(role) ? next() : response.sendStatus(403);

/** Lets users pass who were authenticated by one of these methods, at most `maxAge` seconds ago (RFC 9470). */
const recently = (maxAge, ...methods) => (request, response, next) => {
  const { auth_time: at, amr = [] } = request.user;
  if (Date.now() / 1000 - at <= maxAge && methods.some((method) => amr.includes(method))) return next();
  const required = `max_age="${maxAge}", amr_values="${methods.join(" ")}"`;
  response.set("WWW-Authenticate", `Bearer error="insufficient_user_authentication", ${required}`).sendStatus(401);
};

const app = express();
// The front end sends its access token, and reads why it was refused.
app.use(cors({ origin: ORIGIN, exposedHeaders: ["WWW-Authenticate", "Retry-After"] }));

app.get("/whoami", authenticate, (request, response) => {
  const { sub, sid, roles } = request.user;
  response.json({ sub, sid, roles });
});
app.get("/admin", authenticate, needs("admin"), (request, response) => response.json({ welcome: request.user.name }));
// A second factor or a passkey, within the last five minutes.
app.get("/export", authenticate, recently(300, "otp", "hwk"), (request, response) => response.json({ of: request.user.sub }));

app.listen(Number(PORT), "127.0.0.1");
