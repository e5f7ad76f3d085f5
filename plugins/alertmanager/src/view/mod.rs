//! The alert view: what fires, who was told, and what holds the rest back.
//!
//! Pages rendered here and readable without a script; everything is done by links and forms. It
//! must not know the API.

mod age;
mod assets;
mod card;
mod form;
mod guard;
mod html;
mod labels;
mod look;
mod overview;
mod page;
mod selection;
mod severity;
mod silences;
mod terms;

use std::future::Future;

use vigie_core::http::{
    HeaderValue, Listener, Method, Query, Request, Response, Route, StatusCode, header,
};
use vigie_core::route::{Silence, SilenceError};

use self::form::Draft;
use self::look::Look;
use self::overview::trouble;
use self::page::{Page, secure};
use self::selection::Selection;
use crate::router::{Backend, ReadError};

/// Bytes of a form: a silence with long texts.
const FORM_LIMIT: usize = 64 << 10;

/// The routes of the pages, their forms, and the files they need.
pub(crate) fn routes(backend: &Backend) -> Vec<Route> {
    vec![
        on(backend, Method::GET, "/", overview),
        on(backend, Method::GET, "/silences", all_silences),
        on(backend, Method::GET, "/silences/new", new_silence),
        on(backend, Method::POST, "/silences", set_silence),
        on(backend, Method::GET, "/silence/{id}", one_silence),
        on(backend, Method::GET, "/silence/{id}/edit", edit_silence),
        on(backend, Method::POST, "/silence/{id}/expire", expire_silence),
        asset(&assets::STYLE),
        asset(&assets::SCRIPT),
    ]
}

fn on<F, R>(backend: &Backend, method: Method, path: &'static str, handler: F) -> Route
where
    F: Fn(Backend, Request) -> R + Send + Sync + Clone + 'static,
    R: Future<Output = Response> + Send + 'static,
{
    let backend = backend.clone();
    let limit = if method == Method::POST { FORM_LIMIT } else { 0 };
    let handler = move |request| handler(backend.clone(), request);
    Route::new(Listener::Alerting, method, path, handler).body_limit(limit)
}

fn asset(asset: &'static assets::Asset) -> Route {
    let handler = move |_| async move { asset.response() };
    Route::new(Listener::Alerting, Method::GET, asset.path(), handler)
}

async fn overview(backend: Backend, request: Request) -> Response {
    draw(&backend, request, |view, request| {
        overview::page(view, &Selection::from_query(&request.query))
    })
    .await
}

async fn all_silences(backend: Backend, request: Request) -> Response {
    draw(&backend, request, |view, _| silences::page(view)).await
}

async fn new_silence(backend: Backend, request: Request) -> Response {
    draw(&backend, request, |view, request| Draft::from_query(&request.query).page(view, None))
        .await
}

async fn one_silence(backend: Backend, request: Request) -> Response {
    draw(&backend, request, |view, request| with_silence(view, request, silences::one)).await
}

async fn edit_silence(backend: Backend, request: Request) -> Response {
    draw(&backend, request, |view, request| {
        with_silence(view, request, |view, silence| Draft::of(silence, view).page(view, None))
    })
    .await
}

/// A page of the silence that the path names.
fn with_silence(
    view: &Look<'_>,
    request: &Request,
    page: impl FnOnce(&Look<'_>, &Silence) -> Page,
) -> Page {
    let id = request.captures.first().map_or("", String::as_str);
    match view.silences.iter().find(|silence| silence.id == id) {
        Some(silence) => page(view, silence),
        None => trouble(StatusCode::NOT_FOUND, "No such silence", "It may have ended long ago."),
    }
}

/// Answers with a page made of a snapshot.
async fn draw(
    backend: &Backend,
    request: Request,
    make: impl FnOnce(&Look<'_>, &Request) -> Page + Send + 'static,
) -> Response {
    let drawn = backend
        .read(move |view, now| make(&Look::new(view, now), &request).into_response(&request));
    drawn.await.unwrap_or_else(|error| unavailable(&error))
}

fn unavailable(error: &ReadError) -> Response {
    let page = trouble(StatusCode::SERVICE_UNAVAILABLE, "vigie cannot answer", &error.to_string());
    page.into_response(&Request::new(Method::GET, "/", ""))
}

async fn set_silence(backend: Backend, request: Request) -> Response {
    let form = match form(&request) {
        Ok(form) => form,
        Err(refused) => return refused.page().into_response(&request),
    };
    let draft = Draft::from_query(&form);
    let view = match backend.router.view().await {
        Ok(view) => view,
        Err(error) => return unavailable(&error.into()),
    };
    let look = Look::new(&view, backend.clock.now());
    let refuse = |status, error: String| {
        let page = Page { status, ..draft.page(&look, Some(&error)) };
        page.into_response(&request)
    };
    let posted = match draft.read(&look) {
        Ok(posted) => posted,
        Err(error) => return refuse(StatusCode::UNPROCESSABLE_ENTITY, error),
    };
    match backend.router.set_silence(posted).await {
        Ok(id) => see_other(&format!("/silence/{id}")),
        Err(error) => refuse(status_of(&error), error.to_string()),
    }
}

async fn expire_silence(backend: Backend, request: Request) -> Response {
    if let Err(refused) = form(&request) {
        return refused.page().into_response(&request);
    }
    let id = request.captures.first().map_or("", String::as_str);
    match backend.router.expire_silence(id).await {
        Ok(()) => see_other("/silences"),
        Err(error) => {
            let status = status_of(&error);
            trouble(status, "The silence still stands", &error.to_string()).into_response(&request)
        }
    }
}

const fn status_of(error: &SilenceError) -> StatusCode {
    match error {
        SilenceError::NotFound(_) => StatusCode::NOT_FOUND,
        SilenceError::Invalid(_) | SilenceError::Full(_) => StatusCode::UNPROCESSABLE_ENTITY,
        SilenceError::Storage { full: true, .. } => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Why a form is not even read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    CrossSite,
    NoForm,
}

impl Refused {
    fn page(self) -> Page {
        match self {
            Refused::CrossSite => {
                let message = "The form was sent from a page of another site.";
                trouble(StatusCode::FORBIDDEN, "Not from here", message)
            }
            Refused::NoForm => {
                let message = "A form is sent as application/x-www-form-urlencoded.";
                trouble(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Not a form", message)
            }
        }
    }
}

/// The fields of a form that our own page sent.
fn form(request: &Request) -> Result<Query, Refused> {
    if !guard::is_same_origin(request) {
        return Err(Refused::CrossSite);
    }
    let media_type = request.header(&header::CONTENT_TYPE).split(';').next().unwrap_or("").trim();
    let is_form = media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded");
    if !is_form && !request.body.is_empty() {
        return Err(Refused::NoForm);
    }
    Ok(Query::parse(&String::from_utf8_lossy(&request.body)))
}

/// After a form: another page, so that reloading does not send the form again.
fn see_other(path: &str) -> Response {
    let mut response = Response::new(StatusCode::SEE_OTHER);
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/silences"));
    response.headers.insert(header::LOCATION, location);
    secure(response)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use vigie_core::clock::SystemClock;
    use vigie_core::http::Bytes;

    use super::*;
    use crate::sample::Scripted;

    const ID: &str = "00000000-0000-4000-8000-000000000001";
    const FORM: &str = "filter=a%3D%22b%22&duration=2h&created_by=me&comment=why";

    async fn ask(broken: bool, method: Method, path: &str, body: &'static str) -> Response {
        let backend = Backend::new(Arc::new(Scripted { broken }), Arc::new(SystemClock));
        let mut request = Request::new(method.clone(), path, "");
        request.body = Bytes::from_static(body.as_bytes());
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers.insert(header::CONTENT_TYPE, form);
        let routes = routes(&backend);
        let mut found = routes.iter().filter(|route| route.method == method);
        let route = found.find_map(|route| Some((route, route.captures(path)?)));
        let (route, captures) = route.unwrap();
        request.captures = captures;
        route.handler.handle(request).await
    }

    #[tokio::test]
    async fn every_page_is_safe_to_show() {
        let edit = format!("/silence/{ID}/edit");
        for path in
            ["/", "/silences", "/silences/new", &edit, "/assets/app.js", "/assets/style.css"]
        {
            let page = ask(false, Method::GET, path, "").await;
            assert_eq!(page.status, StatusCode::OK, "{path}");
            let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"));
            assert_eq!(page.headers[header::X_FRAME_OPTIONS], "DENY");
        }
        let unknown = ask(false, Method::GET, "/silence/none", "").await;
        assert_eq!(unknown.status, StatusCode::NOT_FOUND);
        let broken = ask(true, Method::GET, "/", "").await;
        assert_eq!(broken.status, StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn forms_lead_to_another_page() {
        let made = ask(false, Method::POST, "/silences", FORM).await;
        assert_eq!(made.status, StatusCode::SEE_OTHER);
        assert_eq!(made.headers[header::LOCATION], "/silence/00000000-0000-4000-8000-000000000009");
        let ended = ask(false, Method::POST, &format!("/silence/{ID}/expire"), "").await;
        assert_eq!(ended.headers[header::LOCATION], "/silences");
        let unknown = ask(false, Method::POST, "/silence/none/expire", "").await;
        assert_eq!(unknown.status, StatusCode::NOT_FOUND);
        let refused = ask(false, Method::POST, "/silences", "filter=a%3D%22b%22&comment=x").await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(String::from_utf8_lossy(&refused.body).contains("Say who you are"));
    }

    #[test]
    fn forms_of_other_sites_are_refused() {
        let mut request = Request::new(Method::POST, "/silences", "");
        request.headers.insert(header::ORIGIN, HeaderValue::from_static("http://evil"));
        assert_eq!(form(&request), Err(Refused::CrossSite));
        let mut request = Request::new(Method::POST, "/silences", "");
        request.body = Bytes::from_static(b"{}");
        assert_eq!(form(&request), Err(Refused::NoForm));
        assert_eq!(Refused::NoForm.page().status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}
