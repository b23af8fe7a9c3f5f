import type { Binding } from './types.js';
export interface DpopOptions {
    /**
     * An ECDSA key pair on P-256, for one user. Needed on a server if sessions outlive the process. By
     * default IndexedDB keeps one pair for all tabs; without IndexedDB, it is in memory.
     */
    keys?: CryptoKeyPair;
}
/** Binds the sessions of a client to a key that no script can read: `createClient({ …, dpop: dpop() })`. */
export declare function dpop({ keys }?: DpopOptions): Binding;
