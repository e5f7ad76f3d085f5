//! `email_configs`: a group of alerts as one e-mail.
//!
//! Renders, writes the message, hands it to the server: the three steps, each in its own file. It
//! must not know SMTP or MIME.

use vigie_core::alert::BoxFuture;
use vigie_core::config::{ConfigError, Node};
use vigie_core::notify::{
    Notification, Notifier, NotifierDef, NotifierSetting, NotifyError, NotifyReason,
};

use crate::config::{self, KEYS};
use crate::message::Letter;
use crate::smtp::Server;

/// The kind `email`.
pub(crate) const DEF: NotifierDef = NotifierDef {
    kind: "email",
    help: "Sends e-mail with a text and an HTML part",
    globals: config::GLOBALS,
    send_resolved: false,
    build,
};

fn build(node: &Node, setting: &NotifierSetting<'_>) -> Result<Box<dyn Notifier>, ConfigError> {
    node.only_keys(KEYS.iter().copied())?;
    let read = config::Reader { node, global: setting.global };
    let letter = Letter::read(&read, setting.templates)?;
    Ok(Box::new(Email { letter, server: Server::read(&read)? }))
}

/// A receiver by e-mail.
struct Email {
    letter: Letter,
    server: Server,
}

impl Email {
    async fn send(&self, notification: &Notification) -> Result<(), NotifyError> {
        let message = self
            .letter
            .write(notification)
            .map_err(|what| NotifyError::permanent(NotifyReason::Other, what))?;
        self.server.send(message.envelope(), &message.formatted()).await
    }
}

impl Notifier for Email {
    fn notify<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Result<(), NotifyError>> {
        Box::pin(self.send(notification))
    }
}

#[cfg(test)]
mod tests;
