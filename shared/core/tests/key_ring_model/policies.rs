//! The configurations that deployments choose from.

use std::time::Duration;

use ratchet_core::{
    access_token::AccessTokenPolicy, jws::SignatureAlgorithm, key_ring::RotationPolicy,
};

const DAY: u64 = 86_400;

const fn policy(
    algorithm: SignatureAlgorithm,
    lead: u64,
    access_tokens: u64,
    sessions: u64,
) -> RotationPolicy {
    RotationPolicy {
        algorithm,
        lead: Duration::from_secs(lead),
        access_tokens: Duration::from_secs(access_tokens),
        sessions: Duration::from_secs(sessions),
    }
}

/// The default, and each time longer and shorter, with every algorithm that is fast to generate.
pub const POLICIES: [RotationPolicy; 4] = [
    policy(SignatureAlgorithm::Es256, 990, 300, 90 * DAY),
    policy(SignatureAlgorithm::EdDsa, 990, DAY, 90 * DAY),
    policy(SignatureAlgorithm::Hs256, 22, 60, DAY),
    policy(SignatureAlgorithm::Es256, 99_000, 300, 400 * DAY),
];

/// How old a function's copy of the ring may be.
pub fn reload(policy: &RotationPolicy) -> u64 {
    (policy.lead.as_secs() / 4).min(300)
}

/// How long a key has to be published before it signs: the lead without its tenth.
pub fn propagation(policy: &RotationPolicy) -> u64 {
    policy.lead.as_secs() * 10 / 11
}

/// How functions of this configuration issue and verify access tokens.
pub fn access_tokens(policy: &RotationPolicy) -> AccessTokenPolicy {
    AccessTokenPolicy {
        issuer: "https://issuer.example".to_owned(),
        former_issuers: Vec::new(),
        audience: "ratchet".to_owned(),
        former_audiences: Vec::new(),
        client_id: "first-party".to_owned(),
        life: policy.access_tokens,
        clock_skew: Duration::ZERO,
        leeway: Duration::ZERO,
    }
}
