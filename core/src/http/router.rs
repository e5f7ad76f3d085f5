//! Which route answers a path and a method.
//!
//! A table is immutable; a reload replaces it whole while the server goes on, so that a request
//! sees either the old one or the new one. It must not know sockets.

use std::sync::{Arc, PoisonError, RwLock};

use http::Method;

use super::Route;

/// The routes of one port, most particular first.
#[derive(Debug, Default)]
pub struct Router {
    routes: Vec<Route>,
}

impl Router {
    /// Sorts routes so that a literal path wins over one that captures.
    #[must_use]
    pub fn new(mut routes: Vec<Route>) -> Self {
        routes.sort_by_key(|route| breadth(&route.path));
        Router { routes }
    }

    /// Finds who answers. `HEAD` finds the route of `GET` where it has none of its own.
    #[must_use]
    pub fn find(&self, method: &Method, path: &str) -> Found<'_> {
        let matching =
            || self.routes.iter().filter_map(|route| Some((route, route.captures(path)?)));
        let with = |wanted: &Method| matching().find(|(route, _)| route.method == *wanted);
        let found = with(method).or_else(|| {
            let head = *method == Method::HEAD;
            head.then(|| with(&Method::GET)).flatten()
        });
        if let Some((route, captures)) = found {
            return Found::Route(route, captures);
        }
        let mut allowed: Vec<&str> = matching().map(|(route, _)| route.method.as_str()).collect();
        if allowed.contains(&"GET") {
            allowed.push("HEAD");
        }
        allowed.sort_unstable();
        allowed.dedup();
        if allowed.is_empty() { Found::Nothing } else { Found::OtherMethods(allowed.join(", ")) }
    }
}

/// What [`Router::find`] found.
#[derive(Debug)]
pub enum Found<'a> {
    /// A route, and what its pattern captured.
    Route(&'a Route, Vec<String>),
    /// The path exists for other methods: the value of `Allow` (RFC 9110, section 10.2.1).
    OtherMethods(String),
    /// No such path.
    Nothing,
}

/// A router that can be replaced while it is in use. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Routes(Arc<RwLock<Arc<Router>>>);

impl Routes {
    /// Starts with these routes.
    #[must_use]
    pub fn new(routes: Vec<Route>) -> Self {
        Routes(Arc::new(RwLock::new(Arc::new(Router::new(routes)))))
    }

    /// Replaces all routes; requests under way finish with the old ones.
    pub fn replace(&self, routes: Vec<Route>) {
        let router = Arc::new(Router::new(routes));
        // A lock is poisoned only between these two pointers, both of which are whole.
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = router;
    }

    /// The routes as they are now.
    #[must_use]
    pub fn current(&self) -> Arc<Router> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How much a pattern matches: nothing but itself, segments, or any rest.
fn breadth(pattern: &str) -> (bool, usize) {
    (pattern.ends_with("...}"), pattern.matches('{').count())
}

#[cfg(test)]
mod tests {
    use super::super::{Listener, Response, StatusCode};
    use super::*;

    fn route(method: Method, path: &str) -> Route {
        let handler = |_| async { Response::new(StatusCode::OK) };
        Route::new(Listener::Alerting, method, path, handler)
    }

    fn shown(router: &Router, method: &Method, path: &str) -> String {
        match router.find(method, path) {
            Found::Route(route, captures) => {
                format!("{} {} {captures:?}", route.method, route.path)
            }
            Found::OtherMethods(allow) => format!("allow {allow}"),
            Found::Nothing => "nothing".to_owned(),
        }
    }

    #[test]
    fn the_most_particular_route_answers() {
        let router = Router::new(vec![
            route(Method::GET, "/{file...}"),
            route(Method::GET, "/a/{id}"),
            route(Method::DELETE, "/a/{id}"),
            route(Method::GET, "/a/b"),
        ]);
        assert_eq!(shown(&router, &Method::GET, "/a/b"), "GET /a/b []");
        assert_eq!(shown(&router, &Method::GET, "/a/c"), r#"GET /a/{id} ["c"]"#);
        assert_eq!(shown(&router, &Method::GET, "/x/y"), r#"GET /{file...} ["x/y"]"#);
        assert_eq!(shown(&router, &Method::HEAD, "/a/c"), r#"GET /a/{id} ["c"]"#);
        assert_eq!(shown(&router, &Method::PUT, "/a/c"), "allow DELETE, GET, HEAD");
    }

    #[test]
    fn a_replaced_table_leaves_the_old_one_to_its_holders() {
        let routes = Routes::new(vec![route(Method::GET, "/old")]);
        let held = routes.current();
        routes.replace(vec![route(Method::POST, "/new")]);
        assert_eq!(shown(&held, &Method::GET, "/old"), "GET /old []");
        assert_eq!(shown(&routes.current(), &Method::GET, "/old"), "nothing");
        assert_eq!(shown(&routes.current(), &Method::GET, "/new"), "allow POST");
    }
}
