//! The key ring: a JWK Set (RFC 7517 §5) with private members, kept as one secret.
//!
//! Keys with `"use": "sig"` sign access tokens; keys with [`TAG_USE`] tag refresh tokens. `nbf`
//! and `exp` drive a key's life: it verifies from the moment it is in the ring until `exp`, and
//! signs from `nbf` until a younger key does.
//!
//! A ring made at deployment needs no second step: beside its (then empty) `keys` it carries a
//! `seed` of random characters, from which the first key of either use is derived.

use std::fmt;

use aws_lc_rs::{
    digest,
    hkdf::{HKDF_SHA256, KeyType, Salt},
    hmac,
};
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde::Deserialize;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{
    encoding::{from_base64url, to_base64url},
    jws::{SignatureAlgorithm, VerificationKey},
    time::UnixSeconds,
};

/// The private `use` (RFC 7517 §4.2) of keys that tag refresh tokens.
pub const TAG_USE: &str = "refresh-tag";

/// The shortest HMAC key, in bytes (RFC 7518 §3.2).
pub const MIN_HMAC_KEY: usize = 32;

/// The shortest `seed`, in characters: 256 bits, drawn from letters and digits.
pub const MIN_SEED_CHARS: usize = 43;

/// The smallest RSA modulus, in bytes (RFC 7518 §3.3).
const MIN_RSA_MODULUS: usize = 256;

/// The only public exponent in use, 65537. An exponent of 1 would make every text its signature.
const RSA_EXPONENT: &[u8] = &[1, 0, 1];

/// Keys that were published as examples and are long enough to slip through the length check.
const KNOWN_KEYS: [&[u8]; 4] = [
    b"a-string-secret-at-least-256-bits-long",
    b"your-256-bit-secret-your-256-bit-secret",
    b"a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
    b"this is my custom Secret key for authentication",
];

/// Why a text is no key ring that a function can start with.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyRingError {
    /// Not JSON, or not of the shape of a JWK Set.
    #[error(
        "the key ring is no JWK Set: expected {{\"keys\": […]}}, with a \"seed\" if it is empty"
    )]
    Malformed,
    /// A seed from which nothing may be derived.
    #[error("the key ring's seed is shorter than {MIN_SEED_CHARS} characters")]
    ShortSeed,
    /// One key of the ring can not be used.
    #[error("key {position} of the key ring can not be used: {reason}")]
    Key {
        /// Its place in `keys`, from 0.
        position: usize,
        /// What is wrong with it.
        reason: KeyError,
    },
    /// No key for access tokens whose `nbf` has passed and whose `exp` has not.
    #[error("no key of the key ring may sign access tokens now")]
    NoSigner,
    /// No key for refresh tokens whose `nbf` has passed and whose `exp` has not.
    #[error("no key of the key ring may tag refresh tokens now")]
    NoTagKey,
}

/// Why one JWK can not be used.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// `use`, `kty`, `crv` and `alg` do not name one of our algorithms.
    #[error("its use, kty, crv and alg name no supported algorithm")]
    Unsupported,
    /// A member is missing or no canonical base64url.
    #[error("a member is missing or malformed")]
    Malformed,
    /// An HMAC key below [`MIN_HMAC_KEY`] bytes, or an RSA modulus below 2048 bits.
    #[error("it is too short")]
    TooShort,
    /// A published example key, or one with hardly any different bytes.
    #[error("it is a known or a degenerate key")]
    Weak,
    /// Another key of the ring has the same `kid`: which one verifies would be chance.
    #[error("its kid is another key's too")]
    DuplicateKid,
}

/// A JSON Web Key, as far as this crate reads it.
///
/// # Security
/// Prints as a placeholder; the private members are wiped when dropped.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    use_: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    nbf: Option<u64>,
    exp: Option<u64>,
    crv: Option<String>,
    k: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl fmt::Debug for Jwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwk")
            .field("kty", &self.kty)
            .field("use", &self.use_)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<Jwk>,
    seed: Option<Zeroizing<String>>,
}

impl Jwk {
    /// The key that verifies signatures, if this JWK is for signing with one of our algorithms.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn verification_key(&self) -> Result<VerificationKey, KeyError> {
        let other_use = self.use_.as_deref().is_some_and(|use_| use_ != "sig");
        let forbidden =
            self.key_ops.as_ref().is_some_and(|ops| !ops.iter().any(|op| op == "verify"));
        if other_use || forbidden {
            return Err(KeyError::Unsupported);
        }
        let algorithm = self.algorithm()?;
        let key = match algorithm {
            SignatureAlgorithm::Hs256 => DecodingKey::from_secret(&self.hmac_secret()?),
            SignatureAlgorithm::Es256 => {
                let (x, y) = (text(self.x.as_ref())?, text(self.y.as_ref())?);
                DecodingKey::from_ec_components(x, y).map_err(|_| KeyError::Malformed)?
            }
            SignatureAlgorithm::EdDsa => DecodingKey::from_ed_components(text(self.x.as_ref())?)
                .map_err(|_| KeyError::Malformed)?,
            SignatureAlgorithm::Rs256 => {
                let (modulus, exponent) = (bytes(self.n.as_ref())?, bytes(self.e.as_ref())?);
                if modulus.len() < MIN_RSA_MODULUS {
                    return Err(KeyError::TooShort);
                }
                if exponent.as_slice() != RSA_EXPONENT {
                    return Err(KeyError::Weak);
                }
                DecodingKey::from_rsa_raw_components(&modulus, &exponent)
            }
        };
        Ok(VerificationKey::new(algorithm, key))
    }

    /// One key, one algorithm: what `alg` may add to `kty` and `crv` is nothing.
    fn algorithm(&self) -> Result<SignatureAlgorithm, KeyError> {
        let algorithm = match (self.kty.as_str(), self.crv.as_deref()) {
            ("oct", None) => SignatureAlgorithm::Hs256,
            ("EC", Some("P-256")) => SignatureAlgorithm::Es256,
            ("OKP", Some("Ed25519")) => SignatureAlgorithm::EdDsa,
            ("RSA", None) => SignatureAlgorithm::Rs256,
            _ => return Err(KeyError::Unsupported),
        };
        match self.alg.as_deref() {
            None => Ok(algorithm),
            Some(name) if name == algorithm.name() => Ok(algorithm),
            Some(_) => Err(KeyError::Unsupported),
        }
    }

    fn hmac_secret(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let secret = bytes(self.k.as_ref())?;
        if secret.len() < MIN_HMAC_KEY { Err(KeyError::TooShort) } else { Ok(secret) }
    }

    /// The secret of an `oct` key that may protect something: not a published example, not the
    /// same few bytes over and over.
    fn strong_hmac_secret(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let secret = self.hmac_secret()?;
        let mut different = secret.clone();
        different.sort_unstable();
        different.dedup();
        if different.len() < 8 || KNOWN_KEYS.contains(&secret.as_slice()) {
            Err(KeyError::Weak)
        } else {
            Ok(secret)
        }
    }

    const fn not_before(&self) -> UnixSeconds {
        match self.nbf {
            Some(seconds) => UnixSeconds::new(seconds),
            None => UnixSeconds::new(0),
        }
    }

    fn life(&self) -> KeyLife {
        KeyLife { not_before: self.not_before(), expires_at: self.exp.map(UnixSeconds::new) }
    }
}

fn text(member: Option<&String>) -> Result<&str, KeyError> {
    // Decoded for its strictness; jsonwebtoken takes the text.
    bytes(member)?;
    member.map(String::as_str).ok_or(KeyError::Malformed)
}

fn bytes(member: Option<&String>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    member.and_then(|text| from_base64url(text)).map(Zeroizing::new).ok_or(KeyError::Malformed)
}

#[derive(Debug, Clone, Copy)]
struct KeyLife {
    not_before: UnixSeconds,
    expires_at: Option<UnixSeconds>,
}

impl KeyLife {
    fn expired(self, now: UnixSeconds) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    fn may_sign(self, now: UnixSeconds) -> bool {
        self.not_before <= now && !self.expired(now)
    }
}

/// A key that signs access tokens, and verifies them.
pub struct SigningKey {
    kid: String,
    life: KeyLife,
    algorithm: SignatureAlgorithm,
    private: EncodingKey,
    verification: VerificationKey,
}

impl SigningKey {
    /// The id in the header of the tokens it signs.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The one algorithm it is for.
    #[must_use]
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    pub(crate) const fn private(&self) -> &EncodingKey {
        &self.private
    }

    fn from_secret(secret: &[u8], kid: Option<String>, life: KeyLife) -> Self {
        Self {
            kid: kid.unwrap_or_else(|| oct_thumbprint(secret)),
            life,
            algorithm: SignatureAlgorithm::Hs256,
            private: EncodingKey::from_secret(secret),
            verification: VerificationKey::new(
                SignatureAlgorithm::Hs256,
                DecodingKey::from_secret(secret),
            ),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// The JWK thumbprint (RFC 7638 §3) of an `oct` key. It is public; a key of 256 random bits can
/// not be guessed from it.
fn oct_thumbprint(secret: &[u8]) -> String {
    let canonical = Zeroizing::new(format!(r#"{{"k":"{}","kty":"oct"}}"#, to_base64url(secret)));
    to_base64url(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref())
}

/// A key that tags refresh tokens.
pub struct TagKey {
    life: KeyLife,
    hmac: hmac::Key,
}

impl TagKey {
    /// A tag key without end.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self::from_secret(secret, KeyLife { not_before: UnixSeconds::new(0), expires_at: None })
    }

    pub(crate) const fn hmac(&self) -> &hmac::Key {
        &self.hmac
    }

    fn from_secret(secret: &[u8], life: KeyLife) -> Self {
        Self { life, hmac: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }
}

impl fmt::Debug for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TagKey(..)")
    }
}

/// The keys behind access and refresh tokens.
#[derive(Debug)]
pub struct KeyRing {
    signing_keys: Vec<SigningKey>,
    tag_keys: Vec<TagKey>,
}

impl KeyRing {
    /// Reads the secret's string.
    ///
    /// # Errors
    /// [`KeyRingError`], if there is any key in it that can not be used or none of either use
    /// that may be used at `now`. A ring with a bad key is refused as a whole: an operator has to
    /// know before tokens are signed with what is left.
    pub fn parse(secret: &str, now: UnixSeconds) -> Result<Self, KeyRingError> {
        let set: JwkSet = serde_json::from_str(secret).map_err(|_| KeyRingError::Malformed)?;
        let mut ring = Self { signing_keys: Vec::new(), tag_keys: Vec::new() };
        if let Some(seed) = &set.seed {
            ring.add_derived(seed)?;
        }
        for (position, jwk) in set.keys.iter().enumerate() {
            ring.add(jwk).map_err(|reason| KeyRingError::Key { position, reason })?;
        }
        ring.signer(now).ok_or(KeyRingError::NoSigner)?;
        ring.tagger(now).ok_or(KeyRingError::NoTagKey)?;
        Ok(ring)
    }

    /// The key that signs access tokens at `now`: the one that began to sign last.
    #[must_use]
    pub fn signer(&self, now: UnixSeconds) -> Option<&SigningKey> {
        let able = self.signing_keys.iter().filter(|key| key.life.may_sign(now));
        able.max_by_key(|key| key.life.not_before)
    }

    /// The unexpired key of that id.
    #[must_use]
    pub fn verification_key(&self, kid: &str, now: UnixSeconds) -> Option<&VerificationKey> {
        let key = self.signing_keys.iter().find(|key| key.kid == kid)?;
        if key.life.expired(now) { None } else { Some(&key.verification) }
    }

    /// The key that tags refresh tokens at `now`.
    #[must_use]
    pub fn tagger(&self, now: UnixSeconds) -> Option<&TagKey> {
        let able = self.tag_keys.iter().filter(|key| key.life.may_sign(now));
        able.max_by_key(|key| key.life.not_before)
    }

    /// Every key whose tag counts at `now`.
    pub fn tag_keys(&self, now: UnixSeconds) -> impl Iterator<Item = &TagKey> {
        self.tag_keys.iter().filter(move |key| !key.life.expired(now))
    }

    fn add(&mut self, jwk: &Jwk) -> Result<(), KeyError> {
        match (jwk.kty.as_str(), jwk.use_.as_deref()) {
            ("oct", Some("sig")) => {
                jwk.algorithm()?;
                let secret = jwk.strong_hmac_secret()?;
                let key = SigningKey::from_secret(&secret, jwk.kid.clone(), jwk.life());
                if self.signing_keys.iter().any(|other| other.kid == key.kid) {
                    return Err(KeyError::DuplicateKid);
                }
                self.signing_keys.push(key);
            }
            ("oct", Some(TAG_USE)) => {
                self.tag_keys.push(TagKey::from_secret(&jwk.strong_hmac_secret()?, jwk.life()));
            }
            _ => return Err(KeyError::Unsupported),
        }
        Ok(())
    }

    fn add_derived(&mut self, seed: &str) -> Result<(), KeyRingError> {
        if seed.chars().count() < MIN_SEED_CHARS {
            return Err(KeyRingError::ShortSeed);
        }
        // Younger than any key with an `nbf`, so that the first rotation takes over.
        let life = KeyLife { not_before: UnixSeconds::new(0), expires_at: None };
        let derive = |purpose| derive(seed, purpose).ok_or(KeyRingError::ShortSeed);
        self.signing_keys.push(SigningKey::from_secret(
            &*derive(b"access token HS256")?,
            None,
            life,
        ));
        self.tag_keys.push(TagKey::from_secret(&*derive(b"refresh token tag")?, life));
        Ok(())
    }
}

fn derive(seed: &str, purpose: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    struct Len32;
    impl KeyType for Len32 {
        fn len(&self) -> usize {
            32
        }
    }
    let extracted = Salt::new(HKDF_SHA256, b"ratchet key ring v1").extract(seed.as_bytes());
    let mut key = Zeroizing::new([0; 32]);
    extracted.expand(&[purpose], Len32).ok()?.fill(key.as_mut_slice()).ok()?;
    Some(key)
}

#[cfg(test)]
mod tests;
