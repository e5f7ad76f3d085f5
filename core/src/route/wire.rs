//! Alertmanager's state files `silences` and `nflog`.
//!
//! A data directory moves over from Alertmanager and back, which is how users come to us. The
//! field numbers are those of `silencepb/silence.proto` and `nflogpb/nflog.proto`; a checksum in
//! a field that Alertmanager skips finds flipped bits. It must not know where the bytes are kept.

use std::time::Duration;

use jiff::Timestamp;

use super::nflog::{LogEntry, LogKey};
use super::proto::{self, Malformed, Message, Value};
use super::silence::Silence;
use crate::alert::{LabelSet, MatchOp, Matcher, Matchers};
use crate::clock;

/// What a file held.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decoded<T> {
    /// The whole records.
    pub records: Vec<T>,
    /// Records that were whole but mean nothing here, as a silence with an expression vigie
    /// refuses: one text each.
    pub refused: Vec<String>,
    /// Offset of the first byte sequence that is no record.
    pub damaged_at: Option<usize>,
}

/// Reads the file `silences`.
#[must_use]
pub fn decode_silences(bytes: &[u8]) -> Decoded<Silence> {
    decode(bytes, silence)
}

/// Reads the file `nflog`.
#[must_use]
pub fn decode_log(bytes: &[u8]) -> Decoded<LogEntry> {
    decode(bytes, |bytes| log_entry(bytes).map(Ok))
}

/// Appends one record of the file `silences`; it may be forgotten `retention` after its end.
pub fn encode_silence(silence: &Silence, retention: Duration, out: &mut Vec<u8>) {
    let mut message = Message::default();
    message.text(1, &silence.id);
    for matcher in &silence.matchers.0 {
        let mut inner = Message::default();
        inner.number(1, operator_number(matcher.op()));
        inner.text(2, matcher.name());
        inner.text(3, matcher.value());
        message.message(2, &inner);
    }
    message.time(3, silence.starts_at);
    message.time(4, silence.ends_at);
    message.time(5, silence.updated_at);
    message.text(8, &silence.created_by);
    message.text(9, &silence.comment);
    for (name, value) in silence.annotations.iter() {
        let mut inner = Message::default();
        inner.text(1, name);
        inner.text(2, value);
        message.message(10, &inner);
    }
    let mut mesh = Message::default();
    mesh.message(1, &message);
    mesh.time(2, clock::add(silence.ends_at, retention));
    mesh.delimit(out);
}

/// Appends one record of the file `nflog`.
pub fn encode_log_entry(entry: &LogEntry, out: &mut Vec<u8>) {
    let mut receiver = Message::default();
    receiver.text(1, &entry.key.receiver);
    receiver.text(2, &entry.key.integration);
    receiver.number(3, u64::from(entry.key.index));
    let mut message = Message::default();
    message.text(1, &entry.key.group_key);
    message.message(2, &receiver);
    message.time(5, entry.timestamp);
    message.packed(6, &entry.firing);
    message.packed(7, &entry.resolved);
    let mut mesh = Message::default();
    mesh.message(1, &message);
    mesh.time(2, entry.expires_at);
    mesh.delimit(out);
}

type Parse<T> = Result<Result<T, String>, Malformed>;

fn decode<T>(bytes: &[u8], parse: impl Fn(&[u8]) -> Parse<T>) -> Decoded<T> {
    let mut decoded = Decoded { records: Vec::new(), refused: Vec::new(), damaged_at: None };
    let mut rest = bytes;
    while !rest.is_empty() {
        let offset = bytes.len() - rest.len();
        let Ok(record) = proto::delimited(&mut rest) else {
            decoded.damaged_at.get_or_insert(offset);
            return decoded;
        };
        // Where only the inside of a record is damaged, those after it are still found.
        let parsed = if proto::is_intact(record) { parse(record) } else { Err(Malformed) };
        match parsed {
            Ok(Ok(record)) => decoded.records.push(record),
            Ok(Err(why)) => decoded.refused.push(why),
            Err(Malformed) => {
                decoded.damaged_at.get_or_insert(offset);
            }
        }
    }
    decoded
}

/// `MeshSilence {1 silence, 2 expires_at}`.
fn silence(bytes: &[u8]) -> Parse<Silence> {
    let mut fields = inner_message(bytes)?;
    let mut silence = Silence {
        id: String::new(),
        matchers: Matchers::default(),
        starts_at: Timestamp::UNIX_EPOCH,
        ends_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
        created_by: String::new(),
        comment: String::new(),
        annotations: LabelSet::default(),
    };
    let mut matchers = Vec::new();
    let mut sets: Vec<&[u8]> = Vec::new();
    let mut annotations = Vec::new();
    while !fields.is_empty() {
        match proto::field(&mut fields)? {
            (1, Value::Bytes(text)) => silence.id = utf8(text)?.into(),
            (2, Value::Bytes(message)) => matchers.push(matcher(message)?),
            (3, Value::Bytes(message)) => silence.starts_at = proto::timestamp(message)?,
            (4, Value::Bytes(message)) => silence.ends_at = proto::timestamp(message)?,
            (5, Value::Bytes(message)) => silence.updated_at = proto::timestamp(message)?,
            (7, Value::Bytes(message)) => old_comment(message, &mut silence)?,
            (8, Value::Bytes(text)) => silence.created_by = utf8(text)?.into(),
            (9, Value::Bytes(text)) => silence.comment = utf8(text)?.into(),
            (10, Value::Bytes(message)) => annotations.push(pair(message)?),
            (11, Value::Bytes(message)) => sets.push(message),
            _ => {}
        }
    }
    if silence.id.is_empty() {
        return Err(Malformed);
    }
    silence.annotations = annotations.into_iter().collect();
    match sets.as_slice() {
        [] => {}
        [set] => matchers = matcher_set(set)?,
        _ => return Ok(Err(format!("silence {}: several sets of matchers", silence.id))),
    }
    match matchers.into_iter().collect::<Result<_, _>>() {
        Ok(matchers) => silence.matchers = Matchers(matchers),
        Err(why) => return Ok(Err(format!("silence {}: {why}", silence.id))),
    }
    Ok(Ok(silence))
}

/// A whole record with a matcher that cannot be is refused, not taken for damage.
type ReadMatcher = Result<Matcher, String>;

/// `Matcher {1 type, 2 name, 3 pattern}`.
fn matcher(mut bytes: &[u8]) -> Result<ReadMatcher, Malformed> {
    let (mut op, mut name, mut pattern) = (0, "", "");
    while !bytes.is_empty() {
        match proto::field(&mut bytes)? {
            (1, Value::Varint(number)) => op = number,
            (2, Value::Bytes(text)) => name = utf8(text)?,
            (3, Value::Bytes(text)) => pattern = utf8(text)?,
            _ => {}
        }
    }
    let op = match op {
        0 => MatchOp::Equal,
        1 => MatchOp::Match,
        2 => MatchOp::NotEqual,
        3 => MatchOp::NotMatch,
        _ => return Ok(Err("an unknown kind of matcher".into())),
    };
    Ok(Matcher::new(name, op, pattern).map_err(|error| error.to_string()))
}

const fn operator_number(op: MatchOp) -> u64 {
    match op {
        MatchOp::Equal => 0,
        MatchOp::Match => 1,
        MatchOp::NotEqual => 2,
        MatchOp::NotMatch => 3,
    }
}

/// `MatcherSet {1 matchers}`, the newer form of the same.
fn matcher_set(mut bytes: &[u8]) -> Result<Vec<ReadMatcher>, Malformed> {
    let mut matchers = Vec::new();
    while !bytes.is_empty() {
        if let (1, Value::Bytes(message)) = proto::field(&mut bytes)? {
            matchers.push(matcher(message)?);
        }
    }
    Ok(matchers)
}

/// `Comment {1 author, 2 comment}`, the form before fields 8 and 9.
fn old_comment(mut bytes: &[u8], silence: &mut Silence) -> Result<(), Malformed> {
    while !bytes.is_empty() {
        match proto::field(&mut bytes)? {
            (1, Value::Bytes(text)) => silence.created_by = utf8(text)?.into(),
            (2, Value::Bytes(text)) => silence.comment = utf8(text)?.into(),
            _ => {}
        }
    }
    Ok(())
}

fn pair(mut bytes: &[u8]) -> Result<(&str, &str), Malformed> {
    let mut pair = ("", "");
    while !bytes.is_empty() {
        match proto::field(&mut bytes)? {
            (1, Value::Bytes(text)) => pair.0 = utf8(text)?,
            (2, Value::Bytes(text)) => pair.1 = utf8(text)?,
            _ => {}
        }
    }
    Ok(pair)
}

/// `MeshEntry {1 entry, 2 expires_at}`.
fn log_entry(mut bytes: &[u8]) -> Result<LogEntry, Malformed> {
    let mut fields = inner_message(bytes)?;
    let mut entry = LogEntry {
        key: LogKey { group_key: "".into(), receiver: "".into(), integration: "".into(), index: 0 },
        timestamp: Timestamp::UNIX_EPOCH,
        firing: Vec::new(),
        resolved: Vec::new(),
        expires_at: Timestamp::UNIX_EPOCH,
    };
    while !bytes.is_empty() {
        if let (2, Value::Bytes(message)) = proto::field(&mut bytes)? {
            entry.expires_at = proto::timestamp(message)?;
        }
    }
    while !fields.is_empty() {
        match proto::field(&mut fields)? {
            (1, Value::Bytes(text)) => entry.key.group_key = utf8(text)?.into(),
            (2, Value::Bytes(message)) => receiver(message, &mut entry.key)?,
            (5, Value::Bytes(message)) => entry.timestamp = proto::timestamp(message)?,
            (6, value) => numbers(value, &mut entry.firing)?,
            (7, value) => numbers(value, &mut entry.resolved)?,
            _ => {}
        }
    }
    if entry.key.group_key.is_empty() {
        return Err(Malformed);
    }
    entry.firing.sort_unstable();
    entry.resolved.sort_unstable();
    Ok(entry)
}

/// `Receiver {1 group_name, 2 integration, 3 idx}`.
fn receiver(mut bytes: &[u8], key: &mut LogKey) -> Result<(), Malformed> {
    while !bytes.is_empty() {
        match proto::field(&mut bytes)? {
            (1, Value::Bytes(text)) => key.receiver = utf8(text)?.into(),
            (2, Value::Bytes(text)) => key.integration = utf8(text)?.into(),
            (3, Value::Varint(index)) => key.index = u32::try_from(index).map_err(|_| Malformed)?,
            _ => {}
        }
    }
    Ok(())
}

/// Repeated numbers, packed or one by one.
fn numbers(value: Value<'_>, out: &mut Vec<u64>) -> Result<(), Malformed> {
    match value {
        Value::Varint(number) => out.push(number),
        Value::Bytes(mut bytes) => {
            while !bytes.is_empty() {
                out.push(proto::varint(&mut bytes)?);
            }
        }
        Value::Fixed => return Err(Malformed),
    }
    Ok(())
}

/// Field 1 of the envelope both files use.
fn inner_message(mut bytes: &[u8]) -> Result<&[u8], Malformed> {
    while !bytes.is_empty() {
        if let (1, Value::Bytes(message)) = proto::field(&mut bytes)? {
            return Ok(message);
        }
    }
    Err(Malformed)
}

fn utf8(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The file `silences` as Alertmanager 0.25 wrote it.
    const SILENCES: &str = "\
        7e0a6e0a2435623134366237332d306539382d343562342d626631302d3630303136323064333264\
        39120a08011201611a03717c77120808021201621a01631a0c089d9a82d80610ff8f959e01220c08\
        adb682d8061080c4b39c012a0c089d9a82d80610ff8f959e0142026d654a026869120c08ade59cd8\
        061080c4b39c01";
    /// The file `nflog` as Alertmanager 0.25 wrote it.
    const NFLOG: &str = "\
        8a010a7b0a537b7d2f7b613d7e225b612d7a5d2e2a222c61213d2262222c613d227a7a222c64213d\
        22245c22c3a9222c64213d22610962227d3a7b613d227a7a222c20653d22715c745c22c3a95c7532\
        3030625c783031227d120c0a01771207776562686f6f6b2a0b08ab9a82d80610d4e0c149320993e7\
        9280f592d2d743120b08abfb83d80610d4e0c149";
    const RETENTION: Duration = Duration::from_secs(120 * 3600);

    fn hex(text: &str) -> Vec<u8> {
        let pair = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(pair).collect()
    }

    #[test]
    fn a_silence_file_of_alertmanager_reads_and_writes_back_equal() {
        let bytes = hex(SILENCES);
        let decoded = decode_silences(&bytes);
        assert!(decoded.refused.is_empty() && decoded.damaged_at.is_none());
        let silence = &decoded.records[0];
        assert_eq!(silence.id, "5b146b73-0e98-45b4-bf10-6001620d32d9");
        assert_eq!(silence.matchers.to_string(), r#"{a=~"q|w",b!="c"}"#);
        assert_eq!((&*silence.created_by, &*silence.comment), ("me", "hi"));
        let mut again = Vec::new();
        encode_silence(silence, RETENTION, &mut again);
        assert_eq!(unsealed(&again), &bytes[1..]);
    }

    /// The one message of a file, without its length and checksum.
    fn unsealed(mut bytes: &[u8]) -> &[u8] {
        let message = proto::delimited(&mut bytes).unwrap();
        &message[..message.len() - 7]
    }

    #[test]
    fn a_flipped_bit_is_found() {
        let mut bytes = Vec::new();
        encode_silence(&decode_silences(&hex(SILENCES)).records[0], RETENTION, &mut bytes);
        for bit in 8..(bytes.len() - 7) * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode_silences(&flipped).damaged_at, Some(0), "bit {bit}");
        }
    }

    #[test]
    fn a_log_file_of_alertmanager_reads_and_writes_back_equal() {
        let bytes = hex(NFLOG);
        let decoded = decode_log(&bytes);
        let entry = &decoded.records[0];
        assert_eq!((&*entry.key.receiver, &*entry.key.integration), ("w", "webhook"));
        assert_eq!((entry.firing.as_slice(), entry.key.index), (&[0x43af_4897_5004_b393][..], 0));
        assert_eq!(
            entry.expires_at,
            LogEntry::expiry(entry.timestamp, Duration::from_secs(4 * 3600))
        );
        let mut again = Vec::new();
        encode_log_entry(entry, &mut again);
        assert_eq!(unsealed(&again), &bytes[2..]);
    }

    #[test]
    fn damage_costs_only_what_it_hit() {
        let whole = hex(SILENCES);
        let mut bytes = whole.clone();
        bytes.extend(&whole[..40]);
        let decoded = decode_silences(&bytes);
        assert_eq!((decoded.records.len(), decoded.damaged_at), (1, Some(whole.len())));
        let mut bytes = whole.clone();
        bytes[2] ^= 0x40;
        bytes.extend(&whole);
        let decoded = decode_silences(&bytes);
        assert_eq!((decoded.records.len(), decoded.damaged_at), (1, Some(0)));
        assert_eq!(decode_silences(&[0; 64]).damaged_at, Some(0));
    }

    #[test]
    fn an_expression_that_cannot_be_is_refused_alone() {
        let mut bytes = hex(SILENCES);
        let at = bytes.iter().position(|&byte| byte == b'|').unwrap();
        bytes[at] = b'(';
        bytes.extend(hex(SILENCES));
        let decoded = decode_silences(&bytes);
        assert_eq!((decoded.records.len(), decoded.refused.len()), (1, 1));
        assert!(decoded.damaged_at.is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_silences(&bytes);
            let _ = decode_log(&bytes);
        }

        #[test]
        fn a_flipped_bit_is_an_answer(at in 0_usize..8 * 127) {
            for text in [SILENCES, NFLOG] {
                let mut bytes = hex(text);
                let bit = at % (bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
                let _ = decode_silences(&bytes);
                let _ = decode_log(&bytes);
            }
        }

        #[test]
        fn what_is_written_reads_back(
            id in "[0-9a-f-]{1,36}", comment in ".{0,20}", value in ".{0,20}",
            start in 0_i64..4_000_000_000, span in 1_i64..1_000_000, nano in 0..1_000_000_000_i32,
            firing in prop::collection::btree_set(any::<u64>(), 0..5),
        ) {
            let at = |second| Timestamp::new(second, nano).unwrap();
            let silence = Silence {
                id, comment,
                matchers: Matchers(vec![Matcher::new("a", MatchOp::NotEqual, &value).unwrap()]),
                starts_at: at(start), ends_at: at(start + span), updated_at: at(start),
                created_by: value.clone(),
                annotations: LabelSet::new([("a", value.as_str())]),
            };
            let mut bytes = Vec::new();
            encode_silence(&silence, RETENTION, &mut bytes);
            prop_assert_eq!(decode_silences(&bytes).records, vec![silence]);
            let key = LogKey {
                group_key: format!("x{value}").into(), receiver: value.into(),
                integration: "i".into(), index: 7,
            };
            let entry = LogEntry {
                key, timestamp: at(start), expires_at: at(start + span),
                firing: firing.into_iter().collect(), resolved: vec![1, u64::MAX],
            };
            let mut bytes = Vec::new();
            encode_log_entry(&entry, &mut bytes);
            prop_assert_eq!(decode_log(&bytes).records, vec![entry]);
        }
    }
}
