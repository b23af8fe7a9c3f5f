// Introspects with oauth4webapi, which finds the endpoint by discovery, in both ways to authenticate:
// node oauth4webapi.mjs ISSUER CLIENT_ID CLIENT_SECRET ACCESS_TOKEN REFRESH_TOKEN
import * as oauth from "oauth4webapi";

const [issuer, clientId, secret, accessToken, refreshToken] = process.argv.slice(2);

const url = new URL(issuer);
const found = await oauth.discoveryRequest(url, { algorithm: "oauth2" });
const server = await oauth.processDiscoveryResponse(url, found);
const client = { client_id: clientId };
const ways = {
  client_secret_basic: oauth.ClientSecretBasic,
  client_secret_post: oauth.ClientSecretPost,
};

async function introspect(token, authentication) {
  const response = await oauth.introspectionRequest(server, client, authentication, token);
  return oauth.processIntrospectionResponse(server, client, response);
}

async function status(authentication) {
  try {
    await introspect(accessToken, authentication);
    return 200;
  } catch (error) {
    return error.status;
  }
}

const said = {};
for (const way of server.introspection_endpoint_auth_methods_supported) {
  const authentication = ways[way](secret);
  said[way] = [await introspect(accessToken, authentication), await introspect(refreshToken, authentication)];
}
said.refused = [await status(oauth.ClientSecretBasic(`${secret}x`)), await status(oauth.None())];

const user = { client_id: said.client_secret_basic[0].client_id };
const revoked = await oauth.revocationRequest(server, user, oauth.None(), refreshToken);
await oauth.processRevocationResponse(revoked);
const authentication = oauth.ClientSecretBasic(secret);
said.ended = [await introspect(accessToken, authentication), await introspect(refreshToken, authentication)];
console.log(JSON.stringify(said));
