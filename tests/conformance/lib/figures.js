// How fast a server refreshes, and what it takes in memory. Figures, not promises: they hold for one
// machine, and the client shares it.

import { readFileSync, readdirSync } from 'node:fs';

import { Gate } from './http.js';
import { Trial, times } from './trial.js';

const SESSIONS = 64;
const USES = 4;
const LEVELS = [1, 8, 32];

const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
const rounded = (value) => Math.round(value * 10) / 10;

/** Refreshes each session `USES` times with `inFlight` requests under way, and times each. */
async function level(t, sessions, inFlight) {
  const gate = new Gate(inFlight);
  const milliseconds = [];
  let failed = 0;
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
  milliseconds.sort((one, other) => one - other);
  return {
    inFlight,
    requests: milliseconds.length,
    failed,
    p50: rounded(at(milliseconds, 0.5)),
    p99: rounded(at(milliseconds, 0.99)),
    perSecond: Math.round(milliseconds.length / seconds),
  };
}

/** Measures a running server. */
export async function figures(server, options) {
  const t = new Trial(server, options);
  const sessions = [];
  // In turn: signing in is not what is measured, and some servers fail at many at once.
  for (let index = 0; index < SESSIONS; index += 1) sessions.push(await t.signIn());
  await t.gap();
  await level(t, sessions, 8);
  const levels = [];
  for (const inFlight of LEVELS) {
    // Where a server limits the rotations of a session in a while, let that pass.
    if (t.server.time?.perSession) await times(SESSIONS, (index) => t.pass(3600, sessions[index]));
    levels.push(await level(t, sessions, inFlight));
  }
  return { levels, memory: server.processes && Math.round(residentMiB(server.processes())) };
}

/** The resident memory of process groups and processes, in MiB. Linux only; elsewhere `NaN`. */
function residentMiB(ids) {
  let kib = 0;
  try {
    for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
      try {
        // After the name, which may have spaces and parentheses: state, parent, group.
        const [, , group] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ');
        if (!ids.includes(Number(group)) && !ids.includes(Number(pid))) continue;
        kib += Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)?.[1] ?? 0);
      } catch {
        // It has ended meanwhile.
      }
    }
  } catch {
    return NaN;
  }
  return kib / 1024;
}
