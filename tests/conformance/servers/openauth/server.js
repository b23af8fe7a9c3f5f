// OpenAuth as its documentation sets it up, with its own store in memory.

import { serveControl, store } from './control.js';

// OpenAuth calls it when a token is reused. Node has it from version 22 on.
Array.fromAsync ??= async (iterable) => {
  const items = [];
  for await (const item of iterable) items.push(item);
  return items;
};

const { serve } = await import('@hono/node-server');
const { issuer } = await import('@openauthjs/openauth');
const { createClient } = await import('@openauthjs/openauth/client');
const { MemoryStorage } = await import('@openauthjs/openauth/storage/memory');
const { createSubjects } = await import('@openauthjs/openauth/subject');
const { object, string } = await import('valibot');

const port = Number(process.env.PORT);
const subjects = createSubjects({ user: object({ id: string() }) });

// Every visitor is somebody new.
const visitor = {
  type: 'visitor',
  init(routes, context) {
    routes.get('/authorize', (c) => context.success(c, { id: crypto.randomUUID() }));
  },
};

const app = issuer({
  subjects,
  storage: store(MemoryStorage(), Number(process.env.STORE_MS ?? 0)),
  providers: { visitor },
  success: (context, { id }) => context.subject('user', { id }),
});

// A protected resource, by the library's own client.
const client = createClient({ clientID: 'one', issuer: `http://127.0.0.1:${port}` });
app.get('/resource', async (c) => {
  const token = c.req.header('authorization')?.match(/^Bearer (.+)$/)?.[1];
  const verified = token ? await client.verify(subjects, token) : { err: new Error('no token') };
  if (verified.err)
    return c.json({ error: 'invalid_token' }, 401, { 'www-authenticate': 'Bearer error="invalid_token"' });
  return c.json(verified.subject);
});

serve({ fetch: app.fetch, port, hostname: '127.0.0.1' }, serveControl);
