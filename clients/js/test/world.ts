// What the tests of a client share: tabs of a browser, and time that passes where a test says so.

import { afterEach, beforeEach, vi } from 'vitest';

import { createClient, type Client, type ClientEvent, type Options, type Session } from '../src/index.js';
import { contentOf, Service } from './service.js';

export let service: Service;
const closing: { close(): void }[] = [];
let number = 0;

beforeEach(() => {
  service = new Service();
  number += 1;
  vi.useFakeTimers({ shouldAdvanceTime: true, advanceTimeDelta: 5 });
});

afterEach(() => {
  for (const one of closing.splice(0)) one.close();
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

/** The base URL of the test's service. */
export const baseUrl = () => `https://auth-${number}.example`;

/** Ends something after the test. */
export function ending<T extends { close(): void }>(one: T): T {
  closing.push(one);
  return one;
}

/** A client as on a server: alone. */
export function client(options: Partial<Options> = {}): Client {
  return ending(createClient({ baseUrl: baseUrl(), mode: 'token', fetch: service.fetch, ...options }));
}

/** The globals of a page, as far as a client uses them and Node has none. */
export function inPage(globals: Record<string, unknown> = {}) {
  vi.stubGlobal('document', {});
  vi.stubGlobal('navigator', {});
  for (const [name, value] of Object.entries(globals)) vi.stubGlobal(name, value);
}

/** A tab; tabs of one test share a browser. */
export function tab(options: Partial<Options> = {}): Client {
  inPage();
  return client(options);
}

export async function signedIn(options: Partial<Options> = {}, name = 'ada'): Promise<Client> {
  const one = client(options);
  await one.signIn({ name, password: 'right' });
  service.requests = [];
  return one;
}

/** A tab in which somebody is signed in. */
export async function signedInTab(options: Partial<Options> = {}): Promise<Client> {
  inPage();
  return signedIn(options);
}

/** The name that the service gave an access token. */
export const named = (session: Session | null | undefined) => session?.claims.jti;

/** Which generations of their session some refresh tokens are. */
export const generations = (tokens: (string | null)[]) => tokens.map((token) => token && contentOf(token).generation);

/** What a client reports, in short. */
export function report(one: Client): string[] {
  const heard: string[] = [];
  one.subscribe((event) => heard.push(inShort(event)));
  return heard;
}

function inShort(event: ClientEvent): string {
  const { type, userId = 'nobody' } = event;
  const what = type === 'signed_out' ? event.reason : named(event.session);
  const before = type === 'user_changed' ? `, before ${event.previousUserId}` : '';
  return `${type} ${userId.replace('id of ', '')} ${what}${before}`.trim().replace('id of ', '');
}

/** Keeps what it is given, and remembers all of it. */
export function shelf(...kept: (string | null)[]) {
  return { kept, get: () => kept.at(-1), set: (token: string | null) => void kept.push(token) };
}

/** A service whose answers wait until they are let go. */
export function held() {
  let go = () => {};
  let gate = Promise.resolve();
  const hold = () => (gate = new Promise((resolve) => (go = resolve)));
  const request: typeof fetch = async (input, init) => {
    const response = await service.fetch(input, init);
    await gate;
    return response;
  };
  return { fetch: request, hold, go: () => go() };
}

/** Waits for what another tab or the service does in real time. */
export const soon = (holds: () => void) => vi.waitFor(holds, { timeout: 30_000 });

/** Lets time pass for everything that waits for it. */
export const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

/** From now on time passes only where a test says so. */
export function onlyPass() {
  vi.useRealTimers();
  vi.useFakeTimers();
}

/** Lets time pass until a promise has settled. */
export async function afterPassing<T>(ms: number, promise: Promise<T>): Promise<T> {
  const settled = promise.catch(() => {});
  await pass(ms);
  await settled;
  return promise;
}
