//! From a letter to a message: whom it goes to, and what it proves.

use ratchet_core::{
    challenge::{MAILS_PER_HOUR, MailCode, MailToken, NOTICES_PER_HOUR, Purpose},
    email::EmailAddress,
    entropy::{RandomUnavailable, random},
    error_chain::ErrorChain,
    ids::{LetterId, UserId},
    letter::{Letter, Notice},
    secret::TokenSecret,
    time::UnixMillis,
    user::UserStatus,
};
use ratchet_service::clock;
use ratchet_store::{Account, LoadError, StoreError, challenges::Hashes};

use crate::{
    Mailer,
    compose::{Mail, Proofs, Template, compose},
    ses::SendError,
};

/// A letter is still to be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeliveryError {
    /// A table can not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no key to hash a code with.
    #[error(transparent)]
    KeyRing(#[from] LoadError),
    /// No key of the ring may tag now.
    #[error("no key of the key ring may tag a token now")]
    NoTagKey,
    /// No token can be drawn.
    #[error(transparent)]
    Random(#[from] RandomUnavailable),
    /// SES did not take it.
    #[error(transparent)]
    Send(#[from] SendError),
}

impl DeliveryError {
    /// Whether the letter, or the user it is about, is what can not be read: trying again does not
    /// help, and holds up everybody else's letters.
    const fn is_of_this_letter(&self) -> bool {
        matches!(self, Self::Store(StoreError::MalformedItem(_) | StoreError::NewerItem { .. }))
    }
}

/// What became of a letter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delivered {
    pub(crate) kind: &'static str,
    pub(crate) result: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It has been sent.
    Sent,
    /// It was sent before.
    Gone,
    /// There is nobody to send it to, or nothing to say by now.
    Pointless,
    /// The address has got too many within the hour.
    TooMany,
    /// SES refuses it for good, or it can not be read. It stays in the outbox, for whoever looks into
    /// it, until its time is over.
    Refused,
}

impl Outcome {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Gone => "gone",
            Self::Pointless => "pointless",
            Self::TooMany => "too_many",
            Self::Refused => "refused",
        }
    }
}

/// A message before anything is drawn for it.
struct Draft {
    to: EmailAddress,
    name: String,
    template: Template,
    /// Whose challenge of which kind it lets its reader meet.
    challenge: Option<(Purpose, UserId)>,
    /// Anybody can have it sent, so that the address has to be spared more of its kind in an hour.
    limit: Option<usize>,
}

impl Draft {
    fn told(to: EmailAddress, name: String, template: Template) -> Self {
        Self { to, name, template, challenge: None, limit: None }
    }

    fn limited(self, limit: usize) -> Self {
        Self { limit: Some(limit), ..self }
    }

    fn challenging(self, purpose: Purpose, user_id: UserId) -> Self {
        Self { challenge: Some((purpose, user_id)), ..self.limited(MAILS_PER_HOUR) }
    }
}

impl Mailer {
    /// Sends a letter that has not been sent yet, and forgets it. One that can not be read is
    /// refused.
    pub(crate) async fn deliver(&self, id: LetterId) -> Result<Delivered, DeliveryError> {
        match self.try_deliver(id).await {
            Err(error) if error.is_of_this_letter() => {
                let error = tracing::field::display(ErrorChain(&error));
                tracing::error!(letter = %id, error, "a letter can not be read; it is left");
                Ok(Delivered { kind: "", result: Outcome::Refused })
            }
            result => result,
        }
    }

    async fn try_deliver(&self, id: LetterId) -> Result<Delivered, DeliveryError> {
        let Some(letter) = self.outbox.find(id).await? else {
            return Ok(Delivered { kind: "", result: Outcome::Gone });
        };
        let result = self.send(&letter).await?;
        if result != Outcome::Refused {
            self.outbox.done(id).await?;
        }
        Ok(Delivered { kind: letter.notice.kind(), result })
    }

    async fn send(&self, letter: &Letter) -> Result<Outcome, DeliveryError> {
        let now = clock::now();
        let Some(draft) = self.draft(&letter.notice).await? else { return Ok(Outcome::Pointless) };
        if let Some(limit) = draft.limit {
            let kind = (draft.template.kind(), limit);
            if !self.challenges.count_mail(&draft.to, kind, letter.id, now).await? {
                return Ok(Outcome::TooMany);
            }
        }
        let mail = self.complete(draft, now).await?;
        match self.ses.send(&mail).await {
            Ok(()) => Ok(Outcome::Sent),
            Err(error @ SendError::Refused(_)) => {
                let error = tracing::field::display(ErrorChain(&error));
                tracing::error!(letter = %letter.id, error, "a letter is refused for good");
                Ok(Outcome::Refused)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whom a letter goes to as things are now, and what it says. `None` if it is pointless.
    async fn draft(&self, notice: &Notice) -> Result<Option<Draft>, StoreError> {
        Ok(match notice {
            Notice::Registered { user_id } => self.account(*user_id).await?.and_then(confirmation),
            Notice::ConfirmationAsked { email } => {
                self.account_of(email).await?.and_then(confirmation)
            }
            Notice::ResetAsked { email } => self.account_of(email).await?.and_then(reset),
            Notice::AddressTaken { email } => self.account_of(email).await?.map(|account| {
                let name = shown_name(&account);
                Draft::told(account.email, name, Template::AddressTaken).limited(NOTICES_PER_HOUR)
            }),
            Notice::NameTaken { email, name } => Some(
                Draft::told(email.clone(), name.clone(), Template::NameTaken)
                    .limited(MAILS_PER_HOUR),
            ),
            Notice::PasswordChanged { user_id } => self.account(*user_id).await?.map(|account| {
                Draft::told(account.email, account.user.name, Template::PasswordChanged)
            }),
            Notice::EmailChangeAsked { user_id } => self.change(*user_id).await?,
            Notice::EmailChangeTold { email, name } => {
                Some(Draft::told(email.clone(), name.clone(), Template::EmailChangeTold))
            }
            Notice::EmailChanged { email, name } => {
                Some(Draft::told(email.clone(), name.clone(), Template::EmailChanged))
            }
            Notice::Deleted { email, name } => {
                Some(Draft::told(email.clone(), name.clone(), Template::Deleted))
            }
        })
    }

    async fn account(&self, id: UserId) -> Result<Option<Account>, StoreError> {
        self.users.find_account(id, clock::now()).await
    }

    async fn account_of(&self, email: &EmailAddress) -> Result<Option<Account>, StoreError> {
        match self.users.find_by_email(email, clock::now()).await? {
            Some(id) => self.account(id).await,
            None => Ok(None),
        }
    }

    /// Asks the new address to confirm, unless somebody has it; then its owner is told.
    async fn change(&self, user_id: UserId) -> Result<Option<Draft>, StoreError> {
        let Some(account) = self.account(user_id).await? else { return Ok(None) };
        let Some(pending) = account.pending_email else { return Ok(None) };
        Ok(match self.account_of(&pending).await? {
            None => {
                let draft = Draft::told(pending, account.user.name, Template::ChangeEmail);
                Some(draft.challenging(Purpose::ChangeEmail, user_id))
            }
            Some(owner) if owner.user.id == user_id => None,
            Some(owner) => {
                let name = shown_name(&owner);
                let draft = Draft::told(owner.email, name, Template::AddressTaken);
                Some(draft.limited(NOTICES_PER_HOUR))
            }
        })
    }

    /// Draws what the message proves, keeps the hashes, and writes the message.
    async fn complete(&self, draft: Draft, now: UnixMillis) -> Result<Mail, DeliveryError> {
        let Draft { to, name, template, challenge, .. } = draft;
        let config = &self.config;
        let service = &config.password_policy.service_name;
        let Some((purpose, user_id)) = challenge else {
            return Ok(compose(to, template, service, &name, None));
        };
        let ring = self.key_ring.current(now).await?;
        let key = ring.tagger(now.seconds()).ok_or(DeliveryError::NoTagKey)?;
        let token = MailToken { purpose, user_id, secret: TokenSecret::new(random()?) };
        let code = MailCode::new(random()?);
        let hashes = Hashes { token: token.secret.hash(), code: code.hash(purpose, user_id, key) };
        // The hashes are there before the message is: whoever reads it can use it.
        self.challenges.open(purpose, user_id, &to, hashes, now).await?;
        let proofs = Proofs::new(purpose, &token.encode(key), &code, config.link_url.as_deref());
        Ok(compose(to, template, service, &name, Some(&proofs)))
    }
}

/// What a message calls the account: an address that nobody has proved may be anybody's, and the name
/// a stranger's words.
fn shown_name(account: &Account) -> String {
    if account.user.email_confirmed { account.user.name.clone() } else { account.email.to_string() }
}

fn confirmation(account: Account) -> Option<Draft> {
    if account.user.email_confirmed {
        return None;
    }
    let draft = Draft::told(account.email, account.user.name, Template::ConfirmEmail);
    Some(draft.challenging(Purpose::ConfirmEmail, account.user.id))
}

fn reset(account: Account) -> Option<Draft> {
    if account.user.status == UserStatus::Disabled {
        return None;
    }
    let name = shown_name(&account);
    let draft = Draft::told(account.email, name, Template::ResetPassword);
    Some(draft.challenging(Purpose::ResetPassword, account.user.id))
}
