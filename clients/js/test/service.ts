// The service in memory, for the client's own tests: users, sessions and chains of refresh tokens by
// the rules of the real one. (The tests in `tests/web` run against the real one.)

/** What goes wrong with the next answers. */
export type Fault = 'lost' | 'lost before' | 'cut' | 'HTML' | 'gateway 401' | number;

interface Chain {
  readonly id: string;
  readonly user: string;
  readonly authTime: number;
  /** The thumbprint of the key that it is bound to, if any. */
  readonly jkt?: string | undefined;
  generation: number;
  /** What the latest step-up proved, and when. */
  steppedUp?: { readonly at: number; readonly amr: readonly string[] };
  /** When each generation was superseded, in ms. */
  readonly superseded: number[];
  ended?: string | undefined;
}

const SECOND_FACTOR = '/authenticate/second-factor';
const PASSKEY = '/passkeys/authenticate';

export const TOKEN_ROUTES = [
  '/authenticate', SECOND_FACTOR, `${SECOND_FACTOR}/totp`, '/passkeys/options', PASSKEY, '/refresh', '/logout',
];

/** A sign-in between its password and its code. */
interface Challenge {
  readonly user: string;
  readonly jkt: string | undefined;
  isSpent: boolean;
}

export const ENROLLMENT = {
  secret: 'JBSWY3DPEHPK3PXP',
  uri: 'otpauth://totp/Ratchet:ada?secret=JBSWY3DPEHPK3PXP&issuer=Ratchet',
  qr_svg: '<svg xmlns="http://www.w3.org/2000/svg"><title>100 % "QR" #1</title></svg>',
};
/** Of a sign-in with a passkey: `challenge` are the bytes 255, 254 and 253, `id` is 1. */
export const REQUEST = {
  challenge: '__79', rpId: 'auth.example', userVerification: 'required', allowCredentials: [{ type: 'public-key', id: 'AQ' }],
};
export const RECOVERY_CODES = ['recovery', 'another'];

const WINDOW_MS = 60_000;
const STEP_UP = '/users/me/step-up';

export class Service {
  /** One per sign-in. */
  readonly chains: Chain[] = [];
  /** Every path that was requested. */
  requests: string[] = [];
  /** The refresh tokens that were presented. */
  presented: string[] = [];
  /** The device tokens that came with sign-ins. */
  devices: (string | undefined)[] = [];
  /** The access tokens that came with requests to `/users`. */
  bearers: string[] = [];
  faults: Fault[] = [];
  /** What a fault asks for, in seconds. */
  retryAfter = 1;
  /** What every sign-in is refused with. */
  refusal: Response | undefined;
  /** Whether sign-ins need a second factor, and whether users have to set one up first. */
  secondFactor: 'required' | 'enrollment_required' | undefined;
  /** The latest is `sf1_0`, `sf1_1` and so on. */
  readonly challenges: Challenge[] = [];
  /** How often options for a passkey were asked for. The latest ceremony is `pk1_1`, `pk1_2` and so on. */
  ceremonies = 0;
  /** What `/users` answers instead of its own words. */
  gateway: Response | undefined;
  /** What the last answer leaves in the cookie; `undefined` if it leaves it alone. */
  setCookie: string | undefined;
  life = 300;
  refreshAfter = 200;

  get latest(): Chain {
    return this.chains.at(-1)!;
  }

  /** The generation of the latest session. */
  get generation() {
    return this.latest.generation;
  }

  set generation(generation: number) {
    this.latest.generation = generation;
  }

  get ended() {
    return this.latest.ended;
  }

  /** Ends the latest session. */
  set ended(reason: string | undefined) {
    this.latest.ended = reason;
  }

  fetch: typeof fetch = async (input, init) => {
    const request = new Request(input, init);
    await Promise.resolve();
    return this.handle(request);
  };

  async handle(request: Request): Promise<Response> {
    const pathname = new URL(request.url).pathname.replace(/^\/base/, '');
    this.requests.push(pathname);
    if (pathname === STEP_UP) return this.stepUp(request);
    if (request.method !== 'POST' || pathname === '/users') return this.resource(request);
    const fault = this.faults.shift();
    if (fault === 'lost before') throw new TypeError('network');
    if (fault === 'HTML') return new Response('<h1>Forbidden</h1>', { status: 403 });
    if (fault === 'gateway 401') return new Response('{"message":"Unauthorized"}', { status: 401 });
    if (fault === 503 || fault === 429) {
      return problem(fault, 'unavailable', { 'retry-after': String(this.retryAfter) });
    }
    if (fault === 403) return problem(403, 'forbidden_origin');
    if (typeof fault === 'number') return new Response('<h1>Hello from a proxy</h1>', { status: fault });
    const response = this.answer(pathname, (await request.json()) as Record<string, string>);
    if (fault === 'lost') throw new TypeError('network');
    if (fault === 'cut') return new Response('{"access_token":"ac');
    return response;
  }

  /** Handles a request. `jkt` is the thumbprint of the key whose possession it proves. */
  answer(path: string, body: Record<string, string | undefined>, jkt?: string): Response {
    this.setCookie = undefined;
    if (path === '/authenticate') return this.authenticate(body, jkt);
    if (path.startsWith('/passkeys')) return this.passkey(path, body, jkt);
    if (path.startsWith(SECOND_FACTOR)) return this.continue(path, body, jkt);
    const presented = body.refresh_token ?? body.cookie ?? this.token();
    if (path === '/logout' || path === '/refresh') this.presented.push(presented);
    const { id, generation } = contentOf(presented);
    const chain = this.chains.find((one) => one.id === id);
    // Changes nothing: a stolen token is worth nothing without the key.
    if (TOKEN_ROUTES.includes(path) && chain?.jkt && chain.jkt !== jkt) return problem(400, 'invalid_dpop_proof');
    if (path === '/logout') {
      if (!chain && body.refresh_token) return problem(400, 'malformed_request');
      if (chain) chain.ended ??= 'revoked';
      this.setCookie = '';
      return new Response(null, { status: 204 });
    }
    if (path !== '/refresh') return Response.json({ message: 'x' }, { status: 202 });
    this.setCookie = '';
    if (!presented) return problem(401, 'missing_refresh_token');
    if (!chain) return problem(401, 'malformed');
    if (chain.ended) return problem(401, chain.ended);
    return this.rotate(chain, generation, !body.refresh_token);
  }

  private authenticate(body: Record<string, string | undefined>, jkt: string | undefined): Response {
    this.devices.push(body.device_token);
    if (this.refusal) return this.refusal;
    if (body.password !== 'right') return problem(401, 'invalid_credentials');
    if (this.secondFactor) {
      this.challenges.push({ user: body.name!, jkt, isSpent: false });
      return problem(401, `second_factor_${this.secondFactor}`, {}, { challenge: `sf1_${this.challenges.length - 1}` });
    }
    return this.begin(body.name!, body.mode, jkt);
  }

  /** Takes the code of a sign-in whose password was right. The right one is 123456, or `recovery`. */
  private continue(path: string, body: Record<string, string | undefined>, jkt: string | undefined): Response {
    const challenge = this.challenges[Number(body.challenge?.replace('sf1_', ''))];
    if (!challenge) return problem(401, 'invalid_challenge');
    if (challenge.jkt !== jkt) return problem(400, 'invalid_dpop_proof');
    if (path !== SECOND_FACTOR) return Response.json(ENROLLMENT);
    if (challenge.isSpent) return problem(401, 'challenge_spent');
    if (body.code !== '123456' && body.recovery_code !== 'recovery') return problem(401, 'invalid_code');
    challenge.isSpent = true;
    return this.begin(challenge.user, body.mode, jkt, this.secondFactor === 'required' ? {} : { recovery_codes: RECOVERY_CODES });
  }

  /** Takes the passkey of `ada`, whose credential has the id `right`. */
  private passkey(path: string, body: Record<string, any>, jkt: string | undefined): Response {
    const challenge = body.challenge && this.challenges[Number(body.challenge.replace('sf1_', ''))];
    if (body.challenge && challenge?.jkt !== jkt) return problem(401, 'invalid_challenge');
    if (path !== PASSKEY) {
      if (challenge && challenge.user !== 'ada') return problem(409, 'no_passkey');
      this.ceremonies += 1;
      return Response.json({ ceremony: `pk1_${this.ceremonies}`, options: REQUEST, expires_in: 300 });
    }
    if (body.ceremony !== `pk1_${this.ceremonies}` || body.credential.id !== 'right') return problem(401, 'invalid_passkey');
    return this.begin('ada', body.mode, jkt, challenge ? {} : { device_token: undefined });
  }

  private begin(user: string, mode: string | undefined, jkt: string | undefined, more: object = {}): Response {
    const number = String(this.chains.length).padStart(6, '0');
    const authTime = Math.floor(Date.now() / 1000);
    this.chains.push({ id: `sid-${number}`, user, authTime, jkt, generation: 0, superseded: [] });
    return this.pair(this.latest, mode === 'cookie', { device_token: `dt1_${this.devices.length}`, ...more });
  }

  /** The decision table: the live token rotates, a recent one leads to it, and an old one is theft. */
  private rotate(chain: Chain, generation: number, isCookie: boolean): Response {
    if (generation === chain.generation) {
      chain.superseded[generation] = Date.now();
      chain.generation += 1;
      return this.pair(chain, isCookie);
    }
    const recent = Date.now() - chain.superseded[generation]! <= WINDOW_MS;
    // A client that has the key is not a thief, however old its token is.
    if (chain.jkt || recent || generation === chain.generation - 1) return this.pair(chain, isCookie);
    chain.ended = 'reuse_detected';
    return problem(401, chain.ended);
  }

  /** Authenticates again. The right code is 123456, and the right password `right`. */
  async stepUp(request: Request, jkt?: string): Promise<Response> {
    const refusal = this.resource(request, jkt);
    if (!refusal.ok) return refusal;
    const fault = this.faults.shift();
    if (typeof fault === 'number') return problem(fault, 'unavailable', { 'retry-after': String(this.retryAfter) });
    const body = (await request.json()) as Record<string, string>;
    if (body.password && body.password !== 'right') return problem(403, 'wrong_password');
    const code = body.code ?? body.recovery_code;
    if (code && code !== '123456' && code !== 'recovery') return problem(403, 'invalid_code');
    const chain = this.latest;
    const amr = [...(body.password ? ['pwd'] : []), ...(code ? ['otp'] : [])];
    chain.steppedUp = { at: Math.floor(Date.now() / 1000), amr };
    if (fault === 'lost') throw new TypeError('network');
    const answer = { token_type: chain.jkt ? 'DPoP' : 'Bearer', expires_in: this.life, refresh_after: this.refreshAfter };
    return Response.json({ access_token: this.access(chain, { step_up: true }), ...answer });
  }

  /** The refresh token of a session; without one, an empty cookie's. */
  token(chain: Chain | undefined = this.latest): string {
    return chain ? refreshToken(chain.id, chain.generation) : '';
  }

  private pair(chain: Chain, isCookie: boolean, more: object = {}): Response {
    this.setCookie = this.token(chain);
    return Response.json({
      ...more,
      access_token: this.access(chain),
      token_type: chain.jkt ? 'DPoP' : 'Bearer',
      expires_in: this.life,
      ...(!isCookie && { refresh_token: this.token(chain) }),
      refresh_token_expires_in: 1000,
      session_expires_in: 5000,
      refresh_after: this.refreshAfter,
    });
  }

  /** An access token of a session, named after its generation. */
  access(chain = this.latest, more: object = {}): string {
    const claims = {
      iss: 'https://auth.example.com',
      sub: `id of ${chain.user}`,
      aud: 'api',
      exp: Math.floor(Date.now() / 1000) + this.life,
      iat: Math.floor(Date.now() / 1000),
      jti: `access-${chain.generation}`,
      client_id: 'first-party',
      sid: chain.id,
      auth_time: chain.steppedUp?.at ?? chain.authTime,
      amr: chain.steppedUp?.amr ?? ['pwd'],
      ...more,
      name: chain.user,
      roles: ['tester'],
      motto: 'Grüße, 世界 🌍',
      ...(chain.jkt && { cnf: { jkt: chain.jkt } }),
    };
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    return `${part({ alg: 'none', typ: 'at+jwt' })}.${part(claims)}.${part({})}`;
  }

  /** What an API answers that takes access tokens. */
  resource(request: Request, jkt?: string): Response {
    const [scheme, token] = request.headers.get('authorization')?.split(' ') ?? [];
    if (!token) return problem(401, 'missing_access_token');
    this.bearers.push(token);
    if (this.gateway) return this.gateway.clone();
    const { sid, jti } = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString());
    const chain = this.chains.find((one) => one.id === sid)!;
    if (scheme !== (chain.jkt ? 'DPoP' : 'Bearer')) return problem(401, 'invalid_access_token');
    if (chain.jkt && chain.jkt !== jkt) return problem(401, 'invalid_dpop_proof');
    if (chain.ended) return problem(401, 'session_ended');
    if (jti === `access-${chain.generation}`) return Response.json({ users: [] });
    return problem(401, 'expired_access_token', { 'is-token-expired': 'true' });
  }
}

/** A refresh token of version 1: ids of user and session, the generation, a secret and a tag. */
export function refreshToken(sessionId: string, generation: number): string {
  const bytes = Buffer.alloc(84);
  bytes.write(sessionId, 16);
  bytes.writeUInt32BE(generation, 32);
  return `rt1_${bytes.toString('base64url')}`;
}

/** Which session a refresh token is of, and which generation it is. */
export function contentOf(token: string): { id: string; generation: number } {
  const bytes = Buffer.from(token.slice(4), 'base64url');
  if (bytes.length !== 84) return { id: '', generation: 0 };
  return { id: bytes.toString('utf8', 16, 26), generation: bytes.readUInt32BE(32) };
}

export function problem(status: number, code: string, headers: Record<string, string> = {}, more: object = {}): Response {
  return Response.json(
    { type: `urn:ratchet:problem:${code}`, title: `The problem is ${code}.`, status, code, ...more },
    { status, headers: { 'content-type': 'application/problem+json', ...headers } },
  );
}
