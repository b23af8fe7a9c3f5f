// Sessions that are bound to a key of the browser (DPoP), in Chromium against the real stack.
//
// The proxy of the other tests stays away: proofs name the issuer's URL.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';

import { startBrowser, startStack } from './stack.js';

const HOUR = 3_600_000;

describe('a session that is bound to a key', () => {
  let stack;
  let browser;
  const contexts = [];

  before(async () => {
    stack = await startStack('--access-token-seconds', '30');
    browser = await startBrowser();
  });

  after(async () => {
    await browser?.close();
    await stack?.stop();
  });

  afterEach(async () => {
    for (const context of contexts.splice(0)) await context.close();
  });

  async function visitor() {
    const context = await browser.newContext();
    contexts.push(context);
    return context;
  }

  /** A tab with a client and nothing else: a page of this origin without scripts. */
  async function open(context, options) {
    const page = await context.newPage();
    page.sent = [];
    page.on('request', (request) => {
      const { pathname, origin } = new URL(request.url());
      if (origin === stack.api && request.method() !== 'OPTIONS') page.sent.push({ pathname, headers: request.headers() });
    });
    await page.goto(`${stack.page}/style.css`);
    await create(page, options);
    return page;
  }

  const create = (page, { mode = 'cookie', isBound = true, takesTurns = true } = {}) =>
    page.evaluate(async ([baseUrl, how, bound, inTurn]) => {
      const [{ createClient }, { dpop }] = [await import('/client/index.js'), await import('/client/dpop.js')];
      window.kept = [];
      window.client = createClient({
        baseUrl,
        mode: how,
        storage: { get: () => window.kept.at(-1), set: (token) => void window.kept.push(token) },
        ...(bound && { dpop: dpop() }),
        ...(!inTurn && { locks: null }),
      });
    }, [stack.api, mode, isBound, takesTurns]);

  /** Signs in, and returns the key's thumbprint. Tries again if hashing on a busy machine takes longer than a response may. */
  const signIn = (page) =>
    page.evaluate(async () => {
      for (let tries = 5; ; tries -= 1) {
        try {
          const { claims } = await window.client.signIn({ name: 'ada', password: 'correct horse battery staple' });
          return claims.cnf?.jkt;
        } catch (error) {
          if (error.code !== 'unavailable' || tries === 0) throw error;
        }
      }
    });

  const resume = (page) => page.evaluate(async () => (await window.client.resume())?.user.name ?? window.client.status);
  const me = (page) =>
    page.evaluate(async () => {
      const response = await window.client.fetch('/users/me');
      return [response.status, (await response.json()).name].join();
    });
  /** What the client rejects with, or `none`. */
  const refusal = (page, method, ...args) =>
    page.evaluate(
      ([name, given]) => window.client[name](...given).then(() => 'none', ({ code, status }) => [status, code].join()),
      [method, args],
    );

  /** The keys that this origin keeps, and whether a script can read them. */
  const keys = (page) =>
    page.evaluate(async () => {
      const opening = indexedDB.open('ratchet-dpop');
      const database = await new Promise((resolve) => (opening.onsuccess = () => resolve(opening.result)));
      const all = database.transaction('keys').objectStore('keys').getAll();
      const pairs = await new Promise((resolve) => (all.onsuccess = () => resolve(all.result)));
      database.close();
      return Promise.all(
        pairs.map(async ({ privateKey, publicKey }) => {
          const formats = ['jwk', 'pkcs8'].map((format) =>
            crypto.subtle.exportKey(format, privateKey).then(() => `read as ${format}`, (error) => error.name),
          );
          const { x } = await crypto.subtle.exportKey('jwk', publicKey);
          return { extractable: privateKey.extractable, usages: privateKey.usages, exported: await Promise.all(formats), x };
        }),
      );
    });

  test('begins with two requests, and its key survives a reload, where no script can read it', async () => {
    const page = await open(await visitor());
    assert.match(await signIn(page), /^[\w-]{43}$/);
    const signIns = page.sent.filter(({ pathname }) => pathname === '/authenticate');
    assert.ok(signIns.length >= 2 && signIns.every(({ headers }) => headers.dpop));
    const [key, ...others] = await keys(page);
    assert.deepEqual(others, []);
    assert.equal(key.extractable, false);
    assert.deepEqual(key.usages, ['sign']);
    assert.deepEqual(key.exported, ['InvalidAccessError', 'InvalidAccessError']);
    await page.reload();
    await create(page);
    assert.equal(await resume(page), 'ada');
    assert.deepEqual(await keys(page), [key]);
    page.sent.length = 0;
    assert.equal(await me(page), '200,ada');
    assert.match(page.sent.at(-1).headers.authorization, /^DPoP /);
    await page.evaluate(() => window.client.signOut());
    assert.deepEqual(await keys(page), [key]);
  });

  test('is worth nothing to a thief of its tokens, and goes on for its owner', async () => {
    const owner = await open(await visitor(), { mode: 'token' });
    await signIn(owner);
    const { refreshToken, accessToken } = await owner.evaluate(() => window.client.session);
    for (const isBound of [true, false]) {
      // In a browser of their own, with a key of their own or none.
      const thief = await open(await visitor(), { mode: 'token', isBound });
      await thief.evaluate((token) => void window.kept.push(token), refreshToken);
      assert.equal(await resume(thief), 'signed_out');
      assert.match(await refusal(thief, 'signOut'), /^400,(invalid_dpop_proof|use_dpop_nonce)$/);
    }
    const asBearer = await fetch(`${stack.api}/users/me`, { headers: { authorization: `Bearer ${accessToken}` } });
    assert.equal(asBearer.status, 401);
    assert.equal(await refusal(owner, 'refresh'), 'none');
    assert.equal(await me(owner), '200,ada');
  });

  test('is shared by two tabs, which end with one key although they make it at the same time', async () => {
    const context = await visitor();
    const tabs = [await open(context, { takesTurns: false }), await open(context, { takesTurns: false })];
    const jkts = await Promise.all(tabs.map((page) => signIn(page)));
    assert.equal(jkts[0], jkts[1]);
    assert.equal((await keys(tabs[0])).length, 1);
    assert.deepEqual(await Promise.all(tabs.map(me)), ['200,ada', '200,ada']);
    assert.deepEqual(await Promise.all(tabs.map((page) => refusal(page, 'refresh'))), ['none', 'none']);
    const third = await open(context);
    assert.equal(await resume(third), 'ada');
    assert.deepEqual(await Promise.all([...tabs, third].map(me)), Array(3).fill('200,ada'));
  });

  for (const wrong of [2 * HOUR, -2 * HOUR]) {
    test(`begins and goes on although the clock of the device is wrong by ${wrong / HOUR} hours`, async () => {
      const context = await visitor();
      await context.addInitScript((ms) => {
        const { now } = Date;
        window.wrong = ms;
        Date.now = () => now() + window.wrong;
      }, wrong);
      const page = await open(context);
      assert.match(await signIn(page), /^[\w-]{43}$/);
      assert.equal(await me(page), '200,ada');
      // Somebody sets the clock.
      await page.evaluate(() => (window.wrong = 0));
      assert.equal(await refusal(page, 'refresh'), 'none');
      assert.equal(await me(page), '200,ada');
    });
  }

  test('begins with the next sign-in if there is one without a key', async () => {
    const page = await open(await visitor(), { isBound: false });
    assert.equal(await signIn(page), undefined);
    await page.reload();
    await create(page);
    assert.equal(await resume(page), 'ada');
    assert.equal(await me(page), '200,ada');
    assert.match(page.sent.at(-1).headers.authorization, /^Bearer /);
    assert.match(await signIn(page), /^[\w-]{43}$/);
    assert.equal(await me(page), '200,ada');
    assert.match(page.sent.at(-1).headers.authorization, /^DPoP /);
  });

  test('whose key is gone has not ended, but nobody is signed in until the next sign-in', async () => {
    const context = await visitor();
    const page = await open(context);
    await signIn(page);
    await page.evaluate(() => window.client.close());
    await page.reload();
    await page.evaluate(
      () => new Promise((resolve) => (indexedDB.deleteDatabase('ratchet-dpop').onsuccess = resolve)),
    );
    const cookies = (await context.cookies()).map(({ value }) => value);
    await create(page);
    assert.equal(await resume(page), 'signed_out');
    assert.deepEqual((await context.cookies()).map(({ value }) => value), cookies);
    await signIn(page);
    assert.equal(await me(page), '200,ada');
  });

  test('costs a signature for each request; its time is printed', async () => {
    const page = await open(await visitor());
    const { signing, hashing } = await page.evaluate(async () => {
      const { dpop } = await import('/client/dpop.js');
      const send = dpop()(location.origin, async () => new Response());
      const bytes = new Uint8Array(1024);
      const time = async (work) => {
        for (let round = 0; round < 50; round += 1) await work();
        const begun = performance.now();
        for (let round = 0; round < 500; round += 1) await work();
        return (performance.now() - begun) / 500;
      };
      return {
        signing: await time(() => send(`${location.origin}/refresh`, { method: 'POST' })),
        hashing: await time(() => crypto.subtle.digest('SHA-256', bytes)),
      };
    });
    const ratio = (signing / hashing).toFixed(1);
    console.log(`a proof in Chromium: ${signing.toFixed(3)} ms, ${ratio} times a SHA-256 of 1 KiB (${hashing.toFixed(3)} ms)`);
  });
});
