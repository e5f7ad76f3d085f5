//! The one call of XML-RPC that is needed, and its answer.
//!
//! Of XML it takes elements and text, as XML-RPC libraries write them. It must not know metrics.

use std::collections::HashMap;

use crate::parse::{hexadecimal, number, shown, signed};

/// The call.
pub(super) const QUESTION: &str = "<?xml version=\"1.0\"?><methodCall>\
    <methodName>supervisor.getAllProcessInfo</methodName><params/></methodCall>";

/// What supervisord says of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) name: String,
    pub(super) group: String,
    /// As supervisord numbers states.
    pub(super) state: i64,
    /// Seconds since 1970.
    pub(super) start: i64,
    pub(super) exit_status: i64,
}

/// The processes of an answer, one for each name and group.
///
/// # Errors
/// The fault that the answer reports, or what is wrong with it.
pub(super) fn parse(answer: &[u8]) -> Result<Vec<Process>, String> {
    let answer = String::from_utf8_lossy(answer);
    let mut reader = Reader::default();
    for token in Tokens(&answer) {
        reader.take(token);
    }
    if !reader.is_whole {
        return Err("the answer is not XML-RPC, or cut off".to_owned());
    }
    if reader.is_fault {
        let text = reader.structs.first().and_then(|members| members.get("faultString"));
        return Err(format!("the call failed: {:?}", text.map_or("", String::as_str)));
    }
    let processes: Result<Vec<_>, _> = reader.structs.into_iter().map(process).collect();
    let mut processes = processes?;
    processes.sort_by(|a, b| (&a.group, &a.name).cmp(&(&b.group, &b.name)));
    processes.dedup_by(|a, b| a.group == b.group && a.name == b.name);
    Ok(processes)
}

type Members = HashMap<String, String>;

fn process(mut members: Members) -> Result<Process, String> {
    let mut member = |name: &str| {
        members.remove(name).ok_or_else(|| format!("a process of the answer has no {name}"))
    };
    let (name, group) = (member("name")?, member("group")?);
    let mut number = |member_name: &str| {
        let text = member(member_name)?;
        let number = signed(text.trim().as_bytes());
        number.ok_or_else(|| format!("{group}:{name}: {member_name} {}", shown(text.as_bytes())))
    };
    let (state, start, exit_status) = (number("state")?, number("start")?, number("exitstatus")?);
    Ok(Process { name, group, state, start, exit_status })
}

/// Gathers the structs of an answer.
#[derive(Default)]
struct Reader {
    structs: Vec<Members>,
    members: Members,
    name: String,
    value: Option<String>,
    /// Since the last tag.
    text: String,
    is_fault: bool,
    is_whole: bool,
}

impl Reader {
    fn take(&mut self, token: Token<'_>) {
        match token {
            Token::Text(text) => self.text = text,
            Token::Open(name) => self.open(name),
            Token::Close(name) => self.close(name),
            Token::Empty(name) => {
                self.open(name);
                self.close(name);
            }
        }
    }

    fn open(&mut self, name: &str) {
        self.text.clear();
        match name {
            "fault" => self.is_fault = true,
            "struct" => self.members.clear(),
            "value" => self.value = None,
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        let text = std::mem::take(&mut self.text);
        match name {
            "name" => self.name = text,
            "string" | "int" | "i4" | "i8" => self.value = Some(text),
            // A value without a type is a string.
            "value" => self.value = self.value.take().or(Some(text)),
            "member" => {
                let value = self.value.take().unwrap_or_default();
                self.members.insert(std::mem::take(&mut self.name), value);
            }
            "struct" => self.structs.push(std::mem::take(&mut self.members)),
            "methodResponse" => self.is_whole = true,
            _ => {}
        }
    }
}

/// A piece of XML; tags without attributes.
#[derive(Debug, PartialEq)]
enum Token<'a> {
    Open(&'a str),
    Close(&'a str),
    Empty(&'a str),
    Text(String),
}

/// The pieces of a text; what follows an unclosed tag is left out.
struct Tokens<'a>(&'a str);

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        if let Some(tag) = self.0.strip_prefix('<') {
            let (tag, rest) = tag.split_once('>')?;
            self.0 = rest;
            let name = |tag: &'a str| tag.split_ascii_whitespace().next().unwrap_or_default();
            return Some(match (tag.strip_prefix('/'), tag.strip_suffix('/')) {
                (Some(tag), _) => Token::Close(name(tag)),
                (None, Some(tag)) => Token::Empty(name(tag)),
                (None, None) => Token::Open(name(tag)),
            });
        }
        let end = self.0.find('<').unwrap_or(self.0.len());
        let (text, rest) = self.0.split_at(end);
        self.0 = rest;
        (!text.is_empty()).then(|| Token::Text(unescaped(text)))
    }
}

/// Replaces the references of XML; what is none stays.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('&');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(';').and_then(|(name, rest)| Some((referred(name)?, rest))) {
            Some((character, rest)) => {
                plain.push(character);
                plain.push_str(rest);
            }
            None => {
                plain.push('&');
                plain.push_str(part);
            }
        }
    }
    plain
}

fn referred(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let code = name.strip_prefix('#')?;
            let code = match code.strip_prefix('x') {
                Some(code) => hexadecimal(code.as_bytes()),
                None => number(code.as_bytes()),
            };
            char::from_u32(u32::try_from(code?).ok()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answer(processes: &str) -> String {
        format!(
            "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value><array><data>\n{processes}\
             </data></array></value>\n</param>\n</params>\n</methodResponse>\n"
        )
    }

    fn member(name: &str, value: &str) -> String {
        format!("<member>\n<name>{name}</name>\n<value>{value}</value>\n</member>\n")
    }

    fn written(process: &Process) -> String {
        let escaped =
            |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let int = |number: i64| format!("<int>{number}</int>");
        let members = [
            member("name", &format!("<string>{}</string>", escaped(&process.name))),
            member("group", &escaped(&process.group)),
            member("description", "<string>pid 9, uptime 1 day</string>"),
            member("spawnerr", "<string/>"),
            member("start", &int(process.start)),
            member("state", &int(process.state)),
            member("exitstatus", &int(process.exit_status)),
        ];
        format!("<value><struct>\n{}</struct></value>\n", members.concat())
    }

    #[test]
    fn a_fault_is_an_error() {
        let fault = "<methodResponse><fault><value><struct><member><name>faultString</name><value>\
                     <string>UNKNOWN_METHOD</string></value></member></struct></value></fault></methodResponse>";
        assert_eq!(parse(fault.as_bytes()).unwrap_err(), "the call failed: \"UNKNOWN_METHOD\"");
    }

    #[test]
    fn what_is_cut_off_or_lacks_a_member_is_an_error() {
        assert_eq!(parse(answer("").as_bytes()), Ok(Vec::new()));
        let cut = answer("").replace("</methodResponse>", "</methodResp");
        assert!(parse(cut.as_bytes()).is_err());
        let lacking = answer("<value><struct></struct></value>");
        assert_eq!(parse(lacking.as_bytes()).unwrap_err(), "a process of the answer has no name");
    }

    #[test]
    fn references_are_replaced() {
        assert_eq!(unescaped("a&amp;&lt;&#65;&#x42;&x; & &"), "a&<AB&x; & &");
    }

    prop_compose! {
        fn processes()(name in "[a-z<&>;]{1,6}", group in "[a-z<&>;]{1,6}", state: i64, start: i64, exit_status: i64)
            -> Process {
            Process { name, group, state, start, exit_status }
        }
    }

    proptest! {
        #[test]
        fn what_supervisord_writes_is_read(process in processes()) {
            let twice = written(&process).repeat(2);
            prop_assert_eq!(parse(answer(&twice).as_bytes()), Ok(vec![process]));
        }

        #[test]
        fn any_bytes_are_survived(text in "(<[/a-z?]{0,9}>?|&#?[0-9a-z]{0,9};?|\\PC){0,40}") {
            let _ = parse(text.as_bytes());
        }
    }
}
