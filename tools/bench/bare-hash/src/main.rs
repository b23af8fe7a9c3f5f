//! Hashes once for every line on standard input, and prints how many nanoseconds that took.
//!
//! The arguments are Argon2's: memory in KiB, iterations, parallelism. The memory is allocated
//! once, as in the function.

use std::{
    env,
    error::Error,
    hint::black_box,
    io::{self, BufRead, Write},
    time::Instant,
};

use argon2::{Algorithm, Argon2, Block, Params, Version};

#[expect(clippy::disallowed_methods, reason = "durations are what this program is for")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1).map(|argument| argument.parse());
    let mut next = || arguments.next().ok_or("memory, iterations and parallelism, please");
    let params = Params::new(next()??, next()??, next()??, Some(32))?;
    let mut memory = vec![Block::new(); params.block_count()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    for line in io::stdin().lock().lines() {
        let mut hash = [0; 32];
        let begun = Instant::now();
        argon2.hash_password_into_with_memory(
            line?.as_bytes(),
            &[7; 16],
            &mut hash,
            &mut memory,
        )?;
        let nanoseconds = begun.elapsed().as_nanos();
        black_box(hash);
        println!("{nanoseconds}");
        io::stdout().flush()?;
    }
    Ok(())
}
