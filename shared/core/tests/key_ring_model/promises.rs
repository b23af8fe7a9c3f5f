//! What a ring promises, said without the code that decides it.

use serde_json::Value;

/// Whether, at every moment from `now` on, some key signs and some key tags.
pub fn first_moment_without_a_key(ring: &str, now: u64) -> Option<(&'static str, u64)> {
    let ring: Value = serde_json::from_str(ring).unwrap();
    // A seed yields keys without beginning and end.
    if ring["seed"].is_string() {
        return None;
    }
    ["sig", "refresh-tag"].into_iter().find_map(|use_| {
        let lives: Vec<(u64, u64)> = ring["keys"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|key| key["use"] == use_)
            .map(|key| (key["nbf"].as_u64().unwrap_or(0), key["exp"].as_u64().unwrap_or(u64::MAX)))
            .collect();
        // Nothing changes but where a key begins or ends.
        let mut moments: Vec<u64> = lives.iter().flat_map(|(begin, end)| [*begin, *end]).collect();
        moments.push(now);
        moments.sort_unstable();
        moments
            .into_iter()
            .filter(|at| (now..u64::MAX).contains(at))
            .find(|at| !lives.iter().any(|(begin, end)| begin <= at && at < end))
            .map(|at| (use_, at - now))
    })
}
