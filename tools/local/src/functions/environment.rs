//! The environment that the functions run in.

use std::{collections::BTreeMap, env, process::Command};

use crate::{
    dynamodb::{CREDENTIAL, REGION},
    services::{Data, Services},
    starting::StartError,
    template::Template,
};

/// Variables for the functions: those of `template.yaml`, with the names of local resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The environment of functions that answer at `issuer` and use `data`, with `overrides`.
    ///
    /// # Errors
    /// If an override is not a variable of the template or of the AWS SDK, or if the template has
    /// a variable whose local value is unknown.
    pub fn new(
        services: &Services,
        data: &Data,
        issuer: &str,
        overrides: &BTreeMap<String, String>,
    ) -> Result<Self, StartError> {
        let local = [
            ("RATCHET_USERS_TABLE", data.users_table.as_str()),
            ("RATCHET_TOKENS_TABLE", &data.tokens_table),
            ("RATCHET_KEY_RING_SECRET", &data.key_ring_secret),
            ("RATCHET_ISSUER", issuer),
        ];
        let aws = [
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", CREDENTIAL),
            ("AWS_SECRET_ACCESS_KEY", CREDENTIAL),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_ENDPOINT_URL_DYNAMODB", services.dynamodb().endpoint()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", services.secrets().endpoint()),
            // Also served by moto.
            ("AWS_ENDPOINT_URL_SESV2", services.secrets().endpoint()),
            ("RATCHET_MAIL_FROM", crate::mail::FROM),
        ];
        let mut variables = of_template(services.preparation().template(), &local, overrides)?;
        variables.extend(aws.map(|(name, value)| (name.to_owned(), value.to_owned())));
        for (name, value) in overrides {
            if !variables.contains_key(name) {
                return Err(StartError::UnknownVariable(name.clone()));
            }
            variables.insert(name.clone(), value.clone());
        }
        Ok(Self(variables))
    }

    /// The environment of a stack that another process started.
    #[must_use]
    pub fn of(variables: BTreeMap<String, String>) -> Self {
        Self(variables)
    }

    /// The variables by name.
    #[must_use]
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// Sets the variables of a command, and removes those that could change the functions'
    /// behaviour: the developer's own AWS settings, settings of Ratchet, and proxies.
    pub fn apply(&self, command: &mut Command) {
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("AWS_") && !text.starts_with("AWS_LC_")
                || text.starts_with("RATCHET_")
                || text.to_ascii_lowercase().ends_with("_proxy")
            {
                command.env_remove(&name);
            }
        }
        command.envs(&self.0);
    }
}

fn of_template(
    template: &Template,
    local: &[(&str, &str)],
    overrides: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, StartError> {
    let value = |name: &String, default: &Option<String>| {
        let local = || local.iter().find(|(known, _)| known == name);
        default
            .clone()
            .or_else(|| local().map(|(_, value)| (*value).to_owned()))
            .or_else(|| overrides.get(name).cloned())
            .ok_or_else(|| StartError::UnknownVariable(name.clone()))
    };
    template
        .environment
        .iter()
        .map(|(name, default)| Ok((name.clone(), value(name, default)?)))
        .collect()
}
