// A PostgreSQL of the kit's own, from the machine's packages, in a folder that goes with it.

import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Child, freePort, runToEnd } from '../lib/process.js';

const DEBIAN = '/usr/lib/postgresql';

function programs() {
  if (process.env.POSTGRES_BIN) return process.env.POSTGRES_BIN;
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).filter((name) => /^\d+$/.test(name)) : [];
  const newest = versions.sort((one, other) => other - one)[0];
  if (!newest)
    throw new Error(
      'PostgreSQL is missing: install the package `postgresql`, or set POSTGRES_BIN to the folder of `initdb`',
    );
  return join(DEBIAN, newest, 'bin');
}

/** The server refuses to run as root: Debian's package has made a user for it. */
async function owner() {
  if (process.getuid() !== 0) return {};
  const [uid, gid] = await Promise.all(['-u', '-g'].map((what) => runToEnd(['id', what, 'postgres'])));
  return { uid: Number(uid), gid: Number(gid) };
}

export async function startPostgres(home) {
  const bin = programs();
  const user = await owner();
  const folder = mkdtempSync(join(tmpdir(), 'conformance-postgres-'));
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid);
  const data = join(folder, 'data');
  await runToEnd(
    [join(bin, 'initdb'), '--username=kit', '--auth=trust', '--encoding=UTF8', '--locale=C', `--pgdata=${data}`],
    { ...user, cwd: folder, seconds: 120 },
  );
  const port = await freePort();
  const child = new Child(
    [
      join(bin, 'postgres'),
      '-D',
      data,
      '-p',
      String(port),
      '-c',
      'listen_addresses=127.0.0.1',
      '-c',
      `unix_socket_directories=${folder}`,
    ],
    { log: join(home, 'postgres.log'), cwd: folder, ...user },
  );
  const ask = (database, sql) =>
    runToEnd([join(bin, 'psql'), '-h', '127.0.0.1', '-p', String(port), '-U', 'kit', '-d', database, '-c', sql], {
      seconds: 20,
      cwd: folder,
    });
  await child.until(() => ask('postgres', 'select 1'), 180);
  await ask('postgres', 'create database kit');
  return {
    port,
    async stop() {
      // The fast way: SIGINT ends connections instead of waiting for them.
      child.signal('SIGINT');
      await child.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
