//! Rules × hostnames × matches, flattened and indexed: a request meets only the alternatives
//! that its host and path leave, in order of precedence.

use std::sync::Arc;

use regex::{Regex, RegexSet, RegexSetBuilder};

use super::{
    conditions::{Conditions, Unmet},
    findings::{Findings, rule_name},
    hosts::{HostMap, HostPattern, Index},
    precedence::Precedence,
    rule::CompiledHttpRule,
    value::anchored,
};
use crate::{
    documents::{HttpMatch, HttpRule, PathMatch},
    facts::{NormalHttp, Peer},
    path,
    problem::Problem,
};

/// Beyond this many distinct expressions one pass over the path by a set is cheaper than one
/// pass each, even though the set allocates its answer.
const REGEX_SET_FROM: usize = 8;

/// A condition on the path.
#[derive(Clone, Debug)]
pub(crate) enum PathCondition {
    Exact(Box<str>),
    Regex(Arc<PathRegex>),
    /// Without trailing slash: empty means every path.
    Prefix(Box<str>),
}

#[derive(Debug)]
pub(crate) struct PathRegex {
    pub(crate) pattern: Box<str>,
    regex: Regex,
}

impl PathCondition {
    /// Rule paths are written by people: they are brought to the form that requests have.
    fn compile(path: Option<&PathMatch>) -> Result<Self, String> {
        fn normal(path: &str) -> Result<std::borrow::Cow<'_, str>, String> {
            path::normalise(path).map_err(|why| why.to_string())
        }
        Ok(match path {
            None => Self::Prefix("".into()),
            Some(PathMatch::Exact(path)) => Self::Exact(normal(path)?.into()),
            Some(PathMatch::Prefix(prefix)) => {
                Self::Prefix(normal(prefix)?.trim_end_matches('/').into())
            }
            Some(PathMatch::Regex(pattern)) => Self::Regex(Arc::new(PathRegex {
                pattern: pattern.as_str().into(),
                regex: anchored(pattern)?,
            })),
        })
    }

    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(wanted) => **wanted == *path,
            Self::Regex(wanted) => wanted.regex.is_match(path),
            Self::Prefix(prefix) => {
                prefix.is_empty()
                    || path
                        .strip_prefix(&**prefix)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
        }
    }
}

/// One way to reach a rule.
#[derive(Debug)]
pub(crate) struct Alternative {
    pub(crate) precedence: Precedence,
    host: HostPattern,
    path: PathCondition,
    conditions: Arc<Conditions>,
    rule: usize,
}

impl Alternative {
    /// How many bytes of a matching path a ReplacePrefix rewrite takes away.
    fn matched_prefix(&self, path: &str) -> usize {
        match &self.path {
            PathCondition::Exact(_) => path.len(),
            PathCondition::Regex(_) => 0,
            PathCondition::Prefix(prefix) => prefix.len(),
        }
    }

    /// Whether host and path take in all that those of `narrow` do. `false` where it cannot be
    /// shown: nothing is concluded from expressions, except that an equal one is equal and that
    /// `.*` takes in everything.
    pub(crate) fn covers_target_of(&self, narrow: &Self) -> bool {
        let path = match (&self.path, &narrow.path) {
            (PathCondition::Regex(wide), _) if matches!(&*wide.pattern, ".*" | "/.*") => true,
            (PathCondition::Regex(wide), PathCondition::Regex(narrow)) => {
                wide.pattern == narrow.pattern
            }
            (wide, PathCondition::Exact(path)) => wide.matches(path),
            (PathCondition::Prefix(_), PathCondition::Prefix(prefix)) => self.path.matches(prefix),
            _ => false,
        };
        path && self.host.covers(&narrow.host)
    }

    /// The first condition that does not hold, host and path included.
    fn unmet(&self, request: &NormalHttp<'_>, peer: &Peer<'_>) -> Result<(), Unmet<'_>> {
        if !self.host.matches(request.host) {
            return Err(Unmet::Host);
        }
        if !self.path.matches(request.path) {
            return Err(Unmet::Path);
        }
        self.conditions.check(request, peer)
    }
}

/// The rules of one port or listener, ready to match.
#[derive(Debug, Default)]
pub(crate) struct RouteTable {
    rules: Vec<CompiledHttpRule>,
    /// By precedence, the winner first.
    alternatives: Vec<Alternative>,
    hosts: HostMap<PathIndex>,
}

/// The rule that won.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Match<'c> {
    pub(crate) rule: &'c CompiledHttpRule,
    /// How many bytes of the path a ReplacePrefix rewrite takes away.
    pub(crate) prefix: usize,
    /// The alternative's place in the order of precedence.
    place: usize,
}

impl RouteTable {
    pub(crate) fn compile<'d>(
        rules: impl IntoIterator<Item = &'d HttpRule>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut table = Self::default();
        for (at, rule) in rules.into_iter().enumerate() {
            let findings = &mut Findings::new("VirtualRoute", &rule.id, problems);
            table.rules.push(CompiledHttpRule::compile(rule, findings));
            table.add_alternatives(at, rule, findings);
        }
        // Kept for as long as the service is in use, and by thousands: no room to grow.
        table.rules.shrink_to_fit();
        table.alternatives.shrink_to_fit();
        table.alternatives.sort_by_key(|entry| entry.precedence);
        for (place, entry) in table.alternatives.iter().enumerate() {
            table.hosts.entry(&entry.host).add(&entry.path, place);
        }
        for index in table.hosts.values_mut() {
            index.finish();
        }
        table
    }

    fn add_alternatives(&mut self, at: usize, rule: &HttpRule, findings: &mut Findings<'_>) {
        let name = rule_name(&rule.id);
        let mut hosts = Vec::with_capacity(rule.hostnames.len().max(1));
        for (place, hostname) in rule.hostnames.iter().enumerate() {
            match HostPattern::compile(hostname) {
                Ok(host) => hosts.push(host),
                Err(why) => findings.invalid(
                    format!("spec.hostnames[{place}]"),
                    why,
                    "use a DNS name, or `*.` before one",
                ),
            }
        }
        // Only a rule that named no host means every host.
        if rule.hostnames.is_empty() {
            hosts.push(HostPattern::Any);
        }
        let everything = [HttpMatch::default()];
        let matches = if rule.matches.is_empty() {
            &everything[..]
        } else {
            &rule.matches
        };
        for (place, source) in matches.iter().enumerate() {
            let field = format!("spec.http[{name}].matches[{place}]");
            let path = PathCondition::compile(source.path.as_ref());
            let conditions = Conditions::compile(source, &field, findings).map(Arc::new);
            let (path, conditions) = match (path, conditions) {
                (Ok(path), Some(conditions)) => (path, conditions),
                (Ok(_), None) => continue,
                (Err(why), _) => {
                    findings.invalid(
                        format!("{field}.path.value"),
                        why,
                        "correct the path: absolute and without encoded slashes, or an expression in RE2 syntax",
                    );
                    continue;
                }
            };
            for (host_place, host) in hosts.iter().enumerate() {
                let counts = conditions.counts();
                self.alternatives.push(Alternative {
                    precedence: Precedence::of(host, &path, counts, (at, place, host_place)),
                    host: host.clone(),
                    path: path.clone(),
                    conditions: Arc::clone(&conditions),
                    rule: at,
                });
            }
        }
    }

    /// Every alternative, by precedence.
    pub(crate) fn alternatives(&self) -> &[Alternative] {
        &self.alternatives
    }

    /// The rule that wins, if one matches.
    pub(crate) fn find(&self, request: &NormalHttp<'_>, peer: &Peer<'_>) -> Option<Match<'_>> {
        self.hosts.matching(request.host).find_map(|index| {
            index.find(request.path, |place| {
                let entry = self.alternatives.get(place)?;
                entry.conditions.check(request, peer).ok()?;
                Some(Match {
                    rule: self.rules.get(entry.rule)?,
                    prefix: entry.matched_prefix(request.path),
                    place,
                })
            })
        })
    }

    /// Every alternative in order of precedence down to `winner`, with what it lacked.
    pub(crate) fn considered<'c>(
        &'c self,
        winner: Option<Match<'c>>,
        request: &'c NormalHttp<'c>,
        peer: &'c Peer<'c>,
    ) -> impl Iterator<Item = Considered<'c>> {
        let until = winner.map_or(self.alternatives.len(), |winner| winner.place + 1);
        self.alternatives
            .iter()
            .take(until)
            .filter_map(move |entry| {
                Some(Considered {
                    rule: self.rules.get(entry.rule)?,
                    path: &entry.path,
                    unmet: entry.unmet(request, peer),
                })
            })
    }
}

/// An alternative that was looked at.
pub(crate) struct Considered<'c> {
    pub(crate) rule: &'c CompiledHttpRule,
    path: &'c PathCondition,
    /// The first condition that does not hold.
    pub(crate) unmet: Result<(), Unmet<'c>>,
}

impl Considered<'_> {
    /// What matched, or what did not.
    pub(crate) fn detail(&self) -> String {
        let path = match self.path {
            PathCondition::Exact(path) => format!("Exact {path}"),
            PathCondition::Regex(regex) => format!("Regex {}", regex.pattern),
            PathCondition::Prefix(prefix) if prefix.is_empty() => "every path".to_owned(),
            PathCondition::Prefix(prefix) => format!("Prefix {prefix}"),
        };
        match self.unmet {
            Ok(()) => path,
            Err(Unmet::Path) => format!("the path is not {path}"),
            Err(why) => format!("{path}: {why}"),
        }
    }
}

/// The alternatives of one host by path. Each list is in order of precedence.
#[derive(Debug, Default)]
struct PathIndex {
    exact: Index<Vec<usize>>,
    /// Expression and alternative; over all expressions in order of precedence.
    regex: Vec<(Arc<PathRegex>, usize)>,
    set: Option<Box<RegexSet>>,
    prefix: Index<Vec<usize>>,
    longest_prefix: usize,
    /// Those that take every path: mostly all there are.
    every: Vec<usize>,
}

impl PathIndex {
    fn add(&mut self, path: &PathCondition, place: usize) {
        match path {
            PathCondition::Exact(path) => self.exact.entry(path.clone()).or_default().push(place),
            PathCondition::Regex(regex) => self.regex.push((Arc::clone(regex), place)),
            PathCondition::Prefix(prefix) if prefix.is_empty() => self.every.push(place),
            PathCondition::Prefix(prefix) => {
                self.longest_prefix = self.longest_prefix.max(prefix.len());
                self.prefix.entry(prefix.clone()).or_default().push(place);
            }
        }
    }

    fn finish(&mut self) {
        self.every.shrink_to_fit();
        if self.regex.len() >= REGEX_SET_FROM {
            let patterns = self.regex.iter().map(|(regex, _)| regex.regex.as_str());
            // A set that grows too large is no mistake of its members: they are asked one by one.
            self.set = RegexSetBuilder::new(patterns)
                .size_limit(4 << 20)
                .dfa_size_limit(4 << 20)
                .build()
                .ok()
                .map(Box::new);
        }
    }

    /// The first alternative, in order of precedence, that `accept` takes.
    fn find<T>(&self, path: &str, mut accept: impl FnMut(usize) -> Option<T>) -> Option<T> {
        if !self.exact.is_empty()
            && let Some(found) = first(self.exact.get(path), &mut accept)
        {
            return Some(found);
        }
        if !self.regex.is_empty()
            && let Some(found) = self.find_by_regex(path, &mut accept)
        {
            return Some(found);
        }
        if self.longest_prefix > 0 {
            // Only as deep as the longest prefix: a path of a thousand segments costs no more.
            let whole = (path.len() <= self.longest_prefix).then_some(path);
            let head = path.len().min(self.longest_prefix + 1);
            let parents = path
                .as_bytes()
                .get(..head)
                .unwrap_or_default()
                .iter()
                .enumerate()
                .rev()
                .filter(|(at, octet)| *at > 0 && **octet == b'/')
                .filter_map(|(at, _)| path.get(..at));
            for candidate in whole.into_iter().chain(parents) {
                if let Some(found) = first(self.prefix.get(candidate), &mut accept) {
                    return Some(found);
                }
            }
        }
        first(Some(&self.every), &mut accept)
    }

    fn find_by_regex<T>(
        &self,
        path: &str,
        accept: &mut impl FnMut(usize) -> Option<T>,
    ) -> Option<T> {
        match &self.set {
            Some(set) => set
                .matches(path)
                .iter()
                .filter_map(|member| self.regex.get(member))
                .find_map(|(_, place)| accept(*place)),
            // The other conditions are cheaper than an expression.
            None => self
                .regex
                .iter()
                .find_map(|(regex, place)| accept(*place).filter(|_| regex.regex.is_match(path))),
        }
    }
}

fn first<T>(places: Option<&Vec<usize>>, accept: &mut impl FnMut(usize) -> Option<T>) -> Option<T> {
    places?.iter().find_map(|place| accept(*place))
}

#[cfg(test)]
mod tests;
