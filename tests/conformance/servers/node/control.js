// What the kit asks of a server that runs in Node: move the clock, count calls of the store. Copied
// beside the server, and imported before its libraries.

import { createServer } from 'node:http';

const SystemDate = globalThis.Date;
let offset = 0;

globalThis.Date = class Date extends SystemDate {
  constructor(...given) {
    if (given.length === 0) super(SystemDate.now() + offset);
    else super(...given);
  }

  static now() {
    return SystemDate.now() + offset;
  }
};

let calls = 0;

/** Counts a call of the store. */
export const count = () => (calls += 1);

/** An object whose methods count, and take this many milliseconds longer. */
export function store(target, milliseconds) {
  return new Proxy(target, {
    get(object, name) {
      const value = Reflect.get(object, name);
      if (typeof value !== 'function') return value;
      return (...given) => {
        count();
        const result = () => value.apply(object, given);
        // An asynchronous iterator is consumed by the caller.
        if (milliseconds === 0 || name === 'scan') return result();
        return new Promise((resolve) => setTimeout(resolve, milliseconds)).then(result);
      };
    },
  });
}

/** Tells the kit, on the port that it named, that the server is up; and does what it asks. */
export function serveControl() {
  createServer((request, response) => {
    const url = new URL(request.url, 'http://control');
    if (url.pathname === '/pass') offset += Number(url.searchParams.get('seconds')) * 1000;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ calls }));
  }).listen(Number(process.env.CONTROL_PORT), '127.0.0.1');
}
