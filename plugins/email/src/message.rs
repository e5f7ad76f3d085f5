//! An e-mail being written: addresses, headers, a text part and an HTML part.
//!
//! Everything a user writes here is a template, checked when the configuration is read. It must
//! not know the server.

use std::time::SystemTime;

use lettre::Message;
use lettre::address::Envelope;
use lettre::message::header::{
    ContentTransferEncoding, ContentType, From, HeaderName, HeaderValue, InReplyTo, References, To,
};
use lettre::message::{Body, Mailboxes, MultiPart, SinglePart};
use vigie_core::alert::{Fingerprint, LabelSet};
use vigie_core::config::{ConfigError, Node};
use vigie_core::notify::Notification;
use vigie_core::template::Templates;

use crate::config::Reader;

const DEFAULT_SUBJECT: &str = r#"{{ template "email.default.subject" . }}"#;
const DEFAULT_HTML: &str = r#"{{ template "email.default.html" . }}"#;
const DEFAULT_TEXT: &str = r#"{{ template "email.default.text" . }}"#;

/// Headers that say how the body is written, which is decided here.
const RESERVED: [&str; 4] =
    ["content-type", "content-transfer-encoding", "mime-version", "content-disposition"];

/// What is written to whom.
#[derive(Debug)]
pub(crate) struct Letter {
    from: String,
    to: String,
    /// Names as they are sent, and templates; `Subject` among them.
    headers: Vec<(String, String)>,
    /// Empty: no such part.
    text: String,
    html: String,
    threading: Threading,
    templates: Templates,
}

/// Which mails form one thread in the reader's program.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Threading {
    Off,
    /// All mails of a group.
    Group,
    /// All mails of a group on one day.
    GroupAndDay,
}

impl Letter {
    /// Reads the keys of the letter.
    ///
    /// # Errors
    /// For a missing or wrong address, a bad template, an impossible header, at its place.
    pub(crate) fn read(read: &Reader<'_>, templates: &Templates) -> Result<Self, ConfigError> {
        let node = read.node;
        let check = |at: &Node, template: &str| {
            templates.check(template).map_err(|error| at.error(format!("bad template: {error}")))
        };
        let address = |key: &str| -> Result<String, ConfigError> {
            let at = read.get(key).ok_or_else(|| read.missing(key))?;
            let text = at.text()?;
            check(at, text)?;
            // What is no template can be checked before an alert is lost by it.
            if !text.contains("{{") {
                mailboxes(text).map_err(|what| at.error(what))?;
            }
            Ok(text.to_owned())
        };
        let to = match node.get("to") {
            Some(_) => address("to")?,
            None => return Err(node.error("key \"to\" is missing")),
        };
        let from = address("from")?;
        if !from.contains("{{") && mailboxes(&from).is_ok_and(|all| all.iter().count() != 1) {
            return Err(read.get("from").unwrap_or(node).error("expected exactly one address"));
        }
        let part = |key: &str| {
            let Some(at) = node.get(key) else { return Ok(None) };
            let text = at.text()?;
            check(at, text)?;
            Ok(Some(text.to_owned()))
        };
        let (text, html) = (part("text")?, part("html")?);
        // Who writes HTML of his own has not asked for our text beside it.
        let default_text = if html.is_none() { DEFAULT_TEXT } else { "" };
        let letter = Letter {
            from,
            to,
            headers: headers(node, &check)?,
            text: text.unwrap_or_else(|| default_text.to_owned()),
            html: html.unwrap_or_else(|| DEFAULT_HTML.to_owned()),
            threading: threading(node)?,
            templates: templates.clone(),
        };
        if letter.text.is_empty() && letter.html.is_empty() {
            return Err(node.error("text and html are both empty"));
        }
        Ok(letter)
    }

    /// Writes the message for a group.
    ///
    /// # Errors
    /// When a template fails, or gives no address where one must be.
    pub(crate) fn write(&self, notification: &Notification) -> Result<Message, String> {
        let render = |what: &str, template: &str| {
            let text = self.templates.text(template, notification);
            text.map_err(|error| format!("template of {what}: {error}"))
        };
        let from = mailboxes(&render("from", &self.from)?)?;
        let to = mailboxes(&render("to", &self.to)?)?;
        let sender = match from.iter().collect::<Vec<_>>().as_slice() {
            [one] => one.email.clone(),
            _ => return Err("from must be exactly one address".into()),
        };
        let recipients = to.iter().map(|mailbox| mailbox.email.clone()).collect();
        let envelope = Envelope::new(Some(sender), recipients)
            .map_err(|_| "there is no address to send to".to_owned())?;
        let now = SystemTime::from(notification.now);
        let mut builder = Message::builder()
            .header(From::from(from))
            .header(To::from(to))
            .date(now)
            .message_id(None)
            .envelope(envelope);
        if let Some(thread) = self.threading.id(notification) {
            builder =
                builder.header(References::from(thread.clone())).header(InReplyTo::from(thread));
        }
        for (name, template) in &self.headers {
            // A line break would begin another header.
            let text = render(name, template)?.replace(['\r', '\n'], " ");
            builder = match name.as_str() {
                "From" => builder.header(From::from(mailboxes(&text)?)),
                "To" => builder.header(To::from(mailboxes(&text)?)),
                name => {
                    let header = HeaderName::new_from_ascii(name.to_owned())
                        .map_err(|_| format!("{name:?} is no name of a header"))?;
                    builder.raw_header(HeaderValue::new(header, text.trim().to_owned()))
                }
            };
        }
        let text = match self.text.as_str() {
            "" => None,
            template => Some(part(ContentType::TEXT_PLAIN, render("text", template)?)?),
        };
        let html = match self.html.as_str() {
            "" => None,
            template => {
                let page = self.templates.html(template, notification);
                let page = page.map_err(|error| format!("template of html: {error}"))?;
                Some(part(ContentType::TEXT_HTML, page)?)
            }
        };
        let built = match (text, html) {
            (Some(text), Some(html)) => {
                // The last part is the one a reader's program prefers (RFC 2046, 5.1.4).
                builder.multipart(MultiPart::alternative().singlepart(text).singlepart(html))
            }
            (Some(one), None) | (None, Some(one)) => builder.singlepart(one),
            (None, None) => return Err("text and html are both empty".into()),
        };
        built.map_err(|error| format!("cannot write the message: {error}"))
    }
}

impl Threading {
    /// A message that never was, which all mails of a thread answer.
    fn id(self, notification: &Notification) -> Option<String> {
        let day = match self {
            Threading::Off => return None,
            Threading::Group => String::new(),
            Threading::GroupAndDay => {
                format!("-{}", notification.now.strftime("%Y-%m-%d"))
            }
        };
        let group = LabelSet::new([
            ("group", notification.group_key.as_str()),
            ("receiver", notification.receiver.as_str()),
        ]);
        Some(format!("<alert-{}{day}@vigie>", Fingerprint::of(&group)))
    }
}

fn threading(node: &Node) -> Result<Threading, ConfigError> {
    let Some(at) = node.get("threading") else { return Ok(Threading::Group) };
    at.only_keys(["enabled", "thread_by_date"])?;
    let enabled: Option<bool> = at.get("enabled").map(Node::read).transpose()?;
    let by_date = at.get("thread_by_date").map(|by| Ok((by, by.text()?))).transpose()?;
    match (enabled, by_date) {
        (Some(false), _) => Ok(Threading::Off),
        (_, None | Some((_, "none" | ""))) => Ok(Threading::Group),
        (_, Some((_, "daily"))) => Ok(Threading::GroupAndDay),
        (_, Some((by, _))) => Err(by.error("expected one of daily, none")),
    }
}

/// The user's headers; the subject is always there.
fn headers(
    node: &Node,
    check: &impl Fn(&Node, &str) -> Result<(), ConfigError>,
) -> Result<Vec<(String, String)>, ConfigError> {
    let mut headers: Vec<(String, String)> = Vec::new();
    let entries = node.get("headers").map_or(Ok(&[][..]), Node::entries)?;
    for entry in entries {
        let fail = |what: String| ConfigError::new(entry.place.clone(), what);
        let name = title(&entry.key);
        if !is_name(&name) {
            return Err(fail(format!("{:?} is no name of a header", entry.key)));
        }
        if RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(fail(format!("header {name} cannot be set")));
        }
        if headers.iter().any(|(known, _)| *known == name) {
            return Err(fail(format!("header {name} is there already")));
        }
        let template = entry.value.text()?;
        check(&entry.value, template)?;
        headers.push((name, template.to_owned()));
    }
    if !headers.iter().any(|(name, _)| name == "Subject") {
        headers.push(("Subject".into(), DEFAULT_SUBJECT.into()));
    }
    Ok(headers)
}

/// `reply-to` is `Reply-To`: names of headers have no case, so two spellings are one header.
fn title(name: &str) -> String {
    let parts = name.split('-').map(|part| {
        let mut chars = part.chars();
        let first = chars.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(chars.map(|c| c.to_ascii_lowercase())).collect::<String>()
    });
    parts.collect::<Vec<_>>().join("-")
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=76).contains(&name.len()) && name.bytes().all(plain)
}

/// A list of addresses (RFC 5322), at least one.
fn mailboxes(text: &str) -> Result<Mailboxes, String> {
    let found: Result<Mailboxes, _> = text.trim().trim_end_matches(',').parse();
    match found {
        Ok(found) if found.iter().next().is_some() => Ok(found),
        _ => Err("expected an e-mail address, or several with commas between".into()),
    }
}

fn part(kind: ContentType, text: String) -> Result<SinglePart, String> {
    let body = Body::new_with_encoding(text, ContentTransferEncoding::QuotedPrintable)
        .map_err(|_| "the text cannot be encoded".to_owned())?;
    Ok(SinglePart::builder().header(kind).body(body))
}
