#!/usr/bin/env node
// Runs the checks on the servers that are asked for, and writes one table.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { checks, promises } from './checks/index.js';
import { endAll } from './lib/process.js';
import { VERDICTS } from './lib/result.js';
import { markdown, merge } from './lib/report.js';
import { runChecks } from './lib/runner.js';
import { chosen, folder, rows } from './servers/index.js';

const USAGE = `usage: node tests/conformance/run.js [options]

  --servers a,b     rows or servers to run; all without it. --list names them
  --checks a,b      checks to run, by the beginning of their ids; all without it
  --patience N      the longest real wait in seconds where time cannot be moved (90)
  --trials F        factor on the number of trials of each race (1)
  --out FOLDER      where report.json and report.md go (target/conformance/report)
  --merge           keep the rows of an earlier report there that are not run now
  --expect FILE     fail if a result of ours differs from this list of exceptions
  --list            name the servers and checks, and run nothing`;

const { values: given } = parseArgs({
  options: {
    servers: { type: 'string' },
    checks: { type: 'string' },
    patience: { type: 'string', default: '90' },
    trials: { type: 'string', default: '1' },
    out: { type: 'string', default: join(folder, 'report') },
    merge: { type: 'boolean', default: false },
    expect: { type: 'string' },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const words = (text) =>
  text
    ?.split(',')
    .map((word) => word.trim())
    .filter(Boolean);

if (given.help) {
  console.log(USAGE);
} else if (given.list) {
  for (const { id, name } of rows) console.log(`${id.padEnd(26)} ${name}`);
  console.log();
  for (const { id, title } of promises) console.log(`${id.padEnd(36)} ${title}`);
} else {
  await main();
}

async function main() {
  const chosenRows = chosen(given.servers);
  const wantedChecks = words(given.checks);
  const chosenChecks = wantedChecks
    ? checks.filter(({ id }) => wantedChecks.some((begin) => `${id}.`.startsWith(begin)))
    : checks;
  if (!chosenRows.length || !chosenChecks.length) {
    console.error(USAGE);
    process.exitCode = 2;
    return;
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.once(signal, () => endAll().finally(() => process.exit(130)));
  }
  const factor = Number(given.trials);
  const report = {
    date: new Date().toISOString(),
    machine: `${cpus().length} × ${cpus()[0].model.trim()}, Node ${process.version}`,
    patience: Number(given.patience),
    trials: factor,
    order: rows.map(({ id }) => id),
    promises,
    rows: [],
  };
  let broken = 0;
  for (const row of chosenRows) {
    console.log(`\n== ${row.name} ==`);
    try {
      await runRow(row, chosenChecks, factor, report);
    } catch (error) {
      broken += 1;
      console.error(`${row.id} could not be run: ${error.stack}`);
    } finally {
      await endAll();
    }
  }
  const differing = given.expect ? compare(report, JSON.parse(readFileSync(given.expect, 'utf8'))) : [];
  for (const line of differing) console.error(line);
  const done = report.rows.flatMap(({ results }) => Object.values(results));
  const counts = VERDICTS.map((verdict) => `${verdict}: ${done.filter((result) => result.verdict === verdict).length}`);
  console.log(`\n${counts.join(', ')}`);
  if (given.expect) console.log(`${done.length - differing.length} passed, ${differing.length + broken} failed`);
  if (broken || differing.length) process.exitCode = 1;
}

/** Runs one row. What is known is written after every result, so that a run can be interrupted. */
async function runRow(row, chosenChecks, factor, report) {
  const { adapter } = row;
  const home = join(folder, adapter.id);
  mkdirSync(home, { recursive: true });
  await adapter.install?.(home);
  const date = new Date().toISOString().slice(0, 10);
  const entry = { id: row.id, name: row.name, results: {} };
  await runChecks({ start: (purpose) => adapter.start(row, { home, purpose }) }, chosenChecks, {
    patience: Number(given.patience),
    trials: (wanted) => Math.max(1, Math.round(wanted * factor)),
    log: (text) => console.error(text),
    onStart({ version, configuration, note }) {
      Object.assign(entry, { version, configuration, note });
      report.rows.push(entry);
    },
    onResult(id, result) {
      const { verdict, what, seconds } = result;
      console.log(`${verdict.padEnd(14)} ${id.padEnd(36)} ${what} (${seconds} s)`);
      entry.results[id] = { ...result, date };
      save(report);
    },
  });
}

function save(report) {
  const out = resolve(given.out);
  mkdirSync(out, { recursive: true });
  const file = join(out, 'report.json');
  const earlier = given.merge && existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
  const merged = merge(earlier, report);
  writeFileSync(file, `${JSON.stringify(merged, null, 1)}\n`);
  writeFileSync(join(out, 'report.md'), markdown(merged));
}

/**
 * Differences from what is expected of a row: every promise holds, except those listed with another
 * verdict. An exception that is none any more is a difference too.
 */
function compare(report, expected) {
  const differing = [];
  for (const row of report.rows) {
    const exceptions = expected[row.id] ?? {};
    for (const [id, { verdict, what }] of Object.entries(row.results)) {
      const wanted = exceptions[id] ?? 'holds';
      if (verdict !== wanted)
        differing.push(`${row.id}: ${id} is expected to be '${wanted}', but '${verdict}': ${what}`);
    }
  }
  return differing;
}
