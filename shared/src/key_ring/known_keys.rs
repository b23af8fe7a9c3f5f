//! Keys that everybody has.

/// Secrets that were published as examples and are long enough to slip through the length check.
const SECRETS: [&[u8]; 4] = [
    b"a-string-secret-at-least-256-bits-long",
    b"your-256-bit-secret-your-256-bit-secret",
    b"a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
    b"this is my custom Secret key for authentication",
];

/// Thumbprints of key pairs whose private halves stand in RFCs: 7515 A.3, 7517 A.2 (EC),
/// 7638 §3.1 (RSA), 8037 A.1 (Ed25519).
const THUMBPRINTS: [&str; 4] = [
    "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U",
    "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s",
    "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
    "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
];

pub(super) fn is_known_secret(secret: &[u8]) -> bool {
    SECRETS.contains(&secret)
}

pub(super) fn is_known(thumbprint: &str) -> bool {
    THUMBPRINTS.contains(&thumbprint)
}
