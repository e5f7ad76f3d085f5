//! Go templates for notifications: Alertmanager's data, functions and default templates.
//!
//! Every notifier writes its texts through it, so that users' template files work unchanged. It
//! must not know any notifier.

/// A set of named templates: the defaults and what users added.
#[derive(Clone, Debug, Default)]
pub struct Templates {}
