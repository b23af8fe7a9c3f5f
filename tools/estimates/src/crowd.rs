//! Ten million sessions that refresh, second by second.

use std::time::Duration;

use ratchet_core::time::refresh_after;

/// Who refreshes, and how.
#[derive(Debug, Clone, Copy)]
pub struct Crowd {
    /// Sessions.
    pub sessions: u32,
    /// Life of an access token.
    pub life: Duration,
    /// Whether clients refresh at a random time between 60 and 90 % of that life, as
    /// Ratchet does, or all at 75 % of it.
    pub jitter: bool,
    /// How long the service does not answer. Clients then retry one by one, within a second of the
    /// end of it (`Retry-After: 1`).
    pub outage: Duration,
    /// Partitions of the table.
    pub partitions: u32,
    /// Seed of all that is random.
    pub seed: u64,
}

/// What a table and the functions would see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// Refreshes of every second, from the end of the outage on.
    pub per_second: Vec<u32>,
    /// The most writes that any partition had in any second.
    pub hottest_partition: u32,
}

impl Crowd {
    /// Lets the crowd live for `seconds` after the outage.
    #[must_use]
    pub fn live(&self, seconds: u32) -> Load {
        let mut random = SplitMix64(self.seed);
        let life = seconds_of(self.life);
        let outage = seconds_of(self.outage);
        let partitions = index(self.partitions);
        let horizon = index(seconds);
        let mut per_second = vec![0; horizon];
        let mut per_partition = vec![0_u32; horizon * partitions];
        for _ in 0..self.sessions {
            let partition = index(random.below(self.partitions));
            // Before the outage everybody is somewhere in the middle of their wait.
            let wait = self.wait(&mut random, life);
            let due = random.below(wait.max(1));
            let mut at = due.saturating_sub(outage);
            while at < seconds {
                let second = index(at);
                if let Some(count) = per_second.get_mut(second) {
                    *count += 1;
                }
                if let Some(count) = per_partition.get_mut(second * partitions + partition) {
                    *count += 1;
                }
                at += self.wait(&mut random, life).max(1);
            }
        }
        let hottest_partition = per_partition.into_iter().max().unwrap_or_default();
        Load { per_second, hottest_partition }
    }

    /// How long a client waits until its next refresh, in seconds.
    fn wait(&self, random: &mut SplitMix64, life: u32) -> u32 {
        if self.jitter {
            let [byte, ..] = random.next().to_be_bytes();
            u32::try_from(refresh_after(self.life, byte)).unwrap_or(u32::MAX)
        } else {
            life * 3 / 4
        }
    }
}

impl Load {
    /// The busiest second of each period of this many seconds.
    #[must_use]
    pub fn peaks(&self, stretch: usize) -> Vec<u32> {
        self.per_second.chunks(stretch).filter_map(|part| part.iter().max().copied()).collect()
    }
}

fn seconds_of(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Steele, Lea and Flood, 'Fast splittable pseudorandom number generators' (2014): small, seeded
/// and good enough to spread a crowd. Never for secrets.
#[derive(Debug)]
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, by the upper half of a product: the bias is below 2⁻³² per value.
    fn below(&mut self, bound: u32) -> u32 {
        let wide = u128::from(self.next()) * u128::from(bound);
        u32::try_from(wide >> 64).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CROWD: Crowd = Crowd {
        sessions: 100_000,
        life: Duration::from_secs(300),
        jitter: true,
        outage: Duration::from_secs(120),
        partitions: 16,
        seed: 1,
    };

    #[test]
    fn the_same_seed_is_the_same_crowd() {
        assert_eq!(CROWD.live(1_000), CROWD.live(1_000));
        assert_ne!(CROWD.live(1_000), Crowd { seed: 2, ..CROWD }.live(1_000));
    }

    #[test]
    fn without_jitter_a_stampede_comes_back_and_with_it_dissolves() {
        let plain = Crowd { jitter: false, ..CROWD }.live(2_250).peaks(225);
        let spread = CROWD.live(2_250).peaks(225);
        // Clients that waited retry at once, with and without jitter.
        assert!(plain[0] > 40_000 && spread[0] > 40_000, "{plain:?} {spread:?}");
        // Ten cycles later.
        assert!(plain[9] > 40_000, "{plain:?}");
        assert!(spread[9] < 700, "{spread:?}");
    }

    #[test]
    fn without_an_outage_nobody_notices_the_jitter() {
        let calm = Crowd { outage: Duration::ZERO, ..CROWD };
        for jitter in [true, false] {
            let peak = Crowd { jitter, ..calm }.live(450).peaks(450)[0];
            // 100,000 in 225 s are 444 per second.
            assert!((444..700).contains(&peak), "{jitter}: {peak}");
        }
    }
}
