// Refreshes and revokes with openid-client, which finds the endpoints by discovery:
// node openid-client.mjs ISSUER CLIENT_ID REFRESH_TOKEN
import * as client from "openid-client";

const [issuer, clientId, refreshToken] = process.argv.slice(2);

for (const algorithm of ["oauth2", "oidc"]) {
  await client.discovery(new URL(issuer), clientId, undefined, client.None(), { algorithm });
}
const config = await client.discovery(new URL(issuer), clientId, undefined, client.None());
const next = await client.refreshTokenGrant(config, refreshToken);
if (next.refresh_token === refreshToken) throw new Error("the token did not rotate");
await client.tokenRevocation(config, next.refresh_token);
try {
  await client.refreshTokenGrant(config, next.refresh_token);
  throw new Error("the session outlived its revocation");
} catch (error) {
  console.log(error.error);
}
