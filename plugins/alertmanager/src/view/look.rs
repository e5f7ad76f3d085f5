//! A snapshot and the time it is looked at.
//!
//! The router hands out the same snapshot while nothing changes, but ages go on. It must not know
//! what is looked for.

use std::ops::Deref;

use vigie_core::clock::Timestamp;
use vigie_core::route::View;

/// What a page is drawn from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look<'a> {
    view: &'a View,
    /// When it is drawn; hides the time at which the snapshot was made.
    pub(super) now: Timestamp,
}

impl<'a> Look<'a> {
    /// The snapshot at a time; not before it was made.
    pub(super) fn new(view: &'a View, now: Timestamp) -> Self {
        Look { view, now: now.max(view.now) }
    }
}

impl Deref for Look<'_> {
    type Target = View;

    fn deref(&self) -> &View {
        self.view
    }
}
