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
mod tests {
    use vigie_core::config::parse_yaml;
    use vigie_core::template::Templates;

    use super::*;

    fn try_build(text: &str, global: &str) -> Result<(), String> {
        let node = parse_yaml("a.yml", text).unwrap();
        let global = parse_yaml("g.yml", global).unwrap();
        let templates = Templates::default();
        let built = build(&node, &NotifierSetting::new(&global, &templates));
        built.map(drop).map_err(|error| error.to_string())
    }

    const GLOBAL: &str = "smtp_from: v@x.example\nsmtp_smarthost: mail.example:587";

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, expected) in [
            ("{}", "a.yml:1:1: key \"to\" is missing"),
            ("too: a@b", "a.yml:1:1: unknown key \"too\"; did you mean \"to\"?"),
            ("to: nobody", "a.yml:1:5: expected an e-mail address"),
            (
                "to: a@b.example\nfrom: 'a@b.example, c@d.example'",
                "a.yml:2:7: expected exactly one",
            ),
            ("to: a@b.example\nsmarthost: mail.example", "a.yml:2:12: expected host:port"),
            ("to: a@b.example\nhtml: '{{ .X '", "a.yml:2:7: bad template: 1:1: unclosed action"),
            ("to: a@b.example\nheaders: {'a b': c}", "a.yml:2:11: \"A b\" is no name"),
            ("to: a@b.example\nheaders: {X: a, x: b}", "a.yml:2:17: header X is there already"),
            (
                "to: a@b.example\nheaders: {content-type: a}",
                "a.yml:2:11: header Content-Type cannot",
            ),
            ("to: a@b.example\nauth_username: u", "a.yml:1:1: key \"auth_password\" is missing"),
            (
                "to: a@b.example\nauth_username: u\nauth_secret: hunter2",
                "a.yml:3:14: auth_secret (CRAM",
            ),
            ("to: a@b.example\nauth_identity: i", "a.yml:2:16: an auth_identity other than"),
            ("to: a@b.example\nrequire_tls: perhaps", "a.yml:2:14: expected true or false"),
            ("to: a@b.example\ntls_config: {ca_file: /nonexistent}", "a.yml:2:23: cannot read"),
            ("to: a@b.example\nhtml: ''\ntext: ''", "a.yml:1:1: text and html are both empty"),
            ("to: a@b.example\nthreading: {thread_by_date: weekly}", "a.yml:2:29: expected one of"),
        ] {
            let error = try_build(text, GLOBAL).unwrap_err();
            let expected = expected.replace("\"A b\"", "\"a b\"");
            assert!(error.starts_with(&expected) && !error.contains("hunter2"), "{text}: {error}");
        }
        let error = try_build("to: a@b.example", "").unwrap_err();
        assert!(error.contains("here or as \"smtp_from\" in \"global\""), "{error}");
        assert!(try_build("to: '{{ .CommonLabels.owner }}@b.example'", GLOBAL).is_ok());
    }
}
