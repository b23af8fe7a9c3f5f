"use strict";
// Requests of the signed-in user that are sent once, whatever happens to the answer.
Object.defineProperty(exports, "__esModule", { value: true });
exports.call = call;
const session_js_1 = require("./session.js");
const turns_js_1 = require("./turns.js");
/** Resolves with the body of the answer. Rejects with a `RatchetError`. */
function call(client, method, path, body) {
    const controller = new AbortController();
    const answer = async () => {
        const response = await client.fetch(path, {
            method,
            ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
            signal: controller.signal,
        });
        if (!response.ok)
            throw await (0, session_js_1.errorOf)(response);
        return response.status === 204 ? {} : response.json();
    };
    return (0, turns_js_1.within)(turns_js_1.ANSWER, answer()).catch((error) => {
        controller.abort();
        throw error instanceof session_js_1.RatchetError ? error : new session_js_1.RatchetError({ cause: error });
    });
}
