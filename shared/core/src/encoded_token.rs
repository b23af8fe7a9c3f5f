//! The texts of tokens on their way to a client: each kind a type of its own.

/// Declares the text of a token, with the documentation given.
macro_rules! encoded_token {
    ($(#[$documentation:meta])* $name:ident) => {
        $(#[$documentation])*
        ///
        /// # Security
        /// Compared in constant time, prints as a placeholder, and is wiped when dropped.
        #[derive(Clone)]
        pub struct $name(zeroize::Zeroizing<String>);

        impl $name {
            /// The text: only for the line that sends or shows it.
            #[must_use]
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                let (one, other) = (self.0.as_bytes(), other.0.as_bytes());
                aws_lc_rs::constant_time::verify_slices_are_equal(one, other).is_ok()
            }
        }

        impl Eq for $name {}

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

pub(crate) use encoded_token;
