//! What the next hop is sent.

use http::{
    HeaderMap, HeaderValue, Method, Request, Uri, Version,
    uri::{Authority, PathAndQuery, Scheme},
};

use super::{headers::prepare_for_http2, request_body::RequestBody};
use crate::h1;

/// The head of a request, ready for either protocol.
#[derive(Debug)]
pub(crate) struct Head {
    pub method: Method,
    pub authority: Authority,
    pub path_and_query: PathAndQuery,
    pub headers: HeaderMap,
    /// The client takes trailers.
    pub trailers: bool,
    /// The protocol to switch to.
    pub upgrade: Option<HeaderValue>,
}

impl Head {
    /// The request in HTTP/1.1: written from here, as often as attempts are made.
    pub(crate) fn to_http1(&self) -> h1::RequestHead<'_> {
        h1::RequestHead {
            method: &self.method,
            target: self.path_and_query.as_str(),
            host: self.authority.as_str(),
            headers: &self.headers,
            upgrade: self.upgrade.as_ref(),
        }
    }

    /// The request in HTTP/2.
    pub(crate) fn to_http2(&self, body: RequestBody) -> Request<RequestBody> {
        let mut uri = http::uri::Parts::default();
        uri.path_and_query = Some(self.path_and_query.clone());
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(self.authority.clone());
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        // All parts came out of a valid Uri.
        *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
        *request.headers_mut() = self.headers.clone();
        prepare_for_http2(request.headers_mut(), self.trailers);
        *request.version_mut() = Version::HTTP_2;
        request
    }
}
