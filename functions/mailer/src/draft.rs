//! From a letter to messages: the recipients and contents, decided at the time of sending.

use ratchet_core::{
    challenge::Purpose,
    email::EmailAddress,
    ids::UserId,
    letter::{
        MAILS_PER_HOUR, NOTICES_PER_HOUR, Notice, UNCONFIRMED_PER_HOUR, shown_to_unconfirmed,
    },
    registration::Address,
    time::UnixMillis,
    user::UserStatus,
};
use ratchet_service::clock;
use ratchet_store::{Account, StoreError};

use crate::{Mailer, compose::Message, proofs::Proofs};

/// A message without its token and code.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) to: EmailAddress,
    pub(crate) message: Message<'a>,
    /// The challenge that its token and code will meet.
    pub(crate) challenge: Option<(Purpose, UserId)>,
    /// The last cut of the user's sessions, if the message signs in.
    pub(crate) cut_seen: Option<UnixMillis>,
    /// How many messages of its kind the address gets in an hour, if anybody can request them.
    limit: Option<usize>,
    /// Whether somebody has confirmed the address.
    is_confirmed: bool,
}

impl<'a> Draft<'a> {
    /// A message to an address that its reader confirmed.
    const fn to_confirmed(to: EmailAddress, message: Message<'a>) -> Self {
        Self { to, message, challenge: None, cut_seen: None, limit: None, is_confirmed: true }
    }

    /// A message to an address that anybody may have given.
    fn to_unconfirmed(to: EmailAddress, message: Message<'a>) -> Self {
        Self { is_confirmed: false, ..Self::to_confirmed(to, message) }
    }

    /// A message to the address of an account.
    fn to_account(account: &Account, message: Message<'a>) -> Self {
        let to = account.email.clone();
        Self { is_confirmed: account.user.email_confirmed, ..Self::to_confirmed(to, message) }
    }

    /// A notice to an address whose account had this name, if it was confirmed.
    fn notice(
        to: &EmailAddress,
        name: Option<&String>,
        message: impl FnOnce(String) -> Message<'a>,
    ) -> Self {
        let is_confirmed = name.is_some();
        let account = name.cloned().unwrap_or_else(|| to.to_string());
        Self { is_confirmed, ..Self::to_confirmed(to.clone(), message(account)) }
    }

    fn limited(self, limit: usize) -> Self {
        Self { limit: Some(limit), ..self }
    }

    fn challenging(self, purpose: Purpose, user_id: UserId) -> Self {
        Self { challenge: Some((purpose, user_id)), ..self.limited(MAILS_PER_HOUR) }
    }

    /// The counters of the address, and the most that each allows in an hour.
    ///
    /// # Security
    /// Each kind has its own counter, so that a stranger who requests one kind cannot keep another
    /// kind from the owner of an account. All messages to an unconfirmed address also share one
    /// counter, whichever route causes them.
    pub(crate) fn limits(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let of_kind = self.limit.map(|limit| (self.message.kind(), limit));
        let of_all = (!self.is_confirmed).then_some(("unconfirmed", UNCONFIRMED_PER_HOUR));
        of_kind.into_iter().chain(of_all)
    }
}

impl Mailer {
    /// The messages that a letter stands for, all to one address. Empty if there is no recipient,
    /// or nothing to say any more.
    ///
    /// If registrations wait for the address, each gets its own message, newest first. They fit
    /// into the hourly limit.
    pub(crate) async fn drafts(&self, notice: &Notice) -> Result<Vec<Draft<'_>>, StoreError> {
        match notice {
            Notice::Registered { user_id } => {
                let account = self.account(*user_id).await?;
                self.confirmations(account.into_iter().collect()).await
            }
            Notice::ConfirmationAsked { email, name: None } => {
                self.confirmations(self.accounts_of(email).await?).await
            }
            Notice::ConfirmationAsked { email, name: Some(name) } => {
                let account = self.users.find_account_called(name, email, clock::now()).await?;
                self.confirmations(account.into_iter().collect()).await
            }
            Notice::ResetAsked { email } => {
                let accounts = self.accounts_of(email).await?;
                Ok(accounts.iter().filter_map(|account| self.reset(account)).collect())
            }
            Notice::SignInAsked { email } => self.sign_ins(self.accounts_of(email).await?).await,
            notice => Ok(self.draft(notice).await?.into_iter().collect()),
        }
    }

    /// The message of a letter that stands for one.
    async fn draft(&self, notice: &Notice) -> Result<Option<Draft<'_>>, StoreError> {
        let service = self.service.as_str();
        Ok(match notice {
            Notice::Registered { .. }
            | Notice::ConfirmationAsked { .. }
            | Notice::ResetAsked { .. }
            | Notice::SignInAsked { .. } => None,
            Notice::AddressTaken { email } => {
                self.owner_of(email).await?.map(|account| self.address_taken(&account))
            }
            Notice::NameTaken { email, .. } => {
                let message = Message::NameTaken { service };
                Some(Draft::to_unconfirmed(email.clone(), message).limited(MAILS_PER_HOUR))
            }
            Notice::PasswordChanged { user_id } => {
                self.to_owner(*user_id, |account| Message::PasswordChanged { service, account })
                    .await?
            }
            Notice::SecondFactorEnabled { user_id } => {
                self.to_owner(*user_id, |account| Message::SecondFactorEnabled { service, account })
                    .await?
            }
            Notice::SecondFactorDisabled { user_id } => {
                self.to_owner(*user_id, |account| Message::SecondFactorDisabled {
                    service,
                    account,
                })
                .await?
            }
            Notice::SecondFactorReset { user_id } => {
                self.to_owner(*user_id, |account| Message::SecondFactorReset { service, account })
                    .await?
            }
            Notice::RecoveryCodeUsed { user_id } => self.recovery_code_used(*user_id).await?,
            Notice::RecoveryCodesReplaced { user_id } => {
                self.to_owner(*user_id, |account| Message::RecoveryCodesReplaced {
                    service,
                    account,
                })
                .await?
            }
            Notice::PasskeyAdded { user_id } => {
                self.to_owner(*user_id, |account| Message::PasskeyAdded { service, account })
                    .await?
            }
            Notice::PasskeyRemoved { user_id } => {
                self.to_owner(*user_id, |account| Message::PasskeyRemoved { service, account })
                    .await?
            }
            Notice::PasskeysReset { user_id } => {
                self.to_owner(*user_id, |account| Message::PasskeysReset { service, account })
                    .await?
            }
            Notice::EmailChangeAsked { user_id } => self.change(*user_id).await?,
            Notice::EmailChangeTold { email, name } => {
                let message = |account| Message::EmailChangeTold { service, account };
                Some(Draft::notice(email, name.as_ref(), message))
            }
            Notice::EmailChanged { email, name } => {
                let message = |account| Message::EmailChanged { service, account };
                Some(Draft::notice(email, name.as_ref(), message))
            }
            Notice::Deleted { email, name, .. } => {
                let message = |account| Message::Deleted { service, account };
                Some(Draft::notice(email, name.as_ref(), message))
            }
        })
    }

    /// A message about an account to its address; `None` if there is no such account.
    async fn to_owner<'m>(
        &self,
        user_id: UserId,
        message: impl FnOnce(String) -> Message<'m>,
    ) -> Result<Option<Draft<'m>>, StoreError> {
        let account = self.account(user_id).await?;
        Ok(account.map(|account| Draft::to_account(&account, message(called(&account)))))
    }

    /// Messages to those of the accounts that may still be confirmed.
    async fn confirmations(&self, accounts: Vec<Account>) -> Result<Vec<Draft<'_>>, StoreError> {
        let mut drafts = Vec::new();
        for account in accounts {
            let address = self.users.address(&account.email, clock::now()).await?;
            let may = address.may_be_confirmed_by(account.user.id, account.round);
            if may && !account.user.email_confirmed {
                drafts.push(self.confirmation(&account));
            }
        }
        Ok(drafts)
    }

    fn confirmation(&self, account: &Account) -> Draft<'_> {
        let message = Message::ConfirmEmail {
            service: &self.service,
            name: shown_to_unconfirmed(&account.name_key),
            proofs: Proofs::default(),
        };
        let draft = Draft::to_account(account, message);
        draft.challenging(Purpose::ConfirmEmail, account.user.id)
    }

    /// A message that signs in, if its reader has confirmed the address. Otherwise messages that
    /// confirm it.
    async fn sign_ins(&self, mut accounts: Vec<Account>) -> Result<Vec<Draft<'_>>, StoreError> {
        accounts.retain(|account| account.user.status == UserStatus::Active);
        let (confirmed, others): (Vec<_>, Vec<_>) =
            accounts.into_iter().partition(|account| account.user.email_confirmed);
        let mut drafts: Vec<_> = confirmed.iter().map(|account| self.sign_in(account)).collect();
        drafts.extend(self.confirmations(others).await?);
        Ok(drafts)
    }

    fn sign_in(&self, account: &Account) -> Draft<'_> {
        let message = Message::EmailSignIn {
            service: &self.service,
            account: called(account),
            proofs: Proofs::default(),
        };
        let draft = Draft::to_account(account, message);
        let draft = draft.challenging(Purpose::EmailSignIn, account.user.id);
        Draft { cut_seen: Some(account.user.cut_seen()), ..draft }
    }

    fn reset(&self, account: &Account) -> Option<Draft<'_>> {
        if account.user.status == UserStatus::Disabled {
            return None;
        }
        let message = Message::ResetPassword {
            service: &self.service,
            // Registrations that wait for one address differ by their names.
            account: match account.round {
                Some(_) => shown_to_unconfirmed(&account.name_key),
                None => called(account),
            },
            proofs: Proofs::default(),
        };
        let draft = Draft::to_account(account, message);
        Some(draft.challenging(Purpose::ResetPassword, account.user.id))
    }

    fn address_taken(&self, account: &Account) -> Draft<'_> {
        let name = account.user.email_confirmed.then(|| account.user.name.clone());
        let message = Message::AddressTaken { service: &self.service, name };
        Draft::to_account(account, message).limited(NOTICES_PER_HOUR)
    }

    /// Says how many recovery codes are left now.
    async fn recovery_code_used(&self, user_id: UserId) -> Result<Option<Draft<'_>>, StoreError> {
        let Some(account) = self.account(user_id).await? else { return Ok(None) };
        let factor = self.users.find_factor(user_id).await?.unwrap_or_default();
        let left = factor.enabled.map_or(0, |enabled| enabled.recovery.len());
        let service = self.service.as_str();
        let message = Message::RecoveryCodeUsed { service, account: called(&account), left };
        Ok(Some(Draft::to_account(&account, message)))
    }

    /// Asks the new address to confirm. If another user owns it, notifies that user instead.
    async fn change(&self, user_id: UserId) -> Result<Option<Draft<'_>>, StoreError> {
        let Some(account) = self.account(user_id).await? else { return Ok(None) };
        let Some(pending) = account.pending_email else { return Ok(None) };
        Ok(match self.owner_of(&pending).await? {
            None => {
                let service = self.service.as_str();
                let message = Message::ChangeEmail { service, proofs: Proofs::default() };
                let draft = Draft::to_unconfirmed(pending, message);
                Some(draft.challenging(Purpose::ChangeEmail, user_id))
            }
            Some(owner) if owner.user.id == user_id => None,
            Some(owner) => Some(self.address_taken(&owner)),
        })
    }

    async fn account(&self, id: UserId) -> Result<Option<Account>, StoreError> {
        self.users.find_account(id, clock::now()).await
    }

    /// Who owns an address.
    async fn owner_of(&self, email: &EmailAddress) -> Result<Option<Account>, StoreError> {
        match self.users.address(email, clock::now()).await? {
            Address::Taken(id) => self.account(id).await,
            Address::Free | Address::Awaited(_) => Ok(None),
        }
    }

    /// Who owns an address, or else the registrations that wait for it, newest first.
    async fn accounts_of(&self, email: &EmailAddress) -> Result<Vec<Account>, StoreError> {
        let address = self.users.address(email, clock::now()).await?;
        let mut accounts = Vec::new();
        for id in address.users().into_iter().flatten() {
            accounts.extend(self.account(id).await?);
        }
        accounts.retain(|account| address.may_be_confirmed_by(account.user.id, account.round));
        Ok(accounts)
    }
}

/// What a message calls the account: its name, or its address while that is unconfirmed, because a
/// stranger may have chosen the name.
fn called(account: &Account) -> String {
    if account.user.email_confirmed { account.user.name.clone() } else { account.email.to_string() }
}
