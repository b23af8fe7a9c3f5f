//! The options of `cargo local` that set parameters of the deployment.

use std::collections::BTreeMap;

use local::{parameters, template::Template};
use ratchet_core::config::Config;

use super::Failure;

/// Origins that may call the API: everything on this machine.
const LOOPBACK: [&str; 3] = ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"];

/// Parameters of the deployment, as the local functions see them.
#[derive(Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Settings {
    /// Life of an access token, in seconds
    #[arg(long, value_name = "N")]
    access_token_seconds: Option<String>,
    /// How long a superseded refresh token leads to the live one, in seconds
    #[arg(long, value_name = "N")]
    retry_window_seconds: Option<String>,
    /// What access tokens are signed with: ES256 (the default), `EdDSA`, HS256 or, from the first
    /// `keys rotate` on, RS256
    #[arg(long, value_name = "ALGORITHM")]
    signing_algorithm: Option<String>,
    /// Whether the service publishes which sessions have ended: enabled (also if the option has no
    /// value) or disabled (the default)
    #[arg(long, value_name = "ENABLED", num_args = 0..=1, default_missing_value = "enabled")]
    revocations: Option<String>,
    /// Whether clients prove possession of a key when they sign in (DPoP): required (also if the
    /// option has no value), optional (the default) or disabled
    #[arg(long, value_name = "BINDING", num_args = 0..=1, default_missing_value = "required")]
    dpop: Option<String>,
    /// Any other parameter of template.yaml; may be given more than once
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    set: Vec<(String, String)>,
    /// A web origin that may call the API, beside all http origins of this machine; may be given
    /// more than once
    #[arg(long, value_name = "ORIGIN")]
    cors_origin: Vec<String>,
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// The host of the pages that use passkeys.
const PASSKEY_HOST: &str = "localhost";

impl Settings {
    /// The variables that the functions get.
    ///
    /// # Errors
    /// If the template or the functions would refuse a value. Checked before anything starts.
    pub fn variables(
        &self,
        template: &Template,
        api: &str,
        page: &str,
    ) -> Result<BTreeMap<String, String>, Failure> {
        let options = [
            ("AccessTokenSeconds", &self.access_token_seconds),
            ("RetryWindowSeconds", &self.retry_window_seconds),
            ("SigningAlgorithm", &self.signing_algorithm),
            ("Revocations", &self.revocations),
            ("Dpop", &self.dpop),
        ];
        let options =
            options.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        let others = self.set.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut variables = BTreeMap::from([
            ("RATCHET_ISSUER".to_owned(), api.to_owned()),
            ("RATCHET_LINK_URL".to_owned(), format!("{page}/")),
        ]);
        // Clients may use either name of this machine, and proofs of possession name the URL.
        let by_name = api.replacen("127.0.0.1", "localhost", 1);
        variables.extend((by_name != api).then(|| ("RATCHET_FORMER_ISSUERS".to_owned(), by_name)));
        for (name, value) in others.chain(options) {
            variables.extend(parameters::variables(template, name, value)?);
        }
        let is_local =
            variables.get("RATCHET_ISSUER").is_some_and(|url| url.starts_with("http://"));
        let wildcards = LOOPBACK.iter().filter(|_| is_local).map(|origin| (*origin).to_owned());
        let origins: Vec<_> = wildcards.chain(self.cors_origin.clone()).collect();
        variables.insert("RATCHET_CORS_ORIGINS".to_owned(), origins.join(","));
        // Browsers have passkeys for `localhost`, but not for an address.
        if !variables.contains_key("RATCHET_PASSKEY_RP_ID") {
            let page = page.replacen("127.0.0.1", PASSKEY_HOST, 1);
            let is_here = |origin: &&String| {
                origin.strip_prefix("http://").and_then(|rest| rest.split(':').next())
                    == Some(PASSKEY_HOST)
            };
            let pages = [page].into_iter().chain(self.cors_origin.iter().filter(is_here).cloned());
            let pages: Vec<_> = pages.collect();
            variables.insert("RATCHET_PASSKEY_RP_ID".to_owned(), PASSKEY_HOST.to_owned());
            variables.insert("RATCHET_PASSKEY_ORIGINS".to_owned(), pages.join(","));
        }

        let defaults = &template.environment;
        Config::read(|name| {
            // The names of tables and secret are only known once the stack exists.
            let default =
                || defaults.get(name).map(|value| value.clone().unwrap_or("x".to_owned()));
            variables.get(name).cloned().or_else(default)
        })?;
        Ok(variables)
    }
}

#[cfg(test)]
mod tests {
    use local::workspace::Workspace;

    use super::*;

    fn variables(settings: &Settings) -> Result<BTreeMap<String, String>, String> {
        let template = Template::read(&Workspace::locate().template()).unwrap();
        let (api, page) = ("http://127.0.0.1:9000", "http://127.0.0.1:9001");
        settings.variables(&template, api, page).map_err(|error| error.to_string())
    }

    #[test]
    fn options_and_set_reach_the_functions() {
        let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let settings = Settings {
            signing_algorithm: Some("RS256".to_owned()),
            revocations: Some("enabled".to_owned()),
            set: vec![set("MaxSessions", "3"), set("Audience", "a=b")],
            cors_origin: vec!["https://app.example".to_owned()],
            ..Settings::default()
        };
        let variables = variables(&settings).unwrap();
        assert_eq!(variables["RATCHET_SIGNING_ALGORITHM"], "RS256");
        assert_eq!(variables["RATCHET_REVOCATIONS"], "enabled");
        assert_eq!(variables["RATCHET_MAX_SESSIONS"], "3");
        assert_eq!(variables["RATCHET_AUDIENCE"], "a=b");
        assert_eq!(variables["RATCHET_ISSUER"], "http://127.0.0.1:9000");
        assert_eq!(
            variables["RATCHET_CORS_ORIGINS"],
            "http://localhost:*,http://127.0.0.1:*,http://[::1]:*,https://app.example"
        );
    }

    #[test]
    fn pages_on_localhost_use_passkeys_unless_another_site_is_set() {
        let origins = ["http://localhost:5173", "http://127.0.0.1:5173", "https://app.example"];
        let cors_origin = origins.map(str::to_owned).to_vec();
        let here = Settings { cors_origin, ..Settings::default() };
        let found = variables(&here).unwrap();
        assert_eq!(found["RATCHET_PASSKEY_RP_ID"], "localhost");
        let expected = "http://localhost:9001,http://localhost:5173";
        assert_eq!(found["RATCHET_PASSKEY_ORIGINS"], expected);
        let set = vec![("PasskeyRpId".to_owned(), "app.example".to_owned())];
        let found = variables(&Settings { set, ..here }).unwrap();
        assert_eq!(found["RATCHET_PASSKEY_RP_ID"], "app.example");
        assert_eq!(found.get("RATCHET_PASSKEY_ORIGINS"), None);
    }

    #[test]
    fn an_option_without_a_value_turns_its_feature_on() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            settings: Settings,
        }
        let line = ["cargo local", "--dpop", "--revocations"];
        let Line { settings } = <Line as clap::Parser>::try_parse_from(line).unwrap();
        let variables = variables(&settings).unwrap();
        assert_eq!(variables["RATCHET_DPOP"], "required");
        assert_eq!(variables["RATCHET_REVOCATIONS"], "enabled");
    }

    #[test]
    fn what_the_functions_would_refuse_is_said_before_anything_starts() {
        let bad = Settings { cors_origin: vec!["app.example".to_owned()], ..Settings::default() };
        let error = variables(&bad).unwrap_err();
        assert!(error.contains("RATCHET_CORS_ORIGINS has \"app.example\""), "{error}");
        let bad = Settings { access_token_seconds: Some("0".to_owned()), ..Settings::default() };
        assert!(variables(&bad).unwrap_err().contains("expected 1 to 86400"));
    }
}
