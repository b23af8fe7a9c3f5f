// One at a time: within a client, and with Web Locks over all tabs of a browser.
import { RatchetError } from './session.js';
/** How long to wait for a lock, in ms. The service keeps sessions whole without it. */
const LOCK = 5_000;
/** The longest wait for an answer, in ms. */
export const ANSWER = 10_000;
/**
 * Takes turns, under a lock if there are any. A lock that is refused or not granted in time is done
 * without: a tab that never gives it back must not stop the others.
 */
export function turns(name, locks) {
    let last = Promise.resolve();
    return (work) => {
        const turn = last.then(async () => {
            let begun;
            const run = () => (begun ??= work());
            if (locks) {
                const granted = new Promise((resolve) => {
                    locks.request(name, () => (resolve(0), run())).catch(resolve);
                });
                await within(LOCK, granted).catch(() => { });
            }
            return run();
        });
        last = turn.catch(() => { });
        return turn;
    };
}
/** Rejects if `work` takes longer than `ms`. */
export function within(ms, work) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new RatchetError()), ms);
    });
    return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
