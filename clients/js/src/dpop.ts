// Sessions that are bound to a key (DPoP, RFC 9449): their tokens open nothing without it.

import { base64url } from './bytes.js';
import { attempt, claimsOf, errorOf } from './session.js';
import { within } from './turns.js';
import type { Binding } from './types.js';

/** How long to wait for the key from IndexedDB, in ms. */
const KEY = 5_000;

export interface DpopOptions {
  /**
   * An ECDSA key pair on P-256, for one user. Needed on a server if sessions outlive the process. By
   * default IndexedDB keeps one pair for all tabs; without IndexedDB, it is in memory.
   */
  keys?: CryptoKeyPair;
}

/** Binds the sessions of a client to a key that no script can read: `createClient({ …, dpop: dpop() })`. */
export function dpop({ keys }: DpopOptions = {}): Binding {
  const { subtle } = globalThis.crypto ?? {};
  if (!subtle) throw new TypeError('dpop: needs WebCrypto (https or localhost)');

  // Everything below belongs to one client. On a server, each user has another one.
  return (base, plain) => {
    /** The last nonce of each origin. */
    const nonces: Record<string, string> = {};
    /** How far the clock of the service is ahead of this one, in ms. */
    let ahead = 0;
    let signing: Promise<readonly [CryptoKey, JsonWebKey]> | undefined;

    async function signingKey() {
      const { privateKey, publicKey } = keys ?? (await keyPair(subtle, base));
      const { kty, crv, x, y } = (await subtle.exportKey('jwk', publicKey)) as Record<string, string>;
      return [privateKey, { kty, crv, x, y } as JsonWebKey] as const;
    }

    async function proof(htm: string, htu: string, nonce: string | undefined, token: string | undefined) {
      const [key, jwk] = await (signing ??= signingKey());
      const ath = token && base64url(await subtle.digest('SHA-256', utf8(token)));
      const iat = Math.floor((Date.now() + ahead) / 1000);
      const signed = [{ typ: 'dpop+jwt', alg: 'ES256', jwk }, { jti: crypto.randomUUID(), htm, htu, iat, nonce, ath }]
        .map((part) => base64url(utf8(JSON.stringify(part))))
        .join('.');
      return `${signed}.${base64url(await subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, key, utf8(signed)))}`;
    }

    /** Sends a request with a proof, and `again` if the service refuses the proof. */
    async function send(target: Request, token: string | undefined, again?: Request): Promise<Response> {
      const { origin, pathname } = new URL(target.url);
      const shelf = `ratchet-dpop:${base}:${origin}`;
      // Another tab may have stored a newer one. If it is not valid, the refusal has the next one.
      const nonce = (inPage() && attempt(() => localStorage.getItem(shelf))) || nonces[origin];
      target.headers.set('dpop', await proof(target.method, origin + pathname, nonce, token));
      if (token) target.headers.set('authorization', `DPoP ${token}`);
      const response = await plain(target);
      const { headers, status } = response;
      const next = headers.get('dpop-nonce');
      if (next) {
        nonces[origin] = next;
        if (inPage()) attempt(() => localStorage.setItem(shelf, next));
        // Absent if an API does not expose it to pages of other origins.
        const date = Date.parse(headers.get('date')!);
        if (date) ahead = date - Date.now();
      }
      if (status !== 400 && status !== 401) return response;
      const error = await errorOf(response);
      // An API of another origin may have no `code`, but the challenge of RFC 9449 §7.1.
      if (next && again && REFUSED.test(error.code + headers.get('www-authenticate'))) return send(again, token);
      // This neither ends the session nor is a reason to refresh it.
      if (REFUSED.test(error.code)) throw error;
      return response;
    }

    return (input, init) => {
      const target = new Request(input, init);
      const token = target.headers.get('authorization')?.slice(7);
      // A session that began without a key is a bearer session until the next sign-in.
      const isBound = token && attempt(() => claimsOf(token).cnf);
      const isTokenRoute = /^\/(authenticate|passkeys|refresh|logout)/.test(String(input).slice(base.length));
      return isBound || isTokenRoute ? send(target, token, target.clone()) : plain(target);
    };
  };
}

const REFUSED = /use_dpop_nonce|invalid_dpop_proof/;

/** The key that all tabs share or, if IndexedDB cannot keep one, a key of this client. */
async function keyPair(subtle: SubtleCrypto, base: string): Promise<CryptoKeyPair> {
  const made = await subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
  return within(KEY, kept(made, base)).catch(() => made);
}

/** The key that IndexedDB keeps for `base`: `made`, if there was none. */
async function kept(made: CryptoKeyPair, base: string): Promise<CryptoKeyPair> {
  const opening = indexedDB.open('ratchet-dpop');
  await new Promise((resolve, reject) => {
    opening.onupgradeneeded = () => opening.result.createObjectStore('keys');
    opening.onsuccess = resolve;
    opening.onerror = reject;
  });
  const transaction = opening.result.transaction('keys', 'readwrite');
  // Takes effect once the transaction has ended.
  opening.result.close();
  const store = transaction.objectStore('keys');
  // Fails if there is a key already, which is then used. The transaction goes on.
  store.add(made, base).onerror = (event) => event.preventDefault();
  const found = store.get(base);
  // Wait until the key is stored: a session whose key is lost cannot continue.
  await new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = reject;
  });
  return found.result;
}

const inPage = () => typeof document === 'object';

const utf8 = (text: string) => new TextEncoder().encode(text);
