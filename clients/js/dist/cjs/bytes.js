"use strict";
// Bytes as text (RFC 4648 §5).
Object.defineProperty(exports, "__esModule", { value: true });
exports.base64url = void 0;
const base64url = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replace(/\+/g, '-')
    .replace(/\//g, '_')
    .replace(/=/g, '');
exports.base64url = base64url;
