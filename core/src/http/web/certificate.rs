//! What a client's certificate says of itself: names, time, purpose.
//!
//! The TLS library verifies chains but does not tell these; RFC 5280 is walked just far enough to
//! read them. Only definite lengths are DER, so a certificate is plain nested pieces. It must not
//! know whether anybody trusts the certificate.

use std::net::IpAddr;
use std::time::Duration;

use rustls::pki_types::UnixTime;

/// Universal and context tags met here (X.690, section 8.1.2).
mod tag {
    pub(super) const OID: u8 = 0x06;
    pub(super) const UTC_TIME: u8 = 0x17;
    pub(super) const GENERALIZED_TIME: u8 = 0x18;
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const VERSION: u8 = 0xa0;
    pub(super) const EXTENSIONS: u8 = 0xa3;
    pub(super) const EMAIL: u8 = 0x81;
    pub(super) const DNS: u8 = 0x82;
    pub(super) const URI: u8 = 0x86;
    pub(super) const IP: u8 = 0x87;
}

/// id-ce-subjectAltName, 2.5.29.17.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// id-ce-extKeyUsage, 2.5.29.37.
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
/// anyExtendedKeyUsage, 2.5.29.37.0.
const ANY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0x00];
/// id-kp-clientAuth, 1.3.6.1.5.5.7.3.2.
const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];

/// What is read of a certificate.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    /// DNS names, e-mail addresses, IP addresses and URIs, each as Go prints it.
    pub(super) names: Vec<String>,
    not_before: UnixTime,
    not_after: UnixTime,
    /// It says what it is for, and being a client is not among that.
    for_others_only: bool,
}

impl Certificate {
    /// Reads a DER certificate; nothing when it is none.
    pub(super) fn parse(der: &[u8]) -> Option<Self> {
        let mut body = Pieces(Pieces(Pieces(der).of(tag::SEQUENCE)?).of(tag::SEQUENCE)?).peekable();
        body.next_if(|(tag, _)| *tag == tag::VERSION);
        // Serial number, algorithm, issuer; after the validity subject and key.
        let (_, validity) = body.nth(3)?;
        let mut times = Pieces(validity);
        let mut certificate = Certificate {
            names: Vec::new(),
            not_before: time(times.next()?)?,
            not_after: time(times.next()?)?,
            for_others_only: false,
        };
        if let Some((_, extensions)) = body.find(|(tag, _)| *tag == tag::EXTENSIONS) {
            for (_, extension) in Pieces(Pieces(extensions).of(tag::SEQUENCE)?) {
                certificate.extension(extension)?;
            }
        }
        Some(certificate)
    }

    /// Whether its time has begun and not passed.
    pub(super) fn is_valid(&self, now: UnixTime) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// Whether it is valid now and may be a client's.
    pub(super) fn serves_client(&self, now: UnixTime) -> bool {
        self.is_valid(now) && !self.for_others_only
    }

    fn extension(&mut self, extension: &[u8]) -> Option<()> {
        let pieces = Pieces(extension);
        let id = pieces.of(tag::OID)?;
        // A flag `critical` may stand between.
        let (_, value) = pieces.last()?;
        if id == SUBJECT_ALT_NAME {
            self.names.extend(Pieces(Pieces(value).of(tag::SEQUENCE)?).filter_map(name));
        } else if id == EXTENDED_KEY_USAGE {
            let mut usages = Pieces(Pieces(value).of(tag::SEQUENCE)?);
            self.for_others_only = !usages.any(|(_, id)| id == CLIENT_AUTH || id == ANY_USAGE);
        }
        Some(())
    }
}

/// GeneralName (RFC 5280, section 4.2.1.6), of the four kinds that can be listed.
fn name((kind, value): (u8, &[u8])) -> Option<String> {
    match kind {
        tag::EMAIL | tag::DNS | tag::URI => String::from_utf8(value.to_vec()).ok(),
        tag::IP => match value.len() {
            4 => <[u8; 4]>::try_from(value).ok().map(|ip| IpAddr::from(ip).to_string()),
            _ => <[u8; 16]>::try_from(value).ok().map(|ip| IpAddr::from(ip).to_string()),
        },
        _ => None,
    }
}

/// `YYMMDDHHMMSSZ` up to 2049, `YYYYMMDDHHMMSSZ` for any year (RFC 5280, section 4.1.2.5).
fn time((kind, text): (u8, &[u8])) -> Option<UnixTime> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match kind {
        tag::UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i16 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        tag::GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<i8>().ok();
    let moment =
        jiff::civil::DateTime::new(year, part(0)?, part(2)?, part(4)?, part(6)?, part(8)?, 0);
    let seconds = moment.ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
    // Whatever was before 1970 is long past.
    Some(UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(seconds).unwrap_or(0))))
}

/// The pieces of a constructed value: tag and content, until something is no DER.
#[derive(Clone, Copy)]
struct Pieces<'a>(&'a [u8]);

impl<'a> Pieces<'a> {
    /// The content of the next piece, which has to be of this kind.
    fn of(mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // A certificate that needs more than three bytes for its length is none.
            0x81..=0x83 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn piece(tag: u8, content: &[&[u8]]) -> Vec<u8> {
        let content = content.concat();
        let length = content.len();
        let head = match length {
            0..=0x7f => vec![tag, length as u8],
            0x80..=0xff => vec![tag, 0x81, length as u8],
            _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
        };
        [head, content].concat()
    }

    fn extension(id: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
        let flag = if critical { piece(0x01, &[&[0xff]]) } else { Vec::new() };
        piece(tag::SEQUENCE, &[&piece(tag::OID, &[id]), &flag, &piece(0x04, &[value])])
    }

    fn certificate(version: bool, after: &[u8], extensions: &[&[u8]]) -> Vec<u8> {
        let validity = [piece(tag::UTC_TIME, &[b"700101000001Z"]), after.to_vec()].concat();
        let version = if version { piece(tag::VERSION, &[b"\x02\x01\x02"]) } else { Vec::new() };
        let all = piece(tag::SEQUENCE, extensions);
        let all = if extensions.is_empty() { all } else { piece(tag::EXTENSIONS, &[&all]) };
        let body = [
            version,
            piece(0x02, &[b"\x01"]),
            piece(tag::SEQUENCE, &[]),
            piece(tag::SEQUENCE, &[]),
            piece(tag::SEQUENCE, &[&validity]),
            piece(tag::SEQUENCE, &[]),
            piece(tag::SEQUENCE, &[]),
            all,
        ];
        piece(tag::SEQUENCE, &[&piece(tag::SEQUENCE, &[&body.concat()]), b"\x30\x00\x03\x00"])
    }

    fn year_3000() -> Vec<u8> {
        piece(tag::GENERALIZED_TIME, &[b"30000101000000Z"])
    }

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    #[test]
    fn names_of_all_four_kinds_are_read() {
        let names = piece(
            tag::SEQUENCE,
            &[
                &piece(tag::DNS, &[b"prometheus.example.org"]),
                &piece(tag::EMAIL, &[b"ops@example.org"]),
                &piece(tag::IP, &[&[192, 0, 2, 1]]),
                &piece(tag::IP, &[&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]]),
                &piece(tag::URI, &[b"spiffe://example.org/prometheus"]),
                &piece(0xa4, &[b"a directory name, which nobody can list"]),
                &piece(tag::IP, &[b"five!"]),
            ],
        );
        let der = certificate(true, &year_3000(), &[&extension(SUBJECT_ALT_NAME, true, &names)]);
        let expected = [
            "prometheus.example.org",
            "ops@example.org",
            "192.0.2.1",
            "2001:db8::1",
            "spiffe://example.org/prometheus",
        ];
        assert_eq!(Certificate::parse(&der).unwrap().names, expected);
    }

    #[test]
    fn a_certificate_serves_in_its_time() {
        let der = certificate(false, &piece(tag::UTC_TIME, &[b"700101001000Z"]), &[]);
        let certificate = Certificate::parse(&der).unwrap();
        let serves = [0, 1, 600, 601].map(|second| certificate.serves_client(at(second)));
        assert_eq!(serves, [false, true, true, false]);
    }

    #[test]
    fn a_certificate_serves_the_purpose_it_names() {
        let server_auth: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
        let serves = |usages: &[&[u8]]| {
            let usages: Vec<_> = usages.iter().map(|id| piece(tag::OID, &[id])).collect();
            let value = piece(tag::SEQUENCE, &[&usages.concat()]);
            let usage = extension(EXTENDED_KEY_USAGE, false, &value);
            let der = certificate(true, &year_3000(), &[&usage]);
            Certificate::parse(&der).unwrap().serves_client(at(1000))
        };
        assert!(serves(&[server_auth, CLIENT_AUTH]) && serves(&[ANY_USAGE]));
        assert!(!serves(&[server_auth]) && !serves(&[]));
    }

    #[test]
    fn what_is_no_time_is_no_certificate() {
        for bad in [&b"700101000000"[..], b"701301000000Z", b"7001010000Z", b"", b"\xff\xffZ"] {
            let der = certificate(true, &piece(tag::UTC_TIME, &[bad]), &[]);
            assert_eq!(Certificate::parse(&der), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            Certificate::parse(&bytes);
        }

        #[test]
        fn a_damaged_certificate_is_survived(at in 0usize..100, byte in any::<u8>(), cut in 0usize..100) {
            let names = piece(tag::SEQUENCE, &[&piece(tag::DNS, &[b"a.example.org"])]);
            let mut der =
                certificate(true, &year_3000(), &[&extension(SUBJECT_ALT_NAME, false, &names)]);
            if let Some(place) = der.get_mut(at) {
                *place = byte;
            }
            der.truncate(der.len() - cut.min(der.len()));
            Certificate::parse(&der);
        }

        #[test]
        fn pieces_come_back_as_they_went(contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..5)) {
            let written: Vec<u8> = contents.iter().flat_map(|content| piece(0x04, &[content])).collect();
            let read: Vec<Vec<u8>> = Pieces(&written).map(|(_, content)| content.to_vec()).collect();
            prop_assert_eq!(read, contents);
        }
    }
}
