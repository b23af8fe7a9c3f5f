#!/usr/bin/env node
// Measures how fast the servers refresh, one after the other in one run, and what that takes.

import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { markdown, measure } from './lib/performance.js';
import { endAll } from './lib/process.js';
import { chosen, folder } from './servers/index.js';

const USAGE = `usage: node tests/conformance/performance.js [options]

  --servers a,b     rows or servers to measure; all without it
  --calls N         refreshes at each level (256)
  --out FOLDER      where performance.json and performance.md go (target/conformance/report)`;

const { values: given } = parseArgs({
  options: {
    servers: { type: 'string' },
    calls: { type: 'string', default: '256' },
    out: { type: 'string', default: join(folder, 'report') },
    help: { type: 'boolean', default: false },
  },
});
const rows = chosen(given.servers);
if (given.help || !rows.length) {
  console.error(USAGE);
  process.exit(given.help ? 0 : 2);
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => endAll().finally(() => process.exit(130)));
}
const calls = Number(given.calls);
const report = {
  date: new Date().toISOString().slice(0, 10),
  machine: `${cpus().length} × ${cpus()[0].model.trim()}, Node ${process.version}`,
  calls,
  rows: [],
};
for (const { adapter, ...row } of rows) {
  console.error(`== ${row.name} ==`);
  const home = join(folder, adapter.id);
  mkdirSync(home, { recursive: true });
  try {
    await adapter.install?.(home);
    const launch = () => adapter.start(row, { home, purpose: 'load' });
    const measured = await measure(launch, { patience: 0, trials: (wanted) => wanted }, calls);
    report.rows.push({ id: row.id, name: row.name, ...measured });
  } catch (error) {
    console.error(`${row.id} could not be measured: ${error.stack}`);
    process.exitCode = 1;
  } finally {
    await endAll();
  }
}
const out = resolve(given.out);
mkdirSync(out, { recursive: true });
writeFileSync(join(out, 'performance.json'), `${JSON.stringify({ performance: report }, null, 1)}\n`);
writeFileSync(join(out, 'performance.md'), `${markdown(report)}\n`);
console.log(markdown(report));
