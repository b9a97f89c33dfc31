use std::collections::BTreeMap;

use proptest::prelude::*;
use weft_engine::documents::Document;

use crate::{
    Key, Settings, World,
    fixtures::{self, objects},
    lower::{Lowered, lower, lower_all},
    object::{Kind, Object, ObjectRef},
};

/// Many states of a few objects: what one of them says depends on which others are there.
fn catalogue() -> Vec<Object> {
    let mut text = String::new();
    for (namespace, base) in [("a", 1), ("b", 10)] {
        text += &fixtures::service(namespace, "x", "http", base);
        text += &fixtures::service(namespace, "z", "tcp", base + 1);
        // The same Service with another port, selector, address.
        text +=
            &fixtures::service(namespace, "x", "grpc", base + 2).replace("port: 80,", "port: 81,");
        text += &fixtures::service(namespace, "z", "http", base)
            .replace("targetPort: 8080", "targetPort: http");
        // Without an address of its own.
        text += &fixtures::service(namespace, "x", "http", base)
            .replace(&format!("clusterIP: 10.96.0.{base}"), "clusterIP: None");
        // The same pods: not meshed, or with other labels.
        text += &fixtures::service(namespace, "x", "http", base)
            .replace("\"true\"", "\"false\"")
            .replace("version: v2", "version: v3");
        text += &format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n---\n");
        text += &format!(
            "apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: x, namespace: {namespace}}}\n---\n"
        );
        let own = |kind: &str, name: &str, spec: &str| {
            format!(
                "apiVersion: weft.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n---\n"
            )
        };
        for spec in [
            "{parentRefs: [{kind: Service, name: x}], http: [{backendRefs: [{name: x, port: 80}]}]}",
            "{parentRefs: [{kind: Service, name: x, namespace: a, port: 80}], http: [{backendRefs: [{name: x, namespace: b, port: 81, labels: {version: v1}}]}]}",
            "{parentRefs: [{kind: Service, name: z}], tcp: [{backendRefs: [{name: z, port: 80, labels: {app: z}}]}]}",
            "{parentRefs: [{kind: Gateway, name: g, namespace: a}], http: [{backendRefs: [{name: x, port: 80}]}]}",
        ] {
            text += &own("VirtualRoute", "r", spec);
            text += &own("VirtualRoute", "s", spec);
        }
        for spec in [
            "{targetRefs: [{kind: Mesh}], timeouts: {request: 1s}}",
            "{targetRefs: [{kind: Mesh}], mtls: {mode: Disabled}}",
            "{targetRefs: [{kind: Namespace}], timeouts: {request: 2s}, mtls: {ports: {'8080': Disabled}}}",
            "{targetRefs: [{kind: Service, name: x}], timeouts: {request: 3s}, mtls: {mode: Strict}}",
            "{targetRefs: [{kind: Service, name: x, port: 80}], mtls: {mode: Disabled}}",
            "{selector: {matchLabels: {version: v1}}, mtls: {mode: Disabled}}",
        ] {
            text += &own("MeshPolicy", "m", spec);
            text += &own("MeshPolicy", "k", spec);
        }
        for spec in [
            "{targetRefs: [{kind: Mesh}], rules: [{}]}",
            "{targetRefs: [{kind: Namespace}], action: Deny, rules: [{to: [{paths: [/a]}]}]}",
            "{targetRefs: [{kind: Service, name: z}], rules: [{to: [{methods: [GET]}]}]}",
            "{targetRefs: [{kind: Gateway, name: g}], rules: [{}]}",
            "{selector: {matchLabels: {app: x}}, rules: [{to: [{methods: [GET]}]}]}",
        ] {
            text += &own("AuthPolicy", "p", spec);
            text += &own("AuthPolicy", "q", spec);
        }
        text += &format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: g, namespace: {namespace}}}\nspec: {{gatewayClassName: weft, listeners: [{{name: l, port: 80, protocol: HTTP, allowedRoutes: {{namespaces: {{from: All}}}}}}]}}\n---\n"
        );
    }
    objects(&text)
}

/// Objects that are refused, of the same names.
fn refused() -> Vec<Object> {
    let mut text = String::new();
    for (kind, name, spec) in [
        (
            "VirtualRoute",
            "r",
            "{parentRefs: [{kind: Service, name: x}]}",
        ),
        (
            "MeshPolicy",
            "m",
            "{targetRefs: [{kind: Service, name: x}], timeouts: {request: soon}}",
        ),
        (
            "AuthPolicy",
            "p",
            "{targetRefs: [{kind: Namespace}], action: Never}",
        ),
        (
            "AuthPolicy",
            "q",
            "{selector: {matchLabels: {app: x}}, action: Deny}",
        ),
    ] {
        text += &format!(
            "apiVersion: weft.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}, namespace: a}}\nspec: {spec}\n---\n"
        );
    }
    objects(&text)
}

fn settings() -> Settings {
    Settings {
        root_namespace: "a".to_owned(),
        ..Settings::default()
    }
}

thread_local! {
    static CATALOGUE: Vec<Object> = catalogue();
    static REFUSED: Vec<Object> = refused();
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Apply(usize),
    Refuse(usize),
    Remove(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => any::<usize>().prop_map(Step::Apply),
        1 => any::<usize>().prop_map(Step::Refuse),
        2 => any::<usize>().prop_map(Step::Remove),
    ]
}

fn pick(list: &'static std::thread::LocalKey<Vec<Object>>, at: usize) -> Object {
    list.with(|list| list[at % list.len()].clone())
}

fn take(world: &mut World, step: Step) {
    match step {
        Step::Apply(at) => world.apply(pick(&CATALOGUE, at)),
        Step::Refuse(at) => world.apply(pick(&REFUSED, at)),
        Step::Remove(at) => world.remove(&pick(&CATALOGUE, at).reference()),
    }
}

fn documents(lowered: &Lowered) -> BTreeMap<String, Document> {
    lowered
        .documents
        .iter()
        .map(|(name, document)| (name.to_string(), document.clone()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Lowering what is dirty after each step is as good as lowering everything.
    #[test]
    fn dirty_keys_are_all_that_a_change_touches(steps in prop::collection::vec(step(), 1..40)) {
        let mut world = World::new(settings());
        let mut published = BTreeMap::<Key, Lowered>::new();
        for step in steps {
            take(&mut world, step);
            for key in world.take_dirty() {
                let lowered = lower(&world, &key);
                published.insert(key, lowered);
            }
        }
        let kept: BTreeMap<Key, Lowered> = published
            .into_iter()
            .filter(|(_, lowered)| *lowered != Lowered::default())
            .collect();
        let all: BTreeMap<Key, Lowered> = world
            .keys()
            .into_iter()
            .map(|key| { let lowered = lower(&world, &key); (key, lowered) })
            .filter(|(_, lowered)| *lowered != Lowered::default())
            .collect();
        prop_assert_eq!(kept, all);
    }

    /// The way does not matter, only where it led.
    #[test]
    fn any_way_to_the_same_objects_gives_the_same_bytes(steps in prop::collection::vec(step(), 1..40)) {
        let mut world = World::new(settings());
        let mut left = BTreeMap::<ObjectRef, Object>::new();
        for step in steps {
            // A refused object has a past: that is what quarantine is for.
            match step {
                Step::Refuse(_) => continue,
                Step::Apply(at) => {
                    let object = pick(&CATALOGUE, at);
                    left.insert(object.reference(), object);
                }
                Step::Remove(at) => { left.remove(&pick(&CATALOGUE, at).reference()); }
            }
            take(&mut world, step);
        }
        let mut fresh = World::new(settings());
        for object in left.into_values().rev() {
            fresh.apply(object);
        }
        let (a, b) = (lower_all(&world), lower_all(&fresh));
        prop_assert_eq!(documents(&a), documents(&b));
        prop_assert_eq!(a.problems, b.problems);
        let bytes = |world: &World| serde_json::to_string(&documents(&lower_all(world))).unwrap();
        prop_assert_eq!(bytes(&world), bytes(&fresh));
    }

    /// Whoever has a say in a key is told when it changes, and is known by the key.
    #[test]
    fn objects_and_keys_know_each_other(steps in prop::collection::vec(step(), 1..30)) {
        let mut world = World::new(settings());
        for step in steps {
            take(&mut world, step);
        }
        for object in world.objects() {
            let keys = world.keys_of(&object);
            prop_assert!(!keys.is_empty(), "{} is never looked at", object);
            for key in keys {
                // Else its status would wait for a key that never calls it back.
                prop_assert!(
                    world.objects_of(&key).contains(&object),
                    "{:?} is a key of {} and does not know it", key, object
                );
            }
        }
        for key in world.keys() {
            for problem in lower(&world, &key).problems {
                let known = world.objects_of(&key).iter().any(|object| object.to_string() == problem.object)
                    || problem.object.starts_with("Gateway ");
                prop_assert!(known, "{} says something of {}", problem.object, problem.field);
            }
        }
    }
}

#[test]
fn an_object_that_did_not_change_dirties_nothing() {
    let mut world = World::new(settings());
    for object in catalogue() {
        world.apply(object.clone());
        world.take_dirty();
        world.apply(object.clone());
        assert!(world.take_dirty().is_empty(), "{}", object.reference());
    }
    for object in refused() {
        world.apply(object.clone());
        world.take_dirty();
        world.apply(object.clone());
        assert!(world.take_dirty().is_empty(), "{}", object.reference());
    }
}

#[test]
fn a_route_touches_its_parent_and_nothing_else() {
    let mut text = String::new();
    for service in 0..50 {
        text += &fixtures::service("shop", &format!("s{service}"), "http", service);
    }
    let mut world = fixtures::world(&text);
    world.take_dirty();
    for object in objects(
        "apiVersion: weft.dev/v1alpha1\nkind: VirtualRoute\nmetadata: {name: r, namespace: shop}\nspec: {parentRefs: [{kind: Service, name: s7}], http: [{backendRefs: [{name: s8, port: 80}]}]}\n",
    ) {
        world.apply(object);
    }
    let dirty: Vec<Key> = world.take_dirty().into_iter().collect();
    assert_eq!(dirty, [Key::Service("shop".to_owned(), "s7".to_owned())]);
}

#[test]
fn a_pod_touches_the_shard_of_its_address_and_its_readiness_none() {
    let mut text = String::new();
    for service in 0..50 {
        text += &fixtures::service("shop", &format!("s{service}"), "http", service);
    }
    let mut world = fixtures::world(&text);
    world.take_dirty();
    let apply = |world: &mut World, text: &str| -> Vec<Key> {
        for object in objects(text) {
            world.apply(object);
        }
        let dirty = world.take_dirty().into_iter();
        dirty
            .filter(|key| matches!(key, Key::Addresses(_)))
            .collect()
    };
    let shard = |address: &str| {
        Key::Addresses(weft_engine::documents::AddressesDocument::shard_of(
            address.parse().unwrap(),
        ))
    };
    let changed = fixtures::service("shop", "s7", "http", 7).replace("version: v2", "version: v3");
    assert_eq!(apply(&mut world, &changed), [shard("10.0.7.2")]);
    let ready = changed.replace("ready: false", "ready: true");
    assert_eq!(apply(&mut world, &ready), []);
    let port = ready.replace("port: 8080", "port: 8081");
    assert_eq!(apply(&mut world, &port), [shard("10.0.7.2")]);
    let moved = port.replace("podIP: 10.0.7.2", "podIP: 10.0.7.99");
    let mut both = [shard("10.0.7.2"), shard("10.0.7.99")];
    both.sort();
    assert_eq!(apply(&mut world, &moved), both);
}

/// One policy switches mutual TLS off and another on again for some pods: whom the second means
/// is said to clients too, though it switches nothing off itself.
#[test]
fn a_policy_beside_one_that_switches_mtls_off_touches_endpoints_and_addresses() {
    let policy = |name: &str, spec: &str| {
        format!(
            "apiVersion: weft.dev/v1alpha1\nkind: MeshPolicy\nmetadata: {{name: {name}, namespace: shop}}\nspec: {spec}\n---\n"
        )
    };
    let off = policy(
        "open",
        "{targetRefs: [{kind: Namespace}], mtls: {mode: Disabled}}",
    );
    let on = policy(
        "closed",
        "{targetRefs: [{kind: Service, name: x}], mtls: {mode: Strict}}",
    );
    let service = fixtures::service("shop", "x", "http", 1);
    let mut world = fixtures::world(&(service.clone() + &off));
    let mut changes = vec![on];
    // Then the Service means other pods.
    changes.push(service.replacen("selector: {app: x}", "selector: {app: x, version: v1}", 1));
    for change in changes {
        world.take_dirty();
        let before = documents(&lower_all(&world));
        for object in objects(&change) {
            world.apply(object);
        }
        let dirty = world.take_dirty();
        let after = documents(&lower_all(&world));
        let mut differ = 0;
        for name in before.keys().chain(after.keys()) {
            if before.get(name) != after.get(name) {
                differ += 1;
                let key = Key::from(&name.parse().unwrap());
                assert!(dirty.contains(&key), "{name} changed and is not dirty");
            }
        }
        assert!(differ > 0, "{change} changed nothing");
    }
}

#[test]
fn every_account_that_a_pod_names_or_that_exists_gets_an_identity() {
    let world = fixtures::world(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop}\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: idle, namespace: shop}\n",
    );
    let accounts: Vec<_> = world
        .service_accounts()
        .map(|account| account.name)
        .collect();
    assert_eq!(accounts, ["default", "idle"]);
}

#[test]
fn the_accounts_have_a_new_version_when_and_only_when_they_changed() {
    let pod = |account: &str, address: &str| {
        fixtures::object(&format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p, namespace: shop}}\nspec: {{serviceAccountName: {account}, containers: []}}\nstatus: {{podIP: {address}}}\n"
        ))
    };
    let account = |uid: &str| {
        fixtures::object(&format!(
            "apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: a, namespace: shop, uid: {uid}}}\n"
        ))
    };
    let mut world = fixtures::world("");
    let mut version = world.service_accounts_version();
    let mut changed = |world: &super::World| {
        let before = std::mem::replace(&mut version, world.service_accounts_version());
        before != version
    };
    world.apply(pod("a", "10.0.0.1"));
    assert!(changed(&world), "a pod names it");
    world.apply(pod("a", "10.0.0.2"));
    assert!(!changed(&world), "the same pod, elsewhere");
    world.apply(account("u1"));
    assert!(changed(&world), "it has a uid now");
    world.apply(account("u1"));
    assert!(!changed(&world));
    world.apply(account("u2"));
    assert!(changed(&world), "another object of the same name");
    let uids: Vec<_> = world.service_accounts().map(|found| found.uid).collect();
    assert_eq!(uids, [Some("u2")]);
    world.remove(&ObjectRef::new(Kind::ServiceAccount, "shop", "a"));
    assert!(changed(&world), "its uid went");
    world.apply(pod("b", "10.0.0.2"));
    assert!(changed(&world));
    let names: Vec<_> = world.service_accounts().map(|found| found.name).collect();
    assert_eq!(names, ["b"]);
    world.remove(&ObjectRef::new(Kind::Pod, "shop", "p"));
    assert!(changed(&world));
    assert_eq!(world.service_accounts().count(), 0);
}

#[test]
fn a_target_that_is_missing_is_reported_until_it_comes() {
    let mut world = fixtures::world(
        "apiVersion: weft.dev/v1alpha1\nkind: MeshPolicy\nmetadata: {name: m, namespace: shop, generation: 7}\nspec: {targetRefs: [{kind: Service, name: x, port: 80}], timeouts: {request: 1s}}\n",
    );
    let reference = ObjectRef::new(Kind::MeshPolicy, "shop", "m");
    let report = world.report(&reference).unwrap();
    assert_eq!(report.generation, 7);
    assert!(!report.targets[0].1);
    assert!(report.problems[0].message.contains("no Service shop/x"));
    world.take_dirty();
    for object in objects(&fixtures::service("shop", "x", "http", 1)) {
        world.apply(object);
    }
    let touched = world
        .take_dirty()
        .iter()
        .any(|key| world.objects_of(key).contains(&reference));
    assert!(touched);
    let report = world.report(&reference).unwrap();
    assert!(report.targets[0].1 && report.problems.is_empty());
}
