// The accounts API: registration, addresses, passwords, and the user's own sessions.
import { errorOf } from './session.js';
/** The accounts API for the user of a client. */
export function accounts(client) {
    const post = async (path, body) => void (await client.post(path, body));
    /** As the signed-in user. */
    async function call(method, path, body) {
        const response = await client.fetch(path, {
            method,
            ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
        });
        if (!response.ok)
            throw await errorOf(response);
        return response.status === 204 ? {} : response.json();
    }
    /** This client's own session may have ended with that, which a refresh finds out. */
    async function afterwards() {
        if (client.session)
            await client.refresh().catch(() => { });
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
        signInWithMail: (proof) => client.signIn({ name: '' }, (_path, { mode }, read) => client.post('/authenticate/email/confirm', { ...proof, mode }, read)),
        async changePassword({ current, new: password, keepThisSession = true }) {
            await call('POST', '/users/me/password', { current, new: password, keep_this_session: keepThisSession });
            if (!keepThisSession)
                await afterwards();
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
                return sessions.map(sessionEntryOf);
            },
            async end(id) {
                await call('DELETE', `/users/me/sessions/${encodeURIComponent(id)}`);
                if (id === client.session?.claims.sid)
                    await afterwards();
            },
            endOthers: async () => void (await call('DELETE', '/users/me/sessions?except=current')),
            async endAll() {
                await call('DELETE', '/users/me/sessions');
                await afterwards();
            },
        },
    };
}
function accountOf(answer) {
    const { email_confirmed: emailConfirmed, pending_email: pendingEmail, second_factor: secondFactor, ...same } = answer;
    return { ...same, emailConfirmed, pendingEmail: pendingEmail ?? undefined, secondFactor };
}
function sessionEntryOf(answer) {
    const ms = (name) => Number(answer[name]) * 1000;
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
    };
}
