//! Keys that are published somewhere as examples.

/// Published secrets that are long enough to pass the length check.
const SECRETS: [&[u8]; 4] = [
    b"a-string-secret-at-least-256-bits-long",
    b"your-256-bit-secret-your-256-bit-secret",
    b"a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
    b"this is my custom Secret key for authentication",
];

/// Thumbprints of keys whose secrets stand in RFCs (7515 A.1, A.2, A.3; 7516 A.1, A.2; 7517 A.2 twice;
/// 7518 C twice; 7520 §3.4, §3.5; 8037 A.1) and on jwt.io (RS256, ES256).
const THUMBPRINTS: [&str; 14] = [
    "y_x3gCJnL6oKGBBIXScabduwxTVy2Wd2bzRVEUbdUzc",
    "IsUn6_e04MaShXFIISMp4kG62LWzMIPy_MvSA5pJgX8",
    "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U",
    "xtIsOV1FqKH77AI_A3jdTg5QfdabzqI-LNpYTPi0IgI",
    "_K0fXS8wlsT7Tn3vvZrs9qdKUIqi5AxQ5EVk41xi_BM",
    "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s",
    "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
    "_GK0r6GCoJt9zcssg9lay4obIxgCq05ntiRymRHADSU",
    "Vy57XrArUrW0NbpI12tEzDHABxMwrTh6HHXRenSpnCo",
    "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI",
    "RtoRur_1Dir5M4wuOfqNkDYOf9O_4RJ-aHkTA75RLA8",
    "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
    "oGDmHqCJ7yzMkWEkrlZVHkvrHIyQwtlDmeq5ForUHeY",
    "19J8y7Zprt2-QKLjF2I5pVk0OELX6cY2AfaAv1LC_w8",
];

pub(super) fn is_known_secret(secret: &[u8]) -> bool {
    SECRETS.contains(&secret)
}

pub(super) fn is_known(thumbprint: &str) -> bool {
    THUMBPRINTS.contains(&thumbprint)
}
