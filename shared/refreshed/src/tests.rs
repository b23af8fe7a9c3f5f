use std::sync::{
    Mutex as StdMutex,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::oneshot;

use super::*;

const TIMING: Timing = Timing {
    cool_down: Duration::from_secs(30),
    first_cool_down: Duration::ZERO,
    look_again_after: Duration::from_secs(1),
    stale_for: Some(Duration::from_secs(3_600)),
    patience: Some(Duration::from_secs(1)),
};

type Outcome = Result<u32, &'static str>;

/// A source whose loads end when and how the test says.
struct Source {
    refreshed: Arc<Refreshed<u32, &'static str>>,
    loads: Arc<AtomicUsize>,
    reported: Arc<StdMutex<Vec<String>>>,
}

fn at(seconds: u64) -> UnixMillis {
    UnixMillis::new(1_780_000_000_000 + seconds * 1_000)
}

fn loaded(outcome: Outcome) -> Result<Loaded<u32>, &'static str> {
    outcome.map(|value| Loaded { value: Arc::new(value), good_for: Duration::from_secs(600) })
}

impl Source {
    fn new(timing: Timing) -> Self {
        let reported = Arc::<StdMutex<Vec<String>>>::default();
        let log = Arc::clone(&reported);
        let refreshed = Refreshed::new(timing, move |failure: &NotLoaded<_>, has_value| {
            log.lock().unwrap().push(format!("{failure:?} {has_value}"));
        });
        Self { refreshed: Arc::new(refreshed), loads: Arc::default(), reported }
    }

    /// One that has loaded 1 at the beginning.
    async fn with_value() -> Self {
        let source = Self::new(TIMING);
        assert_eq!(source.current(at(0), Ok(1)).await.as_deref(), Ok(&1));
        source
    }

    fn loads(&self) -> usize {
        self.loads.load(Ordering::Relaxed)
    }

    async fn current(&self, now: UnixMillis, outcome: Outcome) -> Result<Arc<u32>, String> {
        let counted = Arc::clone(&self.loads);
        let load = |_| async move {
            counted.fetch_add(1, Ordering::Relaxed);
            loaded(outcome)
        };
        self.refreshed.current(now, load).await.map_err(|error| format!("{error:?}"))
    }

    async fn newer_than(
        &self,
        known: &Arc<u32>,
        now: UnixMillis,
        outcome: Outcome,
    ) -> Result<Option<Arc<u32>>, String> {
        let counted = Arc::clone(&self.loads);
        let load = |_| async move {
            counted.fetch_add(1, Ordering::Relaxed);
            loaded(outcome)
        };
        let newer = self.refreshed.newer_than(known, now, load).await;
        newer.map_err(|error| format!("{error:?}"))
    }

    /// Begins a load that ends when the returned sender says so.
    fn begin(
        &self,
        now: UnixMillis,
    ) -> (oneshot::Sender<Outcome>, tokio::task::JoinHandle<Result<Arc<u32>, String>>) {
        let (end, ended) = oneshot::channel();
        let (refreshed, counted) = (Arc::clone(&self.refreshed), Arc::clone(&self.loads));
        let load = move |_| async move {
            counted.fetch_add(1, Ordering::Relaxed);
            loaded(ended.await.unwrap())
        };
        let request = tokio::spawn(async move {
            refreshed.current(now, load).await.map_err(|error| format!("{error:?}"))
        });
        (end, request)
    }
}

/// Lets every task that can go on do so.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn one_request_loads_and_others_go_on_with_the_value_in_use() {
    let source = Source::with_value().await;
    let (end, loading) = source.begin(at(600));
    settle().await;
    assert_eq!(source.current(at(600), Ok(3)).await.as_deref(), Ok(&1));
    end.send(Ok(2)).unwrap();
    assert_eq!(loading.await.unwrap().as_deref(), Ok(&2));
    assert_eq!(source.current(at(601), Ok(3)).await.as_deref(), Ok(&2));
    assert_eq!(source.loads(), 2);
}

#[tokio::test]
async fn without_a_usable_value_requests_wait_and_share_what_the_load_brings() {
    for (outcome, first, other) in
        [(Ok(2), Ok(&2), Ok(&2)), (Err("away"), Err("Failed(\"away\")"), Err("TriedAMomentAgo"))]
    {
        let source = Source::new(TIMING);
        let (end, loading) = source.begin(at(0));
        settle().await;
        let waiting = source.current(at(0), Ok(3));
        let ending = async {
            settle().await;
            end.send(outcome).unwrap();
        };
        let (waited, ()) = tokio::join!(waiting, ending);
        let loading = loading.await.unwrap();
        assert_eq!(loading.as_deref().map_err(String::as_str), first);
        assert_eq!(waited.as_deref().map_err(String::as_str), other);
        assert_eq!(source.loads(), 1);
    }
}

#[tokio::test]
async fn requests_wait_for_the_load_if_the_value_is_late() {
    let source = Source::with_value().await;
    let (end, _loading) = source.begin(at(660));
    settle().await;
    let ending = async {
        settle().await;
        end.send(Ok(2)).unwrap();
    };
    let (waited, ()) = tokio::join!(source.current(at(660), Ok(3)), ending);
    assert_eq!(waited.as_deref(), Ok(&2));
    assert_eq!(source.loads(), 2);
}

#[tokio::test]
async fn a_failed_load_leaves_the_value_in_use_until_it_is_too_old() {
    let source = Source::with_value().await;
    for (now, value, loads) in [(600, 1, 2), (629, 1, 2), (630, 1, 3), (600 + 3_599, 1, 4)] {
        let current = source.current(at(now), Err("away")).await;
        assert_eq!(current.as_deref(), Ok(&value), "{now}");
        assert_eq!(source.loads(), loads, "{now}");
    }
    let current = source.current(at(600 + 3_600), Err("away")).await;
    assert_eq!(current, Err("TriedAMomentAgo".to_owned()));
    let current = source.current(at(600 + 3_700), Err("away")).await;
    assert_eq!(current, Err("Failed(\"away\")".to_owned()));
    assert_eq!(
        *source.reported.lock().unwrap(),
        [vec!["Failed(\"away\") true"; 3], vec!["Failed(\"away\") false"]].concat()
    );
}

#[tokio::test(start_paused = true)]
async fn a_load_that_takes_too_long_is_given_up_if_there_is_a_value_and_not_otherwise() {
    let source = Source::with_value().await;
    let (end, loading) = source.begin(at(600));
    assert_eq!(loading.await.unwrap().as_deref(), Ok(&1));
    assert!(end.is_closed());
    assert_eq!(*source.reported.lock().unwrap(), ["TookTooLong true"]);

    let source = Source::new(TIMING);
    let (end, loading) = source.begin(at(0));
    tokio::time::sleep(Duration::from_secs(5)).await;
    end.send(Ok(2)).unwrap();
    assert_eq!(loading.await.unwrap().as_deref(), Ok(&2));
}

#[tokio::test]
async fn a_load_goes_on_if_its_request_is_dropped() {
    let source = Source::new(TIMING);
    let (end, loading) = source.begin(at(0));
    settle().await;
    loading.abort();
    settle().await;
    assert_eq!(*source.reported.lock().unwrap(), ["GivenUp false"]);
    end.send(Ok(2)).unwrap();
    assert_eq!(source.current(at(0), Ok(3)).await.as_deref(), Ok(&2));
    assert_eq!(source.loads(), 1);
}

#[tokio::test]
async fn a_load_that_panics_leaves_the_turn_to_the_next() {
    let source = Source::new(TIMING);
    let (end, loading) = source.begin(at(0));
    drop(end);
    assert_eq!(loading.await.unwrap(), Err("GivenUp".to_owned()));
    assert_eq!(source.current(at(0), Ok(2)).await.as_deref(), Ok(&2));
}

#[tokio::test]
async fn what_is_missing_is_looked_for_once_for_all_and_not_at_once_again() {
    let source = Source::with_value().await;
    let known = source.current(at(0), Ok(9)).await.unwrap();
    assert_eq!(source.newer_than(&known, at(0), Ok(2)).await, Ok(None), "just loaded");
    let look = || source.newer_than(&known, at(1), Ok(2));
    let (one, other) = tokio::join!(look(), look());
    assert_eq!(one.unwrap().as_deref(), Some(&2));
    assert_eq!(other.unwrap().as_deref(), Some(&2));
    assert_eq!(source.loads(), 2);
}

#[tokio::test]
async fn while_loading_fails_nobody_knows_whether_there_is_a_newer_value() {
    let source = Source::with_value().await;
    let known = source.current(at(0), Ok(9)).await.unwrap();
    let failed = source.newer_than(&known, at(10), Err("away")).await;
    assert_eq!(failed, Err("Failed(\"away\")".to_owned()));
    let early = source.newer_than(&known, at(39), Ok(2)).await;
    assert_eq!(early, Err("TriedAMomentAgo".to_owned()));
    assert_eq!(source.newer_than(&known, at(40), Ok(2)).await.unwrap().as_deref(), Some(&2));
    assert_eq!(source.loads(), 3);
}
