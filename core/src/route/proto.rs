//! As much of the protobuf wire format as Alertmanager's two state files need.
//!
//! Written by hand because the messages are small and a code generator is not. It must not know
//! any message.

use jiff::Timestamp;

/// A field's value as it stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 2: text, message or packed numbers.
    Bytes(&'a [u8]),
    /// Wire types 1 and 5, which none of our fields has.
    Fixed,
}

/// What is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The next field of a message and its number.
pub(super) fn field<'a>(bytes: &mut &'a [u8]) -> Result<(u64, Value<'a>), Malformed> {
    let key = varint(bytes)?;
    let value = match key & 7 {
        0 => Value::Varint(varint(bytes)?),
        1 => take(bytes, 8).map(|_| Value::Fixed)?,
        2 => Value::Bytes(delimited(bytes)?),
        5 => take(bytes, 4).map(|_| Value::Fixed)?,
        _ => return Err(Malformed),
    };
    Ok((key >> 3, value))
}

/// A length and as many bytes.
pub(super) fn delimited<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let length = usize::try_from(varint(bytes)?).map_err(|_| Malformed)?;
    take(bytes, length)
}

/// A number of at most ten bytes, seven bits each.
pub(super) fn varint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(Malformed)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8], Malformed> {
    let (taken, rest) = bytes.split_at_checked(count).ok_or(Malformed)?;
    *bytes = rest;
    Ok(taken)
}

/// Reads `google.protobuf.Timestamp {1 seconds, 2 nanos}`.
pub(super) fn timestamp(mut bytes: &[u8]) -> Result<Timestamp, Malformed> {
    let (mut seconds, mut nanos) = (0, 0);
    while !bytes.is_empty() {
        match field(&mut bytes)? {
            (1, Value::Varint(value)) => seconds = value.cast_signed(),
            (2, Value::Varint(value)) => nanos = value.cast_signed(),
            _ => {}
        }
    }
    let nanos = i32::try_from(nanos).map_err(|_| Malformed)?;
    Timestamp::new(seconds, nanos).map_err(|_| Malformed)
}

/// Whether a message is as it was written; one without our checksum is taken at its word.
pub(super) fn is_intact(message: &[u8]) -> bool {
    match message.split_last_chunk::<7>() {
        Some((content, [a, b, c, sum @ ..])) if [*a, *b, *c] == SEAL => {
            checksum(content) == u32::from_le_bytes(*sum)
        }
        _ => true,
    }
}

/// Field 10000 as a fixed 32-bit number.
const SEAL: [u8; 3] = [0x85, 0xf1, 0x04];

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// A message being written.
#[derive(Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// Writes a number; zero is the default and left out.
    pub(super) fn number(&mut self, field: u64, value: u64) {
        if value != 0 {
            put(&mut self.0, field << 3);
            put(&mut self.0, value);
        }
    }

    /// Writes a text; the empty one is the default and left out.
    pub(super) fn text(&mut self, field: u64, text: &str) {
        if !text.is_empty() {
            self.bytes(field, text.as_bytes());
        }
    }

    /// Writes a message, an empty one too.
    pub(super) fn message(&mut self, field: u64, message: &Message) {
        self.bytes(field, &message.0);
    }

    /// Writes packed numbers; none is the default and left out.
    pub(super) fn packed(&mut self, field: u64, numbers: &[u64]) {
        if !numbers.is_empty() {
            let mut bytes = Vec::with_capacity(numbers.len() * 10);
            numbers.iter().for_each(|number| put(&mut bytes, *number));
            self.bytes(field, &bytes);
        }
    }

    /// Writes a time.
    pub(super) fn time(&mut self, field: u64, time: Timestamp) {
        // The wire wants nanos that count forward, jiff counts both away from 1970.
        let (mut seconds, mut nanos) = (time.as_second(), time.subsec_nanosecond());
        if nanos < 0 {
            seconds -= 1;
            nanos += 1_000_000_000;
        }
        let mut message = Message::default();
        message.number(1, seconds.cast_unsigned());
        message.number(2, u64::from(nanos.unsigned_abs()));
        self.message(field, &message);
    }

    /// The message with its length before it, as it stands in a file, and with a checksum at its
    /// end: a field that other readers skip.
    pub(super) fn delimit(&self, out: &mut Vec<u8>) {
        put(out, (self.0.len() + SEAL.len() + 4) as u64);
        out.extend(&self.0);
        out.extend(SEAL);
        out.extend(checksum(&self.0).to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        put(&mut self.0, field << 3 | 2);
        put(&mut self.0, bytes.len() as u64);
        self.0.extend(bytes);
    }
}

#[allow(clippy::cast_possible_truncation, reason = "seven bits at a time is the format")]
fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_and_times_read_back(number: u64, second in -62_135_596_800_i64..253_402_200_000, nano in 0..1_000_000_000_i32) {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            prop_assert_eq!(varint(&mut &bytes[..]), Ok(number));
            let time = Timestamp::new(second, nano).unwrap();
            let mut message = Message::default();
            message.time(3, time);
            let Ok((3, Value::Bytes(inner))) = field(&mut &message.0[..]) else { panic!() };
            prop_assert_eq!(timestamp(inner), Ok(time));
        }
    }
}
