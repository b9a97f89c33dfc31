//! What an object of our own kinds means, and what stands for one that was refused and never
//! meant anything.

use kube::Resource;
use weft_engine::{
    documents::{
        AuthAction, AuthRule, AuthorizationPolicy, HeaderChanges, HttpAction, HttpMatch, HttpRule,
        MtlsMode, PolicyMode, RouteTimeouts, Selector,
    },
    problem::Problem,
};

use super::facts::{AuthFacts, MeshFacts, Name, RouteFacts};
use crate::{
    AuthPolicy, MeshPolicy, VirtualRoute,
    object::{Kind, ObjectRef},
    reference::{AuthTarget, AuthTargetKind, MeshTarget, MeshTargetKind},
    translate::{self, Findings, MtlsSetting},
};

/// The rule of a policy that fails closed, as refusals name it.
const INVALID_RULE: &str = "invalid";

/// What facts were read from, age included: the same text, the same facts.
pub(super) fn digest(object: &impl Resource, spec: &impl serde::Serialize) -> String {
    // Specs are small and few; their text is the digest.
    let spec = serde_json::to_string(spec).unwrap_or_default();
    format!("{} {spec}", age(object))
}

fn age(object: &impl Resource) -> i64 {
    object
        .meta()
        .creation_timestamp
        .as_ref()
        .map_or(0, |time| time.0.as_second())
}

pub(super) fn route(name: &Name, object: &VirtualRoute) -> RouteFacts {
    let reference = ObjectRef::new(Kind::VirtualRoute, &*name.0, &*name.1);
    RouteFacts {
        age: age(object),
        parents: object.spec.parent_refs.clone(),
        rules: translate::route(
            &name.0,
            &name.1,
            &object.spec,
            &mut Findings::new(&reference, &mut Vec::new()),
        ),
    }
}

/// What stands for a refused route: the rules in which nothing is wrong, and 500 (a closed
/// connection, for TCP) for what the others match, as the Gateway API answers for a backend that
/// is not there. A problem that lies in no rule lies in all of them; a match in which something
/// is wrong matches everything that no other claims.
pub(super) fn closed_route(name: &Name, object: &VirtualRoute, refused: &[Problem]) -> RouteFacts {
    let mut facts = route(name, object);
    if facts.rules.http.is_empty() && facts.rules.tcp.is_empty() {
        let id = format!("{}/{}/0", name.0, name.1);
        facts
            .rules
            .http
            .push(closed_rule(id, Vec::new(), Vec::new()));
    }
    // A problem names a rule by its position, or by its name.
    let wrong = |kind: &str, at: usize, id: &str, below: &str| {
        let rule = id.splitn(3, '/').nth(2).unwrap_or_default();
        let mut fields = refused.iter().map(|problem| problem.field.as_str());
        let by_position = format!("spec.{kind}[{at}]{below}");
        let by_name = format!("spec.{kind}[{rule}]{below}");
        fields.any(|field| is_at(field, &by_position) || is_at(field, &by_name))
    };
    let rules = facts.rules.http.iter().enumerate();
    let mut http: Vec<bool> = rules
        .map(|(at, rule)| wrong("http", at, &rule.id, ""))
        .collect();
    let rules = facts.rules.tcp.iter().enumerate();
    let mut tcp: Vec<bool> = rules
        .map(|(at, rule)| wrong("tcp", at, &rule.id, ""))
        .collect();
    let within = refused.iter().all(|problem| {
        ["spec.http[", "spec.tcp["]
            .iter()
            .any(|rules| problem.field.starts_with(rules))
    });
    // A problem of the whole, or of a rule that is not among those that were read.
    if !within || !http.contains(&true) && !tcp.contains(&true) {
        http.fill(true);
        tcp.fill(true);
    }
    for (at, rule) in facts.rules.http.iter_mut().enumerate() {
        if http.get(at) != Some(&true) {
            continue;
        }
        let id = std::mem::take(&mut rule.id);
        let matches = std::mem::take(&mut rule.matches);
        let known = |index: usize| !wrong("http", at, &id, &format!(".matches[{index}]"));
        let matches = matches.into_iter().enumerate();
        let matches = matches
            .map(|(index, entry)| {
                if known(index) {
                    entry
                } else {
                    HttpMatch::default()
                }
            })
            .collect();
        *rule = closed_rule(id.clone(), std::mem::take(&mut rule.hostnames), matches);
    }
    for (at, rule) in facts.rules.tcp.iter_mut().enumerate() {
        if tcp.get(at) == Some(&true) {
            rule.backends.clear();
            if wrong("tcp", at, &rule.id, ".matches") {
                rule.matches.clear();
            }
        }
    }
    facts
}

/// A rule that answers 500.
fn closed_rule(id: String, hostnames: Vec<String>, matches: Vec<HttpMatch>) -> HttpRule {
    HttpRule {
        id,
        hostnames,
        matches,
        request_headers: HeaderChanges::default(),
        response_headers: HeaderChanges::default(),
        rewrite: None,
        action: HttpAction::Forward(Vec::new()),
        timeouts: RouteTimeouts::default(),
        retry: None,
    }
}

/// Whether a field is `path` or lies below it.
fn is_at(field: &str, path: &str) -> bool {
    field
        .strip_prefix(path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

pub(super) fn mesh(name: &Name, object: &MeshPolicy) -> MeshFacts {
    let reference = ObjectRef::new(Kind::MeshPolicy, &*name.0, &*name.1);
    let mut problems = Vec::new();
    let findings = &mut Findings::new(&reference, &mut problems);
    let spec = &object.spec;
    MeshFacts {
        age: age(object),
        targets: spec.target_refs.clone(),
        selector: spec
            .selector
            .as_ref()
            .map(|selector| selector.match_labels.clone()),
        mtls: translate::mtls(spec, findings),
        client: translate::client_fields(spec, findings),
        is_client_side: translate::is_client_side(spec),
    }
}

/// What stands for a refused policy: its `mtls`, and nothing else; `None` where it sets none.
/// What of a port cannot be read is Strict for every port; what speaks for nobody, but should,
/// for its namespace, and then only what is Strict.
pub(super) fn closed_mesh(name: &Name, object: &MeshPolicy) -> Option<MeshFacts> {
    let written = object.spec.mtls.as_ref()?;
    let mut facts = mesh(name, object);
    facts.client = Vec::new();
    facts.is_client_side = false;
    let setting = facts.mtls.get_or_insert_with(MtlsSetting::default);
    let of_no_port = |(text, _): &(&String, _)| !text.parse::<u16>().is_ok_and(|port| port > 0);
    let unplaced = written.ports.iter().filter(of_no_port);
    if unplaced
        .map(|(_, mode)| MtlsMode::from(*mode))
        .any(|mode| mode == MtlsMode::Strict)
        || setting.mode.is_none() && setting.ports.is_empty()
    {
        setting.mode = Some(MtlsMode::Strict);
    }
    let selects = facts
        .selector
        .as_ref()
        .is_some_and(|labels| !labels.is_empty());
    if facts.targets.is_empty() && !selects {
        facts.selector = None;
        facts.targets = vec![MeshTarget {
            kind: MeshTargetKind::Namespace,
            name: None,
            port: None,
        }];
        setting.mode = setting.mode.filter(|mode| *mode == MtlsMode::Strict);
        setting.ports.retain(|_, mode| *mode == MtlsMode::Strict);
    }
    Some(facts)
}

pub(super) fn auth(name: &Name, object: &AuthPolicy) -> AuthFacts {
    let reference = ObjectRef::new(Kind::AuthPolicy, &*name.0, &*name.1);
    AuthFacts {
        age: age(object),
        targets: object.spec.target_refs.clone(),
        selector: object
            .spec
            .selector
            .as_ref()
            .map(|selector| selector.match_labels.clone()),
        policy: translate::authorization(
            &name.0,
            &name.1,
            &object.spec,
            &mut Findings::new(&reference, &mut Vec::new()),
        ),
    }
}

/// What stands for an AuthPolicy that means nothing and never meant anything. As far as it can
/// be read it says whom it guards and what for: an Allow permits nothing then, a Deny refuses
/// everything, what only looks on does nothing. Of what cannot be read at all the worst is
/// assumed: it refuses everything in its namespace, by name.
pub(super) fn closed_auth(name: &Name, object: Option<&AuthPolicy>) -> AuthFacts {
    let read = object.map(|object| auth(name, object));
    let everything = AuthTarget {
        kind: AuthTargetKind::Namespace,
        name: None,
    };
    let refuse_all = AuthorizationPolicy {
        id: format!("{}/{}", name.0, name.1),
        selector: Selector::All,
        action: AuthAction::Deny,
        mode: PolicyMode::Enforce,
        rules: vec![AuthRule {
            name: INVALID_RULE.to_owned(),
            ..AuthRule::default()
        }],
        unknown: Vec::new(),
    };
    let Some(mut read) = read else {
        return AuthFacts {
            age: 0,
            targets: vec![everything],
            selector: None,
            policy: refuse_all,
        };
    };
    if read.targets.is_empty()
        && read
            .selector
            .as_ref()
            .is_none_or(|labels| labels.is_empty())
    {
        read.targets = vec![everything];
        read.selector = None;
    }
    read.policy.rules = match read.policy.action {
        AuthAction::Deny => refuse_all.rules,
        AuthAction::Allow | AuthAction::Audit => Vec::new(),
    };
    read
}
