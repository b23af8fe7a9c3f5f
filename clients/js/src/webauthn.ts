// The JSON of WebAuthn level 3, also for browsers that cannot convert it, and for extensions whose
// credentials cannot.

import { base64url } from './bytes.js';
import { attempt, decode } from './session.js';

/** Creation or request options as JSON. */
export interface OptionsJson {
  readonly challenge: string;
  readonly user?: { readonly id: string };
  readonly excludeCredentials?: readonly { readonly id: string }[];
  readonly allowCredentials?: readonly { readonly id: string }[];
}

/** Reads options for `credentials.create` or `credentials.get`. */
export function optionsOf<T extends 'parseCreationOptionsFromJSON' | 'parseRequestOptionsFromJSON'>(
  parse: T,
  options: OptionsJson,
): ReturnType<(typeof PublicKeyCredential)[T]> {
  const { user, excludeCredentials, allowCredentials } = options;
  const list = (of: OptionsJson['allowCredentials']) => of?.map((one) => ({ ...one, id: bytes(one.id) }));
  return (attempt(() => PublicKeyCredential[parse](options as never)) ?? {
    ...options,
    challenge: bytes(options.challenge),
    user: user && { ...user, id: bytes(user.id) },
    excludeCredentials: list(excludeCredentials),
    allowCredentials: list(allowCredentials),
  }) as ReturnType<(typeof PublicKeyCredential)[T]>;
}

const BINARY = ['clientDataJSON', 'attestationObject', 'authenticatorData', 'signature', 'userHandle'] as const;

/** What the service verifies of a credential. */
export function jsonOf(made: Credential | null): object {
  const credential = made as PublicKeyCredential;
  const { id, type } = credential;
  const response = credential.response as AuthenticatorAttestationResponse & Binary;
  return (
    attempt(() => credential.toJSON()) ?? {
      id,
      rawId: id,
      type,
      clientExtensionResults: credential.getClientExtensionResults(),
      response: {
        ...Object.fromEntries(BINARY.flatMap((name) => (response[name] ? [[name, base64url(response[name])]] : []))),
        transports: response.getTransports?.(),
      },
    }
  );
}

type Binary = { readonly [name in (typeof BINARY)[number]]: ArrayBuffer };

const bytes = (text: string) => Uint8Array.from(decode(text), (char) => char.charCodeAt(0));
