// The token endpoint and the protected resource as HTTP.

import { verdict } from '../lib/result.js';

export default [
  {
    id: 'exchange',
    promises: {
      'no-store': {
        title: 'Answers with tokens are not stored (`Cache-Control: no-store`)',
        sources: ['RFC 6749 §5.1'],
      },
      'error-shape': { title: 'An unusable refresh token: 400, `invalid_grant`', sources: ['RFC 6749 §5.2'] },
      'no-get': { title: 'The token endpoint does not refresh on GET', sources: ['RFC 6749 §3.2'] },
      'no-query': {
        title: 'A refresh token in the query is not taken',
        sources: ['RFC 6749 §2.3.1, §3.2', 'ASVS 5.0 14.2.1'],
      },
      challenge: {
        title: 'The resource without, and with a wrong access token: 401 with `WWW-Authenticate`',
        sources: ['RFC 6750 §3'],
      },
      'no-query-access-token': {
        title: 'An access token in the query is not taken',
        sources: ['RFC 6750 §2.3', 'RFC 9700 §4.3.2', 'OAuth 2.1 §5.1'],
      },
    },
    async run(t) {
      const session = await t.signIn();
      await t.gap();
      const request = await t.server.request.refresh(session.refresh_token, session);
      const query = `${request.url}${request.url.includes('?') ? '&' : '?'}${request.body}`;
      const { 'content-type': kind, ...headers } = request.headers;
      const get = await t.send({ url: query, method: 'GET', headers });
      await t.gap();
      // Everything but the token in the body, so that only its place is wrong.
      const rest = new URLSearchParams(request.body);
      rest.delete('refresh_token');
      const inQuery = new URL(request.url);
      inQuery.searchParams.set('refresh_token', session.refresh_token);
      const posted = await t.send({
        url: inQuery.href,
        method: 'POST',
        headers: { ...headers, 'content-type': kind },
        body: rest.toString(),
      });
      await t.gap();
      const served = await t.rotate(session);
      const unusable = await t.refresh(session, `${session.refresh_token.slice(0, -6)}AAAAAA`);

      const resource = await t.server.request.resource(session.access_token, session);
      const { authorization, dpop, ...without } = resource.headers ?? {};
      const none = await t.send({ ...resource, headers: without });
      const wrong = await t.send({ ...resource, headers: { ...without, authorization: 'Bearer wrong' } });
      const separator = resource.url.includes('?') ? '&' : '?';
      const asQuery = await t.send({
        ...resource,
        url: `${resource.url}${separator}access_token=${encodeURIComponent(session.access_token)}`,
        headers: without,
      });
      const cache = served.answer.headers['cache-control'] ?? 'none';
      const type = unusable.answer?.headers['content-type'] ?? 'none';
      const shaped =
        unusable.status === 400 && unusable.error === 'invalid_grant' && type.startsWith('application/json');
      const challenged = (answer) => answer.status === 401 && answer.headers['www-authenticate'] !== undefined;
      const shown = (answer) => `${answer.status}${answer.headers['www-authenticate'] ? ' with' : ' without'} it`;
      return {
        'no-store': verdict(/\bno-store\b/.test(cache), `\`${cache}\``),
        'error-shape': verdict(shaped, `${unusable.status} ${unusable.error ?? type}`),
        'no-get': verdict(get.status >= 400 && get.status < 500, String(get.status)),
        'no-query': verdict(posted.status >= 400 && posted.status < 500, String(posted.status)),
        challenge: verdict(challenged(none) && challenged(wrong), `${shown(none)}, ${shown(wrong)}`),
        'no-query-access-token': verdict(asQuery.status >= 400, String(asQuery.status)),
      };
    },
  },
];
