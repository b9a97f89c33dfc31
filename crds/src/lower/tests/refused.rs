use weft_engine::documents::{Document, HttpAction, HttpMatch, MtlsMode, Selector};

use super::{auth, mesh, route, service_document};
use crate::{
    World,
    fixtures::{document, problems, service, world},
    lower::lower_all,
};

#[test]
fn an_invalid_policy_keeps_its_last_good_meaning_and_says_so() {
    let good = auth(
        "shop",
        "a",
        "{targetRefs: [{kind: Namespace}], rules: [{name: ok}]}",
    );
    let mut world = world(&good);
    let before = document(&world, "inbound.shop");
    for object in crate::fixtures::objects(&good.replace("name: ok", "name: NOT OK")) {
        world.apply(object);
    }
    assert_eq!(document(&world, "inbound.shop"), before);
    let all = lower_all(&world).problems;
    assert!(
        all[0].message.contains("last good one stays in force"),
        "{all:#?}"
    );
}

#[test]
fn an_invalid_policy_that_never_meant_anything_fails_closed() {
    let text = auth(
        "shop",
        "unreadable",
        "{targetRefs: [{kind: Namespace}], action: Alow}",
    ) + &auth(
        "shop",
        "readable",
        "{selector: {matchLabels: {app: a}}, rules: [{name: NOT OK}]}",
    );
    let Some(Document::Inbound(inbound)) = document(&world(&text), "inbound.shop") else {
        panic!("no inbound document");
    };
    let seen: Vec<_> = inbound
        .authorization
        .iter()
        .map(|policy| {
            (
                &*policy.id,
                policy.action,
                policy.rules.len(),
                policy.selector == Selector::All,
            )
        })
        .collect();
    use weft_engine::documents::AuthAction::{Allow, Deny};
    assert_eq!(
        seen,
        [
            ("shop/readable", Allow, 0, false),
            ("shop/unreadable", Deny, 1, true)
        ]
    );
}

#[test]
fn one_invalid_object_leaves_the_others_served() {
    let good = "{parentRefs: [{kind: Service, name: reviews}], http: [{matches: [{path: {value: /a}}], backendRefs: [{name: reviews, port: 80}]}]}";
    let bad = "{parentRefs: [{kind: Service, name: reviews}], http: [{matches: [{path: {type: Regex, value: '/(a'}}], backendRefs: [{name: reviews, port: 80}]}]}";
    let text = service("shop", "reviews", "http", 1)
        + &route("shop", "bad", bad)
        + &route("shop", "good", good);
    let world = world(&text);
    let document = service_document(&world, "service.shop.reviews");
    let rules = &document.ports[0].http[0].rules;
    let good = rules.iter().find(|rule| rule.id == "shop/good/0").unwrap();
    assert!(matches!(&good.action, HttpAction::Forward(backends) if !backends.is_empty()));
    let all = lower_all(&world).problems;
    assert_eq!(all.len(), 1, "{all:#?}");
    assert_eq!(all[0].object, "VirtualRoute shop/bad");
}

/// Each rule of a service's first port: its id, whether it matches everything, whether it answers
/// 500.
fn rules(world: &World) -> Vec<(String, bool, bool)> {
    let document = service_document(world, "service.shop.reviews");
    let scope = document.ports[0].http.first();
    let rules = scope.map(|scope| scope.rules.clone()).unwrap_or_default();
    rules
        .into_iter()
        .map(|rule| {
            let everything =
                rule.matches.is_empty() || rule.matches.contains(&HttpMatch::default());
            let closed = rule.action == HttpAction::Forward(Vec::new());
            (rule.id, everything, closed)
        })
        .collect()
}

#[test]
fn a_route_that_never_meant_anything_answers_500_and_lets_nothing_go_elsewhere() {
    let parent = "parentRefs: [{kind: Service, name: reviews}]";
    let fine =
        "{name: fine, matches: [{path: {value: /b}}], backendRefs: [{name: reviews, port: 80}]}";
    let of = |id: &str, everything, closed| (format!("shop/r/{id}"), everything, closed);
    for (spec, wanted, what) in [
        (
            format!(
                "{{{parent}, http: [{fine}, {{name: bad, matches: [{{path: {{value: /a}}}}]}}]}}"
            ),
            vec![of("fine", false, false), of("bad", false, true)],
            "a rule that does nothing: what it matches is known",
        ),
        (
            format!(
                "{{{parent}, http: [{fine}, {{name: bad, matches: [{{path: {{type: Regex, value: '/(a'}}}}], backendRefs: [{{name: reviews, port: 80}}]}}]}}"
            ),
            vec![of("fine", false, false), of("bad", true, true)],
            "a match that does not compile",
        ),
        (
            format!(
                "{{{parent}, http: [{fine}, {{name: bad, matches: [{{path: 7}}], backendRefs: [{{name: reviews, port: 80}}]}}]}}"
            ),
            vec![of("fine", false, false), of("bad", true, true)],
            "a match that cannot be read",
        ),
        (
            format!(
                "{{{parent}, http: [{fine}], tcp: [{{backendRefs: [{{name: reviews, port: 80}}]}}]}}"
            ),
            vec![of("fine", false, true)],
            "what is wrong in no rule is wrong in all",
        ),
        (
            format!("{{{parent}, http: none}}"),
            vec![of("0", true, true)],
            "rules that cannot be read",
        ),
        (
            format!("{{{parent}}}"),
            vec![of("0", true, true)],
            "no rules",
        ),
    ] {
        let world = world(&(service("shop", "reviews", "http", 1) + &route("shop", "r", &spec)));
        assert_eq!(rules(&world), wanted, "{what}: {:#?}", problems(&world));
        let told = lower_all(&world).problems;
        assert!(
            told.iter()
                .any(|problem| problem.object == "VirtualRoute shop/r"
                    && problem.message.contains("answered with 500")),
            "{what}: {told:#?}"
        );
    }
}

#[test]
fn a_route_that_was_good_once_keeps_steering_and_a_mended_one_steers_again() {
    let good = "{parentRefs: [{kind: Service, name: reviews}], http: [{name: x, backendRefs: [{name: reviews, port: 80}]}]}";
    let bad = "{parentRefs: [{kind: Service, name: reviews}], http: [{name: x}]}";
    let put = |world: &mut World, spec: &str| {
        for object in crate::fixtures::objects(&route("shop", "r", spec)) {
            world.apply(object);
        }
    };
    let mut world = world(&service("shop", "reviews", "http", 1));
    let is_closed = |world: &World| rules(world)[0].2;
    put(&mut world, bad);
    assert!(is_closed(&world));
    put(&mut world, good);
    assert!(!is_closed(&world));
    put(&mut world, bad);
    assert!(!is_closed(&world), "the last good one stays in force");
}

#[test]
fn a_mesh_policy_that_never_meant_anything_still_encrypts_and_never_opens() {
    use MtlsMode::{Permissive, Strict};
    const PODS: bool = false;
    const NAMESPACE: bool = true;
    let target = "targetRefs: [{kind: Service, name: reviews}]";
    let nobody = "targetRefs: [{kind: Servce, name: reviews}]";
    for (spec, wanted, what) in [
        (
            format!("{{{target}, mtls: {{mode: Strct}}}}"),
            Some((PODS, Some(Strict), vec![])),
            "a mode that cannot be read",
        ),
        (
            format!("{{{target}, mtls: {{mode: Strict}}, loadBalancing: {{algorithm: Fast}}}}"),
            Some((PODS, Some(Strict), vec![])),
            "what is wrong elsewhere",
        ),
        (
            format!("{{{target}, mtls: {{mode: Permissive, ports: {{\"80\": Strct}}}}}}"),
            Some((PODS, Some(Permissive), vec![(80, Strict)])),
            "a port's mode that cannot be read",
        ),
        (
            format!("{{{target}, mtls: {{mode: Permissive, ports: {{http: Strict}}}}}}"),
            Some((PODS, Some(Strict), vec![])),
            "a port that cannot be read",
        ),
        (
            format!("{{{target}, mtls: {{mod: Strict}}}}"),
            Some((PODS, Some(Strict), vec![])),
            "a field that is not known",
        ),
        (
            format!("{{{target}, mtls: Strict}}"),
            Some((PODS, Some(Strict), vec![])),
            "no object at all",
        ),
        (
            format!("{{{nobody}, mtls: {{mode: Strict}}}}"),
            Some((NAMESPACE, Some(Strict), vec![])),
            "a target that cannot be read",
        ),
        (
            format!("{{{nobody}, mtls: {{mode: Permissive, ports: {{\"80\": Strict}}}}}}"),
            Some((NAMESPACE, None, vec![(80, Strict)])),
            "nothing is opened for a target that cannot be read",
        ),
        (
            format!("{{{nobody}, mtls: {{mode: Disabled}}}}"),
            None,
            "nothing at all is opened",
        ),
        (
            "{mtls: {mode: Strict}}".to_owned(),
            Some((NAMESPACE, Some(Strict), vec![])),
            "no target",
        ),
        (
            format!("{{{target}, loadBalancing: {{algorithm: Fast}}}}"),
            None,
            "a policy that says nothing of mTLS",
        ),
    ] {
        let text = service("shop", "reviews", "http", 1) + &mesh("shop", "m", &spec);
        let world = world(&text);
        let Some(Document::Inbound(inbound)) = document(&world, "inbound.shop") else {
            panic!("no inbound document");
        };
        let seen: Vec<_> = inbound
            .mtls
            .iter()
            .map(|policy| {
                let ports: Vec<_> = policy
                    .ports
                    .iter()
                    .map(|(port, mode)| (*port, *mode))
                    .collect();
                (policy.selector == Selector::All, policy.mode, ports)
            })
            .collect();
        assert_eq!(seen, wanted.into_iter().collect::<Vec<_>>(), "{what}");
        assert!(!problems(&world).is_empty(), "{what}");
        let service = service_document(&world, "service.shop.reviews");
        assert_eq!(
            service.ports[0].policy,
            Default::default(),
            "{what}: nothing but mtls applies"
        );
    }
}
