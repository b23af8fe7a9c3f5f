// Servers as children: on free loopback ports, with a log, ended by their process id.

import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A TCP port of 127.0.0.1 that nothing listens on at this moment. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

const running = new Set();

/** Ends every child that is still running. For the end of a run, however it comes. */
export async function endAll() {
  await Promise.all([...running].map((child) => child.stop()));
}

/** A child process in a group of its own. */
export class Child {
  /**
   * @param {string[]} command the program and its arguments
   * @param {{ log: string, cwd?: string, env?: Record<string, string>, uid?: number, gid?: number }} options
   */
  constructor([program, ...args], { log, cwd, env = {}, uid, gid }) {
    mkdirSync(dirname(log), { recursive: true });
    this.name = program;
    this.log = log;
    const file = openSync(log, 'a');
    // Detached: a group of its own, so that what the child starts ends with it.
    this.process = spawn(program, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', file, file],
      detached: true,
      uid,
      gid,
    });
    closeSync(file);
    this.ended = new Promise((resolve) => {
      this.process.on('error', (cause) => resolve(cause.message));
      this.process.on('exit', (code, signal) => resolve(signal ?? code));
    });
    running.add(this);
    this.ended.then((how) => {
      this.how = how;
      running.delete(this);
    });
  }

  get pid() {
    return this.process.pid;
  }

  /** The last lines of the log. */
  tail(bytes = 1500) {
    return readFileSync(this.log, 'utf8').slice(-bytes);
  }

  /** Waits until `ready` resolves to something true. */
  async until(ready, seconds) {
    const end = Date.now() + seconds * 1000;
    for (;;) {
      if (this.how !== undefined) throw new Error(`${this.name} ended (${this.how}):\n${this.tail()}`);
      const value = await Promise.resolve(ready()).catch(() => undefined);
      if (value) return value;
      if (Date.now() > end) throw new Error(`${this.name} was not ready after ${seconds} s:\n${this.tail()}`);
      await sleep(20);
    }
  }

  signal(signal) {
    try {
      process.kill(-this.process.pid, signal);
    } catch {
      // It has ended already.
    }
  }

  /** Ends the group: politely, then after `grace` milliseconds for good. */
  async stop(grace = 8000) {
    if (this.how !== undefined) return;
    this.signal('SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), grace);
    await this.ended;
    clearTimeout(timer);
  }

  /** Ends the group at once, as a crash would. */
  async kill() {
    this.signal('SIGKILL');
    await this.ended;
  }
}

/** Runs a command to its end, within `seconds`, and returns what it wrote to standard output. */
export function runToEnd([program, ...args], { cwd, env = {}, seconds = 900, input, uid, gid } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      timeout: seconds * 1000,
      uid,
      gid,
    });
    let [output, errors] = ['', ''];
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (errors += chunk));
    if (input !== undefined) child.stdin.end(input);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(output);
      else
        reject(
          new Error(`${program} ${args[0] ?? ''} ended with ${signal ?? code}:\n${(output + errors).slice(-2000)}`),
        );
    });
  });
}
