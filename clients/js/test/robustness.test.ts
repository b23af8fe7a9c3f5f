// What a browser, a phone, a proxy or an application can do to a client. None of it may hang it, or
// end a session.

import { describe, expect, it, vi } from 'vitest';

import { RatchetError } from '../src/index.js';
import { afterPassing, client, generations, inPage, named, onlyPass, pass, report, service, shelf, signedIn, signedInTab, soon, tab } from './world.js';

const never = () => new Promise<never>(() => {});
const blocked = () => {
  throw new DOMException('blocked', 'SecurityError');
};

describe('locks', () => {
  it('that are never released do not hang a client', async () => {
    onlyPass();
    const one = client({ locks: { request: never } });
    await afterPassing(6_000, one.signIn({ name: 'ada', password: 'right' }));
    expect(named(await afterPassing(6_000, one.refresh()))).toBe('access-1');
    await afterPassing(6_000, one.signOut());
    expect(one.status).toBe('signed_out');
  });

  it('that are granted late run nothing twice', async () => {
    onlyPass();
    const granted: (() => Promise<unknown>)[] = [];
    const locks = {
      request: <T>(_name: string, work: () => Promise<T>) => {
        granted.push(work);
        return never() as Promise<T>;
      },
    };
    const one = client({ locks });
    await afterPassing(6_000, one.signIn({ name: 'ada', password: 'right' }));
    expect(await granted[0]!()).toBe(one.session);
    expect(service.requests).toEqual(['/authenticate']);
  });

  it.each([
    ['throw', blocked],
    ['reject', async () => blocked()],
  ])('that %s a SecurityError are done without', async (_how, request) => {
    const one = await signedIn({ locks: { request } });
    expect(named(await one.refresh())).toBe('access-1');
  });

  it('leave an error of the work alone', async () => {
    const locks = { request: <T>(_name: string, work: () => Promise<T>) => work() };
    await expect(client({ locks }).signIn({ name: 'ada', password: 'x' })).rejects.toMatchObject({
      code: 'invalid_credentials',
    });
    expect(service.requests).toEqual(['/authenticate']);
  });
});

describe('a storage', () => {
  it('that never answers does not hang a client', async () => {
    onlyPass();
    const one = client({ storage: { get: never, set: never } });
    await afterPassing(3_000, one.signIn({ name: 'ada', password: 'right' }));
    expect(named(await afterPassing(6_000, one.refresh()))).toBe('access-1');
    expect(named(await afterPassing(6_000, one.refresh()))).toBe('access-2');
    await afterPassing(6_000, one.signOut());
    expect(generations(service.presented)).toEqual([0, 1, 2]);
  });

  it.each([
    ['throws', blocked],
    ['rejects', async () => blocked()],
  ])('that %s a SecurityError is done without', async (_how, fails) => {
    const one = await signedIn({ storage: { get: fails, set: fails } });
    for (const token of ['access-1', 'access-2']) expect(named(await one.refresh())).toBe(token);
    await one.signOut();
    expect(generations(service.presented)).toEqual([0, 1, 2]);
  });

  it('that cannot be read leaves open whether anybody is signed in', async () => {
    const one = client({ storage: { get: blocked, set: () => {} }, patience: 0 });
    await expect(one.refresh()).rejects.toBeInstanceOf(RatchetError);
    expect(await one.resume()).toBeNull();
    expect(one.status).toBe('unknown');
  });

  it('that keeps nothing new does not make a client present an old token', async () => {
    const storage = shelf();
    const one = await signedIn({ storage });
    storage.set = blocked;
    for (const token of ['access-1', 'access-2', 'access-3']) {
      expect(named(await one.refresh())).toBe(token);
      await pass(100_000);
    }
    expect(service.ended).toBeUndefined();
  });

  it('that works again later is used again', async () => {
    let fails = true;
    const get = () => (fails ? Promise.reject() : null);
    const one = client({ storage: { get, set: () => {} } });
    const resumed = one.resume();
    await pass(100_000);
    await resumed;
    expect(one.status).toBe('unknown');
    fails = false;
    await pass(130_000);
    expect(one.status).toBe('signed_out');
  });
});

describe('an answer', () => {
  it('that never comes is not waited for', async () => {
    onlyPass();
    const one = await signedIn({ patience: 0 });
    const hung = client({ fetch: never, patience: 0 });
    await expect(afterPassing(11_000, hung.signIn({ name: 'ada', password: 'right' }))).rejects.toMatchObject({
      code: 'unavailable',
    });
    expect(one.status).toBe('signed_in');
  });

  it('whose body never ends is not waited for, and the connection is closed', async () => {
    onlyPass();
    let signal: AbortSignal | null | undefined;
    const endless: typeof fetch = async (_input, init) => {
      signal = init?.signal;
      return new Response(new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(1)) }));
    };
    const hung = client({ fetch: endless });
    await expect(afterPassing(11_000, hung.signIn({ name: 'ada', password: 'right' }))).rejects.toMatchObject({
      code: 'unavailable',
    });
    expect(signal?.aborted).toBe(true);
  });

  it.each([
    ['no JWT', { access_token: 'opaque', expires_in: 300, refresh_after: 200 }],
    ['no times', { access_token: 'e30.eyJzdWIiOiJhIn0.' }],
    ['no user', { access_token: 'e30.e30.', expires_in: 300, refresh_after: 200 }],
  ])('with %s is no session', async (_what, pair) => {
    const one = client({ fetch: async () => Response.json(pair) });
    await expect(one.signIn({ name: 'ada', password: 'right' })).rejects.toMatchObject({ code: 'unavailable' });
    expect(one.session).toBeNull();
  });
});

describe('a page', () => {
  it('that may not use storage, locks or channels can sign in', async () => {
    inPage({
      BroadcastChannel: class {
        constructor() {
          blocked();
        }
      },
      navigator: { locks: { request: blocked } },
    });
    Object.defineProperty(globalThis, 'localStorage', { configurable: true, get: blocked });
    const one = await signedIn();
    expect(named(await one.refresh())).toBe('access-1');
    Reflect.deleteProperty(globalThis, 'localStorage');
  });

  it('in front of an old tab, or one that answers nonsense, goes on', async () => {
    const one = await signedInTab();
    const other = tab();
    await other.resume();
    expect(other.session).toEqual(one.session);
    await afterPassing(1_000, one.refresh());
    await soon(() => expect(named(other.session)).toBe('access-1'));
  });
});

describe('React Native', () => {
  /** Globals that a page or Node has, and React Native (Hermes) does not. */
  const MISSING = [
    'BroadcastChannel', 'DOMException', 'TextDecoder', 'localStorage', 'structuredClone', 'document', 'location',
    'crypto', 'Event', 'EventTarget', 'MessageChannel', 'reportError',
  ];

  it('has all that a client needs', async () => {
    for (const name of MISSING) vi.stubGlobal(name, undefined);
    vi.stubGlobal('navigator', { product: 'ReactNative' });
    const timeout = AbortSignal.timeout;
    Reflect.deleteProperty(AbortSignal, 'timeout');
    // Its URL takes no base, and has had no origin for long.
    vi.stubGlobal('URL', class extends URL {
      constructor(url: string, base?: string) {
        if (base !== undefined) throw new TypeError('Invalid base URL');
        super(url);
      }
      override get origin(): string {
        throw new Error('URL.origin is not implemented');
      }
    });
    const keychain = shelf();
    try {
      const one = client({ storage: keychain });
      const heard = report(one);
      await one.resume();
      await one.signIn({ name: 'ada', password: 'right' });
      await one.refresh();
      expect((await one.fetch('/users')).status).toBe(200);
      await afterPassing(201_000, Promise.resolve());
      await one.signOut();
      expect(heard.map((line) => line.split(' ')[0])).toEqual([
        'signed_out', 'signed_in', 'refreshed', 'refreshed', 'signed_out',
      ]);
      expect(one.session).toBeNull();
    } finally {
      AbortSignal.timeout = timeout;
    }
  });
});
