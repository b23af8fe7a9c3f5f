//! Every setting, read once into one typed value.

mod reader;
#[cfg(test)]
mod tests;

use std::{fmt, time::Duration};

use self::reader::Reader;
use crate::{
    access_token::{AccessTokenPolicy, LONGEST_LIFE, MAX_ORIGIN_LEN},
    attempts::{AttemptPolicy, Throttle},
    authentication::Requirement,
    cors::{self, CorsPolicy},
    email::EmailAddress,
    jws::SignatureAlgorithm,
    password::{HashCost, PasswordPolicy},
    rotation::SessionPolicy,
    second_factor::SecondFactorPolicy,
    trusted_proxies::TrustedProxies,
};

/// The configuration of a function. docs/configuration.md has the table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Config {
    /// Name of the users table.
    pub users_table: String,
    /// Name of the tokens table.
    pub tokens_table: String,
    /// Name or ARN of the key ring's secret.
    pub key_ring_secret: String,
    /// Access tokens: their claims and lives.
    pub access_token: AccessTokenPolicy,
    /// How keys change.
    pub keys: KeyPolicy,
    /// How long sessions live.
    pub session: SessionPolicy,
    /// Whether to publish which sessions ended before their access tokens did.
    pub revocations: bool,
    /// How many live sessions a user may have; the oldest is ended for one more.
    pub max_sessions: usize,
    /// Whether sign-ins bind their sessions to a key.
    pub dpop: Dpop,
    /// Whether users need a second factor.
    pub second_factor: SecondFactorPolicy,
    /// Whether users may sign in by a message to their address.
    pub email_sign_in: bool,
    /// The web site that passkeys are for; without one there are no passkeys.
    pub passkeys: Option<RelyingPartyConfig>,
    /// What the authorizer requires of the authentication of every access token.
    pub authorizer: Requirement,
    /// What a client gets that shares a chain from another network or user agent.
    pub convergence_from_elsewhere: Convergence,
    /// The cost of password hashes.
    pub hash_cost: HashCost,
    /// How often passwords may be guessed.
    pub attempts: AttemptPolicy,
    /// What a new password has to be.
    pub password_policy: PasswordPolicy,
    /// Whether only users with a confirmed e-mail address may sign in.
    pub require_confirmed_email: bool,
    /// Whether anybody may register, or administrators only.
    pub self_sign_up: bool,
    /// Who may list users.
    pub list_users: ListUsers,
    /// The address that messages come from; without one none can be sent.
    pub mail_from: Option<EmailAddress>,
    /// The configuration set of Amazon SES that messages are sent under; without one, the default of
    /// the sender's identity counts.
    pub mail_configuration_set: Option<String>,
    /// Name or ARN of the bus for events; without one none are published.
    pub event_bus: Option<String>,
    /// The page of the application that links in messages lead to; without one messages carry the
    /// bare token.
    pub link_url: Option<String>,
    /// Which header has the client's address, if a proxy is in front of the gateway.
    pub trusted_proxies: Option<TrustedProxies>,
    /// Which web applications may call from a browser.
    pub cors: CorsPolicy,
    /// The least severe log lines that are written.
    pub log_level: LogLevel,
}

/// The web site that passkeys are for (WebAuthn: relying party).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingPartyConfig {
    /// A domain name: that of the pages, or a parent domain.
    pub id: String,
    /// The origins of the pages, and of apps.
    pub origins: Vec<String>,
}

/// How keys change, and how long it takes until everybody has a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPolicy {
    /// The algorithm of the next key for access tokens, and of the first.
    pub algorithm: SignatureAlgorithm,
    /// How long others may keep the public keys.
    pub jwks_max_age: Duration,
    /// How long a function uses the ring before it loads it again.
    pub reload: Duration,
}

/// What becomes of a recent token that comes from another network or user agent than the
/// rotation it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convergence {
    /// An event, and the live token.
    Allow,
    /// An event, and a refusal.
    Refuse,
}

/// Whether sign-ins bind their sessions to a key (RFC 9449). Bound sessions stay bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dpop {
    /// If the request has a proof.
    Optional,
    /// Always: a sign-in without a proof is refused.
    Required,
    /// Never: proofs of sign-ins are ignored.
    Disabled,
}

/// Who may list users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListUsers {
    /// Everybody who is signed in.
    Authenticated,
    /// Administrators.
    Administrators,
}

/// Severities. Nothing below `info` exists in production: the runtime's own trace lines would
/// show request bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// One line per request, security events, and everything below.
    Info,
    /// What went wrong in a dependency, and below.
    Warn,
    /// Faults that failed requests.
    Error,
}

/// Everything that is wrong with the configuration, each with the variable's name.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration cannot be used: {}", self.0.join("; "))
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// How long the end of a session is published, if it is: as long as it may have access tokens.
    #[must_use]
    pub fn published_for(&self) -> Option<Duration> {
        let reach = self.access_token.life.saturating_add(self.access_token.clock_skew);
        self.revocations.then_some(reach)
    }

    /// Reads the configuration from `variable`, which looks an environment variable up.
    ///
    /// # Errors
    /// [`ConfigError`] with every value that is missing or out of its bounds.
    #[expect(clippy::too_many_lines, reason = "one expression per setting, in one place")]
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut reader = Reader { variable, errors: Vec::new() };
        let failure_delay = reader.seconds("RATCHET_FAILURE_DELAY_SECONDS", 1, 1, 3_600);
        let config = Self {
            users_table: reader.required("RATCHET_USERS_TABLE"),
            tokens_table: reader.required("RATCHET_TOKENS_TABLE"),
            key_ring_secret: reader.required("RATCHET_KEY_RING_SECRET"),
            access_token: AccessTokenPolicy {
                issuer: reader.url("RATCHET_ISSUER"),
                former_issuers: reader.urls("RATCHET_FORMER_ISSUERS"),
                audience: reader.text("RATCHET_AUDIENCE", "ratchet"),
                former_audiences: reader.list("RATCHET_FORMER_AUDIENCES"),
                client_id: reader.text("RATCHET_CLIENT_ID", "first-party"),
                life: reader.seconds(
                    "RATCHET_ACCESS_TOKEN_SECONDS",
                    300,
                    1,
                    LONGEST_LIFE.as_secs(),
                ),
                clock_skew: reader.seconds("RATCHET_CLOCK_SKEW_SECONDS", 0, 0, 300),
                leeway: Duration::ZERO,
            },
            keys: KeyPolicy {
                algorithm: reader.choice(
                    "RATCHET_SIGNING_ALGORITHM",
                    &SignatureAlgorithm::ALL.map(|algorithm| (algorithm.name(), algorithm)),
                    SignatureAlgorithm::default(),
                ),
                jwks_max_age: reader.seconds("RATCHET_JWKS_MAX_AGE_SECONDS", 600, 1, 86_400),
                reload: reader.seconds("RATCHET_KEY_RING_RELOAD_SECONDS", 300, 1, 3_600),
            },
            session: SessionPolicy {
                idle: reader.seconds("RATCHET_IDLE_SECONDS", 2_592_000, 1, 31_536_000),
                absolute: reader.seconds("RATCHET_ABSOLUTE_SECONDS", 7_776_000, 1, 157_680_000),
                retry_window: reader.seconds("RATCHET_RETRY_WINDOW_SECONDS", 60, 5, 600),
                late_recoveries: reader.tiny_number("RATCHET_LATE_RECOVERIES", 2, 0, 4),
            },
            revocations: reader.choice(
                "RATCHET_REVOCATIONS",
                &[("enabled", true), ("disabled", false)],
                false,
            ),
            max_sessions: reader.count("RATCHET_MAX_SESSIONS", 50, 1, 1_000),
            dpop: reader.choice(
                "RATCHET_DPOP",
                &[
                    ("optional", Dpop::Optional),
                    ("required", Dpop::Required),
                    ("disabled", Dpop::Disabled),
                ],
                Dpop::Optional,
            ),
            second_factor: reader.choice(
                "RATCHET_SECOND_FACTOR",
                &[
                    ("optional", SecondFactorPolicy::Optional),
                    ("required", SecondFactorPolicy::Required),
                    ("disabled", SecondFactorPolicy::Disabled),
                ],
                SecondFactorPolicy::Optional,
            ),
            email_sign_in: reader.choice(
                "RATCHET_EMAIL_SIGN_IN",
                &[("enabled", true), ("disabled", false)],
                false,
            ),
            passkeys: reader.relying_party("RATCHET_PASSKEY_RP_ID", "RATCHET_PASSKEY_ORIGINS"),
            authorizer: reader.requirement("RATCHET_AUTHORIZER_MAX_AGE", "RATCHET_AUTHORIZER_AMR"),
            convergence_from_elsewhere: reader.choice(
                "RATCHET_CONVERGENCE_FROM_ELSEWHERE",
                &[("allow", Convergence::Allow), ("refuse", Convergence::Refuse)],
                Convergence::Allow,
            ),
            hash_cost: HashCost {
                memory_kib: reader.small_number(
                    "RATCHET_ARGON2_MEMORY_KIB",
                    HashCost::DEFAULT.memory_kib,
                    8,
                    HashCost::CAP.memory_kib,
                ),
                iterations: reader.small_number(
                    "RATCHET_ARGON2_ITERATIONS",
                    HashCost::DEFAULT.iterations,
                    1,
                    HashCost::CAP.iterations,
                ),
                parallelism: reader.small_number(
                    "RATCHET_ARGON2_PARALLELISM",
                    HashCost::DEFAULT.parallelism,
                    1,
                    HashCost::CAP.parallelism,
                ),
            },
            attempts: AttemptPolicy {
                account: Throttle {
                    free: reader.small_number("RATCHET_FREE_FAILURES", 5, 1, 20),
                    delay: failure_delay,
                    max: reader.small_number("RATCHET_MAX_FAILURES", 100, 10, 100),
                },
                network: Throttle {
                    free: reader.small_number("RATCHET_NETWORK_FREE_FAILURES", 100, 1, 1_000_000),
                    delay: failure_delay,
                    max: u32::MAX,
                },
            },
            password_policy: PasswordPolicy {
                min_chars: reader.count(
                    "RATCHET_PASSWORD_MIN_LENGTH",
                    PasswordPolicy::DEFAULT_MIN_CHARS,
                    PasswordPolicy::LEAST_MIN_CHARS,
                    PasswordPolicy::MOST_MIN_CHARS,
                ),
                require_uppercase: reader.flag("RATCHET_PASSWORD_REQUIRE_UPPERCASE", false),
                require_digit: reader.flag("RATCHET_PASSWORD_REQUIRE_DIGIT", false),
                service_name: reader.text("RATCHET_SERVICE_NAME", "ratchet"),
            },
            require_confirmed_email: reader.flag("RATCHET_REQUIRE_CONFIRMED_EMAIL", true),
            self_sign_up: reader.choice(
                "RATCHET_SELF_SIGN_UP",
                &[("enabled", true), ("disabled", false)],
                true,
            ),
            list_users: reader.choice(
                "RATCHET_LIST_USERS",
                &[
                    ("authenticated", ListUsers::Authenticated),
                    ("admin", ListUsers::Administrators),
                ],
                ListUsers::Authenticated,
            ),
            mail_from: reader.address("RATCHET_MAIL_FROM"),
            mail_configuration_set: reader.optional_text("RATCHET_MAIL_CONFIGURATION_SET"),
            event_bus: reader.optional_text("RATCHET_EVENT_BUS"),
            link_url: reader.page("RATCHET_LINK_URL"),
            trusted_proxies: reader.trusted_proxies("RATCHET_TRUSTED_PROXIES"),
            cors: CorsPolicy {
                origins: reader.each("RATCHET_CORS_ORIGINS", cors::web_origin),
                headers: reader.each("RATCHET_CORS_HEADERS", cors::header_name),
            },
            log_level: reader.choice(
                "RATCHET_LOG_LEVEL",
                &[("info", LogLevel::Info), ("warn", LogLevel::Warn), ("error", LogLevel::Error)],
                LogLevel::Info,
            ),
        };
        if config.hash_cost.memory_kib < 8 * config.hash_cost.parallelism {
            reader.errors.push(
                "RATCHET_ARGON2_MEMORY_KIB must be at least 8 times RATCHET_ARGON2_PARALLELISM"
                    .to_owned(),
            );
        }
        let has_wildcard = config.cors.origins.iter().any(|origin| cors::is_wildcard(origin));
        if has_wildcard && !cors::is_loopback(&config.access_token.issuer) {
            reader.errors.push(
                "RATCHET_CORS_ORIGINS may have a wildcard only while RATCHET_ISSUER is an http URL \
                 of this machine"
                    .to_owned(),
            );
        }
        if !config.access_token.leaves_room() {
            reader.errors.push(format!(
                "RATCHET_ISSUER, RATCHET_AUDIENCE and RATCHET_CLIENT_ID together may have at most \
                 {MAX_ORIGIN_LEN} bytes"
            ));
        }
        if reader.errors.is_empty() { Ok(config) } else { Err(ConfigError(reader.errors)) }
    }
}
