// Requests of the signed-in user that are sent once, whatever happens to the answer.

import type { Body, Client } from './index.js';
import { errorOf, RatchetError } from './session.js';
import { ANSWER, within } from './turns.js';

/** Resolves with the body of the answer. Rejects with a `RatchetError`. */
export function call(client: Client, method: string, path: string, body?: object): Promise<Body> {
  const controller = new AbortController();
  const answer = async () => {
    const response = await client.fetch(path, {
      method,
      ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
      signal: controller.signal,
    });
    if (!response.ok) throw await errorOf(response);
    return response.status === 204 ? {} : response.json();
  };
  return within(ANSWER, answer()).catch((error) => {
    controller.abort();
    throw error instanceof RatchetError ? error : new RatchetError({ cause: error });
  });
}
