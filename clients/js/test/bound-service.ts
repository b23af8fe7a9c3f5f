// The service over HTTP, with sessions that are bound to keys. Proofs are verified by jose, which shares
// no code with this client.

import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { calculateJwkThumbprint, EmbeddedJWK, jwtVerify } from 'jose';

import { Proofs } from './proofs.js';
import { problem, Service, TOKEN_ROUTES } from './service.js';

/** A request as it came over the wire. */
export interface Seen {
  readonly request: string;
  readonly scheme: string | undefined;
  readonly proof: Record<string, unknown> | undefined;
  readonly body: string;
}

export class BoundService {
  readonly rules = new Service();
  readonly proofs = new Proofs();
  readonly seen: Seen[] = [];
  /** Binds no session, like a service without DPoP. */
  isOld = false;
  /** Answers like another API: with a challenge, but without a `code`. */
  isApi = false;

  private constructor(private readonly server: Server) {
    server.on('request', async (message: IncomingMessage, response) => {
      const answer = await this.answer(await requestOf(message, this.url)).catch((error) => new Response(String(error), { status: 500 }));
      response.writeHead(answer.status, [...answer.headers].flat());
      response.end(Buffer.from(await answer.arrayBuffer()));
    });
  }

  static async start(): Promise<BoundService> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new BoundService(server);
  }

  get url() {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Requests in short, and whether they carried a proof with a nonce. */
  get log() {
    return this.seen.map(({ request, proof }) => `${request}${proof ? (proof.nonce ? ' nonce' : ' proof') : ''}`);
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }

  private async answer(request: Request): Promise<Response> {
    const path = new URL(request.url).pathname.replace(/^\/base/, '');
    const isTokenRoute = TOKEN_ROUTES.includes(path);
    const [scheme, token] = request.headers.get('authorization')?.split(' ') ?? [];
    const jwt = request.headers.get('dpop');
    const body = await request.text();
    const proof = jwt === null ? undefined : await proofOf(jwt);
    this.seen.push({ request: `${request.method} ${path}`, scheme, proof: proof?.claims, body });
    let refusal: string | undefined;
    if (proof && !this.isOld) refusal = this.proofs.refusalOf(proof.claims, request, isTokenRoute ? undefined : token);
    const jkt = this.isOld ? undefined : proof?.jkt;
    const answer = refusal
      ? this.refuse(isTokenRoute ? 400 : 401, refusal)
      : !token && path !== '/users'
        ? this.rules.answer(path, JSON.parse(body || '{}'), jkt)
        : path === '/users/me/step-up'
          ? await this.rules.stepUp(new Request(request, { method: 'POST', body }), jkt)
          : this.rules.resource(request, jkt);
    if (proof && !this.isOld) {
      for (const [name, value] of Object.entries(this.proofs.headers())) answer.headers.set(name, value);
    }
    return answer;
  }

  private refuse(status: number, code: string): Response {
    const headers = { 'www-authenticate': `DPoP error="${code}", algs="ES256"` };
    return this.isApi ? new Response('no', { status, headers }) : problem(status, code, status === 401 ? headers : {});
  }
}

/** The claims of a proof, and the thumbprint of its key. Rejects if the proof is not valid. */
async function proofOf(jwt: string) {
  const { payload, protectedHeader } = await jwtVerify(jwt, EmbeddedJWK, {
    typ: 'dpop+jwt',
    algorithms: ['ES256'],
    // The claims, and the time by the service's own clock, are for `Proofs`.
    requiredClaims: ['jti', 'htm', 'htu', 'iat'],
  });
  const jkt = await calculateJwkThumbprint(protectedHeader.jwk!);
  if (Object.keys(protectedHeader).sort().join() !== 'alg,jwk,typ') throw new Error('other headers');
  if (Object.keys(protectedHeader.jwk!).sort().join() !== 'crv,kty,x,y') throw new Error('other members of the key');
  return { claims: payload as Record<string, unknown>, jkt };
}

async function requestOf(message: IncomingMessage, base: string): Promise<Request> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk);
  const { method = '', url, headers } = message;
  const body = method === 'GET' ? {} : { body: Buffer.concat(chunks) };
  return new Request(base + url, { method, headers: headers as Record<string, string>, ...body });
}
