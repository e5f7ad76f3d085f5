//! Sockets that systemd has opened and passed on.
//!
//! They are told by `LISTEN_FDS` and named by `LISTEN_FDNAMES` (sd_listen_fds(3)), which is how a
//! program without rights serves a port that needs them, and how nobody is turned away while it
//! starts. It must not know what is served there.

use std::net::TcpListener;

use listenfd::ListenFd;

use super::ServerError;

/// Listening sockets by name, in the order passed.
#[derive(Debug, Default)]
pub struct Inherited(Vec<(String, TcpListener)>);

impl Inherited {
    /// Takes the sockets over. Call it once, before threads are started: the variables are removed.
    ///
    /// # Errors
    /// When there is none, or one is no listening TCP socket.
    pub fn take() -> Result<Self, ServerError> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':').map(str::to_owned);
        let mut passed = ListenFd::from_env();
        let mut sockets = Vec::new();
        for at in 0..passed.len() {
            let fail = |source| ServerError::Passed { at: at + 1, source };
            let Some(socket) = passed.take_tcp_listener(at).map_err(fail)? else { continue };
            socket.set_nonblocking(true).map_err(fail)?;
            sockets.push((names.next().unwrap_or_default(), socket));
        }
        if sockets.is_empty() { Err(ServerError::NonePassed) } else { Ok(Inherited(sockets)) }
    }

    /// The sockets of this name; they leave the others.
    pub fn named(&mut self, name: &str) -> Vec<TcpListener> {
        self.0.extract_if(.., |(found, _)| found == name).map(|(_, socket)| socket).collect()
    }

    /// All that are left.
    #[must_use]
    pub fn rest(self) -> Vec<TcpListener> {
        self.0.into_iter().map(|(_, socket)| socket).collect()
    }
}
