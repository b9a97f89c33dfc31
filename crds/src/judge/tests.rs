//! An object is judged before it is there as it is judged when it is.

use std::path::Path;

use super::{Judgement, findings, refuses};
use crate::{
    Settings, World,
    corpus::{Scene, case_files},
    fixtures::{object, world},
    lower_all,
    object::{Object, ObjectRef},
};
use weft_engine::problem::{Code, Problem};

fn judged(world: &World, object: Object) -> Judgement {
    world.propose(object).judge(|| false)
}

fn said(judgement: &Judgement) -> Vec<String> {
    judgement.problems.iter().map(ToString::to_string).collect()
}

/// What `weft lint` says of an object that is there.
fn linted(world: &World, reference: &ObjectRef) -> Vec<Problem> {
    let lowered = lower_all(world);
    let mut problems = lowered.problems;
    problems.extend(findings(
        lowered.documents.iter().map(|(_, document)| document),
    ));
    problems.retain(|problem| problem.object == reference.to_string());
    problems.sort();
    problems.dedup();
    problems
}

#[test]
fn an_object_is_told_before_it_is_stored_what_lint_says_when_it_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/corpus");
    let mut told = 0;
    let mut judged_objects = 0;
    for file in case_files(&path).expect("the corpus parses") {
        let scene = Scene::of(&file).expect("the manifests parse");
        for (subject, _) in &scene.objects {
            let reference = subject.reference();
            if !reference.kind.is_own() || matches!(subject, Object::Invalid(_)) {
                continue;
            }
            // As it is created, and as it is changed from something else.
            let mut without = World::new(Settings::default());
            for (object, _) in &scene.objects {
                if object.reference() != reference {
                    without.apply(object.clone());
                }
            }
            let mut with = without.clone();
            with.apply(subject.clone());
            let wanted = linted(&with, &reference);
            for now in [&without, &with] {
                let mut own = judged(now, subject.clone()).problems;
                own.retain(|problem| problem.object == reference.to_string());
                assert_eq!(own, wanted, "{reference} in {}", file.path.display());
            }
            judged_objects += 1;
            told += wanted.len();
        }
    }
    assert!(judged_objects > 50, "only {judged_objects} objects");
    println!("{judged_objects} objects judged; {told} problems, before as after");
}

/// Objects that get in each other's way.
const CROWD: &str = "
apiVersion: weft.dev/v1alpha1
kind: VirtualRoute
metadata: {name: a, namespace: shop}
spec: {parentRefs: [{kind: Service, name: web}, {kind: Service, name: nowhere}], http: [{name: all, backendRefs: [{name: web, port: 80, labels: {version: v9}}]}, {name: never, matches: [{path: {type: Exact, value: /x}, method: GET}, {path: {type: Prefix, value: /}}], backendRefs: [{name: gone, port: 80}]}]}
---
apiVersion: weft.dev/v1alpha1
kind: VirtualRoute
metadata: {name: b, namespace: shop}
spec: {parentRefs: [{kind: Service, name: web}], http: [{name: same, backendRefs: [{name: web, port: 80}]}]}
---
apiVersion: weft.dev/v1alpha1
kind: VirtualRoute
metadata: {name: c, namespace: shop}
spec: {parentRefs: [{kind: Service, name: db}], http: [{name: wrong, backendRefs: [{name: web, port: 80}]}]}
---
apiVersion: weft.dev/v1alpha1
kind: MeshPolicy
metadata: {name: a, namespace: shop}
spec: {targetRefs: [{kind: Service, name: web}], timeouts: {request: 1s}, mtls: {mode: Strict}}
---
apiVersion: weft.dev/v1alpha1
kind: MeshPolicy
metadata: {name: b, namespace: shop}
spec: {targetRefs: [{kind: Service, name: web}, {kind: Service, name: nowhere}], timeouts: {request: 2s}, mtls: {mode: Permissive}}
---
apiVersion: weft.dev/v1alpha1
kind: MeshPolicy
metadata: {name: a, namespace: weft-system}
spec: {targetRefs: [{kind: Mesh}], timeouts: {request: 1s}}
---
apiVersion: weft.dev/v1alpha1
kind: MeshPolicy
metadata: {name: b, namespace: weft-system}
spec: {targetRefs: [{kind: Mesh}], timeouts: {request: 2s}}
---
apiVersion: weft.dev/v1alpha1
kind: AuthPolicy
metadata: {name: open, namespace: shop}
spec: {targetRefs: [{kind: Namespace}], rules: [{name: all}]}
---
apiVersion: weft.dev/v1alpha1
kind: AuthPolicy
metadata: {name: by-name, namespace: shop}
spec: {targetRefs: [{kind: Namespace}], action: Deny, rules: [{name: a, from: [{serviceAccounts: [shop/a]}]}]}
---
apiVersion: weft.dev/v1alpha1
kind: AuthPolicy
metadata: {name: db, namespace: shop}
spec: {selector: {matchLabels: {app: db}}, rules: [{name: get, to: [{methods: [GET]}]}]}
---
apiVersion: weft.dev/v1alpha1
kind: AuthPolicy
metadata: {name: everywhere, namespace: weft-system}
spec: {targetRefs: [{kind: Mesh}], action: Deny, rules: [{name: a, from: [{serviceAccounts: [shop/a]}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: alone, namespace: shop, labels: {app: db}}
spec: {containers: [{name: db}]}
";

#[test]
fn what_objects_do_to_each_other_is_told_in_the_same_words_too() {
    let all = crate::fixtures::objects(&format!("{SHOP}{CROWD}"));
    let mut told = std::collections::BTreeSet::new();
    for subject in &all {
        let reference = subject.reference();
        if !reference.kind.is_own() {
            continue;
        }
        let mut without = World::new(Settings::default());
        for object in &all {
            if object.reference() != reference {
                without.apply(object.clone());
            }
        }
        let mut with = without.clone();
        with.apply(subject.clone());
        let wanted = linted(&with, &reference);
        for now in [&without, &with] {
            let mut own = judged(now, subject.clone()).problems;
            own.retain(|problem| problem.object == reference.to_string());
            assert_eq!(own, wanted, "{reference}");
        }
        told.extend(wanted.iter().map(|problem| problem.code));
    }
    use Code::*;
    for code in [
        TargetNotFound,
        BackendNotFound,
        UnenforceableOnProtocol,
        Conflicted,
        Overridden,
        Unreachable,
        Shadowed,
        TooWide,
        OutsideMesh,
    ] {
        assert!(told.contains(&code), "{code:?} is not among {told:?}");
    }
}

const SHOP: &str = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.0.0.1, selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: 10.0.0.2, selector: {app: db}, ports: [{name: tcp, port: 5432}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop, labels: {app: web, version: v1}, annotations: {weft.dev/injected: \"true\"}}
spec: {containers: [{name: web}]}
status: {podIP: 10.1.0.1}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-a, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 80}]
endpoints: [{addresses: [10.1.0.1], targetRef: {kind: Pod, name: web-1}}]
---
apiVersion: weft.dev/v1alpha1
kind: AuthPolicy
metadata: {name: readers, namespace: shop}
spec:
  targetRefs: [{kind: Service, name: web}]
  rules: [{name: reads, from: [{serviceAccounts: [shop/a]}], to: [{methods: [GET]}]}]
---
";

fn own(kind: &str, name: &str, namespace: &str, spec: &str) -> Object {
    object(&format!(
        "apiVersion: weft.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n"
    ))
}

#[test]
fn what_is_not_there_and_a_subset_that_nothing_is_in_are_no_refusal() {
    let world = world(SHOP);
    let route = |backend: &str| {
        let spec = format!(
            "{{parentRefs: [{{kind: Service, name: web}}], http: [{{name: r, backendRefs: [{backend}]}}]}}"
        );
        judged(&world, own("VirtualRoute", "r", "shop", &spec))
    };
    assert_eq!(
        said(&route("{name: web, port: 80, labels: {version: v1}}")),
        [""; 0]
    );
    for (backend, field) in [
        (
            "{name: nowhere, port: 80}",
            "spec.http[0].backendRefs[0].name",
        ),
        ("{name: web, port: 81}", "spec.http[0].backendRefs[0].port"),
        (
            "{name: web, port: 80, labels: {version: v9}}",
            "spec.http[r].backendRefs[0].labels",
        ),
    ] {
        let found = route(backend).problems;
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(found[0].code, Code::BackendNotFound);
        assert_eq!(found[0].field, field);
        assert!(!refuses(&found[0]));
    }
    // Nothing is drawn by it yet; and of a service without endpoints nothing is known.
    for quiet in [
        "{name: web, port: 80, weight: 0, labels: {version: v9}}, {name: web, port: 80}",
        "{name: db, port: 5432, labels: {version: v9}}",
    ] {
        assert_eq!(said(&route(quiet)), [""; 0]);
    }
}

#[test]
fn what_a_port_does_not_carry_and_what_a_policy_may_not_speak_for_is_refused() {
    let world = world(SHOP);
    for (name, namespace, spec) in [
        (
            "p",
            "shop",
            "{targetRefs: [{kind: Service, name: db}], rules: [{name: r, to: [{methods: [GET]}]}]}",
        ),
        (
            "p",
            "shop",
            "{targetRefs: [{kind: Mesh}], rules: [{name: r, from: [{namespaces: [a]}]}]}",
        ),
        (
            "p",
            "shop",
            "{targetRefs: [{kind: Namespace, name: other}], rules: [{name: r, from: [{namespaces: [a]}]}]}",
        ),
    ] {
        let found = judged(&world, own("AuthPolicy", name, namespace, spec)).problems;
        assert!(found.iter().any(refuses), "{spec}: {found:#?}");
    }
}

#[test]
fn what_it_does_to_others_is_told_and_what_they_had_before_is_not() {
    let world = world(SHOP);
    let spec = "{targetRefs: [{kind: Namespace}], rules: [{name: wide, from: [{serviceAccounts: [\"shop/*\"]}]}]}";
    let wide = own("AuthPolicy", "wide", "shop", spec);
    let found = judged(&world, wide.clone());
    let [problem] = &found.problems[..] else {
        panic!("{found:#?}");
    };
    assert_eq!(
        (&*problem.object, problem.code),
        ("AuthPolicy shop/readers", Code::Shadowed)
    );
    // Once it is there, changing it a little is no news to anybody.
    let mut with = world;
    with.apply(wide.clone());
    assert_eq!(said(&judged(&with, wide)), [""; 0]);
}

#[test]
fn a_policy_of_the_whole_mesh_is_judged_in_every_namespace_until_it_is_enough() {
    let world = world(SHOP);
    let spec = "{targetRefs: [{kind: Mesh}], rules: [{name: wide, from: [{serviceAccounts: [\"shop/*\"]}]}]}";
    let wide = own("AuthPolicy", "wide", "weft-system", spec);
    let found = judged(&world, wide.clone());
    assert!(
        found
            .problems
            .iter()
            .any(|problem| problem.object == "AuthPolicy shop/readers"),
        "{found:#?}"
    );
    let cut = world.propose(wide).judge(|| true);
    assert!(cut.skipped > 1, "{cut:#?}");
}

#[test]
fn the_world_is_as_it_was() {
    let mut world = world(SHOP);
    world.take_dirty();
    let before = format!("{:?}", lower_all(&world));
    let spec = "{parentRefs: [{kind: Service, name: web}], http: [{backendRefs: [{name: db, port: 5432}]}]}";
    judged(&world, own("VirtualRoute", "r", "shop", spec));
    assert!(world.take_dirty().is_empty());
    assert_eq!(format!("{:?}", lower_all(&world)), before);
}
