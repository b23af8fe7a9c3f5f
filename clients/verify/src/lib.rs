//! Verifies Ratchet's access tokens in other services.
//!
//! The same strict verification as in Ratchet itself (RFC 8725, RFC 9068), with the keys that the
//! issuer publishes: fetched over HTTPS, kept as long as the issuer says, fetched again when a token
//! names a key that is not among them (at most once in [`COOL_DOWN`]), and used on while the issuer
//! can not be reached (at most for [`STALE_FOR`]). Whoever presents a token can make this service
//! send one request in a while, to one URL, and nothing else. A token counts until it expires, unless
//! the verifier also asks which sessions have ended: [`Verifier::with_revocations`].
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
mod ended;
mod fetch;
mod keys;
mod times;

use std::{sync::Arc, time::Duration};

use ratchet_core::{
    access_token::{self, AccessTokenPolicy, Verified},
    revocations::Standing,
};
pub use ratchet_core::{
    access_token::{AccessTokenError, Claims},
    revocations::ListError,
    time::UnixSeconds,
};

use self::{ended::EndedSessions, fetch::Fetcher, keys::KeyCache};
pub use self::{
    ended::Outage,
    fetch::{FetchError, InvalidIssuer},
    times::{COOL_DOWN, STALE_FOR},
};

/// Verifies the tokens of one issuer for one audience. Make one and share it: it holds the keys.
#[derive(Debug)]
pub struct Verifier {
    keys: Arc<KeyCache>,
    ended: Option<Arc<EndedSessions>>,
    policy: AccessTokenPolicy,
}

/// A token was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Genuine, but its life is over, or more sessions ended since it was issued than are known: a
    /// 401, after which the client refreshes.
    #[error("the access token has expired")]
    Expired,
    /// Genuine and within its life, but its session has ended: a 401.
    #[error("the access token's session has ended")]
    Ended,
    /// Not an access token of this issuer for this audience: a 401.
    #[error(transparent)]
    Invalid(#[from] AccessTokenError),
    /// No verdict, because the keys, or the sessions that ended, can not be had: a 503, never a 401.
    #[error("what the issuer publishes is not available")]
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
            keys: KeyCache::new(Fetcher::new(issuer, "/.well-known/jwks.json")?),
            ended: None,
            policy: AccessTokenPolicy {
                issuer: issuer.to_owned(),
                former_issuers: Vec::new(),
                audience: audience.to_owned(),
                former_audiences: Vec::new(),
                client_id: String::new(),
                life: Duration::from_secs(300),
                clock_skew: Duration::ZERO,
                leeway: Duration::ZERO,
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

    /// Also refuses tokens whose session has ended, within seconds: asks the issuer which did, as
    /// often as it says (15 s), when there is something to verify. The issuer's `Revocations` has to
    /// be enabled.
    ///
    /// While the issuer can not be asked, what is known stays, for as long as a token lives. Then
    /// it is about no token that there is still, and `outage` decides.
    ///
    /// # Errors
    /// [`InvalidIssuer`], which [`Self::new`] would have found.
    pub fn with_revocations(mut self, outage: Outage) -> Result<Self, InvalidIssuer> {
        let fetcher = Fetcher::new(&self.policy.issuer, "/.well-known/revocations")?;
        self.ended = Some(EndedSessions::new(fetcher, outage));
        Ok(self)
    }

    /// What a token says, if it counts now.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub async fn verify(&self, token: &str) -> Result<Claims, VerifyError> {
        self.verify_at(token, clock::now()).await
    }

    /// As [`Self::verify`], by a clock of the caller's.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub async fn verify_at(&self, token: &str, now: UnixSeconds) -> Result<Claims, VerifyError> {
        let verdict = self.keys.verify(now, AccessTokenError::takes_unknown_key, |keys| {
            access_token::verify_with(token, &self.policy, |kid| keys.find(kid), now)
        });
        let Verified::Live(claims) = verdict.await.map_err(VerifyError::Unavailable)?? else {
            return Err(VerifyError::Expired);
        };
        let Some(ended) = &self.ended else { return Ok(claims) };
        let standing = ended.standing(&claims, &self.policy, &self.keys, now);
        match standing.await.map_err(VerifyError::Unavailable)? {
            Standing::NotEnded => Ok(claims),
            Standing::Ended => Err(VerifyError::Ended),
            Standing::TooOld => Err(VerifyError::Expired),
        }
    }
}
