use super::{
    super::{Password, PasswordHasher, PhcHash, Verdict},
    *,
};

const PASSWORD: &str = "correct horse battery staple";

/// Hashes of [`PASSWORD`] that other programs made: argon2-cffi (the reference implementation),
/// Python's `hashlib` (OpenSSL) and its `bcrypt` package.
const MADE_ELSEWHERE: [&str; 9] = [
    "$argon2id$v=19$m=64,t=1,p=2$AAECAwQFBgcICQoLDA0ODw$dAWmN3lQJBZ3eULUtbn1xQ",
    "$argon2id$v=19$m=64,t=1,p=2$AAECAwQFBgcICQoLDA0ODw$blLKmJ6yg8rMblVdiF3riPaqH0MKqvg5cmf9tyck\
     +D+v2iUXf9CImG0SOx8sQkoqcah8Z9bbyx/lgGmm31xyDg",
    "$argon2id$v=16$m=64,t=1,p=2$AAECAwQFBgcICQoLDA0ODw$GGA7WOoW023b0eL82P5sH7B/demQEcPEQmY87OTZQ9M",
    "$2b$04$t2hZJO738UQX3yVB7hn77e29pPTQYLs6R..6GBEbAFN/t/yBM1KSi",
    "$2a$04$TQ.y.kBCJr5Esi2rSR3RC.LLTO090Hn0z3nOpwzbxTStYvIZtEuTC",
    "$scrypt$ln=10,r=8,p=2$AAECAwQFBgcICQoLDA0ODw$wk79EttC618m617oirShLZuxJkXcX6rXHrrS9rQQ/44",
    "$scrypt$ln=10,r=8,p=2$AAECAwQFBgcICQoLDA0ODw$wk79EttC618m617oirShLZuxJkXcX6rXHrrS9rQQ/44/PyzW\
     eE3KWbAQldWIiQYvKCevjNM19RG3gEA+HQIIyw",
    "$pbkdf2-sha256$i=1000,l=32$AAECAwQFBgcICQoLDA0ODw$ppsXnjrdPB4KryJ6DrOqKqhkWrhv7PbKAMF1Eml8cZ4",
    "$pbkdf2-sha512$i=1000$AAECAwQFBgcICQoLDA0ODw$A6AmFIti7CKlYdoPiV9jf1d9llp37o27Wms8Zx8fwMJGCOig\
     JzAthOW3Pg+XF5PnNiYnsQsIz1N5NtynrEm78w",
];

fn verify(typed: &str, stored: &str) -> Result<Verdict, HashError> {
    let cheap = HashCost { memory_kib: 64, iterations: 1, parallelism: 1 };
    let password = Password::parse(typed).unwrap();
    PasswordHasher::new(cheap).unwrap().verify(&password, &PhcHash::new(stored.to_owned()))
}

#[test]
fn hashes_made_elsewhere_verify_and_are_to_be_replaced() {
    for stored in MADE_ELSEWHERE {
        assert!(PhcHash::import(stored).is_ok(), "{stored}");
        assert_eq!(verify(PASSWORD, stored).unwrap(), Verdict::RightButCheap, "{stored}");
        assert_eq!(verify("correct horse battery staplf", stored).unwrap(), Verdict::Wrong);
    }
}

#[test]
fn bcrypt_reads_seventy_two_bytes_as_the_system_did_that_made_the_hash() {
    let made = bcrypt::hash_with_salt("x".repeat(80), 4, [7; 16]).unwrap().to_string();
    assert_eq!(verify(&"x".repeat(80), &made).unwrap(), Verdict::RightButCheap);
    assert_eq!(verify(&"x".repeat(71), &made).unwrap(), Verdict::Wrong);
}

#[test]
fn a_planted_hash_of_any_kind_cannot_ask_for_too_much() {
    let (salt, hash) = ("AAECAwQFBgcICQoLDA0ODw", "ppsXnjrdPB4KryJ6DrOqKqhkWrhv7PbKAMF1Eml8cZ4");
    for params in [
        "$argon2id$v=19$m=262145,t=1,p=1",
        "$argon2id$v=19$m=64,t=17,p=1",
        "$argon2id$v=19$m=64,t=1,p=5",
        "$scrypt$ln=19,r=8,p=1",
        "$scrypt$ln=63,r=8,p=1",
        "$scrypt$ln=64,r=8,p=1",
        "$scrypt$ln=4294967295,r=8,p=1",
        "$scrypt$ln=14,r=8,p=17",
        "$scrypt$ln=14,r=4294967295,p=1",
        "$scrypt$ln=1,r=4294967295,p=4294967295",
        "$scrypt$ln=1,r=1,p=2097152",
        "$scrypt$ln=14,r=8",
        "$pbkdf2-sha256$i=2000001",
        "$pbkdf2-sha512$i=4294967295",
        "$pbkdf2-sha256$i=0",
        "$pbkdf2-sha256$l=32",
    ] {
        let planted = format!("{params}${salt}${hash}");
        assert!(PhcHash::import(&planted).is_err(), "{planted}");
        assert!(matches!(verify("x", &planted), Err(HashError::Unusable)), "{planted}");
    }
    let bcrypt = "$2b$15$t2hZJO738UQX3yVB7hn77e29pPTQYLs6R..6GBEbAFN/t/yBM1KSi";
    assert!(matches!(verify("x", bcrypt), Err(HashError::Unusable)));
}

#[test]
fn hashes_of_other_kinds_are_refused() {
    for stored in [
        "$argon2i$v=19$m=64,t=1,p=1$AAECAwQFBgcICQoLDA0ODw$dAWmN3lQJBZ3eULUtbn1xQ",
        "$argon2id$v=19$m=64,t=1,p=1,keyid=Hj5+$AAECAwQFBgcICQoLDA0ODw$dAWmN3lQJBZ3eULUtbn1xQ",
        "$pbkdf2-sha1$i=1000$AAECAwQFBgcICQoLDA0ODw$dAWmN3lQJBZ3eULUtbn1xQ",
        "$2x$04$t2hZJO738UQX3yVB7hn77e29pPTQYLs6R..6GBEbAFN/t/yBM1KSi",
        "$2b$04$t2hZJO738UQX3yVB7hn77e29pPTQYLs6R",
        "$2b$04$",
        "$6$salt$hash",
        "5f4dcc3b5aa765d61d8327deb882cf99",
    ] {
        assert!(PhcHash::import(stored).is_err(), "{stored}");
    }
}
