// How fast a server refreshes, and what that takes. Figures, not promises: they hold for one machine,
// and the client shares it.

import { readFileSync, readdirSync } from 'node:fs';

import { Gate } from './http.js';
import { escape } from './report.js';
import { Trial, times } from './trial.js';

/** The uses of a session before its time is moved: Ratchet rotates no more often in a retry window. */
const USES = 4;
const LEVELS = [1, 8, 32];
const COLD_STARTS = 3;

const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
const median = (values) => at([...values].sort((one, other) => one - other), 0.5);
const rounded = (value, digits = 1) => Number(value.toFixed(digits));

/** Refreshes each session `USES` times with `inFlight` requests under way, and times each. */
async function level(t, sessions, inFlight) {
  const gate = new Gate(inFlight);
  const milliseconds = [];
  let failed = 0;
  const before = used(t.server.processes());
  const began = performance.now();
  await Promise.all(
    sessions.map(async (session) => {
      for (let use = 0; use < USES; use += 1) {
        await gate.run(async () => {
          const start = performance.now();
          const next = await t.refresh(session);
          milliseconds.push(performance.now() - start);
          if (next.ok) session.refresh_token = next.refresh_token;
          else failed += 1;
        });
      }
    }),
  );
  const seconds = (performance.now() - began) / 1000;
  const after = used(t.server.processes());
  milliseconds.sort((one, other) => one - other);
  return {
    inFlight,
    requests: milliseconds.length,
    failed,
    p50: rounded(at(milliseconds, 0.5)),
    p99: rounded(at(milliseconds, 0.99)),
    perSecond: Math.round(milliseconds.length / seconds),
    cpu: rounded((after.cpu - before.cpu) / milliseconds.length, 2),
    mebibytes: Math.round(after.mebibytes),
  };
}

/** Refreshes at each level, `calls` times. */
async function warm(server, options, calls) {
  const t = new Trial(server, options);
  const sessions = [];
  // In turn: signing in is not what is measured, and some servers fail at many at once.
  for (let index = 0; index < calls / USES; index += 1) sessions.push(await t.signIn());
  await t.gap();
  await level(t, sessions, 8);
  const levels = [];
  for (const inFlight of LEVELS) {
    if (server.time?.perSession) await times(sessions.length, (index) => t.pass(3600, sessions[index]));
    levels.push(await level(t, sessions, inFlight));
  }
  return levels;
}

async function refreshed(t, session) {
  const first = await t.refresh(session);
  if (!first.ok) throw new Error(`the first refresh was answered ${first.status} ${first.error ?? ''}`);
}

/** From the start of the process to its first refresh, of a session from before. */
async function coldStart(server, options) {
  const t = new Trial(server, options);
  const session = await t.signIn();
  await t.gap();
  await server.crash.kill();
  const began = performance.now();
  await server.crash.restart();
  await refreshed(t, session);
  return performance.now() - began;
}

/** The same where nothing outlives the process: with the sign-in that gives the session. */
async function coldStartAndSignIn(launch, options) {
  const began = performance.now();
  const server = await launch();
  try {
    const t = new Trial(server, options);
    await refreshed(t, await t.signIn());
    return performance.now() - began;
  } finally {
    await server.stop();
  }
}

/**
 * Measures one row of an adapter.
 *
 * @param {() => Promise<object>} launch starts the server
 */
export async function measure(launch, options, calls) {
  const server = await launch();
  const { version, configuration, crash } = server;
  const cold = [];
  let levels;
  try {
    levels = await warm(server, options, calls);
    for (let round = 0; crash && round < COLD_STARTS; round += 1) cold.push(await coldStart(server, options));
  } finally {
    await server.stop();
  }
  while (cold.length < COLD_STARTS) cold.push(await coldStartAndSignIn(launch, options));
  return { version, configuration, cold: { ms: Math.round(median(cold)), withSignIn: !crash }, levels };
}

/** CPU time in ms and resident memory in MiB of processes and their groups. Linux only; elsewhere `NaN`. */
function used(ids) {
  let [cpu, kib] = [0, 0];
  try {
    for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
      try {
        // After the name, which may have spaces and parentheses. `proc_pid_stat(5)` counts from 1.
        const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ');
        const field = (number) => Number(fields[number - 3]);
        if (!ids.includes(field(5)) && !ids.includes(Number(pid))) continue;
        // Ticks of user and system time: hundredths of a second on every Linux.
        cpu += (field(14) + field(15)) * 10;
        kib += Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)?.[1] ?? 0);
      } catch {
        // It has ended meanwhile.
      }
    }
  } catch {
    return { cpu: NaN, mebibytes: NaN };
  }
  return { cpu, mebibytes: kib / 1024 };
}

/** The table; each figure with its ratio to Ratchet's, if that was measured in the same run. */
export function markdown(report) {
  if (!report) return 'Not measured yet.';
  const { rows, date, machine, calls } = report;
  const ours = rows.find(({ id }) => id === 'ratchet');
  const ratio = (theirs, own) => (own > 0 && theirs !== own ? ` (${rounded(theirs / own, 2)} ×)` : '');
  const columns = LEVELS.flatMap((inFlight) => [`${inFlight} in flight: p50, p99 ms`, 'requests/s', 'CPU ms']);
  const lines = rows.map((row) => {
    const cells = row.levels.flatMap(({ p50, p99, perSecond, cpu, failed, requests }, index) => {
      const own = ours?.levels[index];
      return [
        `${p50}${ratio(p50, own?.p50)}, ${p99}`,
        failed ? `${perSecond} (${failed} of ${requests} failed)` : perSecond,
        `${cpu}${ratio(cpu, own?.cpu)}`,
      ];
    });
    const { ms, withSignIn } = row.cold;
    const memory = row.levels.at(-1).mebibytes;
    const own = ours?.levels.at(-1).mebibytes;
    return [
      escape(`${row.name} ${row.version}`),
      `${ms}${ratio(ms, ours?.cold.ms)}${withSignIn ? ', with a sign-in' : ''}`,
      ...cells,
      `${memory}${ratio(memory, own)}`,
    ];
  });
  return [
    `Measured ${date} on ${machine}, ${calls} refreshes a level; in parentheses ÷ Ratchet's.`,
    '',
    `| server | cold start ms | ${columns.join(' | ')} | resident MiB |`,
    `| --- |${' ---: |'.repeat(columns.length + 2)}`,
    ...lines.map((cells) => `| ${cells.join(' | ')} |`),
  ].join('\n');
}
