// Timers and a clock that a test moves. Vitest's own give the event loop a turn of
// real time for each timer, which is too slow for thousands of runs.

import { vi } from 'vitest';

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

export class VirtualTime {
  private readonly timers = new Map<number, Timer>();
  private number = 0;

  constructor(private now: number) {
    vi.spyOn(Date, 'now').mockImplementation(() => this.now);
    vi.stubGlobal('setTimeout', (run: () => void, ms = 0) => {
      this.number += 1;
      this.timers.set(this.number, { at: this.now + Math.max(ms, 0), run });
      return this.number;
    });
    vi.stubGlobal('clearTimeout', (number: number) => this.timers.delete(number));
  }

  /** Moves on by `ms`, and runs what is due by then, in order. */
  async pass(ms: number): Promise<void> {
    const end = this.now + ms;
    for (await settle(); ; await settle()) {
      const [number, timer] = this.next();
      if (!timer || timer.at > end) break;
      this.timers.delete(number);
      this.now = Math.max(this.now, timer.at);
      timer.run();
    }
    this.now = end;
  }

  /** Gives the real timers back. */
  end() {
    this.timers.clear();
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
  }

  private next(): [number, Timer | undefined] {
    let first: [number, Timer | undefined] = [0, undefined];
    for (const entry of this.timers) if (!first[1] || entry[1].at < first[1].at) first = entry;
    return first;
  }
}

/** Until everything has happened that does not wait for time. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
