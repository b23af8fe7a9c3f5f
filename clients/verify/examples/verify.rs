//! Verifies Ratchet's access tokens, one a line.
//!
//! ```sh
//! cargo run -p ratchet-verify --example verify -- https://auth.example.com ratchet < tokens
//! ```

use std::{env, error::Error, io};

use ratchet_verify::Verifier;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (issuer, audience) = arguments.next().zip(arguments.next()).ok_or("ISSUER AUDIENCE")?;
    let verifier = Verifier::new(&issuer, &audience)?;
    for token in io::stdin().lines() {
        match verifier.verify(&token?).await {
            Ok(claims) => println!("ok {}", claims.sub),
            Err(error) => println!("refused {error}"),
        }
    }
    Ok(())
}
