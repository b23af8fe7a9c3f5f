//! Password hashes beside the event loop: each takes milliseconds of CPU and megabytes of memory.

use std::{num::NonZero, sync::Arc, thread};

use ratchet_core::password::{HashCost, HashError, Password, PasswordHasher, PhcHash, Verdict};
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::{
    Problem, clock,
    measure::{ARGON2_MILLISECONDS, time},
};

/// The hashing of one execution environment. As many hashes are computed at once as there are
/// processors, however many requests wait for one: more would only take longer, all of them, and
/// more memory.
#[derive(Debug, Clone)]
pub struct Hashing {
    hasher: Arc<PasswordHasher>,
    permits: Arc<Semaphore>,
}

impl Hashing {
    /// Hashing at `cost`. Memory for one hash is allocated here, before the first request.
    ///
    /// # Errors
    /// [`HashError`].
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
    /// [`Problem`] if it can not be hashed now.
    pub async fn hash(&self, password: Password) -> Result<PhcHash, Problem> {
        Ok(self.run(move |hasher| hasher.hash(&password)).await??)
    }

    /// Compares a password with a stored hash.
    ///
    /// # Errors
    /// [`Problem`]; the password is neither right nor wrong then.
    pub async fn verify(&self, password: Password, stored: PhcHash) -> Result<Verdict, Problem> {
        Ok(self.run(move |hasher| hasher.verify(&password, &stored)).await??)
    }

    /// Does `work` on a thread of its own. If the request is given up meanwhile, the work is
    /// finished all the same, and counts as under way until then.
    ///
    /// # Errors
    /// [`Problem::Internal`] if it panics.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&PasswordHasher) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| Problem::Internal)?;
        let hasher = Arc::clone(&self.hasher);
        let hashing = spawn_blocking(move || {
            let begun = clock::now();
            let output = work(&hasher);
            drop(permit);
            (output, clock::now().get().saturating_sub(begun.get()))
        });
        let Ok((output, milliseconds)) = hashing.await else { return Err(Problem::Internal) };
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
    async fn no_more_hashes_are_computed_at_once_than_there_are_processors() {
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
        assert!(matches!(panics, Err(Problem::Internal)));
        assert_eq!(hashing.run(|_| 7).await.ok(), Some(7));
    }
}
