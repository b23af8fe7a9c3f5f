// Second factors: codes of an authenticator app (TOTP, RFC 6238), and recovery codes.
import { errorOf, RatchetError } from './session.js';
import { ANSWER, within } from './turns.js';
/** Whether `signIn` was refused only because it needs a second factor. */
export function isSecondFactorRequired(error) {
    return error instanceof RatchetError && /^second_factor_(enrollment_)?required$/.test(error.code);
}
/** The second factor of the user of a client. */
export function secondFactor(client) {
    /** As the signed-in user. */
    async function call(method, path, body) {
        const controller = new AbortController();
        const answer = async () => {
            const response = await client.fetch(`/users/me/totp${path}`, {
                method,
                headers: { 'content-type': 'application/json' },
                body: JSON.stringify(body),
                signal: controller.signal,
            });
            if (!response.ok)
                throw await errorOf(response);
            return response.status === 204 ? {} : response.json();
        };
        return within(ANSWER, answer()).catch((error) => {
            controller.abort();
            throw error instanceof RatchetError ? error : new RatchetError({ cause: error });
        });
    }
    return {
        async signIn({ name, challenge, ...proof }) {
            let codes;
            // In the place of the password, and with everything that the client does after a sign-in.
            const session = await client.signIn({ name }, (_path, { mode }, read) => client.post('/authenticate/second-factor', { challenge, ...wire(proof), mode }, (answer) => {
                codes = answer.recovery_codes;
                return read(answer);
            }));
            return { session, ...(codes && { recoveryCodes: codes }) };
        },
        async enroll(proof) {
            const { secret, uri, qr_svg: svg } = await ('challenge' in proof
                ? client.post('/authenticate/second-factor/totp', { challenge: proof.challenge })
                : call('POST', '', { password: proof.password }));
            return { secret, uri, qrCode: `data:image/svg+xml,${encodeURIComponent(svg)}` };
        },
        confirm: async (code) => codesOf(await call('POST', '/confirm', { code })),
        replaceRecoveryCodes: async (proof) => codesOf(await call('POST', '/recovery-codes', wire(proof))),
        disable: async (proof) => void (await call('DELETE', '', wire(proof))),
    };
}
const codesOf = ({ recovery_codes: codes }) => codes;
/** As the service calls it. */
const wire = ({ password, code, recoveryCode }) => ({
    password,
    code,
    recovery_code: recoveryCode,
});
