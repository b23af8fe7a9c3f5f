use serde_json::{Value, json};

use super::*;
use crate::{encoding::to_base64url, key_ring::NewKey};

/// A fresh private JWK.
fn generated(algorithm: SignatureAlgorithm) -> Value {
    Value::Object(NewKey::signing(algorithm).unwrap().0)
}

fn parsed(jwk: &Value) -> Jwk {
    serde_json::from_value(jwk.clone()).unwrap()
}

fn private_key(jwk: &Value) -> Result<PrivateKey, KeyError> {
    parsed(jwk).private_key()
}

/// `jwk` with members replaced; `null` takes one away.
fn with(jwk: &Value, changes: &Value) -> Value {
    let mut changed = jwk.clone();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            changed.as_object_mut().unwrap().remove(name);
        } else {
            changed[name] = value.clone();
        }
    }
    changed
}

#[test]
fn private_members_of_another_key_are_a_mismatch() {
    for (algorithm, members) in [
        (SignatureAlgorithm::Es256, &["d"][..]),
        (SignatureAlgorithm::EdDsa, &["d"]),
        (SignatureAlgorithm::Rs256, &["n", "d", "p", "q", "dp", "dq", "qi"]),
    ] {
        let (one, other) = (generated(algorithm), generated(algorithm));
        assert!(private_key(&one).is_ok());
        for member in members {
            let mixed = with(&one, &json!({*member: other[*member]}));
            assert_eq!(private_key(&mixed).unwrap_err(), KeyError::Mismatch, "{member}");
        }
    }
}

#[test]
fn missing_and_misshapen_members_are_malformed() {
    let short = to_base64url(&[7; 31]);
    let long = to_base64url(&[7; 33]);
    for (algorithm, members) in [
        (SignatureAlgorithm::Es256, &["x", "y", "d"][..]),
        (SignatureAlgorithm::EdDsa, &["x", "d"]),
    ] {
        let jwk = generated(algorithm);
        for member in members {
            for value in [json!(null), json!(""), json!("*"), json!(short), json!(long)] {
                let broken = with(&jwk, &json!({*member: value}));
                assert_eq!(private_key(&broken).unwrap_err(), KeyError::Malformed, "{broken}");
            }
        }
    }
    let rsa = generated(SignatureAlgorithm::Rs256);
    for member in ["n", "e", "d", "p", "q", "dp", "dq", "qi"] {
        let broken = with(&rsa, &json!({member: null}));
        assert_eq!(private_key(&broken).unwrap_err(), KeyError::Malformed, "{member}");
    }
}

#[test]
fn a_point_off_the_curve_is_refused() {
    let jwk = generated(SignatureAlgorithm::Es256);
    let off = with(&jwk, &json!({"y": jwk["x"]}));
    assert_eq!(parsed(&off).verification_key().unwrap_err(), KeyError::Malformed);
    let nowhere = with(&jwk, &json!({"x": to_base64url(&[0; 32]), "y": to_base64url(&[0; 32])}));
    assert_eq!(parsed(&nowhere).verification_key().unwrap_err(), KeyError::Malformed);
}

#[test]
fn small_moduli_and_other_exponents_are_refused() {
    let jwk = generated(SignatureAlgorithm::Rs256);
    for (changes, error) in [
        (json!({"n": to_base64url(&[0x81; 128])}), KeyError::TooShort),
        (json!({"n": to_base64url(&[0x81; 255])}), KeyError::TooShort),
        (json!({"n": to_base64url(&[&[0][..], &[0x81; 256]].concat())}), KeyError::Malformed),
        (json!({"e": "AQ"}), KeyError::Weak),
        (json!({"e": "Aw"}), KeyError::Weak),
        (json!({"e": "AAEAAQ"}), KeyError::Weak),
    ] {
        let weak = with(&jwk, &changes);
        assert_eq!(private_key(&weak).unwrap_err(), error, "{changes}");
        assert_eq!(parsed(&weak).verification_key().unwrap_err(), error, "{changes}");
    }
}

#[test]
fn keys_out_of_rfcs_and_examples_are_weak() {
    // The modulus says it all.
    let rsa = |n: &str| json!({"kty": "RSA", "use": "sig", "e": "AQAB", "n": n});
    for jwk in [
        // RFC 7515 A.2
        rsa("ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrc\
             S2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGz\
             jb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xs\
             mtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8\
             q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"),
        // RFC 7520 §3.4
        rsa("n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7\
             nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHH\
             ig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC\
             0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixo\
             R7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw"),
        // RFC 7516 A.1
        rsa("oahUIoWw0K0usKNuOR6H4wkf4oBUXHTxRvgb48E-BVvxkeDNjbC4he8rUWcJoZmds2h7M70imEVh\
             RU5djINXtqllXI4DFqcI1DgjT9LewND8MW2Krf3Spsk_ZkoFnilakGygTwpZ3uesH-PFABNIUYpO\
             iN15dsQRkgr0vEhxN92i2asbOenSZeyaxziK72UwxrrKoExv6kc5twXTq4h-QChLOln0_mtUZwfs\
             RaMStPs6mS6XrgxnxbWhojf663tuEQueGC-FCMfra36C9knDFGzKsNa7LZK2djYgyD3JR_MB_4NU\
             JW_TqOQtwHYbxevoJArm-L5StowjzGy-_bq6Gw"),
        // RFC 7516 A.2
        rsa("sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bOdgWp4Dy1WlUzewbgBHod5pcM9H95\
             GQRV3JDXboIRROSBigeC5yjU1hGzHHyXss8UDprecbAYxknTcQkhslANGRUZmdTOQ5qTRsLAt6BT\
             YuyvVRdhS8exSZEy_c4gs_7svlJJQ4H9_NxsiIoLwAEk7-Q3UXERGYw_75IDrGA84-lA_-Ct4eTl\
             XHBIY2EaV7t7LjJaynVJCpkv4LKjTTAumiGUIuQhrNhZLuF_RJLqHpM2kgWFLU7-VTdL1VbC2tej\
             vcI2BlMkEpk1BzBZI0KQB0GaDWFLN-aEAw3vRw"),
        // jwt.io RS256
        rsa("u1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gunVTLw7onLRnrq0_IzW7yWR7QkrmBL\
             7jTKEn5u-qKhbwKfBstIs-bMY2Zkp18gnTxKLxoS2tFczGkPLPgizskuemMghRniWaoLcyehkd3q\
             qGElvW_VDL5AaWTg0nLVkjRo9z-40RQzuVaE8AkAFmxZzow3x-VJYKdjykkJ0iT9wCS0DRTXu269\
             V264Vf_3jvredZiKRkgwlL9xNAwxXFg0x_XFw005UWVRIkdgcKWTjpBP2dPwVZ4WWC-9aGVd-Gyn\
             1o0CLelf4rEjGoXbAAEgAqeGUxrcIlbjXfbcmw"),
        // RFC 7518 C Alice
        json!({"kty": "EC", "crv": "P-256", "use": "sig",
               "x": "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
               "y": "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps"}),
        // RFC 7518 C Bob
        json!({"kty": "EC", "crv": "P-256", "use": "sig",
               "x": "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
               "y": "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck"}),
        // jwt.io ES256
        json!({"kty": "EC", "crv": "P-256", "use": "sig",
               "x": "EVs_o5-uQbTjL3chynL4wXgUg2R9q9UU8I5mEovUf84",
               "y": "kGe5DgSIycKp8w9aJmoHhB1sB3QTugfnRWm5nU_TzsY"}),
        // RFC 7515 A.1, RFC 7517 A.3
        json!({"kty": "oct", "use": "sig",
               "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcg\
                     UuTwjAzZr1Z9CAow"}),
        // RFC 7520 §3.5
        json!({"kty": "oct", "use": "sig",
               "k": "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg"}),
        // RFC 7515 A.3
        json!({"kty": "EC", "crv": "P-256", "use": "sig",
               "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
               "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
               "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}),
        // RFC 7517 A.2
        json!({"kty": "EC", "crv": "P-256", "use": "sig",
               "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
               "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
               "d": "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}),
        // RFC 8037 A.1
        json!({"kty": "OKP", "crv": "Ed25519", "use": "sig",
               "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
               "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}),
    ] {
        assert_eq!(private_key(&jwk).unwrap_err(), KeyError::Weak, "{jwk}");
        if jwk["kty"] == "oct" {
            let tag = parsed(&with(&jwk, &json!({"use": crate::key_ring::TAG_USE})));
            assert_eq!(tag.strong_hmac_secret().unwrap_err(), KeyError::Weak, "also for tags");
        }
    }
}

#[test]
fn the_thumbprint_is_that_of_rfc_8037() {
    // Appendix A.3.
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "a", "alg": "EdDSA", "use": "sig",
                     "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    assert_eq!(parsed(&jwk).thumbprint().unwrap(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn a_key_is_for_one_algorithm_whatever_it_says() {
    for algorithm in SignatureAlgorithm::ALL {
        let jwk = generated(algorithm);
        for other in ["HS256", "ES256", "EdDSA", "RS256", "HS512", "PS256", "ES384", "none", ""] {
            let changed = with(&jwk, &json!({"alg": other}));
            assert_eq!(private_key(&changed).is_ok(), other == algorithm.name(), "{other}");
        }
        assert!(private_key(&with(&jwk, &json!({"alg": null}))).is_ok());
        for crv in ["P-384", "P-521", "secp256k1", "Ed448", "X25519"] {
            let changed = with(&jwk, &json!({"crv": crv}));
            assert_eq!(private_key(&changed).unwrap_err(), KeyError::Unsupported, "{crv}");
        }
        for kty in ["oct", "EC", "OKP", "RSA", "ec", ""] {
            let changed = with(&jwk, &json!({"kty": kty}));
            assert_eq!(private_key(&changed).is_ok(), jwk["kty"] == kty, "{kty}");
        }
    }
}

#[test]
fn key_ops_are_obeyed() {
    let jwk = generated(SignatureAlgorithm::EdDsa);
    for (ops, signs, verifies) in [
        (json!(["sign", "verify"]), true, true),
        (json!(["verify"]), false, true),
        (json!(["sign"]), true, false),
        (json!([]), false, false),
    ] {
        let jwk = with(&jwk, &json!({"key_ops": ops}));
        assert_eq!(private_key(&jwk).is_ok(), signs, "{jwk}");
        assert_eq!(parsed(&jwk).verification_key().is_ok(), verifies, "{jwk}");
    }
}

#[test]
fn what_is_published_has_no_private_member() {
    for algorithm in SignatureAlgorithm::ALL {
        let jwk = generated(algorithm);
        let public = parsed(&jwk).public("the-kid").unwrap();
        assert_eq!(public.is_none(), algorithm.is_symmetric());
        let Some(public) = public else { continue };
        let public = serde_json::to_value(public).unwrap();
        for member in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(public.get(member).is_none(), "{member} of {algorithm:?}");
            if let Some(secret) = jwk[member].as_str() {
                assert!(!public.to_string().contains(secret));
            }
        }
        assert_eq!(public["kid"], "the-kid");
        assert_eq!(public["use"], "sig");
        assert_eq!(public["alg"], algorithm.name());
        assert!(parsed(&public).verification_key().is_ok());
    }
}
