// An authenticator app (RFC 6238).

import { createHmac } from 'node:crypto';

import { sleep } from './stack.js';

const step = (seconds) => Math.floor(seconds / 30);
const now = () => Date.now() / 1000;

/** One that never shows the same code twice. */
export class App {
  #secret;
  /** The time step of the last code. */
  #last = 0;

  constructor(secret) {
    const bits = [...secret].map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0')).join('');
    this.#secret = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  }

  async code() {
    // The service also takes the step before this one, if that does not end at any moment.
    this.#last = Math.max(this.#last + 1, step(now() + 10) - 1);
    while (this.#last > step(now()) + 1) await sleep(200);
    return this.#at(this.#last);
  }

  /** A code that the service refuses. */
  wrong() {
    const right = [-2, -1, 0, 1, 2].map((steps) => this.#at(step(now()) + steps));
    return ['000000', '000001', '000002', '000003', '000004', '000005'].find((code) => !right.includes(code));
  }

  #at(number) {
    const counter = Buffer.alloc(8);
    counter.writeBigUInt64BE(BigInt(number));
    const hash = createHmac('sha1', this.#secret).update(counter).digest();
    const truncated = hash.readUInt32BE(hash.at(-1) & 15) & 0x7fffffff;
    return String(truncated % 1_000_000).padStart(6, '0');
  }
}
