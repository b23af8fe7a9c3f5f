import type { Client, Options } from './types.js';
export type { Code } from './codes.js';
export { RatchetError, type Claims, type MissedRule, type Session, type User } from './session.js';
export type { ClientEvent } from './state.js';
export type { Locks } from './turns.js';
export type { Binding, Body, Channel, Client, Credentials, Devices, Options, Status, TokenStorage } from './types.js';
export declare function createClient(options: Options): Client;
