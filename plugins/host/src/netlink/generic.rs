//! Generic netlink (linux/genetlink.h): families that get their number when the kernel loads them.
//!
//! The number is asked for by name, once. It must not know any family.

use std::io;

use super::{Socket, attributes, push_attribute, u8_at, u16_at, until_zero};
use crate::namespace::Namespace;

/// A family of generic netlink.
pub(crate) struct Generic {
    socket: Socket,
    name: &'static str,
    number: Option<u16>,
}

/// `struct genlmsghdr`.
const HEADER: usize = 4;

impl Generic {
    /// The family `name` as the kernel registers it.
    pub(crate) fn new(name: &'static str, namespace: Namespace) -> Self {
        Generic { socket: Socket::generic(namespace), name, number: None }
    }

    /// Asks `command` for everything; `take` gets the attributes of each message. After an error the number is asked
    /// for anew, since a module that was loaded again has another.
    ///
    /// # Errors
    /// Those of [`Socket::dump`]; of kind `NotFound` where the kernel has no such family.
    pub(crate) fn dump(
        &mut self,
        command: u8,
        request: &[u8],
        take: &mut dyn FnMut(&[u8]),
    ) -> io::Result<()> {
        let number = match self.number.take() {
            Some(number) => number,
            None => resolve(&mut self.socket, self.name)?,
        };
        self.socket.dump(number, &body(command, request), &mut |kind, payload| {
            if kind == number {
                take(payload.get(HEADER..).unwrap_or_default());
            }
        })?;
        self.number = Some(number);
        Ok(())
    }
}

/// Command, version 1, and attributes.
fn body(command: u8, request: &[u8]) -> Vec<u8> {
    let mut body = vec![command, 1, 0, 0];
    body.extend(request);
    body
}

fn resolve(socket: &mut Socket, name: &str) -> io::Result<u16> {
    let mut request = Vec::new();
    let with_zero = [name.as_bytes(), &[0]].concat();
    push_attribute(&mut request, libc::CTRL_ATTR_FAMILY_NAME as u16, &with_zero);
    let mut number = None;
    let body = body(libc::CTRL_CMD_GETFAMILY as u8, &request);
    socket.get(libc::GENL_ID_CTRL as u16, &body, &mut |_, payload| {
        number = family(payload, name).or(number);
    })?;
    number.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no family {name}")))
}

/// The number of the family `name`, when the message is about it.
fn family(payload: &[u8], name: &str) -> Option<u16> {
    let (mut number, mut is_it) = (None, false);
    u8_at(payload, 0)?;
    for (kind, value) in attributes(payload.get(HEADER..)?) {
        match i32::from(kind) {
            libc::CTRL_ATTR_FAMILY_ID => number = u16_at(value, 0),
            libc::CTRL_ATTR_FAMILY_NAME => is_it = until_zero(value) == name.as_bytes(),
            _ => {}
        }
    }
    number.filter(|_| is_it)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::tests::attribute;
    use proptest::prelude::*;

    #[test]
    fn the_number_of_a_family_is_read() {
        let mut message = vec![1, 2, 0, 0];
        message.extend(attribute(2, b"nl80211\0"));
        message.extend(attribute(1, &0x1cu16.to_ne_bytes()));
        assert_eq!(family(&message, "nl80211"), Some(0x1c));
        assert_eq!(family(&message, "ethtool"), None);
    }

    #[test]
    fn the_kernel_knows_its_own_family_and_no_other() {
        let mut control = Generic::new("nlctrl", Namespace::Own);
        for _ in 0..2 {
            let mut families = 0;
            control.dump(libc::CTRL_CMD_GETFAMILY as u8, &[], &mut |_| families += 1).unwrap();
            assert!(families > 0 && control.number == Some(libc::GENL_ID_CTRL as u16));
        }
        let error = Generic::new("nowhere", Namespace::Own).dump(1, &[], &mut |_| {}).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..90)) {
            prop_assert_eq!(family(&bytes, "nl80211"), None);
        }
    }
}
