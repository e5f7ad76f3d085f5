//! Sending one notification, with as many tries as its time allows.
//!
//! The notifier says whether another try makes sense; backoff and deadline stand here, once for
//! all of them. It must not know groups.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

use crate::notify::{Notifier, NotifyError, NotifyReason, Retry};
use crate::route::machine::Delivery;
use crate::route::metrics::Metrics;

/// The pause after the first failure; each next one is half as long again.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Why a notification was not sent, after all tries; the text holds no secret.
#[derive(Debug)]
pub(in crate::route) struct Failure {
    pub(in crate::route) reason: NotifyReason,
    pub(in crate::route) what: String,
}

impl From<NotifyError> for Failure {
    fn from(error: NotifyError) -> Self {
        Failure { reason: error.reason, what: error.what }
    }
}

/// Sends, trying again until `delivery.time_limit` has passed. `permits` bounds how many of an
/// integration are sent at once, so that a receiver that hangs holds up only itself.
pub(in crate::route) async fn deliver(
    notifier: Arc<dyn Notifier>,
    permits: Arc<Semaphore>,
    delivery: &Delivery,
    metrics: &Metrics,
) -> Result<(), Failure> {
    let deadline = Instant::now() + delivery.time_limit;
    let mut pause = FIRST_PAUSE;
    let mut last: Option<Failure> = None;
    loop {
        let Ok(permit) = timeout_at(deadline, permits.acquire()).await else {
            return Err(last.unwrap_or_else(too_late));
        };
        let outcome = try_once(&*notifier, delivery, deadline, metrics).await;
        drop(permit);
        let Err(error) = outcome else { return Ok(()) };
        let wait = match error.retry {
            Retry::Never => return Err(error.into()),
            Retry::Backoff => with_jitter(pause),
            Retry::After(wait) => wait,
        };
        if Instant::now() + wait >= deadline {
            return Err(error.into());
        }
        tracing::debug!(
            receiver = delivery.notification.receiver,
            integration = &*delivery.integration.kind,
            error = error.what,
            "notification failed, trying again"
        );
        last = Some(error.into());
        sleep(wait).await;
        pause = pause.mul_f64(1.5).min(LONGEST_PAUSE);
    }
}

async fn try_once(
    notifier: &dyn Notifier,
    delivery: &Delivery,
    deadline: Instant,
    metrics: &Metrics,
) -> Result<(), NotifyError> {
    let started = Instant::now();
    let outcome = timeout_at(deadline, notifier.notify(&delivery.notification)).await;
    let outcome = outcome.unwrap_or_else(|_| {
        let Failure { reason, what } = too_late();
        Err(NotifyError::permanent(reason, what))
    });
    let seconds = started.elapsed().as_secs_f64();
    metrics.request(&delivery.integration.kind, seconds, outcome.is_err());
    outcome
}

fn too_late() -> Failure {
    let what = "no answer before the group's deadline".to_owned();
    Failure { reason: NotifyReason::DeadlineExceeded, what }
}

/// Half to one and a half times as long, so that many do not knock in step.
fn with_jitter(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + random_fraction()).min(LONGEST_PAUSE)
}

/// From 0 to 1.
#[allow(clippy::cast_precision_loss, reason = "a random number need not be exact")]
fn random_fraction() -> f64 {
    random() as f64 / u64::MAX as f64
}

/// A number nobody can guess: the standard library keys its hashers with the system's randomness.
pub(in crate::route) fn random() -> u64 {
    RandomState::new().hash_one(0_u8)
}
