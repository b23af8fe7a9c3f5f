// better-auth with its OAuth provider, on SQLite in a file.

import { count, serveControl } from './control.js';

import { createServer } from 'node:http';

const { default: Database } = await import('better-sqlite3');
const { betterAuth } = await import('better-auth');
const { getMigrations } = await import('better-auth/db/migration');
const { jwt } = await import('better-auth/plugins');
const { toNodeHandler } = await import('better-auth/node');
const { oauthProvider } = await import('@better-auth/oauth-provider');

const port = Number(process.env.PORT);
const database = new Database(process.env.DATABASE);
const prepare = database.prepare.bind(database);
database.prepare = (text) => {
  count();
  return prepare(text);
};

const interval = Number(process.env.REUSE_INTERVAL ?? 0);
const options = {
  baseURL: `http://127.0.0.1:${port}`,
  secret: process.env.SECRET,
  database,
  telemetry: { enabled: false },
  emailAndPassword: { enabled: true },
  plugins: [
    jwt(),
    oauthProvider({
      loginPage: '/sign-in',
      consentPage: '/consent',
      ...(interval && { refreshTokenReuseInterval: interval }),
    }),
  ],
};
const { runMigrations } = await getMigrations(options);
await runMigrations();
const auth = betterAuth(options);
const handler = toNodeHandler(auth);

createServer(async (request, response) => {
  if (request.url !== '/clients') return handler(request, response);
  // As an administrator's script would: a client that needs no consent.
  const client = await auth.api.adminCreateOAuthClient({
    headers: new Headers({ cookie: request.headers.cookie }),
    body: {
      redirect_uris: ['https://app.example.com/callback'],
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      scope: 'openid offline_access',
      type: 'native',
      skip_consent: true,
    },
  });
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(client));
}).listen(port, '127.0.0.1', serveControl);
