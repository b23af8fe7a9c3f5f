// A browser's `navigator.credentials`, as far as passkeys use it. Nobody touches it before a test says so.

import { vi } from 'vitest';

import { inPage } from './world.js';

const bytes = (...numbers: number[]) => new Uint8Array(numbers).buffer;

export class Authenticator {
  /** What the page asked for, the latest last. */
  readonly asked: { method: 'create' | 'get'; options: any }[] = [];
  readonly page = Object.assign(new EventTarget(), { hidden: false });
  private readonly waiting: { resolve(credential: unknown): void; reject(error: unknown): void }[] = [];

  /** A page in a browser: a `modern` one converts JSON, an `old` one does not, and with an `extension` it fails. */
  constructor(private readonly browser: 'modern' | 'old' | 'extension' = 'modern') {
    const ask = (method: 'create' | 'get') => (options: any) => this.ask(method, options);
    const credentials = { create: ask('create'), get: ask('get') };
    const parse = (json: object) => ({ parsed: json });
    const statics = {
      parseCreationOptionsFromJSON: parse, parseRequestOptionsFromJSON: parse,
      isConditionalMediationAvailable: async () => true,
    };
    inPage({
      document: this.page,
      addEventListener: this.page.addEventListener.bind(this.page),
      navigator: { credentials },
      PublicKeyCredential: Object.assign(function PublicKeyCredential() {}, browser === 'modern' && statics),
    });
  }

  get latest() {
    return this.asked.at(-1)!;
  }

  /** Waits until the page has asked `times` times. */
  async isAsked(times = 1) {
    await vi.waitFor(() => {
      if (this.asked.length < times) throw new Error(`asked ${this.asked.length} times`);
    });
  }

  /** The user chooses the passkey of this id. */
  choose(id = 'right') {
    this.waiting.at(-1)!.resolve(this.credential(id));
  }

  /** The browser refuses, for example because the user has closed the dialog. */
  refuse(name = 'NotAllowedError') {
    this.waiting.at(-1)!.reject(new DOMException('no', name));
  }

  private ask(method: 'create' | 'get', options: any) {
    this.asked.push({ method, options });
    const { signal } = options as { signal: AbortSignal };
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      signal.addEventListener('abort', () => reject(signal.reason));
      this.waiting.push({ resolve, reject });
    });
  }

  private credential(id: string) {
    const isNew = this.latest.method === 'create';
    const response = isNew
      ? { clientDataJSON: bytes(1), attestationObject: bytes(2), getTransports: () => ['internal'] }
      : { clientDataJSON: bytes(1), authenticatorData: bytes(2), signature: bytes(255, 254), userHandle: null };
    const credential = { id, rawId: bytes(3), type: 'public-key', response, getClientExtensionResults: () => ({}) };
    if (this.browser === 'modern') return { ...credential, toJSON: () => ({ id, by: 'the browser' }) };
    if (this.browser === 'old') return credential;
    const toJSON = () => {
      throw new TypeError('Illegal invocation');
    };
    return { ...credential, toJSON };
  }
}
