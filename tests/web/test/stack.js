// The real stack and a real browser, started once for all tests of a file.

import { spawn } from 'node:child_process';
import { createServer, connect } from 'node:net';
import { existsSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** Screenshots and whatever else a run leaves behind. */
export const artefacts = `${root}target/web/`;
mkdirSync(artefacts, { recursive: true });

/** Starts `cargo local`; `stop` ends it. */
export async function startStack(...options) {
  const ports = ['--port', '0', '--page-port', '0'];
  const child = spawn('cargo', ['local', ...ports, ...options], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const up = new Promise((resolve, reject) => {
    const read = (chunk) => {
      output += chunk;
      if (output.includes('Ctrl-C stops everything')) resolve();
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.on('exit', () => reject(new Error(`cargo local ended:\n${output}`)));
  });
  await up;
  const [, api, page] = output.match(/Ratchet is up at (\S+), with a page to try it at (\S+)/);
  return {
    api,
    page,
    port: Number(new URL(api).port),
    /** The folder of the functions' logs. */
    logs: output.match(/logs --follow\n\s+(.+)/)[1],
    stop: () =>
      new Promise((resolve) => {
        child.removeAllListeners('exit');
        child.on('exit', resolve);
        child.kill('SIGTERM');
      }),
  };
}

/** Debian's Chromium, or what `CHROMIUM` names. */
export function startBrowser() {
  const executablePath = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync);
  return chromium.launch({
    executablePath,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** A proxy before the API that can cut answers off on the wire, and counts what it passes on. */
export async function startProxy(port) {
  const seen = [];
  let cut;
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    let doomed = false;
    client.on('data', (data) => {
      const line = data.toString('latin1').match(/^(POST|GET|DELETE) (\S+)/);
      if (line) {
        seen.push(`${line[1]} ${line[2]}`);
        doomed = cut?.path === line[2] && cut.times > 0;
        if (doomed) cut.times -= 1;
      }
      upstream.write(data);
    });
    upstream.on('data', (data) => {
      if (!doomed) return client.write(data);
      // The service has done its part. Half of the answer's head is as far as it gets.
      client.write(data.subarray(0, cut.bytes));
      setTimeout(() => client.resetAndDestroy(), 20);
    });
    for (const [one, other] of [[client, upstream], [upstream, client]]) {
      one.on('close', () => other.destroy());
      one.on('error', () => other.destroy());
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    seen,
    /** The next answers of `path` end after this many bytes. */
    cut: (path, times, bytes) => (cut = { path, times, bytes }),
    stop: () => server.close(),
  };
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
