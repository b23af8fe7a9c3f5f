// A service in memory for the client's own tests: one chain of tokens, as the real one keeps it.
// (The browser's tests in `web/` run against the real one.)

/** What goes wrong with the next answers. */
export type Fault = 'lost' | 'lost before' | 'cut' | 503 | 429 | 403 | 'gateway 401';

export class Service {
  generation = 0;
  ended: string | undefined;
  requests: string[] = [];
  presented: string[] = [];
  /** The device tokens that came with sign-ins. */
  devices: (string | undefined)[] = [];
  faults: Fault[] = [];
  /** What a fault asks for, in seconds. */
  retryAfter = 1;
  /** What every sign-in is refused with. */
  refusal: Response | undefined;
  life = 300;
  refreshAfter = 200;

  token = (generation = this.generation) => `rt1_${generation}`;
  access = (generation = this.generation) => `access-${generation}`;

  fetch: typeof fetch = async (input, init) => {
    const request = new Request(input, init);
    const { pathname } = new URL(request.url);
    this.requests.push(pathname);
    await Promise.resolve();
    if (pathname === '/users') return this.users(request);
    const fault = this.faults.shift();
    if (fault === 'lost before') throw new TypeError('network');
    if (fault === 503 || fault === 429) {
      return problem(fault, 'unavailable', { 'retry-after': String(this.retryAfter) });
    }
    if (fault === 403) return problem(403, 'forbidden_origin');
    if (fault === 'gateway 401') return new Response('{"message":"Unauthorized"}', { status: 401 });
    const response = this.answer(pathname, await request.json());
    if (fault === 'lost') throw new TypeError('network');
    if (fault === 'cut') return new Response('{"access_token":"ac');
    return response;
  };

  private answer(path: string, body: Record<string, string | undefined>): Response {
    if (path === '/authenticate') {
      this.devices.push(body.device_token);
      if (this.refusal) return this.refusal;
      if (body.password !== 'right') return problem(401, 'invalid_credentials');
      this.ended = undefined;
      return this.pair({ device_token: `dt1_${this.devices.length}` });
    }
    const presented = body.refresh_token ?? this.token();
    this.presented.push(presented);
    if (path === '/logout') {
      this.ended = 'revoked';
      return new Response(null, { status: 204 });
    }
    if (this.ended) return problem(401, this.ended);
    if (presented === this.token()) this.generation += 1;
    return this.pair();
  }

  private pair(more: object = {}): Response {
    return Response.json({
      ...more,
      access_token: this.access(),
      token_type: 'Bearer',
      expires_in: this.life,
      refresh_token: this.token(),
      refresh_token_expires_in: 1000,
      session_expires_in: 5000,
      refresh_after: this.refreshAfter,
    });
  }

  private users(request: Request): Response {
    const authorization = request.headers.get('authorization');
    if (this.ended) return problem(401, 'session_ended');
    if (authorization === `Bearer ${this.access()}`) return Response.json({ users: [] });
    return problem(401, 'expired_access_token', { 'is-token-expired': 'true' });
  }
}

export function problem(status: number, code: string, headers: Record<string, string> = {}): Response {
  return Response.json(
    { type: `urn:ratchet:problem:${code}`, title: 'x', status, code },
    { status, headers: { 'content-type': 'application/problem+json', ...headers } },
  );
}
