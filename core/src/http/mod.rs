//! HTTP: neutral requests, responses and routes, and the one server behind them.
//!
//! Plugins offer routes in these types; hyper lives in `server` and nowhere else. It must not know
//! what any route answers.

mod route;
mod router;
#[cfg(feature = "runtime")]
mod server;
#[cfg(feature = "runtime")]
mod web;

pub use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
pub use bytes::Bytes;
pub use route::{Handler, Listener, Query, Request, Response, Route};
pub use router::{Found, Router, Routes};
#[cfg(feature = "runtime")]
pub use server::{Inherited, Limits, Server, ServerError};
#[cfg(feature = "runtime")]
pub use web::WebConfigFile;
