import type { Body, Client } from './index.js';
/** Resolves with the body of the answer. Rejects with a `RatchetError`. */
export declare function call(client: Client, method: string, path: string, body?: object): Promise<Body>;
