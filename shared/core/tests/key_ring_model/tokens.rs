//! Tokens that the model keeps, with how long they are promised to be good.

use ratchet_core::{
    access_token::{self, Subject, Verified},
    amr::Amr,
    custom_claims::CustomClaims,
    device_token::{self, DeviceId, DeviceToken},
    ids::{SessionId, UserId},
    key_ring::{KeyRing, RotationPolicy},
    refresh_token::RefreshToken,
    second_factor::{SECRET_LEN, SealedTotpSecret, TotpSecret},
    secret::TokenSecret,
    time::{UnixMillis, UnixSeconds},
};

use super::{mistake::Mistake, policies::access_tokens};

/// What somebody got who signed in.
#[derive(Debug, Clone)]
pub struct Tokens {
    issued_at: u64,
    access: String,
    pub signed_by: String,
    refresh: String,
    device: String,
    pub tagged_by: String,
    /// The shortest lives by all policies since then: what has expired by one policy is not promised
    /// to come back with a longer one.
    access_ends_at: u64,
    session_ends_at: u64,
    /// A secret that was sealed then, which has no end.
    sealed: SealedTotpSecret,
}

impl Tokens {
    /// Issued by a function with this copy of the ring.
    pub fn issue(copy: &KeyRing, running: &[&RotationPolicy; 2], now: UnixSeconds) -> Option<Self> {
        let [issuer, _] = running;
        let subject = Subject {
            user_id: UserId::from_bytes([1; 16]),
            session_id: SessionId::from_bytes([2; 16]),
            auth_time: now,
            name: "ada".to_owned(),
            roles: Vec::new(),
            claims: CustomClaims::default(),
            jkt: None,
            amr: Amr::PASSWORD,
            step_up: false,
        };
        let (signer, tagger) = (copy.signer(now)?, copy.tagger(now)?);
        let refresh = RefreshToken {
            user_id: subject.user_id,
            session_id: subject.session_id,
            generation: 0,
            secret: TokenSecret::new([4; 32]),
        };
        let device = DeviceToken {
            user_id: subject.user_id,
            device_id: DeviceId::from_bytes([5; 16]),
            issued_at: now,
            cut_seen: UnixMillis::new(0),
        };
        let sealer = copy.sealer(now)?;
        let sealed = TotpSecret::new([6; SECRET_LEN]).seal(subject.user_id, sealer, [7; 12]);
        let access = access_token::issue(&subject, &access_tokens(issuer), copy, now, [3; 16]);
        let shortest = |life: fn(&RotationPolicy) -> u64| {
            running.iter().map(|policy| life(policy)).min().unwrap_or_default()
        };
        Some(Self {
            issued_at: now.get(),
            access: access.ok()?.to_string(),
            signed_by: signer.kid().to_owned(),
            refresh: refresh.encode(tagger).expose().to_owned(),
            device: device.encode("ada", tagger).expose().to_owned(),
            tagged_by: tagger.id().to_owned(),
            access_ends_at: now.get() + shortest(|policy| policy.access_tokens.as_secs()),
            session_ends_at: now.get() + shortest(|policy| policy.sessions.as_secs()),
            sealed: sealed.ok()?,
        })
    }

    /// Whether the sealed secret can be opened.
    pub fn can_be_opened(&self, ring: &KeyRing) -> bool {
        self.sealed.open(UserId::from_bytes([1; 16]), ring).is_ok()
    }

    /// Lets them live no longer than by a policy that is deployed.
    pub fn shorten(&mut self, policy: &RotationPolicy) {
        let access_ends_at = self.issued_at + policy.access_tokens.as_secs();
        self.access_ends_at = self.access_ends_at.min(access_ends_at);
        let session_ends_at = self.issued_at + policy.sessions.as_secs();
        self.session_ends_at = self.session_ends_at.min(session_ends_at);
    }

    /// A valid token that a function refuses, if there is one.
    pub fn refused(
        &self,
        ring: &KeyRing,
        configured: &RotationPolicy,
        revoked: &std::collections::BTreeSet<String>,
        mistake: Option<Mistake>,
        now: u64,
    ) -> Option<&'static str> {
        let at = UnixSeconds::new(now);
        if now < self.access_ends_at && !revoked.contains(&self.signed_by) {
            let verified = access_token::verify(&self.access, &access_tokens(configured), ring, at);
            if !matches!(verified, Ok(Verified::Live(_))) {
                return Some("a good access token is refused");
            }
        }
        if revoked.contains(&self.tagged_by) {
            return None;
        }
        if now < self.session_ends_at
            && RefreshToken::parse(&self.refresh, ring.tag_keys(at)).is_err()
        {
            return Some("a good refresh token is refused");
        }
        let known = if mistake == Some(Mistake::DeviceTokensEndWithTheirKey) {
            DeviceToken::parse(&self.device, "ada", ring.tag_keys(at), at)
        } else {
            DeviceToken::parse(&self.device, "ada", ring.device_tag_keys(), at)
        };
        if now < self.issued_at + device_token::LIFE.as_secs() && known.is_none() {
            return Some("a known device is a stranger");
        }
        None
    }
}
