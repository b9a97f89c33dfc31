//! Redirects and their `Location` (RFC 9110 10.2.2, Gateway API HTTPRequestRedirectFilter).

use std::fmt::Write;

use http::StatusCode;

use super::{
    findings::Findings,
    hosts::HostPattern,
    rewrite::{CompiledPathRewrite, with_query},
};
use crate::{authority, documents::Redirect};

/// A compiled [`Redirect`].
#[derive(Clone, Debug)]
pub struct CompiledRedirect {
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
    scheme: Option<Box<str>>,
    hostname: Option<Box<str>>,
    port: Option<u16>,
    path: Option<CompiledPathRewrite>,
}

/// What a redirect keeps of the request.
#[derive(Clone, Copy, Debug)]
pub struct RedirectedRequest<'r> {
    /// `http` or `https`, as the client used it.
    pub scheme: &'r str,
    /// The Host header or `:authority`.
    pub authority: &'r str,
    /// The port of the listener (gateway) or service (mesh) that the request came to.
    pub port: u16,
    /// The normalised path and query.
    pub path_and_query: &'r str,
    /// [`crate::decide::HttpDecision::matched_prefix`].
    pub matched_prefix: usize,
}

impl CompiledRedirect {
    pub(crate) fn compile(
        redirect: &Redirect,
        field: &str,
        findings: &mut Findings<'_>,
    ) -> Option<Self> {
        let status = match redirect.status_code {
            // The Gateway API's default.
            0 => StatusCode::FOUND,
            code @ (301 | 302 | 303 | 307 | 308) => StatusCode::from_u16(code).ok()?,
            code => {
                findings.invalid(
                    format!("{field}.statusCode"),
                    format!("{code} is no redirect"),
                    "use 301, 302, 303, 307 or 308",
                );
                return None;
            }
        };
        if let Some(scheme) = &redirect.scheme
            && !matches!(&**scheme, "http" | "https")
        {
            findings.invalid(
                format!("{field}.scheme"),
                format!("`{scheme}` is no scheme that a redirect may name"),
                "use http or https",
            );
            return None;
        }
        if let Some(hostname) = &redirect.hostname
            && !matches!(HostPattern::compile(hostname), Ok(HostPattern::Exact(_)))
        {
            findings.invalid(
                format!("{field}.hostname"),
                format!("`{hostname}` is no hostname"),
                "use a DNS name without wildcard or port",
            );
            return None;
        }
        let path = match &redirect.path {
            None => None,
            Some(path) => Some(CompiledPathRewrite::compile(
                path,
                &format!("{field}.path"),
                findings,
            )?),
        };
        Some(Self {
            status,
            scheme: redirect.scheme.as_deref().map(Box::from),
            hostname: redirect.hostname.as_deref().map(Box::from),
            port: redirect.port,
            path,
        })
    }

    /// The `Location`.
    ///
    /// Port: the redirect's; else, where it names a scheme, that scheme's own; else the
    /// listener's. 80 with http and 443 with https are left out. A request without a host gets
    /// a relative reference.
    pub fn location(&self, request: &RedirectedRequest<'_>) -> String {
        let (path, _) = split_query(request.path_and_query);
        let path = match &self.path {
            Some(rewrite) => rewrite.apply(path, request.matched_prefix),
            None => path.into(),
        };
        let target = with_query(path, request.path_and_query);
        let kept = authority::split(request.authority).map_or("", |(host, _)| host);
        let host = self.hostname.as_deref().unwrap_or(kept);
        if host.is_empty() {
            return target.into_owned();
        }
        let scheme = self.scheme.as_deref().unwrap_or(request.scheme);
        let well_known = if scheme == "https" { 443 } else { 80 };
        let port = match (self.port, &self.scheme) {
            (Some(port), _) => port,
            (None, Some(_)) => well_known,
            (None, None) => request.port,
        };
        let mut location = format!("{scheme}://{host}");
        if port != well_known {
            // Writing to a String does not fail.
            let _ = write!(location, ":{port}");
        }
        location.push_str(&target);
        location
    }
}

/// Path and query of a request target.
pub(crate) fn split_query(path_and_query: &str) -> (&str, Option<&str>) {
    match path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path_and_query, None),
    }
}
