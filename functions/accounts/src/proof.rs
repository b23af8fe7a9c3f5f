//! What somebody presents from a message: its token, or the address and its code.

use ratchet::{
    challenge::{MailCode, MailToken, Proof, Purpose},
    email::EmailAddress,
    ids::UserId,
    key_ring::KeyRing,
    time::UnixMillis,
};
use ratchet_http::{App, Problem};

/// A proof, and whose challenge it is to meet.
#[derive(Debug)]
pub(crate) struct Presented {
    pub(crate) purpose: Purpose,
    pub(crate) user_id: UserId,
    pub(crate) proof: Proof,
}

/// A token, or an address with a code: exactly one of them.
#[derive(Debug)]
pub(crate) struct Evidence<'a> {
    pub(crate) token: Option<&'a str>,
    pub(crate) email: Option<&'a str>,
    pub(crate) code: Option<&'a str>,
}

impl Evidence<'_> {
    /// Reads the evidence. A code is counted here, before anybody compares it.
    ///
    /// # Security
    /// An address that nobody has costs the same calls as any other: the code is counted for the
    /// address, and then compared with the challenge of a user who does not exist.
    ///
    /// # Errors
    /// [`Problem::InvalidProof`], or what `malformed` says.
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
                Ok(Presented { purpose, user_id, proof: Proof::Token(secret.hash()) })
            }
            (None, Some(email), Some(code)) => {
                let email = EmailAddress::parse(email).map_err(|_| malformed.clone())?;
                let code = MailCode::parse(code).map_err(|_| malformed)?;
                // Codes are typed for the first of the purposes only; the others have links.
                let Some(purpose) = purposes.first().copied() else {
                    return Err(Problem::Internal);
                };
                if !app.challenges.count_try(purpose, &email, now).await? {
                    return Err(Problem::InvalidProof);
                }
                let known = app.users.find_by_email(&email).await?;
                let user_id = known.unwrap_or_else(|| UserId::from_bytes([0; 16]));
                let keys = ring.tag_keys(now.seconds());
                let hashes = keys.map(|key| code.hash(purpose, user_id, key)).collect();
                Ok(Presented { purpose, user_id, proof: Proof::Code(hashes) })
            }
            _ => Err(malformed),
        }
    }
}
