//! What the next hop is sent.

use http::{
    HeaderMap, HeaderValue, Method, Request, Uri, Version, header,
    uri::{Authority, PathAndQuery, Scheme},
};

use super::{
    headers::{prepare_for_http2, prepare_upgrade},
    request_body::RequestBody,
};

/// The head of a request, ready for either protocol.
#[derive(Clone, Debug)]
pub(super) struct Head {
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
    /// The request for HTTP/1.1 or HTTP/2.
    pub(super) fn into_request(mut self, http2: bool, body: RequestBody) -> Request<RequestBody> {
        let mut uri = http::uri::Parts::default();
        uri.path_and_query = Some(self.path_and_query);
        if http2 {
            prepare_for_http2(&mut self.headers, self.trailers);
            uri.scheme = Some(Scheme::HTTP);
            uri.authority = Some(self.authority);
        } else {
            if let Ok(host) = HeaderValue::from_str(self.authority.as_str()) {
                self.headers.insert(header::HOST, host);
            }
            if let Some(protocol) = self.upgrade.take() {
                prepare_upgrade(&mut self.headers, protocol);
            }
        }
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        // All parts came out of a valid Uri, or only the path is set.
        *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
        *request.headers_mut() = self.headers;
        *request.version_mut() = if http2 {
            Version::HTTP_2
        } else {
            Version::HTTP_11
        };
        request
    }
}
