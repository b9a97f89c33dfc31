//! What a rule speaks of.

use http::{HeaderMap, HeaderName};

use super::{
    authorization::Polarity, hosts::HostPattern, path_pattern::PathPattern, value::ValueCondition,
};
use crate::{
    documents::{HeaderCondition, RuleTo, ValueMatch},
    facts::{NormalHttp, Traffic},
};

/// A compiled [`RuleTo`].
#[derive(Debug)]
pub(crate) struct Operation {
    to: RuleTo,
    paths: Vec<PathPattern>,
    not_paths: Vec<PathPattern>,
    hosts: Vec<HostPattern>,
    not_hosts: Vec<HostPattern>,
}

impl Operation {
    /// An error names the field and what is wrong.
    pub(crate) fn compile(to: &RuleTo) -> Result<Self, (String, String)> {
        fn each<T>(
            values: &[String],
            field: &str,
            compile: impl Fn(&str) -> Result<T, String>,
        ) -> Result<Vec<T>, (String, String)> {
            let named = |(at, value): (usize, &String)| {
                compile(value).map_err(|why| (format!("{field}[{at}]"), why))
            };
            values.iter().enumerate().map(named).collect()
        }
        Ok(Self {
            paths: each(&to.paths, "paths", PathPattern::compile)?,
            not_paths: each(&to.not_paths, "notPaths", PathPattern::compile)?,
            hosts: each(&to.hosts, "hosts", HostPattern::compile)?,
            not_hosts: each(&to.not_hosts, "notHosts", HostPattern::compile)?,
            // What is compiled above is not kept twice.
            to: RuleTo {
                methods: to.methods.clone(),
                not_methods: to.not_methods.clone(),
                ports: to.ports.clone(),
                not_ports: to.not_ports.clone(),
                ..RuleTo::default()
            },
        })
    }

    /// The first field that does not hold.
    pub(crate) fn check(
        &self,
        traffic: &Traffic<'_>,
        polarity: Polarity,
    ) -> Result<(), &'static str> {
        let port = |port: &u16| *port == traffic.port;
        if !holds(&self.to.ports, &self.to.not_ports, port) {
            return Err("ports");
        }
        match traffic.http {
            Some(request) => self.check_http(request),
            None if self.has_http_conditions() && polarity == Polarity::Permit => {
                Err("an HTTP condition, on TCP,")
            }
            None => Ok(()),
        }
    }

    fn check_http(&self, request: &NormalHttp<'_>) -> Result<(), &'static str> {
        let method = |method: &String| method == request.method;
        if !holds(&self.to.methods, &self.to.not_methods, method) {
            return Err("methods");
        }
        let path = |pattern: &PathPattern| pattern.matches(request.path);
        if !holds(&self.paths, &self.not_paths, path) {
            return Err("paths");
        }
        let host = |pattern: &HostPattern| pattern.matches(request.host);
        if !holds(&self.hosts, &self.not_hosts, host) {
            return Err("hosts");
        }
        Ok(())
    }

    fn has_http_conditions(&self) -> bool {
        !(self.to.methods.is_empty()
            && self.to.not_methods.is_empty()
            && self.paths.is_empty()
            && self.not_paths.is_empty()
            && self.hosts.is_empty()
            && self.not_hosts.is_empty())
    }
}

fn holds<T>(any: &[T], none: &[T], matches: impl Fn(&T) -> bool) -> bool {
    (any.is_empty() || any.iter().any(&matches)) && !none.iter().any(&matches)
}

/// A compiled [`HeaderCondition`].
///
/// A header may be sent more than once, and the application may read any of them: an Allow rule
/// wants every one to be fit, a Deny rule is content with one.
#[derive(Debug)]
pub(crate) struct HeaderRequirement {
    pub(crate) name: HeaderName,
    values: Vec<ValueCondition>,
    not_values: Vec<ValueCondition>,
}

impl HeaderRequirement {
    /// An error names the field and what is wrong.
    pub(crate) fn compile(condition: &HeaderCondition) -> Result<Self, (String, String)> {
        let name = HeaderName::from_bytes(condition.name.as_bytes()).map_err(|_| {
            let why = format!("`{}` is no header name", condition.name);
            ("key".to_owned(), why)
        })?;
        let each = |conditions: &[ValueMatch], field: &str| {
            let named = |(at, value)| {
                ValueCondition::compile(value).map_err(|why| (format!("{field}[{at}]"), why))
            };
            conditions
                .iter()
                .enumerate()
                .map(named)
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            name,
            values: each(&condition.values, "values")?,
            not_values: each(&condition.not_values, "notValues")?,
        })
    }

    pub(crate) fn holds(&self, headers: &HeaderMap, polarity: Polarity) -> bool {
        let fit = |value: Option<&[u8]>| {
            (self.values.is_empty() || self.values.iter().any(|wanted| wanted.holds(value)))
                && !self.not_values.iter().any(|refused| refused.holds(value))
        };
        let mut sent = headers.get_all(&self.name).iter().peekable();
        if sent.peek().is_none() {
            return fit(None);
        }
        let mut sent = sent.map(|value| fit(Some(value.as_bytes())));
        match polarity {
            Polarity::Permit => sent.all(|fit| fit),
            Polarity::Refuse => sent.any(|fit| fit),
        }
    }
}
