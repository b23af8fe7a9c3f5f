//! JSON log lines on standard output, which Lambda forwards to CloudWatch.

use ratchet_core::config::LogLevel;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{Layer as _, filter::Targets, fmt, layer::SubscriberExt as _, registry};

/// Starts to log: our own lines at `level`, security events always, and dependencies at `warn`.
///
/// # Security
/// Dependencies never log below `warn`: their debug output contains raw events, and with them
/// passwords and tokens.
pub(crate) fn init(level: LogLevel) {
    let ours = match level {
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    let targets = Targets::new().with_default(ours.min(LevelFilter::WARN)).with_targets(
        [
            "ratchet",
            "accounts",
            "authenticate",
            "mailer",
            "passkeys",
            "publisher",
            "refresh",
            "users",
            "keys",
            "revocations",
            "authorizer",
            "rotate_keys",
        ]
        .map(|name| (name, ours)),
    );
    let targets = targets.with_target("security", LevelFilter::INFO);
    // It logs what clients sent, as errors. The use case logs why an answer was refused.
    let targets = targets.with_target("webauthn_rs", LevelFilter::OFF);
    let lines = fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_filter(targets);
    // A second call leaves the first subscriber in place.
    let subscriber = registry().with(lines);
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        tracing::debug!("logging was initialised before");
    }
}
