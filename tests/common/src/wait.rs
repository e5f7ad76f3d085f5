//! Waiting for something to become true.
//!
//! Nothing here sleeps for a fixed time: a condition is asked again until it holds or a generous
//! deadline passes, and then the last thing seen is told. It must not know what is waited for.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// Long enough for a busy machine, short enough to fail a test that will never pass.
pub const SOON: Duration = Duration::from_secs(60);

/// Asks until `probe` gives a value.
///
/// # Panics
/// After `limit`, with the last reason `probe` gave.
pub fn wait_for<T, E: Display>(
    what: &str,
    limit: Duration,
    probe: impl FnMut() -> Result<T, E>,
) -> T {
    try_wait_for(limit, probe).unwrap_or_else(|reason| {
        panic!("waited {limit:?} for {what}; the last look showed: {reason}")
    })
}

/// Asks until `probe` gives a value or `limit` has passed, and then gives its last reason.
pub(crate) fn try_wait_for<T, E: Display>(
    limit: Duration,
    mut probe: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    let deadline = Instant::now() + limit;
    loop {
        match probe() {
            Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(25)),
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_asked_until_it_holds() {
        let mut asked = 0;
        let value = wait_for("three", SOON, || {
            asked += 1;
            if asked == 3 { Ok(asked) } else { Err("not yet") }
        });
        assert_eq!(value, 3);
    }

    #[test]
    #[should_panic(expected = "the last look showed: never")]
    fn a_deadline_tells_the_last_reason() {
        wait_for::<(), _>("nothing", Duration::ZERO, || Err("never"));
    }
}
