//! Whether a form was sent from our own pages.
//!
//! A browser says where a form comes from; another site must not be able to silence alerts through
//! the browser of somebody who can reach us. It must not know what the form does.

use vigie_core::http::{HeaderName, Request, header};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether the request comes from our own page, or from no page at all (`curl`).
pub(super) fn is_same_origin(request: &Request) -> bool {
    let site = request.header(&SEC_FETCH_SITE);
    if !site.is_empty() {
        return site == "same-origin" || site == "none";
    }
    // Over plain HTTP browsers send no Sec-Fetch-Site, but an Origin with every POST.
    if !request.headers.contains_key(header::ORIGIN) {
        return true;
    }
    let host = request.header(&header::HOST);
    let origin = request.header(&header::ORIGIN);
    origin.split_once("://").is_some_and(|(_, from)| from.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use vigie_core::http::{HeaderValue, Method};

    use super::*;

    fn allowed(headers: &[(HeaderName, &'static str)]) -> bool {
        let mut request = Request::new(Method::POST, "/silences", "");
        request.headers.insert(header::HOST, HeaderValue::from_static("vigie:9094"));
        for (name, value) in headers {
            request.headers.insert(name.clone(), HeaderValue::from_static(value));
        }
        is_same_origin(&request)
    }

    #[test]
    fn other_sites_are_refused() {
        assert!(allowed(&[]));
        assert!(allowed(&[(header::ORIGIN, "http://vigie:9094")]));
        assert!(allowed(&[(SEC_FETCH_SITE, "same-origin"), (header::ORIGIN, "https://front")]));
        for origin in ["http://evil", "null", "http://vigie:80", "vigie:9094", "\u{1}"] {
            let Ok(value) = HeaderValue::from_str(origin) else { continue };
            let mut request = Request::new(Method::POST, "/", "");
            request.headers.insert(header::HOST, HeaderValue::from_static("vigie:9094"));
            request.headers.insert(header::ORIGIN, value);
            assert!(!is_same_origin(&request), "{origin}");
        }
        for site in ["cross-site", "same-site", "x"] {
            assert!(!allowed(&[(SEC_FETCH_SITE, site), (header::ORIGIN, "http://vigie:9094")]));
        }
    }
}
