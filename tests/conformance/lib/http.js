// HTTP for the checks: every request has a deadline and a connection of its own, and nothing is
// followed or retried, so that what a check counts is what it sent.

import http from 'node:http';
import https from 'node:https';
import { connect as tcp } from 'node:net';

/** What a request failed with when it got no answer. */
export class NoAnswer extends Error {}

/**
 * Sends a request and reads the whole answer.
 *
 * @param {{ url: string, method?: string, headers?: Record<string, string>, body?: string }} request
 * @param {{ timeout?: number, socket?: import('node:net').Socket }} [options] `timeout` in milliseconds, for the
 *   whole exchange; `socket`, a connection that is open already
 * @returns {Promise<{ status: number, headers: Record<string, string>, cookies: string[], text: string, json: any }>}
 */
export function send({ url, method = 'GET', headers = {}, body }, { timeout = 30_000, socket } = {}) {
  return new Promise((resolve, reject) => {
    const library = url.startsWith('https:') ? https : http;
    const withLength = body === undefined ? headers : { ...headers, 'content-length': Buffer.byteLength(body) };
    const connection = socket ? { createConnection: () => socket } : { agent: false };
    const request = library.request(url, { method, headers: withLength, ...connection }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', (cause) => fail(cause.message));
      response.on('end', () => {
        clearTimeout(deadline);
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({
          status: response.statusCode,
          headers: response.headers,
          cookies: response.headers['set-cookie'] ?? [],
          text,
          json: parse(text),
        });
      });
    });
    const fail = (why) => {
      clearTimeout(deadline);
      request.destroy();
      reject(new NoAnswer(`${method} ${new URL(url).pathname}: ${why}`));
    };
    const deadline = setTimeout(() => fail(`no answer within ${timeout} ms`), timeout);
    request.on('error', (cause) => fail(cause.message));
    request.end(body);
  });
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Opens a connection for a request to come, so that many requests can arrive together. */
export function connected(url, timeout = 10_000) {
  const { protocol, hostname, port } = new URL(url);
  if (protocol !== 'http:') return Promise.resolve(undefined);
  return new Promise((resolve, reject) => {
    const socket = tcp(Number(port || 80), hostname);
    socket.setTimeout(timeout, () => socket.destroy(new NoAnswer(`no connection within ${timeout} ms`)));
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.removeListener('error', reject);
      resolve(socket);
    });
  });
}

/** A `POST` of a form, as OAuth endpoints take it. */
export function form(url, fields, headers = {}) {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  return {
    url,
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json', ...headers },
    body: new URLSearchParams(given).toString(),
  };
}

/** A request with a JSON body. */
export function jsonBody(url, value, headers = {}, method = 'POST') {
  return {
    url,
    method,
    headers: { 'content-type': 'application/json', accept: 'application/json', ...headers },
    body: JSON.stringify(value),
  };
}

/** The header of HTTP Basic authentication (RFC 6749 §2.3.1). */
export function basic(id, secret) {
  const encoded = `${encodeURIComponent(id)}:${encodeURIComponent(secret)}`;
  return { authorization: `Basic ${Buffer.from(encoded).toString('base64')}` };
}

/** A browser's cookies for one origin: enough to walk through a sign-in. */
export class CookieJar {
  #cookies = new Map();

  /** Sends a request with the cookies, and keeps those of the answer. */
  async send(request, options) {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = cookie ? { ...request.headers, cookie } : request.headers;
    const answer = await send({ ...request, headers }, options);
    for (const line of answer.cookies) {
      const [pair] = line.split(';');
      const at = pair.indexOf('=');
      const [name, value] = [pair.slice(0, at), pair.slice(at + 1)];
      if (value === '' || /max-age=0|expires=thu, 01 jan 1970/i.test(line)) this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
    return answer;
  }

  /** Follows redirects until one leads to `stop`, and returns that URL. */
  async follow(request, stop, steps = 12) {
    let answer = await this.send(request);
    let url = request.url;
    for (let step = 0; step < steps; step += 1) {
      const { location } = answer.headers;
      if (!location) throw new Error(`no redirect from ${url}: ${answer.status} ${answer.text.slice(0, 300)}`);
      url = new URL(location, url).href;
      if (url.startsWith(stop)) return new URL(url);
      answer = await this.send({ url });
    }
    throw new Error(`more than ${steps} redirects, the last to ${url}`);
  }
}

/** Runs tasks with at most `limit` under way. */
export class Gate {
  #free;
  #waiting = [];

  constructor(limit) {
    this.#free = limit;
  }

  async run(task) {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise((resolve) => this.#waiting.push(resolve));
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    }
  }
}
