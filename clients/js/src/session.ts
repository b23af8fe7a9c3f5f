// What a signed-in client knows, and how the service's answers are read.

/** A session as the application sees it. All times are milliseconds since 1970. */
export interface Session {
  /** For requests that do not go through `fetch`, a WebSocket for example. In memory only. */
  readonly accessToken: string;
  /** When the access token ends. */
  readonly expiresAt: number;
  /** When it will be refreshed. */
  readonly refreshAt: number;
  /** When the user has to sign in again, however often the session is refreshed. */
  readonly sessionExpiresAt: number;
  /** Token mode only: in cookie mode no script has it. */
  readonly refreshToken?: string | undefined;
}

/** What tabs tell each other: the newest word. */
export interface State {
  readonly session: Session | null;
  /** Why there is no session: a `code` of the service, or `signed_out`. */
  readonly reason?: string | undefined;
  /** When this was learnt; a later word replaces an earlier one. */
  readonly at: number;
}

/** A refusal, or no answer in the end. `code` is the service's own, or `unavailable`. */
export class RatchetError extends Error {
  constructor(
    readonly code: string,
    readonly status = 0,
    message = code,
    /** In how many seconds to try again, if the service said so. */
    readonly retryAfter?: number,
  ) {
    super(message);
    this.name = 'RatchetError';
  }
}

/** Reads a token pair. */
export function stateOf(body: Record<string, unknown>, at: number): State {
  const { access_token: accessToken, refresh_token: refreshToken } = body;
  const after = (name: string) => at + Number(body[name]) * 1000;
  const expiresAt = after('expires_in');
  if (typeof accessToken !== 'string' || !Number.isFinite(expiresAt)) {
    throw new RatchetError('unavailable', 0, 'not a token pair');
  }
  return {
    session: {
      accessToken,
      expiresAt,
      refreshAt: after('refresh_after') || expiresAt,
      sessionExpiresAt: after('session_expires_in'),
      refreshToken: typeof refreshToken === 'string' ? refreshToken : undefined,
    },
    at,
  };
}

/** Reads a refusal; whatever is not the service's own has no code of it. */
export async function errorOf(response: Response): Promise<RatchetError> {
  const problem = await response
    .clone()
    .json()
    .catch(() => ({}));
  const { status } = response;
  const own = String(problem?.type).startsWith('urn:ratchet:problem:');
  const code = own ? String(problem.code) : status >= 500 ? 'unavailable' : 'refused';
  const retryAfter = Number(response.headers.get('retry-after')) || undefined;
  return new RatchetError(code, status, own ? String(problem.title) : code, retryAfter);
}

/** Whether the same request would be refused again: an answer that is neither a fault nor a limit. */
export function isRefused({ status }: RatchetError): boolean {
  return status >= 400 && status < 500 && status !== 429;
}

/**
 * Whether nothing can come of the refresh token any more. Only the service's own word counts: a
 * fault, a gateway's 401, or a refusal of the request leaves the session alone.
 */
export function endsSession({ code, status }: RatchetError): boolean {
  return status === 401 && !['refused', 'access_token_mismatch', 'elsewhere'].includes(code);
}
