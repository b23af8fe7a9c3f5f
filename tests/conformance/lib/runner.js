// Runs the checks on one server.

import { cannotTell } from './result.js';
import { Trial } from './trial.js';

/** No check may take longer than this, in seconds, whatever it waits for. */
const LIMIT = 900;

function bounded(task, seconds) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${seconds} s`)), seconds * 1000);
  });
  return Promise.race([task, limit]).finally(() => clearTimeout(timer));
}

/** Runs one check; what goes wrong in it is a check that cannot tell, never a promise that does not hold. */
export async function runCheck(check, trial) {
  const began = performance.now();
  let found;
  try {
    found = await bounded(check.run(trial), LIMIT);
  } catch (error) {
    const why = cannotTell(`the check broke off: ${error.message.split('\n')[0].slice(0, 160)}`);
    found = Object.fromEntries(Object.keys(check.promises).map((name) => [name, why]));
    trial.log(`${check.id}: ${error.stack}`);
  }
  const seconds = Math.round((performance.now() - began) / 100) / 10;
  return Object.entries(check.promises).map(([name]) => {
    const result = found[name] ?? cannotTell('the check said nothing');
    return [`${check.id}.${name}`, { ...result, seconds }];
  });
}

/**
 * Runs checks on one row of an adapter. Where time can only be waited for, the waits run side by
 * side, beside the others. Where a whole server's clock is moved, those checks have an instance of
 * their own, one after the other.
 *
 * @param {{ start: (purpose: string) => Promise<object> }} launcher
 * @param {import('../checks/index.js').Check[]} checks
 */
export async function runChecks(launcher, checks, options) {
  const results = new Map();
  const keep = async (check, trial) => {
    for (const [id, result] of await runCheck(check, trial)) {
      results.set(id, result);
      options.onResult?.(id, result);
    }
  };
  const inTurn = async (list, trial) => {
    for (const check of list) await keep(check, trial);
  };
  const server = await launcher.start('load');
  options.onStart?.(server);
  try {
    const trial = new Trial(server, options);
    const [alone, others] = split(checks, (check) => check.alone);
    const [moving, steady] = split(others, (check) => check.moves);
    if (!trial.movesTime) {
      const waiting = moving.map((check) => keep(check, trial));
      await inTurn(steady, trial);
      await Promise.all(waiting);
    } else if (server.time.perSession) {
      await inTurn([...steady, ...moving], trial);
    } else {
      await inTurn(steady, trial);
      if (moving.length) {
        const clocked = await launcher.start('clock');
        try {
          await inTurn(moving, new Trial(clocked, options));
        } finally {
          await clocked.stop();
        }
      }
    }
    await inTurn(alone, trial);
  } finally {
    await server.stop();
  }
  return results;
}

function split(list, test) {
  return [list.filter(test), list.filter((one) => !test(one))];
}
