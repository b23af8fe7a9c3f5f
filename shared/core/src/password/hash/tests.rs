use super::*;

const CHEAP: HashCost = HashCost { memory_kib: 64, iterations: 1, parallelism: 1 };

fn password(typed: &str) -> Password {
    Password::parse(typed).unwrap()
}

#[test]
fn the_right_password_verifies_and_no_other() {
    let hasher = PasswordHasher::new(CHEAP).unwrap();
    let hash = hasher.hash(&password("correct horse")).unwrap();
    assert!(hash.expose().starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{}", hash.expose());
    assert_eq!(hasher.verify(&password("correct horse"), &hash).unwrap(), Verdict::Right);
    assert_eq!(hasher.verify(&password("correct horsf"), &hash).unwrap(), Verdict::Wrong);
}

#[test]
fn it_agrees_with_the_reference_implementation() {
    // From the `argon2` command of the reference implementation (phc-winner-argon2):
    // echo -n password | argon2 somesalt -id -t 2 -k 256 -p 2
    let known = PhcHash::new(
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$\
         bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"
            .to_owned(),
    );
    let hasher = PasswordHasher::new(CHEAP).unwrap();
    assert_eq!(hasher.verify(&password("password"), &known).unwrap(), Verdict::Right);
}

#[test]
fn a_hash_cheaper_than_configured_is_told() {
    let hash = PasswordHasher::new(CHEAP).unwrap().hash(&password("x")).unwrap();
    for dearer in [
        HashCost { memory_kib: 65, ..CHEAP },
        HashCost { iterations: 2, ..CHEAP },
        HashCost { parallelism: 2, ..CHEAP },
    ] {
        let hasher = PasswordHasher::new(dearer).unwrap();
        assert_eq!(hasher.verify(&password("x"), &hash).unwrap(), Verdict::RightButCheap);
    }
}

#[test]
fn a_planted_hash_cannot_ask_for_too_much() {
    let hasher = PasswordHasher::new(CHEAP).unwrap();
    for params in ["m=4194304,t=1,p=1", "m=64,t=1000000,p=1", "m=64,t=1,p=5"] {
        let planted = format!(
            "$argon2id$v=19${params}$c29tZXNhbHRzb21lc2FsdA$\
             CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
        );
        let error = hasher.verify(&password("x"), &PhcHash::new(planted)).unwrap_err();
        assert!(matches!(error, HashError::Unusable), "{params}");
    }
}

#[test]
fn other_hashes_and_garbage_are_errors_and_not_wrong_passwords() {
    let hasher = PasswordHasher::new(CHEAP).unwrap();
    for stored in [
        "",
        "x",
        "$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ",
    ] {
        assert!(hasher.verify(&password("x"), &PhcHash::new(stored.to_owned())).is_err());
    }
}

#[test]
fn concurrent_hashes_agree() {
    let hasher = PasswordHasher::new(CHEAP).unwrap();
    let hash = hasher.hash(&password("x")).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                assert_eq!(hasher.verify(&password("x"), &hash).unwrap(), Verdict::Right);
            });
        }
    });
}

#[test]
fn nothing_prints_a_hash() {
    let canary = "canary-8f1c";
    assert!(!format!("{:?}", PhcHash::new(canary.to_owned())).contains(canary));
}
