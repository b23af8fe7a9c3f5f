//! QR codes.

use qrcode::{QrCode, render::svg};
use zeroize::Zeroizing;

/// The smallest width and height of the image, in pixels.
const MIN_SIZE: u32 = 240;

/// `text` as a QR code, an SVG image. `None` if it is too long.
#[must_use]
pub fn qr_code(text: &str) -> Option<Zeroizing<String>> {
    let code = QrCode::new(text).ok()?;
    let image = code.render::<svg::Color<'_>>().min_dimensions(MIN_SIZE, MIN_SIZE).build();
    Some(Zeroizing::new(image))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::second_factor::TotpSecret;

    #[test]
    fn the_longest_names_fit_into_a_code() {
        let uri = TotpSecret::new([1; 20]).to_uri(&"%".repeat(64), &"\u{10330}".repeat(64));
        let image = qr_code(&uri).unwrap();
        assert!(image.contains("<svg") && image.ends_with("</svg>"));
        assert_eq!(qr_code(&"x".repeat(3_000)), None);
    }
}
