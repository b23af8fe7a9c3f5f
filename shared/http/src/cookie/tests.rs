mod model;

use std::{cell::RefCell, cmp::Reverse};

use http::Request;
use ratchet_core::{
    ids::UserId,
    key_ring::TagKey,
    refresh_token::{RefreshToken, UnverifiedRefreshToken},
    secret::TokenSecret,
    time::UnixMillis,
};
use ratchet_store::StoreError;

use super::*;

const OWN: &str = "https://app.example";
const CONFIRMED: &[(&str, &str)] = &[("x-ratchet", "1")];
const DELETED: &str = "; HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age=0";

fn policy(issuer: &str) -> CookiePolicy {
    let origins = ["https://app.example", "http://127.0.0.1:9001", "http://app.example"];
    CookiePolicy::new(issuer, &origins.map(str::to_owned))
}

fn browser_at(issuer: &str, origin: &str, cookies: &[u8], further: &[(&str, &str)]) -> Browser {
    let mut request = Request::builder().header("host", "api.example").header("origin", origin);
    if !cookies.is_empty() {
        request = request.header("cookie", HeaderValue::from_bytes(cookies).unwrap());
    }
    for (name, value) in further {
        request = request.header(*name, *value);
    }
    policy(issuer).browser(request.body(()).unwrap().headers())
}

/// A browser with these cookies at a page of ours.
fn deployed(cookies: &[String]) -> Browser {
    browser_at("https://issuer.example", OWN, cookies.join("; ").as_bytes(), CONFIRMED)
}

/// The session that the `number`th sign-in began.
fn session(number: u8) -> SessionId {
    SessionId::generate(UnixMillis::new(1_780_000_000_000 + u64::from(number)), &[0; 10])
}

fn token(number: u8, generation: u32) -> RefreshToken {
    RefreshToken {
        user_id: UserId::from_bytes([7; 16]),
        session_id: session(number),
        generation,
        secret: TokenSecret::new([9; 32]),
    }
}

fn text(number: u8, generation: u32) -> String {
    token(number, generation).encode(&TagKey::new(&[1; 32])).expose().to_owned()
}

fn name(number: u8) -> String {
    format!("__Host-refresh-{}", session(number))
}

/// The cookie of a session.
fn cookie(number: u8, generation: u32) -> String {
    format!("{}={}", name(number), text(number, generation))
}

/// The cookie by the name that it had for all sessions.
fn former(number: u8, generation: u32) -> String {
    format!("__Host-refresh={}", text(number, generation))
}

fn pair(number: u8, generation: u32) -> TokenPair {
    TokenPair {
        is_bound: false,
        session_id: session(number),
        access_token: Zeroizing::new("access".to_owned()),
        refresh_token: token(number, generation).encode(&TagKey::new(&[1; 32])),
        expires_in: 300,
        refresh_token_expires_in: 60,
        session_expires_in: 600,
        refresh_after: 200,
        device_token: None,
        recovery_codes: None,
    }
}

/// The cookies that a response sets.
fn set_cookies(response: &Response) -> Vec<String> {
    let values = response.headers().get_all("set-cookie").iter();
    values.map(|value| value.to_str().unwrap().to_owned()).collect()
}

fn deleted(name: &str) -> String {
    format!("{name}={DELETED}")
}

fn live(number: u8, generation: u32) -> String {
    format!("{}; HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age=60", cookie(number, generation))
}

/// What a service answers a refresh with.
#[derive(Clone)]
enum Answer {
    Rotated,
    Refused(Problem),
}

/// Refreshes with a service that answers for each session; its sessions are genuine, and `end` fails
/// for those in `faulty`. Returns the status, the cookies that are set, and the ended sessions.
async fn refresh(
    browser: &Browser,
    answers: &[(u8, Answer)],
    faulty: &[u8],
) -> (u16, Vec<String>, Vec<u8>) {
    let number = |text: &str| {
        let read = UnverifiedRefreshToken::read(text).unwrap();
        (0..50).find(|number| session(*number) == read.session_id).unwrap()
    };
    let ended = RefCell::new(Vec::new());
    let ask = |text: Zeroizing<String>| {
        let number = number(&text);
        let answer = answers.iter().find(|(of, _)| *of == number).map(|(_, answer)| answer.clone());
        std::future::ready(match answer.unwrap() {
            Answer::Rotated => Ok(pair(number, 5)),
            Answer::Refused(problem) => Err(problem),
        })
    };
    let end = |text: Zeroizing<String>| {
        let number = number(&text);
        std::future::ready(if faulty.contains(&number) {
            Err(StoreError::Unavailable { operation: "UpdateItem", source: "refused".into() }
                .into())
        } else {
            ended.borrow_mut().push(number);
            Ok(true)
        })
    };
    let response = browser.refresh(ask, end).await;
    (response.status().as_u16(), set_cookies(&response), ended.into_inner())
}

fn refused(attempt: InvalidAttempt) -> Answer {
    Answer::Refused(Problem::InvalidAttempt(attempt))
}

#[tokio::test]
async fn a_session_has_a_cookie_of_its_own() {
    let answer = refresh(&deployed(&[cookie(1, 4)]), &[(1, Answer::Rotated)], &[]).await;
    assert_eq!(answer, (200, vec![live(1, 5)], vec![]));
}

#[tokio::test]
async fn cookies_of_other_applications_do_not_matter() {
    let ours = cookie(1, 4).into_bytes();
    let huge = [b"huge=".as_slice(), &b"x".repeat(100_000)].concat();
    let many = b"a=1; ".repeat(5_000);
    let token = text(1, 4);
    for other in [
        &b"name=J\xfcrgen"[..],
        b"\xff=\xfe",
        b"=",
        b"flag",
        b"; ;;  ;",
        b"a=1; a=2; a=3",
        b"quoted=\"; \"",
        b"__Host-refresh=",
        b"__Host-refresh=rt1_x",
        b"__Host-refresh-=rt1_x",
        b"__Host-refresh-x=1",
        b"__Host-refresh-\xff=1",
        &huge,
        &many,
        // The development name, another case, another session's name, a token in quotes.
        format!("refresh={token}").as_bytes(),
        format!("__host-refresh={token}").as_bytes(),
        format!("{}={token}", name(2)).as_bytes(),
        format!("__Host-refresh-={token}").as_bytes(),
        format!("__Host-refresh-{}={token}", session(1).to_string().to_uppercase()).as_bytes(),
        format!("__Host-refresh=\"{token}\"").as_bytes(),
    ] {
        for cookies in [[other, &ours].join(&b"; "[..]), [&ours, other].join(&b";"[..])] {
            let browser = browser_at("https://issuer.example", OWN, &cookies, CONFIRMED);
            let answer = refresh(&browser, &[(1, Answer::Rotated)], &[]).await;
            assert_eq!(answer, (200, vec![live(1, 5)], vec![]), "{}", other.escape_ascii());
        }
        let browser = browser_at("https://issuer.example", OWN, other, CONFIRMED);
        let response = refresh(&browser, &[], &[]).await;
        assert_eq!(response, (401, vec![], vec![]), "{}", other.escape_ascii());
    }
}

#[tokio::test]
async fn several_cookie_headers_are_read() {
    let mut headers = HeaderMap::new();
    for value in [&b"name=J\xfcrgen"[..], cookie(1, 4).as_bytes()] {
        headers.append("cookie", HeaderValue::from_bytes(value).unwrap());
    }
    headers.insert("origin", HeaderValue::from_static(OWN));
    headers.insert("x-ratchet", HeaderValue::from_static("1"));
    let browser = policy("https://issuer.example").browser(&headers);
    assert_eq!(refresh(&browser, &[(1, Answer::Rotated)], &[]).await.0, 200);
}

#[tokio::test]
async fn the_newest_live_session_counts_and_the_others_end() {
    let both = [cookie(1, 4), cookie(2, 4)];
    for browser in [deployed(&both), deployed(&[both[1].clone(), both[0].clone()])] {
        let answers = [(1, Answer::Rotated), (2, Answer::Rotated)];
        let answer = refresh(&browser, &answers, &[]).await;
        assert_eq!(answer, (200, vec![deleted(&name(1)), live(2, 5)], vec![1]));
        let dead = [(1, Answer::Rotated), (2, refused(InvalidAttempt::Revoked))];
        let answer = refresh(&browser, &dead, &[]).await;
        assert_eq!(answer, (200, vec![deleted(&name(2)), live(1, 5)], vec![2]));
    }
}

#[tokio::test]
async fn a_session_that_could_not_be_ended_keeps_its_cookie_for_the_next_request() {
    let browser = deployed(&[cookie(1, 4), cookie(2, 4)]);
    let answer = refresh(&browser, &[(2, Answer::Rotated)], &[1]).await;
    assert_eq!(answer, (200, vec![live(2, 5)], vec![]));
}

#[tokio::test]
async fn the_former_name_is_read_once() {
    let browser = deployed(&[former(1, 4)]);
    let answer = refresh(&browser, &[(1, Answer::Rotated)], &[]).await;
    assert_eq!(answer, (200, vec![deleted("__Host-refresh"), live(1, 5)], vec![]));
    // A rolled back release may have set it again: the newer token counts.
    for (cookies, used) in
        [([former(1, 4), cookie(1, 3)], text(1, 4)), ([former(1, 3), cookie(1, 4)], text(1, 4))]
    {
        assert_eq!(deployed(&cookies).tokens[0].text.as_str(), used);
        let answer = refresh(&deployed(&cookies), &[(1, Answer::Rotated)], &[]).await;
        assert_eq!(answer, (200, vec![deleted("__Host-refresh"), live(1, 5)], vec![]));
    }
}

#[tokio::test]
async fn a_401_deletes_the_cookies_of_sessions_that_have_ended_and_no_other() {
    let both = deployed(&[cookie(1, 4), former(2, 4)]);
    let ended = refused(InvalidAttempt::Revoked);
    let answer = refresh(&both, &[(1, ended.clone()), (2, ended)], &[]).await;
    assert_eq!(answer, (401, vec![deleted("__Host-refresh"), deleted(&name(1))], vec![]));
    let one = deployed(&[cookie(1, 4)]);
    for (problem, deletes) in [
        (Problem::Unavailable, false),
        (Problem::Internal, false),
        (Problem::InvalidAttempt(InvalidAttempt::AccessTokenMismatch), false),
        (Problem::InvalidAttempt(InvalidAttempt::Elsewhere), false),
        // Not a token of this service: the cookie is not ours to delete.
        (Problem::InvalidAttempt(InvalidAttempt::Malformed), false),
        (Problem::InvalidAttempt(InvalidAttempt::Revoked), true),
        (Problem::InvalidAttempt(InvalidAttempt::ReuseDetected), true),
        (Problem::InvalidAttempt(InvalidAttempt::ExpiredIdle), true),
    ] {
        let status = problem.status().as_u16();
        let answer = refresh(&one, &[(1, Answer::Refused(problem.clone()))], &[]).await;
        let cookies: Vec<_> = deletes.then(|| deleted(&name(1))).into_iter().collect();
        assert_eq!(answer, (status, cookies, vec![]), "{problem:?}");
    }
    let nothing = refresh(&deployed(&[]), &[], &[]).await;
    assert_eq!(nothing, (401, vec![], vec![]), "what is not there is not deleted");
}

#[tokio::test]
async fn a_sign_in_ends_the_sessions_that_the_browser_had() {
    let browser = deployed(&[cookie(1, 4), former(2, 4), "theme=dark".to_owned()]);
    let response = browser.signed_in(&pair(3, 0), |_| std::future::ready(Ok(true))).await;
    let cookies = [deleted("__Host-refresh"), deleted(&name(1)), live(3, 0)];
    assert_eq!((response.status(), set_cookies(&response)), (StatusCode::OK, cookies.to_vec()));
    let forged = browser.signed_in(&pair(3, 0), |_| std::future::ready(Ok(false))).await;
    assert_eq!(set_cookies(&forged), [live(3, 0)]);
}

#[tokio::test]
async fn a_log_out_ends_all_sessions_of_the_browser_or_changes_nothing() {
    let browser = deployed(&[cookie(1, 4), cookie(2, 4)]);
    let response = browser.log_out(|_| std::future::ready(Ok(true))).await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(set_cookies(&response), [deleted(&name(2)), deleted(&name(1))]);
    assert!(response.headers().get_all("set-cookie").iter().all(HeaderValue::is_sensitive));
    let fault = |_| std::future::ready(Err(ratchet_service::Fault::NoTagKey.into()));
    assert_eq!(browser.log_out(fault).await.unwrap_err(), Problem::Unavailable);
    let nobody = deployed(&[]).log_out(|_| std::future::ready(Ok(true))).await.unwrap();
    assert_eq!((nobody.status(), set_cookies(&nobody)), (StatusCode::NO_CONTENT, vec![]));
}

/// What ending a session leads to if only session 1 is not bound to a key that the browser lost.
fn lost_key(token: &Zeroizing<String>) -> Result<bool, LogOutError> {
    let of_first = *token == Zeroizing::new(text(1, 4));
    if of_first { Ok(true) } else { Err(LogOutError::Unproven(ProofError::WrongKey)) }
}

#[tokio::test]
async fn the_cookie_of_a_session_whose_key_is_lost_is_deleted_and_the_others_are_ended() {
    let browser = deployed(&[cookie(1, 4), cookie(2, 4), cookie(3, 4)]);
    let ended = RefCell::new(Vec::new());
    let end = |token: Zeroizing<String>| {
        ended.borrow_mut().push(token.clone());
        std::future::ready(lost_key(&token))
    };
    let response = browser.log_out(end).await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(set_cookies(&response), [3, 2, 1].map(|number| deleted(&name(number))));
    let response = browser.signed_in(&pair(4, 0), end).await;
    let all = [deleted(&name(3)), deleted(&name(2)), deleted(&name(1)), live(4, 0)];
    assert_eq!(set_cookies(&response), all);
    assert_eq!(ended.borrow().len(), 6);

    // A nonce is all that is missing, so the client sends the request again.
    let stale = |_| std::future::ready(Err(LogOutError::Unproven(ProofError::StaleNonce)));
    let refused = Problem::RefusedProof(ProofError::StaleNonce);
    assert_eq!(browser.log_out(stale).await.unwrap_err(), refused);
}

#[tokio::test]
async fn a_session_whose_key_is_lost_does_not_hide_the_one_that_the_browser_can_refresh() {
    let browser = deployed(&[cookie(1, 4), cookie(2, 4)]);
    let wrong_key = Problem::RefusedProof(ProofError::WrongKey);
    let refresh = |token: Zeroizing<String>| {
        let answer = lost_key(&token).map(|_| pair(1, 5)).map_err(Problem::from);
        std::future::ready(answer)
    };
    let end = |token: Zeroizing<String>| std::future::ready(lost_key(&token));
    let response = browser.refresh(refresh, end).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(set_cookies(&response), [deleted(&name(2)), live(1, 5)]);

    let lost = |_| std::future::ready(Err(wrong_key.clone()));
    let response = browser.refresh(lost, end).await;
    assert_eq!((response.status(), set_cookies(&response)), (StatusCode::BAD_REQUEST, vec![]));
}

#[tokio::test]
async fn other_sites_cannot_use_the_cookie() {
    let cookies = cookie(1, 4);
    let forbidden = async |browser: Browser, case: &str| {
        assert_eq!(browser.permit(), Err(Problem::ForbiddenOrigin), "{case}");
        assert!(browser.relies_on_cookie(), "{case}");
        let answer = refresh(&browser, &[(1, Answer::Rotated)], &[]).await;
        assert_eq!(answer, (403, vec![], vec![]), "{case}");
        let refusal = browser.log_out(|_| std::future::ready(Ok(true))).await.unwrap_err();
        assert_eq!(refusal, Problem::ForbiddenOrigin, "{case}");
    };
    for origin in [
        "https://evil.example",
        "https://app.example.evil",
        "https://app.example:8443",
        "https://APP.example",
        "https://app.example/",
        "https://app.example, https://app.example",
        "null",
        "",
        // Configured, but without TLS.
        "http://app.example",
        "http://127.0.0.1:9001",
    ] {
        let issuer = "https://issuer.example";
        forbidden(browser_at(issuer, origin, cookies.as_bytes(), CONFIRMED), origin).await;
    }
    let unconfirmed = browser_at("https://issuer.example", OWN, cookies.as_bytes(), &[]);
    forbidden(unconfirmed, "without X-Ratchet").await;
    let mut headers = HeaderMap::new();
    headers.insert("cookie", HeaderValue::from_str(&cookies).unwrap());
    headers.insert("x-ratchet", HeaderValue::from_static("1"));
    forbidden(policy("https://issuer.example").browser(&headers), "without Origin").await;
}

#[test]
fn plain_http_is_for_loopback_only() {
    for (issuer, kind) in [
        ("http://127.0.0.1:9000", Kind::Plain),
        ("http://localhost", Kind::Plain),
        ("http://localhost:9000/stage", Kind::Plain),
        ("http://[::1]:9000", Kind::Plain),
        ("http://[::1]", Kind::Plain),
        ("https://localhost", Kind::Host),
        ("https://127.0.0.1:9000", Kind::Host),
        ("http://localhost.evil.example", Kind::Host),
        ("http://127.0.0.1.evil.example:80", Kind::Host),
        ("http://user@evil.example", Kind::Host),
        ("http://localhost:x@evil.example", Kind::Host),
        ("http://issuer.example", Kind::Host),
        ("http://", Kind::Host),
    ] {
        assert_eq!(Kind::of(issuer), kind, "{issuer}");
    }
    let cookies = format!("refresh-{}={}", session(1), text(1, 4));
    let browser =
        |origin| browser_at("http://127.0.0.1:9000", origin, cookies.as_bytes(), CONFIRMED);
    assert_eq!(browser("http://127.0.0.1:9001").permit(), Ok(()));
    assert_eq!(browser("http://127.0.0.1:9001").tokens.len(), 1);
    assert!(browser("http://app.example").permit().is_err());
}

#[test]
fn the_cookie_is_out_of_reach_for_scripts_other_sites_and_other_hosts() {
    assert_eq!(
        Kind::Host.cookie("__Host-refresh-x", "rt1_x", 60).as_str(),
        "__Host-refresh-x=rt1_x; HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age=60"
    );
    assert_eq!(
        Kind::Plain.cookie("refresh-x", "rt1_x", 60).as_str(),
        "refresh-x=rt1_x; HttpOnly; SameSite=Strict; Path=/; Max-Age=60"
    );
}

#[tokio::test]
async fn a_request_with_very_many_tokens_costs_no_more_than_one_with_a_few() {
    let cookies: Vec<_> = (0..40).map(|number| cookie(number, 4)).collect();
    let browser = deployed(&cookies);
    let answers: Vec<_> =
        (0..40).map(|number| (number, refused(InvalidAttempt::Revoked))).collect();
    let (status, deleted_cookies, _) = refresh(&browser, &answers, &[]).await;
    let newest: Vec<_> = (32..40).rev().map(|number| deleted(&name(number))).collect();
    assert_eq!((status, deleted_cookies), (401, newest));
    let (status, _, ended) = refresh(&deployed(&cookies), &[(39, Answer::Rotated)], &[]).await;
    assert_eq!((status, ended), (200, (31..39).rev().collect()));
    let sessions = RefCell::new(Vec::new());
    let end = |text: Zeroizing<String>| {
        sessions.borrow_mut().push(text);
        std::future::ready(Ok(true))
    };
    assert!(browser.log_out(end).await.is_ok());
    assert_eq!(sessions.borrow().len(), MAX);
}

#[tokio::test]
async fn tokens_of_another_deployment_at_the_same_host_do_not_matter() {
    let cookies: Vec<_> = (0..40).map(|number| cookie(number, 4)).collect();
    let mut answers = vec![(0, Answer::Rotated)];
    answers.extend((1..40).map(|number| (number, refused(InvalidAttempt::Malformed))));
    let answer = refresh(&deployed(&cookies), &answers, &[]).await;
    assert_eq!((answer.0, &answer.1[answer.1.len() - 1]), (200, &live(0, 5)));
}

#[test]
fn nothing_prints_the_cookie() {
    let browser = deployed(&[cookie(1, 4)]);
    assert!(!format!("{browser:?}").contains("rt1_"));
}
