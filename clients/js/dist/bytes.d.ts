export declare const base64url: (bytes: ArrayBuffer | Uint8Array) => string;
