// oidc-provider as its documentation sets it up, with a store in memory.

import { serveControl, store } from './control.js';

import { randomUUID } from 'node:crypto';

const { default: Provider, errors } = await import('oidc-provider');

const port = Number(process.env.PORT);
const issuer = `http://127.0.0.1:${port}`;
const delay = Number(process.env.STORE_MS ?? 0);
const compareAndSet = process.env.COMPARE_AND_SET === 'yes';

// The interface of an adapter (its documentation's `my_adapter.js`) over a map: no expiry but that
// of the artefacts themselves, which the provider checks.
const items = new Map();
const grants = new Map();

class MapAdapter {
  constructor(model) {
    this.model = model;
  }

  key(id) {
    return `${this.model}:${id}`;
  }

  async upsert(id, payload) {
    const key = this.key(id);
    items.set(key, structuredClone(payload));
    if (payload.grantId) {
      const keys = grants.get(payload.grantId) ?? new Set();
      grants.set(payload.grantId, keys.add(key));
    }
  }

  async find(id) {
    return structuredClone(items.get(this.key(id)));
  }

  async findByUid(uid) {
    for (const [key, payload] of items)
      if (key.startsWith(`${this.model}:`) && payload.uid === uid) return structuredClone(payload);
    return undefined;
  }

  async findByUserCode() {
    return undefined;
  }

  async consume(id) {
    const payload = items.get(this.key(id));
    // What a conditional write would say. Not part of the documented interface.
    if (compareAndSet && payload?.consumed) throw new errors.InvalidGrant('already used');
    if (payload) payload.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    items.delete(this.key(id));
  }

  async revokeByGrantId(grantId) {
    for (const key of grants.get(grantId) ?? []) items.delete(key);
    grants.delete(grantId);
  }
}

const client = (id) => ({
  client_id: id,
  application_type: 'native',
  redirect_uris: ['http://127.0.0.1:9/callback'],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  token_endpoint_auth_method: 'none',
});

const provider = new Provider(issuer, {
  adapter: (model) => store(new MapAdapter(model), delay),
  clients: [client('one'), client('two')],
  cookies: { keys: [randomUUID()] },
  rotateRefreshToken: true,
  findAccount: (_, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
  interactions: { url: (_, { uid }) => `/interaction/${uid}` },
  features: {
    devInteractions: { enabled: false },
    introspection: { enabled: true },
    revocation: { enabled: true },
    userinfo: { enabled: true },
    dPoP: { enabled: true },
  },
});

// Every visitor is somebody new and agrees to everything.
provider.use(async (context, next) => {
  if (!context.path.startsWith('/interaction/')) return next();
  const { prompt, session, params } = await provider.interactionDetails(context.req, context.res);
  if (prompt.name === 'login') {
    return provider.interactionFinished(context.req, context.res, { login: { accountId: randomUUID() } });
  }
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  return provider.interactionFinished(
    context.req,
    context.res,
    { consent: { grantId: await grant.save() } },
    { mergeWithLastSubmission: true },
  );
});

provider.on('server_error', (_, error) => console.error(error));
provider.listen(port, '127.0.0.1', serveControl);
