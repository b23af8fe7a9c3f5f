//! Functions whose clocks are wrong or jump: the real programs, run with libfaketime.
//!
//! AWS rejects calls signed with a clock that is more than five minutes off. The local services do
//! not, so the tests with ten minutes show the behaviour of the functions alone.

use std::{
    fs,
    path::{Path, PathBuf},
};

use local::stack::StackOptions;
use ratchet_core::time::UnixSeconds;
use serde_json::json;

use crate::support::{
    World,
    items::ids,
    people::now,
    ring::{known, parts},
    run,
    world::cheap,
};

/// Where Debian's package `libfaketime` and Homebrew's have it.
const LIBRARIES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib64/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
];

/// A stack beside the shared one with a clock of its own.
struct Skewed {
    world: World,
    file: PathBuf,
}

/// `None`, and a message, where there is no libfaketime.
async fn skewed(name: &str, settings: &[(&str, &str)]) -> Option<Skewed> {
    let Some(library) = LIBRARIES.into_iter().find(|library| Path::new(library).exists()) else {
        eprintln!("libfaketime is not installed: the functions' clocks were not moved");
        return None;
    };
    let shared = World::shared().await;
    let file = shared.stack().services().run().folder().join(format!("{name}.clock"));
    set(&file, 0);
    let launcher = [
        "env".to_owned(),
        format!("LD_PRELOAD={library}"),
        format!("FAKETIME_TIMESTAMP_FILE={}", file.display()),
        "FAKETIME_NO_CACHE=1".to_owned(),
        "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
        "DONT_FAKE_MONOTONIC=1".to_owned(),
    ];
    let options = StackOptions {
        concurrency: 1,
        launcher: launcher.to_vec(),
        ..StackOptions::beside(shared.stack(), name)
    };
    let options =
        settings.iter().fold(options, |options, (variable, value)| options.with(variable, value));
    let world = World::start(cheap(options)).await;
    Some(Skewed { world, file })
}

fn set(file: &Path, offset: i64) {
    // The file is read whenever the clock is, so it must never be half written.
    let new = file.with_extension("new");
    fs::write(&new, format!("{offset:+}s\n")).unwrap();
    fs::rename(&new, file).unwrap();
}

impl Skewed {
    fn set(&self, offset: i64) {
        set(&self.file, offset);
    }

    /// What the functions' clock says.
    fn seconds(offset: i64) -> u64 {
        now().seconds().get().checked_add_signed(offset).unwrap()
    }
}

#[test]
fn whatever_the_clock_lifetimes_are_whole_and_what_is_over_by_it_is_refused() {
    run(async {
        let Some(skewed) = skewed("skewed", &[]).await else { return };
        let (world, shared) = (&skewed.world, World::shared().await);
        for offset in [60, -60, 600, -600] {
            skewed.set(offset);
            let before = Skewed::seconds(offset);
            let (_, tokens) = world.signed_in().await;
            let session = world.session(&tokens.refresh).await.unwrap();
            let signed_in = session.auth_time.seconds();
            let after = Skewed::seconds(offset);
            assert!((before..=after).contains(&signed_in.get()), "{offset}: {signed_in:?}");
            let life = |end: UnixSeconds| end.get() - signed_in.get();
            assert_eq!(life(session.expires_at), 30 * 86_400, "{offset}");
            assert_eq!(life(session.absolute_expires_at), 90 * 86_400, "{offset}");
            let (_, claims) = parts(&tokens.access);
            let number = |name: &str| claims[name].as_u64().unwrap();
            assert_eq!(number("exp") - number("iat"), 300, "{offset}");
            assert_eq!(world.api().get("/users", &tokens.access).await.status, 200, "{offset}");

            // A function with the right clock and this one can continue each other's sessions.
            let next = shared.api().refresh(&tokens.refresh).await.tokens();
            let next = world.api().refresh(&next.refresh).await.tokens();
            assert_eq!(ids(&next.refresh).generation, 2, "{offset}");

            for (attribute, code) in
                [("expires_at", "expired_idle"), ("absolute_expires_at", "expired_absolute")]
            {
                let (_, tokens) = world.signed_in().await;
                let seconds = Skewed::seconds(offset);
                world.set_number(&tokens.refresh, attribute, seconds + 60).await;
                let next = world.api().refresh(&tokens.refresh).await.tokens();
                world.set_number(&tokens.refresh, attribute, seconds).await;
                let item = world.item(&tokens.refresh).await;
                for token in [&tokens.refresh, &next.refresh] {
                    let refusal = world.api().refresh(token).await;
                    assert_eq!(refusal.problem(), (401, code.to_owned()), "{offset}");
                }
                assert_eq!(world.item(&tokens.refresh).await, item, "nothing is written");
            }
        }
    });
}

#[test]
fn a_clock_that_steps_back_makes_nothing_old() {
    run(async {
        let Some(skewed) = skewed("stepping", &[]).await else { return };
        let world = &skewed.world;
        for (ahead, back) in [(0, -60), (60, 0), (600, 0), (0, -600)] {
            skewed.set(ahead);
            let (_, tokens) = world.signed_in().await;
            let next = world.api().refresh(&tokens.refresh).await.tokens();
            skewed.set(back);
            let again = world.api().refresh(&tokens.refresh).await.tokens();
            assert_eq!(again.refresh, next.refresh, "{ahead} to {back}");
            let live = world.api().refresh(&next.refresh).await.tokens();
            assert_eq!(ids(&live.refresh).generation, 2, "{ahead} to {back}");
            assert_eq!(world.session(&live.refresh).await.unwrap().revoked, None);
            assert_eq!(world.api().logout(&tokens.refresh).await.status, 204);
            assert_eq!(world.api().refresh(&live.refresh).await.code(), "revoked");
        }
    });
}

#[test]
fn without_a_key_that_may_sign_nothing_is_written() {
    run(async {
        let shared = World::shared().await;
        let mut ring = known(&[]);
        ring["keys"][0]["exp"] = json!(now().seconds().get() + 300);
        let secret = shared.secret("expiring-ring", &ring.to_string()).await;
        let settings = [("RATCHET_KEY_RING_SECRET", secret.as_str())];
        let Some(skewed) = skewed("no-signer", &settings).await else { return };
        let world = &skewed.world;
        let (person, tokens) = world.signed_in().await;
        skewed.set(600);
        let item = world.item(&tokens.refresh).await;
        for answer in [world.api().refresh(&tokens.refresh).await, world.try_sign_in(&person).await]
        {
            assert_eq!(answer.problem(), (503, "unavailable".to_owned()));
            assert_eq!(answer.header("retry-after"), "1");
        }
        assert_eq!(world.item(&tokens.refresh).await, item, "nothing is rotated");
        assert_eq!(
            world.sessions().list(person.id).await.unwrap().sessions.len(),
            1,
            "nothing is kept"
        );
        skewed.set(0);
        assert_eq!(world.api().refresh(&tokens.refresh).await.status, 200);
    });
}
