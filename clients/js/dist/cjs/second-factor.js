"use strict";
// Second factors: codes of an authenticator app (TOTP, RFC 6238), and recovery codes.
Object.defineProperty(exports, "__esModule", { value: true });
exports.isSecondFactorRequired = isSecondFactorRequired;
exports.secondFactor = secondFactor;
const call_js_1 = require("./call.js");
const session_js_1 = require("./session.js");
/** Whether `signIn` was refused only because it needs a second factor. */
function isSecondFactorRequired(error) {
    return error instanceof session_js_1.RatchetError && /^second_factor_(enrollment_)?required$/.test(error.code);
}
/** The second factor of the user of a client. */
function secondFactor(client) {
    const own = (method, path, body) => (0, call_js_1.call)(client, method, `/users/me/totp${path}`, body);
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
