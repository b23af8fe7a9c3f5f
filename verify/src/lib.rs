//! Verifies Ratchet's access tokens in other services.
//!
//! The same strict verification as in Ratchet itself (RFC 8725, RFC 9068), with the keys that the
//! issuer publishes: fetched over HTTPS, kept as long as the issuer says, fetched again when a token
//! names a key that is not among them (at most once in [`COOL_DOWN`]), and used on while the issuer
//! can not be reached (at most for [`STALE_FOR`]). Whoever presents a token can make this service
//! send one request in a while, to one URL, and nothing else.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let verifier = ratchet_verify::Verifier::new("https://auth.example.com", "ratchet")?;
//! let claims = verifier.verify("eyJ…").await?;
//! println!("{} of session {}", claims.sub, claims.sid);
//! # Ok(())
//! # }
//! ```
//!
//! `examples/protected_service.rs` is a whole service.

mod clock;
mod fetch;
mod keys;
mod times;

use std::time::Duration;

use ratchet::access_token::{self, AccessTokenPolicy, Verified};
pub use ratchet::access_token::{AccessTokenError, Claims};

use self::{fetch::Fetcher, keys::KeyCache};
pub use self::{
    fetch::{FetchError, InvalidIssuer},
    times::{COOL_DOWN, STALE_FOR},
};

/// Verifies the tokens of one issuer for one audience. Make one and share it: it holds the keys.
#[derive(Debug)]
pub struct Verifier {
    keys: KeyCache,
    policy: AccessTokenPolicy,
}

/// A token was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Genuine, but its life is over: a 401, after which the client refreshes.
    #[error("the access token has expired")]
    Expired,
    /// Not an access token of this issuer for this audience: a 401.
    #[error(transparent)]
    Invalid(#[from] AccessTokenError),
    /// No verdict, because the keys can not be had: a 503, never a 401.
    #[error("the issuer's keys are not available")]
    Unavailable(#[source] FetchError),
}

impl Verifier {
    /// A verifier for tokens whose `iss` is `issuer` and whose `aud` is `audience`, both to the
    /// letter. Calls nobody yet.
    ///
    /// # Errors
    /// [`InvalidIssuer`] unless the issuer is an https URL without query and fragment. Plain http is
    /// for loopback addresses only.
    pub fn new(issuer: &str, audience: &str) -> Result<Self, InvalidIssuer> {
        Ok(Self {
            keys: KeyCache::new(Fetcher::new(issuer)?),
            policy: AccessTokenPolicy {
                issuer: issuer.to_owned(),
                audience: audience.to_owned(),
                client_id: String::new(),
                life: Duration::from_secs(300),
                clock_skew: Duration::ZERO,
            },
        })
    }

    /// The longest life of a token that is accepted, if it is not Ratchet's default of 300 s.
    #[must_use]
    pub const fn with_life(mut self, life: Duration) -> Self {
        self.policy.life = life;
        self
    }

    /// How far the issuer's clock and this one may differ; nothing by default.
    #[must_use]
    pub const fn with_clock_skew(mut self, clock_skew: Duration) -> Self {
        self.policy.clock_skew = clock_skew;
        self
    }

    /// What a token says, if it counts now.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub async fn verify(&self, token: &str) -> Result<Claims, VerifyError> {
        let now = clock::now();
        let keys = self.keys.current(now).await.map_err(VerifyError::Unavailable)?;
        let verify = |keys: &ratchet::key_ring::PublicKeys| {
            access_token::verify_with(token, &self.policy, |kid| keys.find(kid), now)
        };
        let verdict = match verify(&keys) {
            Err(AccessTokenError::UnknownKey) => {
                match self.keys.after_unknown_key(now).await.map_err(VerifyError::Unavailable)? {
                    Some(newer) => verify(&newer),
                    None => Err(AccessTokenError::UnknownKey),
                }
            }
            verdict => verdict,
        };
        match verdict? {
            Verified::Live(claims) => Ok(claims),
            Verified::Expired(_) => Err(VerifyError::Expired),
        }
    }
}
