//! Parameters of the template that the developer sets for the local stack.

use crate::template::{Parameter, Template};

/// Why a parameter cannot be set.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ParameterError {
    /// The template has no parameter of this name.
    #[error("template.yaml has no parameter {name}{}", suggestion(.like.as_deref()))]
    Unknown {
        /// The name as given.
        name: String,
        /// A parameter with a similar name.
        like: Option<String>,
    },
    /// The functions do not see the parameter.
    #[error("{0} matters only to a deployment: the functions do not read it")]
    NotRead(String),
    /// `cargo local` has an option of its own for it.
    #[error("use {option} instead of --set {name}=…")]
    HasOption {
        /// The parameter.
        name: String,
        /// The option.
        option: &'static str,
    },
    /// The value is out of the parameter's bounds.
    #[error("{name} is {value:?}, expected {expected}")]
    Value {
        /// The parameter.
        name: String,
        /// The value as given.
        value: String,
        /// What the template allows.
        expected: String,
    },
}

/// Parameters whose local values follow from other options.
const OWN_OPTIONS: [(&str, &str); 3] = [
    ("CorsOrigins", "--cors-origin"),
    ("LinkUrl", "--page-port"),
    ("MailFrom", "`cargo local mail`"),
];

fn suggestion(like: Option<&str>) -> String {
    like.map(|like| format!(". Did you mean {like}?")).unwrap_or_default()
}

/// The variables of the functions that take `value` when the parameter `name` is set to it.
///
/// # Errors
/// [`ParameterError`].
pub fn variables(
    template: &Template,
    name: &str,
    value: &str,
) -> Result<Vec<(String, String)>, ParameterError> {
    let Some(parameter) = template.parameters.get(name) else {
        let same = |known: &&String| known.eq_ignore_ascii_case(name);
        let like = template.parameters.keys().find(same).cloned();
        return Err(ParameterError::Unknown { name: name.to_owned(), like });
    };
    if let Some((name, option)) = OWN_OPTIONS.into_iter().find(|(known, _)| *known == name) {
        return Err(ParameterError::HasOption { name: name.to_owned(), option });
    }
    if let Some(expected) = expected(parameter, value) {
        let (name, value) = (name.to_owned(), value.to_owned());
        return Err(ParameterError::Value { name, value, expected });
    }
    let variables: Vec<_> = template
        .parameter_of
        .iter()
        .filter(|(_, parameter)| *parameter == name)
        .map(|(variable, _)| (variable.clone(), value.to_owned()))
        .collect();
    if variables.is_empty() { Err(ParameterError::NotRead(name.to_owned())) } else { Ok(variables) }
}

/// What the template allows, if it does not allow the value.
fn expected(parameter: &Parameter, value: &str) -> Option<String> {
    if !parameter.allowed.is_empty() {
        let allowed = parameter.allowed.iter().any(|allowed| allowed == value);
        return (!allowed).then(|| parameter.allowed.join(" or "));
    }
    if parameter.kind != "Number" {
        return None;
    }
    let (least, most) = (parameter.minimum, parameter.maximum);
    let fits = value.parse().is_ok_and(|number: i64| {
        least.is_none_or(|least| number >= least) && most.is_none_or(|most| number <= most)
    });
    (!fits).then(|| match (least, most) {
        (Some(least), Some(most)) => format!("{least} to {most}"),
        _ => "a number".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    fn set(name: &str, value: &str) -> Result<Vec<(String, String)>, ParameterError> {
        variables(&Template::read(&Workspace::locate().template()).unwrap(), name, value)
    }

    fn message(name: &str, value: &str) -> String {
        set(name, value).unwrap_err().to_string()
    }

    #[test]
    fn a_parameter_sets_the_variable_that_the_template_gives_it_to() {
        for (name, value, variable) in [
            ("AccessTokenSeconds", "10", "RATCHET_ACCESS_TOKEN_SECONDS"),
            ("RequireDigit", "true", "RATCHET_PASSWORD_REQUIRE_DIGIT"),
            ("SigningAlgorithm", "RS256", "RATCHET_SIGNING_ALGORITHM"),
            ("Issuer", "http://localhost:9000", "RATCHET_ISSUER"),
        ] {
            assert_eq!(set(name, value).unwrap(), [(variable.to_owned(), value.to_owned())]);
        }
    }

    #[test]
    fn every_variable_with_a_default_can_be_set_by_a_parameter_or_an_option() {
        let template = Template::read(&Workspace::locate().template()).unwrap();
        for (variable, default) in &template.environment {
            assert!(
                default.is_none() || template.parameter_of.contains_key(variable),
                "{variable} has no parameter"
            );
        }
    }

    #[test]
    fn a_refusal_says_what_is_allowed() {
        for (name, value, said) in [
            ("AccessTokenSeconds", "0", "AccessTokenSeconds is \"0\", expected 1 to 86400"),
            ("AccessTokenSeconds", "soon", "expected 1 to 86400"),
            ("Revocations", "true", "expected enabled or disabled"),
            ("accesstokenseconds", "5", "Did you mean AccessTokenSeconds?"),
            ("RATCHET_AUDIENCE", "x", "template.yaml has no parameter RATCHET_AUDIENCE"),
            ("ThrottlingRate", "5", "ThrottlingRate matters only to a deployment"),
            ("CorsOrigins", "http://x", "use --cors-origin instead"),
        ] {
            let message = message(name, value);
            assert!(message.contains(said), "{message}");
        }
    }
}
