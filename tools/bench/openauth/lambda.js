// OpenAuth as a Lambda function on DynamoDB, for `cargo run -p bench -- --openauth`.

import { issuer } from '@openauthjs/openauth';
import { DynamoStorage } from '@openauthjs/openauth/storage/dynamo';
import { createSubjects } from '@openauthjs/openauth/subject';
import { handle } from 'hono/aws-lambda';
import { object, string } from 'valibot';

// Every visitor is somebody new.
const visitor = {
  type: 'visitor',
  init(routes, context) {
    routes.get('/authorize', (c) => context.success(c, { id: crypto.randomUUID() }));
  },
};

const app = issuer({
  subjects: createSubjects({ user: object({ id: string() }) }),
  storage: DynamoStorage({ table: process.env.OPENAUTH_TABLE, endpoint: process.env.AWS_ENDPOINT_URL_DYNAMODB }),
  providers: { visitor },
  success: (context, { id }) => context.subject('user', { id }),
});

// Signs somebody in, through the library's own routes. This is not what is measured.
app.get('/bench/session', async (c) => {
  const { origin } = new URL(c.req.url);
  const client = { client_id: 'one', redirect_uri: 'http://localhost/callback' };
  const begin = await app.request(`${origin}/authorize?${new URLSearchParams({ ...client, response_type: 'code' })}`);
  const cookie = begin.headers.getSetCookie().map((line) => line.split(';')[0]).join('; ');
  const back = await app.request(new URL(begin.headers.get('location'), origin), { headers: { cookie } });
  const code = new URL(back.headers.get('location')).searchParams.get('code');
  const body = new URLSearchParams({ ...client, grant_type: 'authorization_code', code });
  return app.request(`${origin}/token`, { method: 'POST', body });
});

const handler = handle(app);
const api = `${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation`;
for (;;) {
  const next = await fetch(`${api}/next`);
  const answer = await handler(await next.json());
  const id = next.headers.get('lambda-runtime-aws-request-id');
  await fetch(`${api}/${id}/response`, { method: 'POST', body: JSON.stringify(answer) });
}
