//! Verifies Ratchet's access tokens in other services.
//!
//! The same strict verification as in Ratchet itself (RFC 8725, RFC 9068), with the keys that the
//! issuer publishes. They are fetched over HTTPS, kept as long as the issuer says (RFC 9111),
//! fetched again when a token names a key that is not among them (at most once in
//! [`LOOK_AGAIN_AFTER`]), and used on while the issuer cannot be reached (at most for
//! [`STALE_FOR`]). So a token can make this service send one request a second, to one URL, and
//! nothing else. A token counts until it expires, unless the verifier also asks which sessions have
//! ended: [`Verifier::with_revocations`].
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let verifier = ratchet_verify::Verifier::new("https://auth.example.com", "ratchet")?;
//! let claims = verifier.verify("eyJ…").await?;
//! println!("{} of session {}", claims.sub, claims.sid);
//! println!("tenant: {:?}", claims.custom.get("tenant"));
//! # Ok(())
//! # }
//! ```
//!
//! `examples/protected_service.rs` is a whole service.

mod clock;
mod ended;
mod fetch;
mod keys;
mod timing;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use ratchet_core::{
    access_token::{self, AccessTokenPolicy, Verified},
    dpop::{self, Possession, ProofTarget},
    jws::JwsError,
    revocations::Standing,
};
pub use ratchet_core::{
    access_token::{AccessTokenError, Claims},
    authentication::{Insufficient, InvalidMethods, Requirement},
    custom_claims::CustomClaims,
    dpop::{ProofError, Scheme},
    revocations::ListError,
    time::UnixSeconds,
};

pub use self::{
    ended::Outage,
    fetch::{FetchError, InvalidIssuer},
    timing::{COOL_DOWN, LOOK_AGAIN_AFTER, STALE_FOR},
};
use self::{
    ended::{EndedSessions, Revocations},
    fetch::Fetcher,
    keys::KeyCache,
};

/// How far the issuer's clock and this one may differ by default.
pub const CLOCK_SKEW: Duration = Duration::from_secs(5);

/// Verifies the tokens of one issuer for one audience. Make one and share it: it holds the keys.
#[derive(Debug)]
pub struct Verifier {
    keys: Arc<KeyCache>,
    policy: AccessTokenPolicy,
    revocations: Option<Revocations>,
    /// Made of the two at the first verdict.
    ended: OnceLock<EndedSessions>,
}

/// A token was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Genuine, but it has expired, or more sessions ended since it was issued than are known: a
    /// 401, after which the client refreshes.
    #[error("the access token has expired")]
    Expired,
    /// Genuine and within its life, but its session has ended: a 401.
    #[error("the access token's session has ended")]
    Ended,
    /// Not an access token of this issuer for this audience: a 401.
    #[error(transparent)]
    Invalid(#[from] AccessTokenError),
    /// The token is bound to a key whose possession the request does not prove, or its scheme is
    /// wrong. Answer 401 with a challenge of the scheme `DPoP`.
    #[error(transparent)]
    Unproven(#[from] ProofError),
    /// No verdict, because keys or ended sessions cannot be fetched: a 503, never a 401.
    #[error("what the issuer publishes is not available")]
    Unavailable(#[source] FetchError),
}

/// The parts of a request to a protected resource that its access token and proof are checked with.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The header `Authorization`.
    pub authorization: &'a str,
    /// All headers `DPoP`.
    pub proofs: &'a [&'a str],
    /// The HTTP method.
    pub method: &'a str,
    /// The URL that clients use. Take scheme and host from the configuration, not from the header
    /// `Host`.
    pub url: &'a str,
}

impl Verifier {
    /// A verifier for tokens whose `iss` is exactly `issuer` and whose `aud` is exactly `audience`.
    /// Sends no request yet.
    ///
    /// # Errors
    /// [`InvalidIssuer`] unless the issuer is an https URL without query and fragment. Plain http
    /// is for loopback addresses only.
    pub fn new(issuer: &str, audience: &str) -> Result<Self, InvalidIssuer> {
        Ok(Self {
            keys: KeyCache::new(Fetcher::new(issuer, "/.well-known/jwks.json")?),
            revocations: None,
            ended: OnceLock::new(),
            policy: AccessTokenPolicy {
                issuer: issuer.to_owned(),
                former_issuers: Vec::new(),
                audience: audience.to_owned(),
                former_audiences: Vec::new(),
                client_id: String::new(),
                life: Duration::from_secs(300),
                clock_skew: CLOCK_SKEW,
                leeway: CLOCK_SKEW,
            },
        })
    }

    /// The longest life of a token that is accepted, if it is not Ratchet's default of 300 s.
    #[must_use]
    pub const fn with_life(mut self, life: Duration) -> Self {
        self.policy.life = life;
        self
    }

    /// How far the issuer's clock and this one may differ, if it is not [`CLOCK_SKEW`]. A token is
    /// accepted that much longer than its `exp` says.
    #[must_use]
    pub const fn with_clock_skew(mut self, clock_skew: Duration) -> Self {
        self.policy.clock_skew = clock_skew;
        self
    }

    /// Also refuses tokens whose session has ended, within seconds: fetches the issuer's list of
    /// ended sessions as often as the issuer says (15 s), while there are tokens to verify. The
    /// issuer's `Revocations` has to be enabled.
    ///
    /// While the issuer cannot be reached, what is known stays in use for as long as a token lives.
    /// Then every token that it is about has expired, and `outage` decides.
    ///
    /// # Errors
    /// [`InvalidIssuer`], which [`Self::new`] would have found.
    pub fn with_revocations(mut self, outage: Outage) -> Result<Self, InvalidIssuer> {
        let fetcher = Fetcher::new(&self.policy.issuer, "/.well-known/revocations")?;
        self.revocations = Some(Revocations { fetcher, outage });
        Ok(self)
    }

    /// The claims of a request's access token, if it is valid now: a bearer token, or one that is
    /// bound to a key (DPoP, RFC 9449) and comes with a proof for this request.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub async fn verify_request(&self, request: &Request<'_>) -> Result<Claims, VerifyError> {
        let now = clock::now();
        let (scheme, token) = Scheme::of_header(request.authorization)
            .ok_or(AccessTokenError::from(JwsError::Malformed))?;
        let urls = [request.url.to_owned()];
        let target = ProofTarget { method: request.method, urls: &urls, access_token: Some(token) };
        let possession = match request.proofs {
            [] => Possession::Unclaimed,
            [proof] => dpop::possession(proof, &target, now),
            _ => Possession::Refused(ProofError::Malformed),
        };
        self.verify_presented(token, scheme, possession, now).await
    }

    /// The claims of a bearer token, if it is valid now. Tokens that are bound to a key need
    /// [`Self::verify_request`].
    ///
    /// # Errors
    /// [`VerifyError`].
    pub async fn verify(&self, token: &str) -> Result<Claims, VerifyError> {
        self.verify_at(token, clock::now()).await
    }

    /// As [`Self::verify`], at a time that the caller says.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub async fn verify_at(&self, token: &str, now: UnixSeconds) -> Result<Claims, VerifyError> {
        self.verify_presented(token, Scheme::Bearer, Possession::Unclaimed, now).await
    }

    /// Checks that the user of a verified token was authenticated as a request requires (RFC 9470).
    /// If not, answer 401 with [`Requirement::challenge`] as the header `WWW-Authenticate`.
    ///
    /// ```
    /// # fn example(
    /// #     verifier: &ratchet_verify::Verifier,
    /// #     claims: &ratchet_verify::Claims,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// use ratchet_verify::{Requirement, Scheme};
    ///
    /// let requirement = Requirement::default().max_age(Duration::from_secs(300)).amr("otp hwk")?;
    /// if verifier.require(claims, &requirement).is_err() {
    ///     println!("WWW-Authenticate: {}", requirement.challenge(Scheme::Bearer));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Insufficient`].
    pub fn require(&self, claims: &Claims, requirement: &Requirement) -> Result<(), Insufficient> {
        self.require_at(claims, requirement, clock::now())
    }

    /// As [`Self::require`], at a time that the caller says.
    ///
    /// # Errors
    /// [`Insufficient`].
    pub fn require_at(
        &self,
        claims: &Claims,
        requirement: &Requirement,
        now: UnixSeconds,
    ) -> Result<(), Insufficient> {
        let skew = self.policy.clock_skew.as_secs();
        requirement.check(claims, UnixSeconds::new(now.get().saturating_sub(skew)))
    }

    async fn verify_presented(
        &self,
        token: &str,
        scheme: Scheme,
        possession: Possession,
        now: UnixSeconds,
    ) -> Result<Claims, VerifyError> {
        let verdict = self.keys.verify(now, AccessTokenError::takes_unknown_key, |keys| {
            access_token::verify_with(token, &self.policy, |kid| keys.find(kid), now)
        });
        let Verified::Live(claims) = verdict.await.map_err(VerifyError::Unavailable)?? else {
            return Err(VerifyError::Expired);
        };
        scheme.permits(claims.jkt(), possession)?;
        let Some(revocations) = &self.revocations else { return Ok(claims) };
        let ended = self.ended.get_or_init(|| {
            EndedSessions::new(revocations.clone(), &self.policy, Arc::clone(&self.keys))
        });
        match ended.standing(&claims, now).await.map_err(VerifyError::Unavailable)? {
            Standing::NotEnded => Ok(claims),
            Standing::Ended => Err(VerifyError::Ended),
            Standing::TooOld => Err(VerifyError::Expired),
        }
    }
}
