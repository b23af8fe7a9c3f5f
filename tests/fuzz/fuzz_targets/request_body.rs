//! Request bodies of sign-in, refresh, log-out and OAuth: any content type, any bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ratchet_http::{Problem, body::MAX_BODY};

fuzz_target!(|input: &[u8]| {
    // A content type, a line feed, and a body.
    let mut lines = input.splitn(2, |byte| *byte == b'\n');
    let (content_type, body) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (refresh, authenticate) = runtime.block_on(async {
        (
            refresh::fuzzing::bodies(content_type, body).await,
            authenticate::fuzzing::bodies(content_type, body).await,
        )
    });
    for read in refresh.into_iter().chain(authenticate) {
        match read {
            // Nothing of a request prints.
            Ok(printed) => assert!(printed.ends_with("(Request { .. })"), "{printed}"),
            Err(Problem::MalformedRequest { .. } | Problem::UnsupportedMediaType { .. }) => {}
            Err(Problem::PayloadTooLarge) => assert!(body.len() > MAX_BODY),
            Err(other) => panic!("{other:?}"),
        }
    }
});
