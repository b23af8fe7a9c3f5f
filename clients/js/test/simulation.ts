// A browser with several tabs, its network, and the service, in time that passes only here. Whatever
// goes wrong comes from a list of numbers, so that a failure can be repeated and made smaller.

import { createHash, generateKeyPairSync, randomUUID, sign, verify, type JsonWebKey, type KeyObject } from 'node:crypto';

import { vi } from 'vitest';

import type { dpop } from '../src/dpop.js';
import type { Channel, Client, ClientEvent, createClient, Locks, Options, RatchetError, Session } from '../src/index.js';
import type { isSecondFactorRequired, secondFactor } from '../src/second-factor.js';
import { Proofs } from './proofs.js';
import { problem, Service } from './service.js';
import { VirtualTime } from './virtual-time.js';

/** How the tabs of a browser keep and share a session. */
export interface Setting {
  readonly mode: 'cookie' | 'token';
  readonly storage: boolean;
  readonly locks: boolean;
  readonly channel: boolean;
  /** Sessions are bound to a key that the tabs share. */
  readonly dpop?: boolean;
  /** Sign-ins need a second factor. */
  readonly secondFactor?: boolean;
}

/** The client under test. */
export interface Library {
  readonly createClient: typeof createClient;
  readonly dpop: typeof dpop;
  readonly isSecondFactorRequired: typeof isSecondFactorRequired;
  readonly secondFactor: typeof secondFactor;
}

/** What somebody does, or what happens to them. */
export type Step =
  | { readonly does: 'signIn'; readonly tab: number; readonly user: string }
  | { readonly does: 'signOut' | 'refresh' | 'fetch' | 'getAccessToken' | 'reload'; readonly tab: number }
  | { readonly does: 'network'; readonly is: Network }
  | { readonly does: 'storage'; readonly is: 'fine' | 'forgetful' | 'hung' | 'blocked' }
  | { readonly does: 'proofs'; readonly are: 'fine' | 'refused' }
  | { readonly does: 'clock'; readonly ahead: number }
  | { readonly does: 'wait'; readonly seconds: number }
  | { readonly does: 'lock is never given back' | 'session is revoked' };

export type Network = 'fine' | 'down' | 'lossy' | 'silent' | 'HTML' | 'gateway';

const TABS = 3;
/** How long something takes, in ms; the first ones are the rule. */
const DELAYS = [0, 1, 3, 10, 30, 100, 500, 2_000, 6_000, 9_000, 12_000];

export class Violation extends Error {}

interface Tab {
  client: Client;
  /** The session that it showed last, if any. */
  sid?: string | undefined;
  user?: string | undefined;
  /** The sessions whose end it showed. */
  readonly over: Set<string>;
}

export class Simulation {
  private readonly time = new VirtualTime(1_800_000_000_000);
  private readonly service = new Service();
  private readonly tabs: Tab[] = [];
  private readonly listeners = new Set<SimulatedChannel>();
  private network: Network = 'fine';
  private storageIs: 'fine' | 'forgetful' | 'hung' | 'blocked' = 'fine';
  private stored: string | null = null;
  private cookie = '';
  private lockQueue: Promise<unknown> = Promise.resolve();
  private drawn = 0;
  private signOuts = 0;
  /** The sessions in the order in which sign-ins were answered. */
  private readonly signedIn: string[] = [];
  private isLocked = false;
  private readonly pending = new Set<string>();
  private violation: Violation | undefined;
  private readonly proofs = new Proofs();
  /** Since when proofs have been right, in ms. */
  private proofsSince = 0;

  constructor(
    private readonly library: Library,
    private readonly setting: Setting,
    private readonly chances: readonly number[],
  ) {
    vi.spyOn(Math, 'random').mockImplementation(() => this.draw(10) / 10);
    vi.stubGlobal('crypto', CRYPTO);
    if (setting.secondFactor) this.service.secondFactor = 'required';
    for (let tab = 0; tab < TABS; tab += 1) this.open(tab);
  }

  /** Takes the steps one after the other, then lets everything come to rest and looks at it. */
  async run(steps: readonly Step[]): Promise<void> {
    try {
      for (const [number, step] of steps.entries()) {
        await this.pass(this.take(step, number) + DELAYS[this.draw(8)]!);
      }
      await this.rest();
    } finally {
      for (const { client } of this.tabs) client.close();
      this.time.end();
    }
  }

  private draw(below: number): number {
    const chance = this.chances[this.drawn % this.chances.length] ?? 0;
    this.drawn += 1;
    return chance % below;
  }

  private async pass(ms: number) {
    await this.time.pass(ms);
    if (this.violation) throw this.violation;
  }

  private violated(text: string) {
    this.violation ??= new Violation(text);
  }

  /** Begins a step, and says how long it takes at least, in ms. */
  private take(step: Step, number: number): number {
    const tab = 'tab' in step ? this.tabs[step.tab]! : this.tabs[0]!;
    const work = this.begin(step, tab);
    if (work) {
      const name = `${number}: ${JSON.stringify(step)}`;
      this.pending.add(name);
      work.catch((error) => this.judge(name, error)).finally(() => this.pending.delete(name));
    }
    return step.does === 'wait' ? step.seconds * 1000 : 0;
  }

  /** A client with the key has its proofs accepted, after a repetition at most. */
  private judge(name: string, { code }: RatchetError) {
    const isUndisturbed = !this.proofs.areRefused && Date.now() - this.proofsSince > 60_000;
    if (/dpop/.test(code) && isUndisturbed) this.violated(`${name}: a proof was refused (${code})`);
  }

  private begin(step: Step, tab: Tab): Promise<unknown> | undefined {
    const { client, sid } = tab;
    switch (step.does) {
      case 'signIn':
        return this.signIn(client, step.user).then(({ user }) => {
          if (user.name !== step.user) this.violated(`signed ${user.name} in instead of ${step.user}`);
        });
      case 'signOut':
        this.signOuts += 1;
        return client.signOut().then(() => {
          const latest = this.service.chains.at(-1);
          if (sid && latest?.id === sid && !latest.ended && this.isOrdered()) this.violated(`${sid} was signed out, but goes on`);
        });
      case 'refresh':
        return client.refresh();
      case 'getAccessToken':
        return client.getAccessToken();
      case 'fetch': {
        const owner = client.session?.user.name;
        return client.fetch('/users', owner ? { headers: { 'x-owner': owner } } : {});
      }
      case 'reload':
        client.close();
        this.open(step.tab);
        return undefined;
      case 'network':
        this.network = step.is;
        return undefined;
      case 'storage':
        // Programs that neither hear each other nor share a storage cannot share a session.
        if (this.setting.channel) this.storageIs = step.is;
        return undefined;
      case 'lock is never given back':
        this.lockQueue = new Promise(() => {});
        this.isLocked = true;
        return undefined;
      case 'session is revoked':
        if (this.service.chains.length) this.service.latest.ended ??= 'revoked';
        return undefined;
      case 'proofs':
        this.proofs.areRefused = step.are === 'refused';
        this.proofsSince = Date.now();
        return undefined;
      case 'clock':
        this.proofs.ahead = step.ahead * 1000;
        this.proofsSince = Date.now();
        return undefined;
      case 'wait':
        return undefined;
    }
  }

  /** With a code, if the service asks for one. */
  private async signIn(client: Client, name: string): Promise<Session> {
    const { isSecondFactorRequired, secondFactor } = this.library;
    return client.signIn({ name, password: 'right' }).catch(async (error) => {
      if (!isSecondFactorRequired(error)) throw error;
      const { session } = await secondFactor(client).signIn({ name, challenge: error.challenge, code: '123456' });
      return session;
    });
  }

  private open(number: number) {
    const { mode, storage, locks, channel, dpop } = this.setting;
    const options: Options = {
      baseUrl: 'https://auth.example.com',
      mode,
      patience: 5_000,
      fetch: (input, init) => this.fetch(input, init),
      channel: channel ? new SimulatedChannel(this.listeners, () => this.draw(6) * 10) : null,
      locks: locks ? this.locks : null,
      ...(dpop && { dpop: this.library.dpop() }),
      ...(storage && { storage: { get: () => this.read(), set: (token) => this.write(token) } }),
    };
    const client = this.library.createClient(options);
    const tab: Tab = { client, over: new Set() };
    this.tabs[number] = tab;
    client.subscribe((event) => this.observe(number, tab, event));
    void client.resume().catch((error) => this.judge(`tab ${number} resumes`, error));
  }

  private observe(number: number, tab: Tab, event: ClientEvent) {
    const says = `tab ${number} (${tab.user ?? 'nobody'}, ${tab.sid}) says ${event.type} of ${event.userId}`;
    const user = tab.user && `id of ${tab.user}`;
    const sid = event.session?.claims.sid;
    if (event.type === 'signed_out') {
      if (event.userId !== user) this.violated(says);
      if (tab.sid) {
        tab.over.add(tab.sid);
        this.justify(says, tab.sid, event.reason);
      }
    } else {
      const legal = {
        signed_in: !user || (event.userId === user && sid !== tab.sid),
        refreshed: event.userId === user && sid === tab.sid,
        user_changed: event.type === 'user_changed' && user === event.previousUserId && event.userId !== user,
      };
      if (!legal[event.type]) this.violated(says);
      if (event.session.user.id !== event.userId) this.violated(`${says}, but it is another session`);
      if (tab.over.has(sid!)) this.violated(`${says}: ${sid} is back, whose end it has shown`);
      const isOlder = tab.sid && sid! < tab.sid && this.signedIn.indexOf(sid!) < this.signedIn.indexOf(tab.sid);
      if (this.isOrdered() && isOlder) this.violated(`${says}: ${sid} is older`);
    }
    tab.sid = sid;
    tab.user = event.session?.user.name;
  }

  /** Where tabs do not take turns, a cookie that comes late may replace a newer one. */
  private isOrdered() {
    return this.setting.mode === 'token' || (this.setting.locks && !this.isLocked);
  }

  /** Users are only signed out if somebody signs out or the service says so. */
  private justify(says: string, sid: string, reason: string) {
    const chain = this.service.chains.find(({ id }) => id === sid);
    const isAsked = reason === 'signed_out' && this.signOuts > 0;
    const isGone = this.setting.mode === 'cookie' && reason === 'missing_refresh_token' && this.signOuts > 0;
    const isOfAnother = !this.isOrdered() && /missing|revoked/.test(reason);
    if (chain?.ended !== reason && !isAsked && !isGone && !isOfAnother) this.violated(`${says} (${reason})`);
  }

  private readonly locks: Locks = {
    request: (_name, work) => {
      // All calls have ended.
      const late = setTimeout(() => (this.isLocked = true), 5_000);
      const turn = this.lockQueue.then(() => {
        clearTimeout(late);
        return work();
      });
      this.lockQueue = turn.catch(() => {});
      return turn;
    },
  };

  private async read(): Promise<string | null> {
    await this.touch();
    return this.stored;
  }

  private async write(token: string | null): Promise<void> {
    await this.touch();
    if (this.storageIs === 'forgetful') throw new Error('full');
    this.stored = token;
  }

  private async touch() {
    if (this.storageIs === 'blocked') throw new DOMException('blocked', 'SecurityError');
    if (this.storageIs === 'hung') await new Promise(() => {});
    await sleep(this.draw(3) * 5);
  }

  private async fetch(input: RequestInfo | URL, init: RequestInit | undefined): Promise<Response> {
    const request = new Request(input, init);
    const path = new URL(request.url).pathname;
    const isResource = path === '/users';
    const isSignIn = path.startsWith('/authenticate');
    const { cookie } = this;
    await this.travel(request);
    if (this.network === 'down' || (this.network === 'silent' && isResource)) throw new TypeError('network');
    if (this.network === 'silent') await new Promise((_, reject) => request.signal.addEventListener('abort', reject));
    if (this.network === 'HTML') return new Response('<h1>Welcome to our Wi-Fi</h1>', { status: 403 });
    if (this.network === 'gateway' && !isSignIn) return new Response('{}', { status: 401 });
    const jkt = this.prove(request, isResource);
    if (isResource) {
      this.inspect(request);
      const answer = jkt instanceof Response ? jkt : this.service.resource(request, jkt);
      this.label(request, answer);
      await this.travel(request);
      return answer;
    }
    const body = (await request.json()) as Record<string, string>;
    const isCookie = this.setting.mode === 'cookie';
    if (isCookie && !isSignIn) body.cookie = cookie;
    const answer = jkt instanceof Response ? jkt : this.service.answer(path, body, jkt);
    this.label(request, answer);
    if (this.service.chains.some(({ ended }) => ended === 'reuse_detected')) this.violated('an old token was presented');
    const next = jkt instanceof Response ? undefined : this.service.setCookie;
    const { id } = this.service.chains.at(-1) ?? {};
    await this.travel(request);
    if (this.network === 'lossy' && this.draw(2)) throw new TypeError('network');
    if (isCookie && next !== undefined) this.cookie = next;
    if (isSignIn && answer.ok) this.signedIn.push(id!);
    return answer;
  }

  /** The thumbprint of the key that a request proves, or why its proof is refused. */
  private prove(request: Request, isResource: boolean): Response | string | undefined {
    const proof = request.headers.get('dpop');
    const token = isResource ? request.headers.get('authorization')?.split(' ')[1] : undefined;
    if (!proof) {
      if (this.setting.dpop && (!isResource || token)) this.violated(`a request without a proof: ${request.url}`);
      return undefined;
    }
    if (token && !request.headers.get('authorization')?.startsWith('DPoP ')) this.violated('a bound token as a bearer');
    const [header, claims, signature] = proof.split('.').map((part) => Buffer.from(part, 'base64url'));
    const { jwk } = JSON.parse(String(header)) as { jwk: JsonWebKey };
    const key = { key: jwk, format: 'jwk', dsaEncoding: 'ieee-p1363' } as const;
    const isSigned = verify('sha256', Buffer.from(proof.slice(0, proof.lastIndexOf('.'))), key, signature!);
    if (!isSigned) this.violated('a proof with a wrong signature');
    const refusal = this.proofs.refusalOf(JSON.parse(String(claims)), request, token);
    return refusal ? problem(isResource ? 401 : 400, refusal) : thumbprint(jwk);
  }

  /** Every answer to a proof carries the next nonce. */
  private label(request: Request, answer: Response) {
    if (!request.headers.has('dpop')) return;
    for (const [name, value] of Object.entries(this.proofs.headers())) answer.headers.set(name, value);
  }

  private async travel({ signal }: Request) {
    await sleep(DELAYS[this.draw(this.network === 'fine' ? 8 : DELAYS.length)]!);
    signal.throwIfAborted();
  }

  /** A request that was made for somebody carries no token of somebody else. */
  private inspect(request: Request) {
    const owner = request.headers.get('x-owner');
    const token = request.headers.get('authorization')?.split(' ')[1];
    if (!owner || !token) return;
    const { name } = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString());
    if (name !== owner) this.violated(`a request of ${owner} was sent as ${name}`);
  }

  /** The network works again. Requests that hang keep hanging, but must not block others. */
  private async rest() {
    this.network = 'fine';
    if (this.storageIs === 'blocked') this.storageIs = 'fine';
    if (this.proofsSince) {
      // A refresh whose proof was refused waits until somebody needs it.
      this.proofs.areRefused = false;
      this.proofsSince = Date.now();
      for (const { client } of this.tabs) void client.refresh().catch(() => {});
    }
    for (let minutes = 0; minutes < 15; minutes += 1) await this.pass(60_000);
    if (this.pending.size) throw new Violation(`never settled: ${[...this.pending].join('; ')}`);
    for (const [number, { client }] of this.tabs.entries()) {
      const { session, status } = client;
      const chain = this.service.chains.find(({ id }) => id === session?.claims.sid);
      const isUnreadable = this.setting.storage && this.storageIs === 'hung';
      if (status === 'unknown' && !isUnreadable) throw new Violation(`tab ${number} is ${status}`);
      if (chain?.ended) throw new Violation(`tab ${number} still shows ${chain.id}`);
      if (session && session.expiresAt <= Date.now()) throw new Violation(`tab ${number} stopped refreshing`);
    }
    const shown = new Set(this.tabs.map(({ client }) => client.session?.claims.sid));
    if (this.setting.channel && shown.size > 1) throw new Violation(`the tabs show ${[...shown].join(' and ')}`);
  }
}

const KEYS = generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** WebCrypto in this thread: the real one would take time outside the simulated clock. */
const CRYPTO = {
  randomUUID,
  subtle: {
    generateKey: async () => KEYS,
    exportKey: async (_format: string, key: KeyObject) => key.export({ format: 'jwk' }),
    digest: async (_algorithm: string, bytes: Uint8Array) => createHash('sha256').update(bytes).digest(),
    sign: async (_algorithm: object, key: KeyObject, bytes: Uint8Array) =>
      sign('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' }),
  },
};

const thumbprint = ({ crv, kty, x, y }: JsonWebKey) =>
  createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** A `BroadcastChannel` that takes its time, but keeps the order. */
class SimulatedChannel implements Channel {
  onmessage: ((event: MessageEvent) => void) | null = null;
  private arrival = 0;

  constructor(
    private readonly all: Set<SimulatedChannel>,
    private readonly delay: () => number,
  ) {
    all.add(this);
  }

  postMessage(message: unknown) {
    if (!this.all.has(this)) throw new DOMException('closed', 'InvalidStateError');
    this.arrival = Math.max(this.arrival, Date.now() + this.delay());
    for (const other of this.all) {
      if (other === this) continue;
      const data = structuredClone(message);
      setTimeout(() => this.all.has(other) && other.onmessage?.({ data } as MessageEvent), this.arrival - Date.now());
    }
  }

  close() {
    this.all.delete(this);
  }
}
