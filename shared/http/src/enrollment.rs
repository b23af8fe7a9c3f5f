//! The response with the secret of a second factor that is being set up.

use std::fmt;

use serde::Serialize;
use zeroize::Zeroizing;

/// A new secret, for the user's authenticator app.
#[derive(Serialize)]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema))]
pub struct Enrollment {
    /// For typing, in base 32 (RFC 4648 §6).
    #[cfg_attr(feature = "contract", schema(value_type = String))]
    secret: Zeroizing<String>,
    /// The same as a URI with everything that apps want to know.
    #[cfg_attr(feature = "contract", schema(value_type = String))]
    uri: Zeroizing<String>,
    /// The URI as a QR code: an SVG image.
    #[cfg_attr(feature = "contract", schema(value_type = String))]
    qr_svg: Zeroizing<String>,
    /// How long it waits for its first code, in seconds.
    expires_in: u64,
}

impl From<ratchet_service::second_factor::Enrollment> for Enrollment {
    fn from(enrollment: ratchet_service::second_factor::Enrollment) -> Self {
        let ratchet_service::second_factor::Enrollment { secret, uri, qr_svg, expires_in } =
            enrollment;
        Self { secret, uri, qr_svg, expires_in }
    }
}

impl fmt::Debug for Enrollment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enrollment").finish_non_exhaustive()
    }
}

#[cfg(feature = "contract")]
impl Enrollment {
    /// An example for the description of the API.
    #[must_use]
    pub fn example() -> Self {
        let secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
        let uri = format!(
            "otpauth://totp/ratchet:ada?secret={secret}&issuer=ratchet&algorithm=SHA1&digits=6&period=30"
        );
        Self {
            secret: Zeroizing::new(secret.to_owned()),
            uri: Zeroizing::new(uri),
            qr_svg: Zeroizing::new("<svg xmlns=\"http://www.w3.org/2000/svg\">…</svg>".to_owned()),
            expires_in: 600,
        }
    }
}
