// The browser client by itself, in every browser that there is, against the real stack: no page of
// ours around it. (`page.js` and `account.js` have the demonstration page, in Chromium.)

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, afterEach, before, describe, test } from 'node:test';

import puppeteer from 'puppeteer-core';

import { sleep, startBrowser, startProxy, startStack } from './stack.js';

const firefox = process.env.FIREFOX ?? ['/usr/bin/firefox-esr', '/usr/bin/firefox'].find(existsSync);

/** What the tests need of a browser: visitors with cookies of their own, and their tabs. */
const BROWSERS = {
  Chromium: {
    start: startBrowser,
    visitor: (browser) => browser.newContext(),
  },
  Firefox: {
    skip: firefox ? false : 'no Firefox is installed',
    start: () => puppeteer.launch({ browser: 'firefox', executablePath: firefox, headless: true }),
    visitor: (browser) => browser.createBrowserContext(),
  },
};

let stack;

after(async () => {
  await stack?.stop();
});

for (const [name, { skip = false, start, visitor }] of Object.entries(BROWSERS)) {
  describe(`the client in ${name}`, { skip }, () => {
    let browser;
    let proxy;
    let context;

    before(async () => {
      // Not in a hook of the file: two stacks would start at the same time.
      stack ??= await startStack('--access-token-seconds', '30');
      browser = await start();
    });

    after(async () => {
      await browser?.close();
    });

    afterEach(async () => {
      await context?.close();
      proxy?.stop();
    });

    async function visit() {
      [context, proxy] = [await visitor(browser), await startProxy(stack.port)];
      return open();
    }

    /** A tab with a client and nothing else: a page of this origin without scripts. */
    async function open(mode = 'cookie') {
      const page = await context.newPage();
      await page.goto(`${stack.page}/style.css`);
      await page.evaluate(async ([baseUrl, how]) => {
        const { createClient } = await import('/client/index.js');
        window.heard = [];
        window.client = createClient({ baseUrl, mode: how });
        window.client.subscribe(({ type, session, reason }) => window.heard.push([type, session?.user.name ?? reason].join()));
      }, [proxy.url, mode]);
      return page;
    }

    /** Signs in. Hashing on a busy machine may take longer than an answer may: then again. */
    const signIn = (page, user) =>
      page.evaluate(async ([login, password]) => {
        for (let tries = 5; ; tries -= 1) {
          try {
            return (await window.client.signIn({ name: login, password })).user.name;
          } catch (error) {
            if (error.code !== 'unavailable' || tries === 0) throw error;
          }
        }
      }, [user, PASSWORDS[user]]);

    const resume = (page) => page.evaluate(async () => (await window.client.resume())?.user.name ?? window.client.status);
    const heard = (page) => page.evaluate(() => window.heard);
    const me = (page) =>
      page.evaluate(async () => {
        const response = await window.client.fetch('/users/me');
        return [response.status, (await response.json()).name].join();
      });

    async function hears(page, event) {
      // A background refresh pauses for up to twenty seconds.
      for (let tries = 300; tries > 0; tries -= 1) {
        if ((await heard(page)).includes(event)) return;
        await sleep(100);
      }
      assert.fail(`never heard ${event}, but ${await heard(page)}`);
    }

    test('a session survives a reload in cookie mode, and is shared by tabs', async () => {
      const first = await visit();
      assert.equal(await resume(first), 'signed_out');
      assert.equal(await signIn(first, 'ada'), 'ada');
      const second = await open();
      assert.equal(await resume(second), 'ada');
      assert.equal(await me(second), '200,ada');
      await first.close();
      await second.close();
      const reloaded = await open();
      assert.equal(await resume(reloaded), 'ada');
      assert.equal(await me(reloaded), '200,ada');
    });

    test('a tab hears when another user signs in and out elsewhere, and asks as that user', async () => {
      const first = await visit();
      await signIn(first, 'ada');
      const second = await open();
      await resume(second);
      await signIn(second, 'grace');
      await hears(first, 'user_changed,grace');
      assert.equal(await me(first), '200,grace');
      await second.evaluate(() => window.client.signOut());
      await hears(first, 'signed_out,signed_out');
      assert.equal(await resume(await open()), 'signed_out');
    });

    test('a lock that is never released does not hang a tab', async () => {
      const page = await visit();
      await page.evaluate(
        (name) => new Promise((granted) => void navigator.locks.request(name, () => (granted(), new Promise(() => {})))),
        `ratchet:${proxy.url}:cookie`,
      );
      const begun = Date.now();
      assert.equal(await signIn(page, 'ada'), 'ada');
      assert.ok(Date.now() - begun >= 5_000, 'the lock is the one that the client takes');
      assert.equal(await me(page), '200,ada');
    });

    test('a page is not kept waiting while the service is out of reach, and is signed in later', async () => {
      const page = await visit();
      await signIn(page, 'ada');
      await page.close();
      proxy.cut('/refresh', 5, 0);
      const reloaded = await open();
      const begun = Date.now();
      assert.equal(await resume(reloaded), 'unknown');
      assert.ok(Date.now() - begun < 6_000, 'resume resolves early');
      await hears(reloaded, 'signed_in,ada');
    });

    test('token mode keeps a session in memory, and passes it on to other tabs', async () => {
      await visit();
      const first = await open('token');
      await signIn(first, 'ada');
      const second = await open('token');
      assert.equal(await resume(second), 'ada');
      await second.evaluate(() => window.client.refresh());
      await hears(first, 'refreshed,ada');
      assert.equal(await me(first), '200,ada');
    });
  });
}

const PASSWORDS = { ada: 'correct horse battery staple', grace: 'an admiral finds the first bug' };
