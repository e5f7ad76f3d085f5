//! The frame of every page: head, header, main, footer.
//!
//! One strict set of headers for all of them, and an `ETag` of what is seen, so that asking again
//! costs nothing while nothing changes. It must not know what a page is about.

use vigie_core::encode::{accepts_gzip, gzip};
use vigie_core::http::{HeaderValue, Request, Response, StatusCode, header};

use super::assets;
use super::html::Html;
use super::severity::Severity;

/// Nothing from elsewhere, no inline script or style, no frame around us.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; \
                      base-uri 'none'";

const HTML: &str = "text/html; charset=utf-8";

/// A page before it is framed.
#[derive(Default)]
pub(super) struct Page {
    /// The status it is answered with.
    pub(super) status: StatusCode,
    /// The title; the program's name is added.
    pub(super) title: String,
    /// What the icon in the tab shows: the number of active alerts and the worst of them.
    pub(super) badge: Option<(usize, Severity)>,
    /// Where in the navigation it stands: `/`, `/silences` or `/silences/new`.
    pub(super) place: &'static str,
    /// Whether it shows what changes and asks for it again.
    pub(super) live: bool,
    /// What stands beside the name: counts.
    pub(super) summary: Html,
    /// What stands above the content and stays while it is refreshed.
    pub(super) toolbar: Html,
    /// The content.
    pub(super) main: Html,
}

impl Page {
    /// The answer: 304 when the asker has it already.
    pub(super) fn into_response(self, request: &Request) -> Response {
        let body = self.frame();
        // Weak: compressed or not, it is the same page.
        let tag = format!("W/\"{:016x}\"", assets::hash(body.bytes()));
        if self.status == StatusCode::OK && request.header(&header::IF_NONE_MATCH) == tag {
            return secure(with_tag(Response::new(StatusCode::NOT_MODIFIED), &tag));
        }
        let response = Response::new(self.status).with_header(header::VARY, "Accept-Encoding");
        let response = if accepts_gzip(request.header(&header::ACCEPT_ENCODING)) {
            response
                .with_header(header::CONTENT_ENCODING, "gzip")
                .with_body(HTML, gzip(body.bytes()))
        } else {
            response.with_body(HTML, body.bytes().to_owned())
        };
        secure(with_tag(response, &tag))
    }

    fn frame(&self) -> Html {
        let mut html = Html::default();
        html.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
        html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
        html.raw("<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
        html.text(&self.title).raw(" \u{b7} vigie</title>\n<link rel=\"icon\" href=\"");
        html.text(self.icon()).raw("\">\n<link rel=\"stylesheet\" href=\"");
        html.text(assets::STYLE.url()).raw("\">\n<script src=\"");
        html.text(assets::SCRIPT.url()).raw("\" defer></script>\n");
        if self.live {
            html.raw("<noscript><meta http-equiv=\"refresh\" content=\"30\"></noscript>\n");
        }
        html.raw("</head>\n<body").raw(if self.live { " data-live" } else { "" }).raw(">\n");
        html.raw("<a class=\"skip\" href=\"#main\">Skip to the content</a>\n<header>\n");
        html.raw("<h1><a href=\"/\">vigie</a></h1>\n<div id=\"summary\">");
        html.html(&self.summary).raw("</div>\n<nav aria-label=\"Pages\">");
        for (url, name) in
            [("/", "Alerts"), ("/silences", "Silences"), ("/silences/new", "New silence")]
        {
            html.raw("<a href=\"").text(url).raw("\"");
            html.raw(if url == self.place { " aria-current=\"page\">" } else { ">" });
            html.text(name).raw("</a>");
        }
        html.raw("</nav>\n<p id=\"status\" role=\"status\"></p>\n</header>\n<main id=\"main\">\n");
        html.html(&self.toolbar).raw("<div id=\"live\">\n").html(&self.main);
        html.raw("</div>\n</main>\n<footer><p>vigie ").text(env!("CARGO_PKG_VERSION"));
        html.raw(" \u{b7} Alertmanager API: <a href=\"/api/v2/alerts\">alerts</a>, ");
        html.raw("<a href=\"/api/v2/silences\">silences</a>, ");
        html.raw("<a href=\"/api/v2/status\">status</a></p></footer>\n</body>\n</html>\n");
        html
    }

    /// A small picture: a disc in the colour of the worst alert, with the number.
    fn icon(&self) -> String {
        let (colour, number) = match self.badge {
            Some((_, Severity::Critical)) => ("b3141d", self.badge),
            Some((_, Severity::Error)) => ("b13d0c", self.badge),
            Some((_, Severity::Warning)) => ("8a5a00", self.badge),
            Some((1.., _)) => ("1b5fa8", self.badge),
            _ => ("2c7a3f", None),
        };
        let text = match number {
            Some((100.., _)) => "99+".to_owned(),
            Some((number, _)) => number.to_string(),
            None => String::new(),
        };
        let size = [20, 20, 16, 13][text.len().min(3)];
        format!(
            "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E\
             %3Ccircle cx='16' cy='16' r='16' fill='%23{colour}'/%3E%3Ctext x='16' y='16' \
             fill='white' font-family='sans-serif' font-weight='bold' font-size='{size}' \
             text-anchor='middle' dominant-baseline='central'%3E{text}%3C/text%3E%3C/svg%3E"
        )
    }
}

fn with_tag(mut response: Response, tag: &str) -> Response {
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers.insert(header::ETAG, tag);
    }
    response.with_header(header::CACHE_CONTROL, "no-cache")
}

/// The headers every answer of the view has.
pub(super) fn secure(response: Response) -> Response {
    response
        .with_header(header::CONTENT_SECURITY_POLICY, POLICY)
        .with_header(header::X_FRAME_OPTIONS, "DENY")
        .with_header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .with_header(header::REFERRER_POLICY, "same-origin")
}

#[cfg(test)]
mod tests {
    use vigie_core::http::Method;

    use super::*;

    fn page() -> Page {
        Page { title: "<3>".into(), place: "/", live: true, ..Page::default() }
    }

    #[test]
    fn what_did_not_change_is_not_sent_again() {
        let mut request = Request::new(Method::GET, "/", "");
        let first = page().into_response(&request);
        assert!(String::from_utf8_lossy(&first.body).contains("<title>&lt;3&gt; \u{b7} vigie"));
        request.headers.insert(header::IF_NONE_MATCH, first.headers[header::ETAG].clone());
        let again = page().into_response(&request);
        assert!(again.status == StatusCode::NOT_MODIFIED && again.body.is_empty());
        assert_eq!(again.headers[header::X_FRAME_OPTIONS], "DENY");
        request.headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let compressed = Page { title: "other".into(), ..page() }.into_response(&request);
        assert_eq!(compressed.headers[header::CONTENT_ENCODING], "gzip");
        assert!(compressed.body.starts_with(&[0x1f, 0x8b]) && compressed.body.len() < 1_400);
        let changed = Page { title: "4".into(), ..page() };
        assert_eq!(changed.into_response(&request).status, StatusCode::OK);
    }

    #[test]
    fn the_icon_has_the_number() {
        let icon = |badge| Page { badge, ..page() }.icon();
        assert!(
            icon(Some((7, Severity::Critical))).contains("b3141d") && icon(None).contains("2c7a3f")
        );
        assert!(icon(Some((7, Severity::Info))).contains("%3E7%3C"));
        assert!(icon(Some((1234, Severity::Other))).contains("99+"));
    }
}
