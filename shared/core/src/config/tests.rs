use std::collections::HashMap;

use super::*;

fn read(extra: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let mut variables = HashMap::from([
        ("RATCHET_USERS_TABLE", "users"),
        ("RATCHET_TOKENS_TABLE", "tokens"),
        ("RATCHET_KEY_RING_SECRET", "ring"),
        ("RATCHET_ISSUER", "https://issuer.example"),
    ]);
    variables.extend(extra.iter().copied());
    Config::read(|name| variables.get(name).map(|value| (*value).to_owned()))
}

#[test]
fn what_is_not_set_has_its_documented_default() {
    let config = read(&[]).unwrap();
    assert_eq!(config.access_token.life, Duration::from_secs(300));
    assert_eq!(config.access_token.clock_skew, Duration::ZERO);
    assert!(config.access_token.former_issuers.is_empty());
    assert!(config.access_token.former_audiences.is_empty());
    assert_eq!(config.keys.algorithm, SignatureAlgorithm::Es256);
    assert_eq!(config.session.idle, Duration::from_secs(30 * 86_400));
    assert_eq!(config.session.absolute, Duration::from_secs(90 * 86_400));
    assert_eq!(config.session.retry_window, Duration::from_secs(60));
    assert_eq!(config.hash_cost, HashCost::DEFAULT);
    assert_eq!(config.password_policy.min_chars, 15);
    assert!(!config.password_policy.require_uppercase);
    assert!(!config.password_policy.require_digit);
    assert!(config.require_confirmed_email);
    assert_eq!(config.trusted_proxies, None);
    assert_eq!(config.cors, CorsPolicy::default());
    assert_eq!(config.published_for(), None);
    assert_eq!(config.passkeys, None);
    assert_eq!(config.authorizer, Requirement::default());
}

#[test]
fn passkeys_are_for_the_page_at_their_id_unless_origins_are_set() {
    let id = ("RATCHET_PASSKEY_RP_ID", "example.com");
    let origins = ("RATCHET_PASSKEY_ORIGINS", "https://a.example.com, https://b.example.com");
    let of = |set: &[_]| read(set).unwrap().passkeys.map(|party| (party.id, party.origins));
    let party = |origins: &[&str]| {
        let origins = origins.iter().map(|&origin| origin.to_owned()).collect();
        Some(("example.com".to_owned(), origins))
    };
    assert_eq!(of(&[id]), party(&["https://example.com"]));
    assert_eq!(of(&[id, origins]), party(&["https://a.example.com", "https://b.example.com"]));
    assert!(read(&[origins]).is_err(), "origins of nothing");
}

#[test]
fn the_authorizer_requires_an_age_methods_or_both() {
    let required = |max_age, amr| {
        let names = ["RATCHET_AUTHORIZER_MAX_AGE", "RATCHET_AUTHORIZER_AMR"];
        read(&[(names[0], max_age), (names[1], amr)]).unwrap().authorizer
    };
    let methods = Requirement::default().amr("otp hwk").unwrap();
    assert_eq!(required("0", ""), Requirement::default());
    assert_eq!(required("0", "otp hwk"), methods);
    assert_eq!(required("60", "otp hwk"), methods.max_age(Duration::from_mins(1)));
}

#[test]
fn former_issuers_and_audiences_are_lists() {
    let policy = read(&[
        ("RATCHET_FORMER_ISSUERS", "https://a.example, https://b.example/stage"),
        ("RATCHET_FORMER_AUDIENCES", "api,,web"),
    ]);
    let policy = policy.unwrap().access_token;
    assert_eq!(policy.former_issuers, ["https://a.example", "https://b.example/stage"]);
    assert_eq!(policy.former_audiences, ["api", "web"]);
}

#[test]
fn cors_lists_are_normalised_and_a_bad_origin_says_what_to_write() {
    let cors = read(&[
        (
            "RATCHET_CORS_ORIGINS",
            "https://App.example:443, capacitor://localhost,https://app.example",
        ),
        ("RATCHET_CORS_HEADERS", "Traceparent, x-request-id"),
    ]);
    let cors = cors.unwrap().cors;
    assert_eq!(cors.origins, ["https://app.example", "capacitor://localhost"]);
    assert_eq!(cors.headers, ["traceparent", "x-request-id"]);
    let error = read(&[("RATCHET_CORS_ORIGINS", "https://app.example/")]).unwrap_err();
    let expected = "RATCHET_CORS_ORIGINS has \"https://app.example/\": an origin ends with the host \
                    or the port; write https://app.example";
    assert!(error.to_string().ends_with(expected), "{error}");
}

#[test]
fn every_bad_value_is_reported_at_once_with_its_name() {
    let bad = [
        ("RATCHET_ISSUER", "issuer.example"),
        ("RATCHET_FORMER_ISSUERS", "https://old.example,issuer.example"),
        ("RATCHET_ACCESS_TOKEN_SECONDS", "0"),
        ("RATCHET_CLOCK_SKEW_SECONDS", "-1"),
        ("RATCHET_SIGNING_ALGORITHM", "HS512"),
        ("RATCHET_JWKS_MAX_AGE_SECONDS", "0"),
        ("RATCHET_KEY_RING_RELOAD_SECONDS", "x"),
        ("RATCHET_IDLE_SECONDS", "soon"),
        ("RATCHET_ABSOLUTE_SECONDS", "1e9"),
        ("RATCHET_RETRY_WINDOW_SECONDS", "4"),
        ("RATCHET_REVOCATIONS", "true"),
        ("RATCHET_MAX_SESSIONS", "0"),
        ("RATCHET_DPOP", "yes"),
        ("RATCHET_SECOND_FACTOR", "yes"),
        ("RATCHET_EMAIL_SIGN_IN", "yes"),
        ("RATCHET_AUTHORIZER_MAX_AGE", "86401"),
        ("RATCHET_AUTHORIZER_AMR", "mfa"),
        ("RATCHET_CONVERGENCE_FROM_ELSEWHERE", "maybe"),
        ("RATCHET_ARGON2_MEMORY_KIB", "4194304"),
        ("RATCHET_ARGON2_ITERATIONS", "0"),
        ("RATCHET_ARGON2_PARALLELISM", "x"),
        ("RATCHET_FREE_FAILURES", "0"),
        ("RATCHET_FAILURE_DELAY_SECONDS", "0"),
        ("RATCHET_MAX_FAILURES", "101"),
        ("RATCHET_NETWORK_FREE_FAILURES", "-1"),
        ("RATCHET_PASSWORD_MIN_LENGTH", "7"),
        ("RATCHET_PASSWORD_REQUIRE_UPPERCASE", "1"),
        ("RATCHET_PASSWORD_REQUIRE_DIGIT", "no"),
        ("RATCHET_REQUIRE_CONFIRMED_EMAIL", "yes"),
        ("RATCHET_SELF_SIGN_UP", "yes"),
        ("RATCHET_MAIL_FROM", "nobody"),
        ("RATCHET_LINK_URL", "https://app.example/?x=1"),
        ("RATCHET_TRUSTED_PROXIES", "X-Forwarded-For"),
        ("RATCHET_CORS_ORIGINS", "https://ok.example, *"),
        ("RATCHET_CORS_HEADERS", "traceparent, x y"),
        ("RATCHET_LOG_LEVEL", "trace"),
        ("RATCHET_USERS_TABLE", ""),
    ];
    let message = read(&bad).unwrap_err().to_string();
    for (name, _) in bad {
        assert!(message.contains(name), "{name} in {message}");
    }
}

#[test]
fn settings_that_contradict_each_other_are_reported() {
    let settings = [("RATCHET_ARGON2_MEMORY_KIB", "16"), ("RATCHET_ARGON2_PARALLELISM", "4")];
    let message = read(&settings).unwrap_err().to_string();
    assert!(message.contains("RATCHET_ARGON2_MEMORY_KIB"), "{message}");
}

#[test]
fn issuer_audience_and_client_id_leave_room_in_access_tokens() {
    let with_issuer = |len: usize| {
        let issuer = format!("{:x<len$}", "https://");
        let (audience, client_id) = ("a".repeat(128), "c".repeat(128));
        read(&[
            ("RATCHET_ISSUER", &issuer),
            ("RATCHET_AUDIENCE", &audience),
            ("RATCHET_CLIENT_ID", &client_id),
        ])
    };
    assert!(with_issuer(256).is_ok(), "the longest values that the template allows");
    let message = with_issuer(512).unwrap_err().to_string();
    assert!(message.contains("RATCHET_ISSUER"), "{message}");
}

#[test]
fn a_session_that_ends_before_it_could_be_idle_for_long_is_no_contradiction() {
    assert!(read(&[("RATCHET_ABSOLUTE_SECONDS", "604800")]).is_ok());
}
#[test]
fn links_lead_to_pages_over_tls_or_on_this_machine() {
    for page in [
        "https://app.example",
        "https://app.example/account",
        "http://localhost:9001/",
        "http://127.0.0.1",
        "http://[::1]:9001/account",
    ] {
        let config = read(&[("RATCHET_LINK_URL", page)]).unwrap();
        assert_eq!(config.link_url.as_deref(), Some(page));
    }
    for page in [
        "http://app.example",
        "http://localhost.example",
        "http://localhost:1@app.example/",
        "http://127.0.0.1.example",
        "ftp://app.example",
        "app.example",
        "https://app.example/?x=1",
        "https://app.example/#x",
        "https://app.example/ x",
    ] {
        assert!(read(&[("RATCHET_LINK_URL", page)]).is_err(), "{page}");
    }
}

#[test]
fn a_deployment_cannot_allow_origins_by_wildcard() {
    let settings =
        |issuer, origins| read(&[("RATCHET_ISSUER", issuer), ("RATCHET_CORS_ORIGINS", origins)]);
    assert!(settings("http://127.0.0.1:9000", "http://localhost:*").is_ok());
    for (issuer, origins) in [
        ("https://issuer.example", "http://localhost:*"),
        ("http://localhost.example", "http://localhost:*"),
        ("http://localhost:9000", "http://app.example:*"),
        ("http://localhost:9000", "http://*:5173"),
    ] {
        let message = settings(issuer, origins).unwrap_err().to_string();
        assert!(message.contains("RATCHET_CORS_ORIGINS"), "{issuer} {origins}: {message}");
    }
}
