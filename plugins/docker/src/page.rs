//! Fetches the page on which the Docker daemon shows its own metrics.
//!
//! It is fetched when a scrape asks, never in vain, and beside the scrape, so that a daemon that
//! hangs holds nobody. It must not know which of the families are wanted.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use vigie_core::alert::BoxFuture;
use vigie_core::encode::Exposition;
use vigie_core::plugin::{BoxError, Service, ServiceContext};

use crate::latest::Latest;

/// Longest time the whole answer may take.
const TIMEOUT: Duration = Duration::from_secs(1);
/// The daemon's page has some 60 kB, however many containers there are.
const MAX_SIZE: u64 = 4 << 20;

/// What became of the last request.
#[derive(Debug, Default, PartialEq)]
pub(crate) enum Page {
    /// Nobody listens there.
    #[default]
    Absent,
    /// No whole answer in time.
    Late,
    /// An answer that is not the page; the text says what it is.
    Wrong(String),
    /// The page.
    Shown(Exposition),
}

/// Between the collector, which asks, and the service, which answers.
#[derive(Debug, Default)]
pub(crate) struct PageLink {
    asked: Notify,
    page: Latest<Page>,
}

impl PageLink {
    /// A page fetched now; nothing when that takes longer than `limit`. One that was late the last
    /// time is not waited for again until it has come.
    pub(crate) fn ask(&self, limit: Duration) -> Option<Arc<Page>> {
        let (known, version) = (self.page.get(), self.page.version());
        self.asked.notify_one();
        if *known == Page::Late { Some(known) } else { self.page.newer_than(version, limit) }
    }
}

/// The service that fetches.
pub(crate) struct PageService {
    /// `HOST:PORT`.
    pub(crate) address: String,
    pub(crate) link: Arc<PageLink>,
}

impl Service for PageService {
    fn name(&self) -> &'static str {
        "docker metrics page"
    }

    fn run(self: Box<Self>, context: ServiceContext) -> BoxFuture<'static, Result<(), BoxError>> {
        Box::pin(async move {
            context.ready();
            tokio::select! {
                () = context.stopped() => {}
                () = self.answer() => {}
            }
            Ok(())
        })
    }
}

impl PageService {
    async fn answer(&self) {
        loop {
            self.link.asked.notified().await;
            let page = timeout(TIMEOUT, fetch(&self.address)).await.unwrap_or(Page::Late);
            self.link.page.set(page);
        }
    }
}

async fn fetch(address: &str) -> Page {
    let Ok(stream) = TcpStream::connect(address).await else { return Page::Absent };
    match exchange(stream, address).await {
        Ok(answer) => match parse_answer(&answer) {
            Ok(page) => Page::Shown(page),
            Err(what) => Page::Wrong(what),
        },
        Err(error) => Page::Wrong(error.to_string()),
    }
}

/// HTTP/1.0, so that the answer comes whole and ends with the connection.
async fn exchange(mut stream: TcpStream, address: &str) -> std::io::Result<Vec<u8>> {
    let request = format!(
        "GET /metrics HTTP/1.0\r\nHost: {address}\r\nAccept: text/plain;version=0.0.4\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_SIZE).read_to_end(&mut answer).await?;
    Ok(answer)
}

fn parse_answer(answer: &[u8]) -> Result<Exposition, String> {
    let end = memchr::memmem::find(answer, b"\r\n\r\n").ok_or("the answer is not HTTP")?;
    let (head, body) = answer.split_at(end + 4);
    let head = std::str::from_utf8(head).map_err(|_| "the answer is not HTTP")?;
    let mut lines = head.split("\r\n");
    let mut status = lines.next().unwrap_or_default().split(' ');
    match (status.next(), status.next()) {
        (Some(version), Some("200")) if version.starts_with("HTTP/1.") => {}
        (Some(version), Some(code)) if version.starts_with("HTTP/1.") => {
            return Err(format!("the answer has status {}", code.escape_default()));
        }
        _ => return Err("the answer is not HTTP".to_owned()),
    }
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let cut_short =
            name.eq_ignore_ascii_case("content-length") && value.trim().parse() != Ok(body.len());
        if cut_short || name.eq_ignore_ascii_case("transfer-encoding") {
            return Err("the answer is cut short or in parts".to_owned());
        }
    }
    let body = std::str::from_utf8(body).map_err(|_| "the page is not UTF-8")?;
    Exposition::parse(body).map_err(|error| format!("the page is not in the text format, {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::net::TcpListener;

    fn run<T>(test: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test)
    }

    #[test]
    fn a_page_needs_a_whole_answer() {
        let page = parse_answer(b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\na 1\n").unwrap();
        assert_eq!(page.families[0].name, "a");
        for (answer, what) in [
            ("", "the answer is not HTTP"),
            ("SSH-2.0\r\n\r\n", "the answer is not HTTP"),
            ("HTTP/1.1 404 Not Found\r\n\r\n", "the answer has status 404"),
            (
                "HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\na 1\n",
                "the answer is cut short or in parts",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "the answer is cut short or in parts",
            ),
            (
                "HTTP/1.0 200 OK\r\n\r\na 1\nb",
                "the page is not in the text format, line 2: the line has no end",
            ),
        ] {
            assert_eq!(parse_answer(answer.as_bytes()).unwrap_err(), what, "{answer}");
        }
    }

    #[test]
    fn nobody_there_is_silence() {
        run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            drop(listener);
            assert_eq!(fetch(&address).await, Page::Absent);
        });
    }

    #[test]
    fn a_page_is_fetched_when_asked_for_and_lateness_is_remembered() {
        run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let link = Arc::new(PageLink::default());
            let address = listener.local_addr().unwrap().to_string();
            let service = PageService { address, link: Arc::clone(&link) };
            let serving = tokio::spawn(async move { service.answer().await });
            let ask = |limit| {
                let link = Arc::clone(&link);
                tokio::task::spawn_blocking(move || link.ask(limit))
            };

            let asked = ask(Duration::from_secs(60));
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\na 1\n").await.unwrap();
            drop(stream);
            assert!(matches!(*asked.await.unwrap().unwrap(), Page::Shown(_)));

            // Now it takes the connection and says nothing.
            let asked = ask(Duration::from_secs(60));
            let (_silent, _) = listener.accept().await.unwrap();
            assert_eq!(asked.await.unwrap().as_deref(), Some(&Page::Late));
            assert_eq!(ask(Duration::ZERO).await.unwrap().as_deref(), Some(&Page::Late), "no wait");
            serving.abort();
        });
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer(head in "(HTTP/1\\.[01] 200 OK\r\n)?", rest: Vec<u8>) {
            let mut answer = head.into_bytes();
            answer.extend(rest);
            let _ = parse_answer(&answer);
        }
    }
}
