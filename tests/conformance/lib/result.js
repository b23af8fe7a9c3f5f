// What a check can find. There is no score: each verdict comes with what happened.

export const VERDICTS = ['holds', 'does not hold', 'not offered', 'cannot tell'];

const result = (verdict) => (what, facts) => ({ verdict, what, ...(facts && { facts }) });

/** The promise holds; `what` says how that was seen. */
export const holds = result('holds');
/** The promise does not hold; `what` says what happened instead. */
export const fails = result('does not hold');
/** The server, as it is set up here, has no such thing. */
export const notOffered = result('not offered');
/** The check cannot decide; `what` says why. */
export const cannotTell = result('cannot tell');

/** `holds` or `does not hold`. */
export const verdict = (ok, what, facts) => (ok ? holds : fails)(what, facts);
