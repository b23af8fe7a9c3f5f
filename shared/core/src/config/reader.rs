//! Reads single settings, and collects their errors.

use std::{fmt, time::Duration};

use super::RelyingPartyConfig;
use crate::{authentication::Requirement, email::EmailAddress, trusted_proxies::TrustedProxies};

pub(super) struct Reader<F> {
    pub(super) variable: F,
    pub(super) errors: Vec<String>,
}

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    pub(super) fn required(&mut self, name: &str) -> String {
        match (self.variable)(name) {
            Some(value) if !value.is_empty() => value,
            _ => {
                self.errors.push(format!("{name} is not set"));
                String::new()
            }
        }
    }

    pub(super) fn text(&self, name: &str, default: &str) -> String {
        self.optional_text(name).unwrap_or_else(|| default.to_owned())
    }

    pub(super) fn optional_text(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    pub(super) fn url(&mut self, name: &str) -> String {
        let url = self.required(name);
        if !url.is_empty() {
            self.check_url(name, &url);
        }
        url
    }

    /// Values that are separated by commas; none if the variable is empty or not set.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let values = (self.variable)(name).unwrap_or_default();
        let values = values.split(',').map(str::trim).filter(|value| !value.is_empty());
        values.map(str::to_owned).collect()
    }

    pub(super) fn urls(&mut self, name: &str) -> Vec<String> {
        let urls = self.list(name);
        for url in &urls {
            self.check_url(name, url);
        }
        urls
    }

    pub(super) fn check_url(&mut self, name: &str, url: &str) {
        if !url.starts_with("https://") && !url.starts_with("http://") {
            self.errors.push(format!("{name} is {url:?}, expected an https URL"));
        }
    }

    pub(super) fn address(&mut self, name: &str) -> Option<EmailAddress> {
        let value = (self.variable)(name).filter(|value| !value.is_empty())?;
        let address = EmailAddress::parse(&value);
        address.inspect_err(|error| self.errors.push(format!("{name} is {value:?}: {error}"))).ok()
    }

    pub(super) fn trusted_proxies(&mut self, name: &str) -> Option<TrustedProxies> {
        let value = (self.variable)(name).filter(|value| !value.is_empty())?;
        let proxies = value.parse();
        proxies.inspect_err(|error| self.errors.push(format!("{name} is {value:?}: {error}"))).ok()
    }

    /// The relying party of passkeys with this id. Its origins are those of the list, and without a list
    /// the page at the id.
    pub(super) fn relying_party(&mut self, id: &str, origins: &str) -> Option<RelyingPartyConfig> {
        let listed = self.list(origins);
        let Some(found) = self.optional_text(id) else {
            if !listed.is_empty() {
                self.errors.push(format!("{origins} has no meaning without {id}"));
            }
            return None;
        };
        let origins = if listed.is_empty() { vec![format!("https://{found}")] } else { listed };
        Some(RelyingPartyConfig { id: found, origins })
    }

    /// What is required of an authentication: an age in seconds, unless it is 0, and methods,
    /// unless there are none.
    pub(super) fn requirement(&mut self, max_age: &str, amr: &str) -> Requirement {
        let required = match self.seconds(max_age, 0, 0, 86_400) {
            Duration::ZERO => Requirement::default(),
            max_age => Requirement::default().max_age(max_age),
        };
        let Some(methods) = self.optional_text(amr) else { return required };
        required.clone().amr(&methods).unwrap_or_else(|error| {
            self.errors.push(format!("{amr} is {methods:?}: {error}"));
            required
        })
    }

    /// A page that a fragment can be added to, over TLS unless it is on this machine.
    pub(super) fn page(&mut self, name: &str) -> Option<String> {
        let url = (self.variable)(name).filter(|value| !value.is_empty())?;
        let clean = !url.contains(|c: char| matches!(c, '?' | '#' | '"' | '<' | '>') || c <= ' ');
        if !(clean && (url.starts_with("https://") || is_plain_loopback(&url))) {
            self.errors.push(format!(
                "{name} is {url:?}, expected the https URL of a page, without query and fragment"
            ));
        }
        Some(url)
    }

    pub(super) fn number(&mut self, name: &str, default: u64, min: u64, max: u64) -> u64 {
        let Some(value) = (self.variable)(name).filter(|value| !value.is_empty()) else {
            return default;
        };
        match value.parse() {
            Ok(number) if (min..=max).contains(&number) => number,
            _ => {
                self.errors.push(format!("{name} is {value:?}, expected {min} to {max}"));
                default
            }
        }
    }

    pub(super) fn small_number(&mut self, name: &str, default: u32, min: u32, max: u32) -> u32 {
        let number = self.number(name, default.into(), min.into(), max.into());
        u32::try_from(number).unwrap_or(default)
    }

    pub(super) fn tiny_number(&mut self, name: &str, default: u8, min: u8, max: u8) -> u8 {
        let number = self.number(name, default.into(), min.into(), max.into());
        u8::try_from(number).unwrap_or(default)
    }

    pub(super) fn count(&mut self, name: &str, default: usize, min: usize, max: usize) -> usize {
        let wide = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let number = self.number(name, wide(default), wide(min), wide(max));
        usize::try_from(number).unwrap_or(default)
    }

    pub(super) fn flag(&mut self, name: &str, default: bool) -> bool {
        self.choice(name, &[("true", true), ("false", false)], default)
    }

    pub(super) fn seconds(&mut self, name: &str, default: u64, min: u64, max: u64) -> Duration {
        Duration::from_secs(self.number(name, default, min, max))
    }

    pub(super) fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)], default: T) -> T {
        let Some(value) = (self.variable)(name).filter(|value| !value.is_empty()) else {
            return default;
        };
        if let Some((_, choice)) = choices.iter().find(|(text, _)| *text == value) {
            return *choice;
        }
        let names: Vec<_> = choices.iter().map(|(text, _)| *text).collect();
        self.errors.push(format!("{name} is {value:?}, expected {}", names.join(" or ")));
        default
    }

    /// Each value of a list, read by `parse`.
    pub(super) fn each<E: fmt::Display>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<String, E>,
    ) -> Vec<String> {
        let mut values = Vec::new();
        for text in self.list(name) {
            match parse(&text) {
                Ok(value) if values.contains(&value) => {}
                Ok(value) => values.push(value),
                Err(error) => self.errors.push(format!("{name} has {text:?}: {error}")),
            }
        }
        values
    }
}

/// Whether a URL is one of this machine, in plain http.
fn is_plain_loopback(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let authority = rest.split('/').next().unwrap_or_default();
    let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let hosts = ["localhost", "127.0.0.1", "[::1]"];
    hosts
        .iter()
        .filter_map(|host| authority.strip_prefix(host))
        .any(|port| port.is_empty() || port.strip_prefix(':').is_some_and(digits))
}
