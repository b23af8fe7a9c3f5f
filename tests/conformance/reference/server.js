// A small server that rotates refresh tokens, with switches that break it: what the checks are
// tested with. Without a switch every promise holds. It keeps everything in memory and in the
// clear, and is for nothing else.

import {
  createHash,
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  randomUUID,
  sign,
  verify,
} from 'node:crypto';
import { createServer } from 'node:http';

import { decode, encode } from '../lib/jwt.js';
import { sleep } from '../lib/process.js';

/** How the server can be broken. Each switch is one mistake that servers really make. */
export const DEFECTS = {
  'read then write': 'rotation reads the session and writes it later: parallel uses fork',
  strict: 'every reuse ends the session, a retry too',
  'losers refused': 'of parallel uses all but one are refused, without consequences',
  'grace for ever': 'every superseded token leads to a new one, at any time',
  'no reuse detection': 'a superseded token is refused, and the session lives on',
  'reuse ends all sessions': 'reuse in one session ends all of the user',
  'no rotation': 'refreshing returns the same token for ever',
  'no late limit': 'an unused successor is returned again without a bound',
  'access tokens outlive sessions': 'the resource does not ask whether the session lives',
  'revocation races': 'a refresh in flight outlives a revocation',
  'revoked parent spares child': 'revoking a superseded token does nothing',
  'revocation does nothing': 'revoking answers 200 and does nothing',
  'unknown revocation refused': 'revoking an unknown token is an error',
  'everywhere ends one': 'logging out everywhere ends one session',
  'password ends nothing': 'a change of the password ends no session',
  'no idle end': 'an unused session never ends',
  'idle end does not slide': 'refreshing does not move the idle end',
  'no absolute end': 'a session that is used never ends',
  'late expiry': 'sessions and access tokens end a minute late',
  'lenient tokens': 'a refresh token is found by its first half',
  'guessing ends sessions': 'a token with a wrong secret ends its session',
  'forged tokens reach the store': 'the store is asked before the token is checked',
  'clients not told apart': 'any client may use a refresh token',
  'cacheable answers': 'no `Cache-Control`',
  'wrong errors': 'refusals are 401 with a code of its own',
  'refresh by GET': 'the token endpoint reads the query of a GET',
  'token in the query': 'the token endpoint reads the query of a POST',
  'no challenge': '401 without `WWW-Authenticate`',
  'access token in the query': 'the resource reads the query',
  'alg none': 'access tokens without a signature are taken',
  'signature not checked': 'access tokens are not verified',
  'hmac confusion': 'the header chooses the algorithm',
  'any token opens': 'a refresh token opens the resource',
  untyped: 'access tokens have no `typ`',
  'dpop not checked': 'proofs are not looked at',
  'dpop theft ends session': 'a refresh without the proof ends the session',
  'keys forgotten': 'a key rotation drops the old keys at once',
  'writes behind': 'rotations are written to disk later',
  'crash after write is theft': 'a retry after a restart is taken for reuse',
  'wrong issuer': 'metadata names another issuer',
  'missing endpoint': 'metadata names an endpoint that is not there',
  'grant not named': 'metadata does not name the grant',
  'private keys published': 'the JWK Set has private members',
};

const IDLE = 4 * 3600;
const ABSOLUTE = 20 * 3600;
const ACCESS = 300;
const LATE = 3;
const clone = (value) => structuredClone(value);

export class ReferenceServer {
  #defects;
  #server;
  #sessions = new Map();
  #disk = new Map();
  #keys = [];
  #moved = 0;
  #epoch = 0;
  #secret = randomBytes(32);
  storeCalls = 0;

  constructor(defects = []) {
    for (const defect of defects) if (!(defect in DEFECTS)) throw new Error(`no defect '${defect}'`);
    this.#defects = new Set(defects);
    this.rotateKeys();
  }

  async listen(port = 0) {
    this.#server = createServer((request, response) =>
      this.#answer(request, response).catch((error) => {
        response.writeHead(500, { 'content-type': 'text/plain' });
        response.end(error.stack);
      }),
    );
    await new Promise((resolve) => this.#server.listen(port, '127.0.0.1', 1024, resolve));
    this.port = this.#server.address().port;
    this.url = `http://127.0.0.1:${this.port}`;
  }

  async close() {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #is(defect) {
    return this.#defects.has(defect);
  }

  #now() {
    return Date.now() / 1000 + this.#moved;
  }

  passTime(seconds) {
    this.#moved += seconds;
  }

  rotateKeys() {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const key = { kid: randomUUID(), publicKey, privateKey };
    this.#keys = this.#is('keys forgotten') ? [key] : [key, ...this.#keys];
  }

  /** What a crash leaves: the disk. */
  async crash() {
    await this.close();
    this.#epoch += 1;
    this.#sessions = clone(this.#disk);
    for (const session of this.#sessions.values()) Object.assign(session, { restarted: true, epoch: this.#epoch });
  }

  restart() {
    return this.listen(this.port);
  }

  signIn({ user = randomUUID(), client = 'one', jkt } = {}) {
    const now = this.#now();
    const session = {
      id: randomUUID(),
      user,
      client,
      jkt,
      epoch: this.#epoch,
      generation: 0,
      began: now,
      used: now,
      superseded: [],
      late: [],
      over: false,
    };
    session.live = this.#token(session);
    this.#write(session);
    return this.#grant(session, session.live);
  }

  endEverywhere(user) {
    const sessions = [...this.#sessions.values()].filter((session) => session.user === user);
    for (const session of this.#is('everywhere ends one') ? sessions.slice(0, 1) : sessions) this.#end(session);
  }

  changePassword(user) {
    if (!this.#is('password ends nothing'))
      for (const session of this.#sessions.values()) if (session.user === user) this.#end(session);
  }

  // The store: a call takes a while, as calls do.
  async #read(id) {
    this.storeCalls += 1;
    await sleep(2);
    return this.#sessions.get(id);
  }

  #write(session) {
    // A handler that the crash has interrupted writes nothing any more.
    if (session.epoch !== this.#epoch) return;
    this.#sessions.set(session.id, session);
    if (!this.#is('writes behind') || session.generation === 0) this.#disk.set(session.id, clone(session));
  }

  #end(session) {
    session.over = true;
    this.#write(session);
  }

  // `<session>.<secret>.<tag>`: the tag tells a genuine token from a forged one without the store.
  #token(session) {
    const body = `${session.id}.${randomBytes(24).toString('base64url')}`;
    return `${body}.${this.#tag(body)}`;
  }

  #tag(body) {
    return createHmac('sha256', this.#secret).update(body).digest('base64url');
  }

  #genuine(token) {
    const at = token.lastIndexOf('.');
    return at > 0 && this.#tag(token.slice(0, at)) === token.slice(at + 1);
  }

  #grant(session, refreshToken) {
    const now = Math.floor(this.#now());
    const [key] = this.#keys;
    const header = { alg: 'ES256', kid: key.kid, ...(!this.#is('untyped') && { typ: 'at+jwt' }) };
    const claims = {
      iss: this.url,
      aud: 'api',
      sub: session.user,
      sid: session.id,
      iat: now,
      exp: now + ACCESS,
      jti: randomUUID(),
      ...(session.jkt && { cnf: { jkt: session.jkt } }),
    };
    const input = `${encode(header)}.${encode(claims)}`;
    const signature = sign('sha256', Buffer.from(input), { key: key.privateKey, dsaEncoding: 'ieee-p1363' }).toString(
      'base64url',
    );
    return {
      access_token: `${input}.${signature}`,
      token_type: session.jkt ? 'DPoP' : 'Bearer',
      expires_in: ACCESS,
      refresh_token: refreshToken,
    };
  }

  /** The decision: the next tokens, or `undefined` for a refusal. */
  async #refresh(token, client, proven) {
    const forged = !this.#genuine(token);
    const id = token.split('.')[0];
    if (
      forged &&
      !this.#is('forged tokens reach the store') &&
      !this.#is('lenient tokens') &&
      !this.#is('guessing ends sessions')
    )
      return undefined;
    const session = await this.#read(id);
    if (!session) return undefined;
    if (forged) {
      if (this.#is('guessing ends sessions')) this.#end(session);
      if (!this.#is('lenient tokens') || !token.startsWith(session.live.slice(0, 40))) return undefined;
      token = session.live;
    }
    if (session.client !== client && !this.#is('clients not told apart')) return undefined;
    if (session.jkt && !this.#is('dpop not checked') && session.jkt !== proven) {
      if (this.#is('dpop theft ends session')) this.#end(session);
      return undefined;
    }
    if (this.#is('revocation races')) {
      const wasOver = session.over;
      await sleep(8);
      if (!wasOver) session.over = false;
    }
    if (session.over || this.#expired(session)) return undefined;
    if (!this.#is('idle end does not slide')) session.used = this.#now();
    if (this.#is('no rotation')) {
      this.#write(session);
      return this.#grant(session, session.live);
    }
    if (this.#is('read then write')) return this.#fork(session, token);
    if (token === session.live) return this.#rotate(session);
    return this.#reuse(session, token);
  }

  async #rotate(session) {
    session.superseded.unshift(session.live);
    session.live = this.#token(session);
    session.generation += 1;
    session.restarted = false;
    this.#write(session);
    const grant = this.#grant(session, session.live);
    // Written, but not answered yet.
    await sleep(4);
    return grant;
  }

  /** The same in two steps, with a record for each token: all who read before the first one writes get one. */
  async #fork(session, token) {
    session.branches ??= new Set([session.live]);
    if (!session.branches.has(token)) return undefined;
    await sleep(2);
    session.branches.delete(token);
    const next = this.#token(session);
    session.branches.add(next);
    return this.#grant(session, next);
  }

  #reuse(session, token) {
    if (this.#is('grace for ever')) {
      session.superseded.unshift(token);
      return this.#rotate(session);
    }
    if (this.#is('losers refused') || this.#is('no reuse detection')) return undefined;
    // Of a generation that the store has forgotten: not a theft.
    if (!session.superseded.includes(token)) return undefined;
    const parent = session.superseded[0] === token;
    const crashed = this.#is('crash after write is theft') && session.restarted;
    if (parent && !this.#is('strict') && !crashed) {
      // The successor was not used: this is its owner, who lost the answer. Allowed a limited
      // number of times.
      const recent = session.late.filter((generation) => generation > session.generation - 8);
      const again = recent.includes(session.generation);
      if (again || recent.length < LATE || this.#is('no late limit')) {
        if (!again) session.late = [...recent, session.generation];
        this.#write(session);
        return this.#grant(session, session.live);
      }
    }
    this.#end(session);
    if (this.#is('reuse ends all sessions')) this.endEverywhere(session.user);
    return undefined;
  }

  #expired(session) {
    const late = this.#is('late expiry') ? 60 : 0;
    const now = this.#now() - late;
    return (
      (!this.#is('no idle end') && now >= session.used + IDLE) ||
      (!this.#is('no absolute end') && now >= session.began + ABSOLUTE)
    );
  }

  // --- HTTP ---

  async #answer(request, response) {
    const url = new URL(request.url, this.url);
    let body = '';
    for await (const chunk of request) body += chunk;
    const reply = (status, value, headers = {}) => {
      response.writeHead(status, { 'content-type': 'application/json', connection: 'close', ...headers });
      response.end(JSON.stringify(value));
    };
    const endpoint = `${request.method} ${url.pathname}`;
    const fields = new URLSearchParams(body);
    if (this.#is('token in the query')) for (const [name, value] of url.searchParams) fields.set(name, value);
    switch (endpoint) {
      case 'GET /token':
        if (!this.#is('refresh by GET')) return reply(405, { error: 'invalid_request' }, { allow: 'POST' });
        return this.#tokenEndpoint(url.searchParams, request, reply);
      case 'POST /token':
        return this.#tokenEndpoint(fields, request, reply);
      case 'POST /revoke':
        return this.#revokeEndpoint(fields, reply);
      case 'POST /introspect': {
        const token = fields.get('token') ?? '';
        const session = this.#sessions.get(token.split('.')[0]);
        const known =
          session &&
          (session.live === token ||
            session.branches?.has(token) ||
            (this.#is('grace for ever') && session.superseded.includes(token)));
        return reply(200, { active: Boolean(known && !session.over && !this.#expired(session)) });
      }
      case 'GET /resource':
        return this.#resource(request, url, reply);
      case 'GET /jwks':
        return reply(200, {
          keys: this.#keys.map(({ kid, publicKey, privateKey }) => ({
            ...(this.#is('private keys published') ? privateKey : publicKey).export({ format: 'jwk' }),
            kid,
            alg: 'ES256',
            use: 'sig',
          })),
        });
      case 'GET /.well-known/oauth-authorization-server':
        return reply(200, {
          issuer: this.#is('wrong issuer') ? `${this.url}/else` : this.url,
          token_endpoint: `${this.url}/token`,
          revocation_endpoint: `${this.url}/revoke`,
          jwks_uri: `${this.url}/jwks`,
          ...(this.#is('missing endpoint') && { introspection_endpoint: `${this.url}/nothing` }),
          response_types_supported: ['none'],
          ...(!this.#is('grant not named') && { grant_types_supported: ['refresh_token'] }),
        });
      default:
        return reply(url.pathname === '/token' || url.pathname === '/revoke' ? 405 : 404, { error: 'invalid_request' });
    }
  }

  async #tokenEndpoint(fields, request, reply) {
    const token = fields.get('refresh_token');
    if (fields.get('grant_type') !== 'refresh_token' || !token) return reply(400, { error: 'invalid_request' });
    const proven = this.#proven(request, `${this.url}/token`);
    const grant = await this.#refresh(token, fields.get('client_id'), proven);
    if (!grant) return this.#is('wrong errors') ? reply(401, { code: 'nope' }) : reply(400, { error: 'invalid_grant' });
    return reply(200, grant, this.#is('cacheable answers') ? {} : { 'cache-control': 'no-store' });
  }

  async #revokeEndpoint(fields, reply) {
    const token = fields.get('token') ?? '';
    const session = this.#genuine(token) ? this.#sessions.get(token.split('.')[0]) : undefined;
    if (!session && this.#is('unknown revocation refused')) return reply(400, { error: 'invalid_request' });
    const spared = this.#is('revoked parent spares child') && session?.live !== token;
    if (session && !spared && !this.#is('revocation does nothing')) this.#end(session);
    return reply(200, {});
  }

  /** The thumbprint of the key of a valid proof for this request. */
  #proven(request, url, accessToken) {
    const jwt = decode(request.headers.dpop);
    const { header, claims, parts } = jwt ?? {};
    if (header?.typ !== 'dpop+jwt' || header.alg !== 'ES256' || header.jwk?.d) return undefined;
    const key = createPublicKey({ key: header.jwk, format: 'jwk' });
    if (
      !verify(
        'sha256',
        Buffer.from(`${parts[0]}.${parts[1]}`),
        { key, dsaEncoding: 'ieee-p1363' },
        Buffer.from(parts[2], 'base64url'),
      )
    )
      return undefined;
    if (claims.htm !== request.method || claims.htu !== url || Math.abs(claims.iat - Date.now() / 1000) > 60)
      return undefined;
    if (accessToken && claims.ath !== createHash('sha256').update(accessToken).digest('base64url')) return undefined;
    return thumbprint(header.jwk);
  }

  #resource(request, url, reply) {
    const [scheme, given] = (request.headers.authorization ?? '').split(' ');
    const token = given ?? (this.#is('access token in the query') ? url.searchParams.get('access_token') : undefined);
    const session = token && this.#opened(token, scheme, request);
    if (session) return reply(200, { sub: session.user });
    return reply(
      401,
      { error: 'invalid_token' },
      this.#is('no challenge') ? {} : { 'www-authenticate': 'Bearer error="invalid_token"' },
    );
  }

  #opened(token, scheme, request) {
    if (this.#is('any token opens') && this.#genuine(token)) return this.#sessions.get(token.split('.')[0]);
    const jwt = decode(token);
    if (!jwt) return undefined;
    const { header, claims } = jwt;
    const session = this.#sessions.get(claims.sid);
    if (!session || !this.#signed(jwt, header)) return undefined;
    if (this.#now() - (this.#is('late expiry') ? 60 : 0) >= claims.exp) return undefined;
    if (session.over && !this.#is('access tokens outlive sessions')) return undefined;
    const bound = claims.cnf?.jkt;
    if (
      bound &&
      !this.#is('dpop not checked') &&
      (scheme !== 'DPoP' || this.#proven(request, `${this.url}/resource`, token) !== bound)
    )
      return undefined;
    return session;
  }

  #signed({ parts }, header) {
    if (this.#is('signature not checked')) return true;
    if (this.#is('alg none') && /^none$/i.test(header.alg)) return true;
    const key = this.#keys.find(({ kid }) => kid === header.kid);
    if (!key) return false;
    const input = `${parts[0]}.${parts[1]}`;
    if (header.alg === 'HS256' && this.#is('hmac confusion')) {
      const pem = key.publicKey.export({ type: 'spki', format: 'pem' });
      return createHmac('sha256', pem).update(input).digest('base64url') === parts[2];
    }
    return (
      header.alg === 'ES256' &&
      verify(
        'sha256',
        Buffer.from(input),
        { key: key.publicKey, dsaEncoding: 'ieee-p1363' },
        Buffer.from(parts[2], 'base64url'),
      )
    );
  }
}

/** RFC 7638. */
export function thumbprint({ crv, kty, x, y }) {
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
}

export const LIFETIMES = { idle: IDLE, absolute: ABSOLUTE };
