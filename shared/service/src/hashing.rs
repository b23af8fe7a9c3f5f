//! Password hashing off the event loop: each hash takes milliseconds of CPU and megabytes of
//! memory.

use std::{num::NonZero, sync::Arc, thread};

use ratchet_core::password::{HashCost, HashError, Password, PasswordHasher, PhcHash, Verdict};
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::{
    Fault, clock,
    metrics::{ARGON2_MILLISECONDS, time},
};

/// Hashes passwords for one execution environment. It computes at most one hash per processor at
/// the same time: more would take longer and use more memory.
#[derive(Debug, Clone)]
pub struct Hashing {
    hasher: Arc<PasswordHasher>,
    permits: Arc<Semaphore>,
}

impl Hashing {
    /// Hashing at `cost`. Allocates the memory for one hash, so call it before the first request.
    ///
    /// # Errors
    /// [`HashError`] if there is not enough memory.
    pub fn new(cost: HashCost) -> Result<Self, HashError> {
        Self::on(thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN).get(), cost)
    }

    fn on(processors: usize, cost: HashCost) -> Result<Self, HashError> {
        Ok(Self {
            hasher: Arc::new(PasswordHasher::new(cost)?.keeping(processors)),
            permits: Arc::new(Semaphore::new(processors)),
        })
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// [`Fault`] if it cannot be hashed now.
    pub async fn hash(&self, password: Password) -> Result<PhcHash, Fault> {
        Ok(self.run(move |hasher| hasher.hash(&password)).await??)
    }

    /// Compares a password with a stored hash.
    ///
    /// # Errors
    /// [`Fault`] if the comparison failed; it says nothing about the password.
    pub async fn verify(&self, password: Password, stored: PhcHash) -> Result<Verdict, Fault> {
        Ok(self.run(move |hasher| hasher.verify(&password, &stored)).await??)
    }

    /// Runs `work` on a thread of its own. If the request is cancelled, the work still runs to its
    /// end and occupies its slot until then.
    ///
    /// # Errors
    /// [`Fault::HashAborted`] if the work panics.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&PasswordHasher) -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| Fault::HashAborted)?;
        let hasher = Arc::clone(&self.hasher);
        let hashing = spawn_blocking(move || {
            let begun = clock::now();
            let output = work(&hasher);
            drop(permit);
            (output, clock::now().get().saturating_sub(begun.get()))
        });
        let Ok((output, milliseconds)) = hashing.await else { return Err(Fault::HashAborted) };
        time(ARGON2_MILLISECONDS, milliseconds);
        Ok(output)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use super::*;

    const CHEAP: HashCost = HashCost { memory_kib: 64, iterations: 1, parallelism: 1 };

    #[tokio::test]
    async fn at_most_one_hash_per_processor_is_computed_at_once() {
        let hashing = Hashing::on(2, CHEAP).unwrap();
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let all = (0..16).map(|_| {
            let (hashing, now, most) = (hashing.clone(), Arc::clone(&now), Arc::clone(&most));
            tokio::spawn(async move {
                let work = move |_: &PasswordHasher| {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(5));
                    now.fetch_sub(1, Ordering::SeqCst);
                };
                hashing.run(work).await
            })
        });
        for one in all.collect::<Vec<_>>() {
            one.await.unwrap().unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn work_that_panics_is_a_fault_and_the_next_is_done() {
        let hashing = Hashing::on(1, CHEAP).unwrap();
        let panics = hashing.run(|_| -> u8 { panic!("on purpose") }).await;
        assert!(matches!(panics, Err(Fault::HashAborted)));
        assert_eq!(hashing.run(|_| 7).await.ok(), Some(7));
    }
}
