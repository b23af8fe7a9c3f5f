// Second factors: codes of an authenticator app (TOTP, RFC 6238), and recovery codes.
import { call } from './call.js';
import { RatchetError } from './session.js';
/** Whether `signIn` was refused only because it needs a second factor. */
export function isSecondFactorRequired(error) {
    return error instanceof RatchetError && /^second_factor_(enrollment_)?required$/.test(error.code);
}
/** The second factor of the user of a client. */
export function secondFactor(client) {
    const own = (method, path, body) => call(client, method, `/users/me/totp${path}`, body);
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
                : own('POST', '', { password: proof.password }));
            return { secret, uri, qrCode: `data:image/svg+xml,${encodeURIComponent(svg)}` };
        },
        confirm: async (code) => codesOf(await own('POST', '/confirm', { code })),
        replaceRecoveryCodes: async (proof) => codesOf(await own('POST', '/recovery-codes', wire(proof))),
        disable: async (proof) => void (await own('DELETE', '', wire(proof))),
    };
}
const codesOf = ({ recovery_codes: codes }) => codes;
/** As the service calls it. */
const wire = ({ password, code, recoveryCode }) => ({
    password,
    code,
    recovery_code: recoveryCode,
});
