// Installs and starts a server that runs in Node.

import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { send } from '../../lib/http.js';
import { Child, freePort, runToEnd } from '../../lib/process.js';

const here = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));

/** Installs what `package-lock.json` pins. `native` names the packages that must be compiled. */
export async function installNpm(id, home, native = []) {
  mkdirSync(home, { recursive: true });
  // The lock file of the last installation that was completed.
  const [lock, installed] = [join(here(id), 'package-lock.json'), join(home, 'installed-from.json')];
  const same = existsSync(installed) && readFileSync(lock).equals(readFileSync(installed));
  for (const file of ['package.json', 'package-lock.json', 'server.js'])
    copyFileSync(join(here(id), file), join(home, file));
  copyFileSync(here('node/control.js'), join(home, 'control.js'));
  const options = ['--no-audit', '--no-fund', '--silent'];
  if (!same) await runToEnd(['npm', 'ci', '--ignore-scripts', ...options], { cwd: home });
  for (const name of native) {
    if (existsSync(join(home, 'node_modules', name, 'build'))) continue;
    // Node's own headers, if they are installed beside it, save a download.
    const prefix = dirname(dirname(process.execPath));
    const env = existsSync(join(prefix, 'include/node')) ? { npm_config_nodedir: prefix } : {};
    await runToEnd(['npm', 'rebuild', name, ...options], { cwd: home, env, seconds: 1200 });
  }
  copyFileSync(lock, installed);
}

/** Starts `server.js` in `home`, on free ports. */
export async function startNode(home, env = {}, ports) {
  const [port, control] = ports ?? [await freePort(), await freePort()];
  const child = new Child([process.execPath, 'server.js'], {
    log: join(home, 'server.log'),
    cwd: home,
    env: { PORT: String(port), CONTROL_PORT: String(control), ...env },
  });
  const ask = async (path) => (await send({ url: `http://127.0.0.1:${control}${path}` })).json;
  await child.until(() => ask('/'), 180);
  return {
    child,
    ports: [port, control],
    url: `http://127.0.0.1:${port}`,
    time: { pass: (seconds) => ask(`/pass?seconds=${seconds}`) },
    storeCalls: async () => (await ask('/')).calls,
  };
}

/** The version of a package that is installed in `home`. */
export const versionOf = (home, name) =>
  JSON.parse(readFileSync(join(home, 'node_modules', name, 'package.json'), 'utf8')).version;
