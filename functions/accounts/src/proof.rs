//! What somebody presents from a message: its token, or the address and its code.

use std::net::IpAddr;

use ratchet_core::{
    attempts::AttemptId,
    challenge::{MailCode, MailToken, Proof, Purpose},
    email::EmailAddress,
    entropy::random,
    ids::UserId,
    key_ring::KeyRing,
    time::UnixMillis,
};
use ratchet_http::{App, Problem};

use crate::network::Counted;

/// A proof, and whose challenge it is to meet.
#[derive(Debug)]
pub(crate) struct Presented {
    pub(crate) purpose: Purpose,
    pub(crate) user_id: UserId,
    pub(crate) proof: Proof,
    pub(crate) counted: Counted,
}

/// A token, or an address with a code: exactly one of them.
#[derive(Debug)]
pub(crate) struct Evidence<'a> {
    pub(crate) token: Option<&'a str>,
    pub(crate) email: Option<&'a str>,
    pub(crate) code: Option<&'a str>,
    /// Where it came from.
    pub(crate) source: Option<IpAddr>,
}

impl Evidence<'_> {
    /// Reads the evidence. It is counted for its network, and a code for its address too, before
    /// anybody compares it.
    ///
    /// # Security
    /// An address that nobody has costs the same calls as any other: the code is counted for the
    /// address and compared with the challenge of a user who does not exist, one for each address.
    ///
    /// # Errors
    /// [`Problem::InvalidProof`], [`Problem::TooManyAttempts`], or what `malformed` says.
    pub(crate) async fn read(
        &self,
        app: &App,
        ring: &KeyRing,
        purposes: &[Purpose],
        now: UnixMillis,
        malformed: Problem,
    ) -> Result<Presented, Problem> {
        match (self.token, self.email, self.code) {
            (Some(token), None, None) => {
                let token = MailToken::parse(token, ring.tag_keys(now.seconds()))
                    .map_err(|_| Problem::InvalidProof)?;
                if !purposes.contains(&token.purpose) {
                    return Err(Problem::InvalidProof);
                }
                let MailToken { purpose, user_id, secret } = token;
                let counted = Counted::take(app, self.source, now).await?;
                Ok(Presented { purpose, user_id, proof: Proof::Token(secret.hash()), counted })
            }
            (None, Some(email), Some(code)) => {
                let email = EmailAddress::parse(email).map_err(|_| malformed.clone())?;
                let code = MailCode::parse(code).map_err(|_| malformed)?;
                // Codes are typed for the first of the purposes only; the others have links.
                let Some(purpose) = purposes.first().copied() else {
                    return Err(Problem::Internal);
                };
                let counted = Counted::take(app, self.source, now).await?;
                let attempt = AttemptId::new(random()?);
                if !app.challenges.count_try(purpose, &email, attempt, now).await? {
                    return Err(Problem::InvalidProof);
                }
                let known = app.users.find_by_email(&email, now).await?;
                let user_id = known.unwrap_or_else(|| email.stand_in());
                let keys = ring.tag_keys(now.seconds());
                let hashes = keys.map(|key| code.hash(purpose, user_id, key)).collect();
                Ok(Presented { purpose, user_id, proof: Proof::Code(hashes), counted })
            }
            _ => Err(malformed),
        }
    }
}
