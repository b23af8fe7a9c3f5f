// The accounts API: registration, addresses, passwords, and the user's own sessions.

import type { Body, Client, Credentials } from './index.js';
import { errorOf, type Session } from './session.js';

/** What the link or the code of a message proves. */
export type Proof = { readonly token: string } | { readonly email: string; readonly code: string };

/** The user's own account. */
export interface Account {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly emailConfirmed: boolean;
  /** The address that replaces `email` once it is confirmed. */
  readonly pendingEmail?: string | undefined;
  readonly roles: readonly string[];
  readonly status: string;
  /** Whether sign-ins need a second factor. */
  readonly secondFactor: boolean;
}

/** One of the user's sessions. All times are milliseconds since 1970. */
export interface SessionEntry {
  readonly id: string;
  /** Whether it is this client's own. */
  readonly current: boolean;
  /** What the user called the device. */
  readonly device?: string | undefined;
  readonly userAgent: string;
  readonly network: string;
  readonly signedInAt: number;
  readonly refreshedAt: number;
  readonly idleExpiresAt: number;
  readonly absoluteExpiresAt: number;
}

/**
 * Every method rejects with a `RatchetError` if the service refuses. Nothing that a password is sent
 * with is tried again automatically.
 */
export interface Accounts {
  /**
   * Registers a user, who has to confirm the address. Resolves even if the name or the address is
   * taken: only the message says so. `password_refused` has the `rules` that the password misses.
   */
  register(user: { name: string; email: string; password: string }): Promise<void>;
  /** Confirms an address. With the user name of the registration, a code counts for no other one. */
  confirmEmail(proof: Proof & { name?: string }): Promise<void>;
  /** Sends the message for `confirmEmail` again, for one registration if `name` is its user name. */
  resendConfirmation(email: string, name?: string): Promise<void>;
  /** Sends a message for `resetPassword`, if it is the address of an account. */
  requestPasswordReset(email: string): Promise<void>;
  /** Sets a new password, and ends all sessions of the user. */
  resetPassword(request: Proof & { password: string }): Promise<void>;
  /** Sends a message for `signInWithMail`, if it is the confirmed address of an account. */
  requestSignInMail(email: string): Promise<void>;
  /**
   * Signs the user in with a message: the client's session is then as after its own `signIn`. Rejects as that
   * does if a second factor is required.
   */
  signInWithMail(proof: Proof & { device?: string }): Promise<Session>;
  /** Changes the password of the signed-in user, and ends the other sessions, or all of them. */
  changePassword(request: { current: string; new: string; keepThisSession?: boolean }): Promise<void>;
  /** Asks for another address, which has to be confirmed. A step-up can replace the password. */
  changeEmail(request: { email: string; password?: string }): Promise<void>;
  /** The account of the signed-in user. */
  me(): Promise<Account>;
  /** Deletes the account of the signed-in user. A step-up can replace the password. */
  deleteAccount(password?: string): Promise<void>;
  readonly sessions: {
    /** The user's live sessions, the one refreshed last first. */
    list(): Promise<SessionEntry[]>;
    /** Ends one of them. */
    end(id: string): Promise<void>;
    endOthers(): Promise<void>;
    /** Ends all of them, this one too. */
    endAll(): Promise<void>;
  };
}

/** The accounts API for the user of a client. */
export function accounts(client: Client): Accounts {
  const post = async (path: string, body: object) => void (await client.post(path, body));

  /** As the signed-in user. */
  async function call(method: string, path: string, body?: object): Promise<Body> {
    const response = await client.fetch(path, {
      method,
      ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
    if (!response.ok) throw await errorOf(response);
    return response.status === 204 ? {} : response.json();
  }

  /** This client's own session may have ended with that, which a refresh finds out. */
  async function afterwards() {
    if (client.session) await client.refresh().catch(() => {});
  }

  return {
    // An administrator's token counts where only administrators register users.
    async register({ name, email, password }) {
      const user = { name, email, password };
      await (client.session ? call('POST', '/users', user) : client.post('/users', user));
    },
    confirmEmail: (proof) => post('/users/confirm-email', proof),
    resendConfirmation: (email, name) => post('/users/confirm-email/resend', { email, name }),
    requestPasswordReset: (email) => post('/users/password-reset', { email }),
    resetPassword: (request) => post('/users/password-reset/confirm', request).then(afterwards),
    requestSignInMail: (email) => post('/authenticate/email', { email }),
    // In the place of the password, and with everything that the client does after a sign-in.
    signInWithMail: (proof) =>
      client.signIn({ name: '' } as Credentials, (_path, { mode }: Body, read) =>
        client.post('/authenticate/email/confirm', { ...proof, mode }, read),
      ),
    async changePassword({ current, new: password, keepThisSession = true }) {
      await call('POST', '/users/me/password', { current, new: password, keep_this_session: keepThisSession });
      if (!keepThisSession) await afterwards();
    },
    changeEmail: async ({ email, password }) => void (await call('PATCH', '/users/me', { email, password })),
    me: async () => accountOf(await call('GET', '/users/me')),
    async deleteAccount(password) {
      await call('DELETE', '/users/me', { password });
      await afterwards();
    },
    sessions: {
      async list() {
        const { sessions } = await call('GET', '/users/me/sessions');
        return (sessions as Body[]).map(sessionEntryOf);
      },
      async end(id) {
        await call('DELETE', `/users/me/sessions/${encodeURIComponent(id)}`);
        if (id === client.session?.claims.sid) await afterwards();
      },
      endOthers: async () => void (await call('DELETE', '/users/me/sessions?except=current')),
      async endAll() {
        await call('DELETE', '/users/me/sessions');
        await afterwards();
      },
    },
  };
}

function accountOf(answer: Body): Account {
  const { email_confirmed: emailConfirmed, pending_email: pendingEmail, second_factor: secondFactor, ...same } = answer;
  return { ...same, emailConfirmed, pendingEmail: pendingEmail ?? undefined, secondFactor } as Account;
}

function sessionEntryOf(answer: Body): SessionEntry {
  const ms = (name: string) => Number(answer[name]) * 1000;
  return {
    id: answer.id,
    current: answer.current,
    device: answer.device ?? undefined,
    userAgent: answer.user_agent,
    network: answer.network,
    signedInAt: ms('signed_in_at'),
    refreshedAt: ms('refreshed_at'),
    idleExpiresAt: ms('idle_expires_at'),
    absoluteExpiresAt: ms('absolute_expires_at'),
  } as SessionEntry;
}
