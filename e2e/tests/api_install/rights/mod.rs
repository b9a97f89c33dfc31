//! docs/security.md lists every right of the operator and of a proxy; the API server is asked for
//! all that it would allow them, and the two must be the same.

/// The list.
mod table;

/// Everything that can be asked for.
mod asked;

use std::collections::BTreeSet;

use k8s_openapi::api::authorization::v1::{SelfSubjectRulesReview, SelfSubjectRulesReviewSpec};
use kube::{Api, api::PostParams};

use crate::stage::{CONFIG, ELSEWHERE, SHOP, SYSTEM, Stage, installation};
use asked::{Account, Asked};
use table::{Right, Table, Who};

const NAMESPACES: [&str; 5] = [SYSTEM, CONFIG, SHOP, ELSEWHERE, "kube-system"];

const ACCOUNTS: [(Who, Account); 3] = [
    (
        Who::Operator,
        Account {
            namespace: SYSTEM,
            name: "weft-operator",
        },
    ),
    (
        Who::Proxy,
        Account {
            namespace: SHOP,
            name: "reviews",
        },
    ),
    // Outside the mesh.
    (
        Who::Anyone,
        Account {
            namespace: ELSEWHERE,
            name: "default",
        },
    ),
];

/// What RBAC says that an account may do in a namespace, rule by rule, with the names of objects.
async fn told(stage: &Stage, account: Account, namespace: &str) -> BTreeSet<Right> {
    let client = stage
        .plane
        .service_account_client(account.namespace, account.name)
        .await
        .unwrap();
    let review = SelfSubjectRulesReview {
        spec: SelfSubjectRulesReviewSpec {
            namespace: Some(namespace.to_owned()),
        },
        ..SelfSubjectRulesReview::default()
    };
    let reviews: Api<SelfSubjectRulesReview> = Api::all(client);
    let answer = reviews.create(&PostParams::default(), &review).await;
    let mut rights = BTreeSet::new();
    for rule in answer.unwrap().status.unwrap().resource_rules {
        let names = rule.resource_names.filter(|names| !names.is_empty());
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for name in names.as_deref().unwrap_or(&[String::new()]) {
                    for verb in &rule.verbs {
                        rights.insert(Right {
                            group: group.clone(),
                            resource: resource.clone(),
                            name: name.clone(),
                            verb: verb.clone(),
                        });
                    }
                }
            }
        }
    }
    rights
}

fn assert_same(listed: &BTreeSet<Right>, found: &BTreeSet<Right>, what: &str) {
    let beyond: Vec<_> = found.difference(listed).collect();
    let missing: Vec<_> = listed.difference(found).collect();
    assert!(
        beyond.is_empty() && missing.is_empty(),
        "{what}:\n  allowed and not listed in docs/security.md: {beyond:#?}\n  \
         listed and not allowed: {missing:#?}"
    );
}

#[tokio::test]
async fn everybody_may_do_what_the_documentation_lists_and_nothing_more() {
    let mut stage = Stage::enter().await;
    stage.apply(&installation()).await;
    stage.start_operator().await;
    // Nobody changes rights while they are looked at.
    stage.stop_operator();
    let table = Table::read();
    for (who, account) in ACCOUNTS {
        for namespace in NAMESPACES {
            let listed = table.rights(who, namespace, namespace == SHOP);
            let found = told(&stage, account, namespace).await;
            assert_same(&listed, &found, &format!("{who:?} in {namespace}"));
        }
    }

    // The same by asking for everything, one by one, as the API server would on a request: also
    // for what is in no namespace, and for every namespace at once.
    let client = stage.plane.client().await.unwrap();
    let everything = asked::everything(&client).await;
    assert!(
        everything.len() > 500,
        "only {} questions",
        everything.len()
    );
    let mut questions = 0;
    for (who, account) in ACCOUNTS {
        for namespace in std::iter::once("").chain(NAMESPACES) {
            let asked: Vec<&Asked> = everything
                .iter()
                .filter(|asked| asked.namespaced || namespace.is_empty())
                .collect();
            let found = asked::allowed(&client, account, namespace, &asked).await;
            questions += asked.len();
            let mut listed = table.rights(who, namespace, namespace == SHOP);
            // A question that names no object is answered by rules that name none; what the API
            // server does not serve is not asked for.
            listed.retain(|right| {
                right.name.is_empty() && asked.iter().any(|asked| asked.right == *right)
            });
            let place = if namespace.is_empty() {
                "the cluster"
            } else {
                namespace
            };
            assert_same(
                &listed,
                &found,
                &format!("{who:?}, asked one by one, in {place}"),
            );
        }
    }
    println!("{questions} questions were asked");
}

#[tokio::test]
async fn a_namespace_that_leaves_the_mesh_reads_no_more_documents() {
    let mut stage = Stage::enter().await;
    stage.apply(&installation()).await;
    stage.start_operator().await;
    let proxy = Account {
        namespace: SHOP,
        name: "reviews",
    };
    let read = Right {
        group: String::new(),
        resource: "configmaps".to_owned(),
        name: String::new(),
        verb: "watch".to_owned(),
    };
    assert!(told(&stage, proxy, CONFIG).await.contains(&read));
    stage
        .kubectl(&["label", "namespace", SHOP, "weft.dev/inject-"])
        .await;
    crate::stage::eventually("the right is withdrawn", async || {
        match told(&stage, proxy, CONFIG).await.contains(&read) {
            true => Err("it is still there".to_owned()),
            false => Ok(()),
        }
    })
    .await;
    stage
        .kubectl(&["label", "namespace", SHOP, "weft.dev/inject=enabled"])
        .await;
    crate::stage::eventually("the right is given back", async || {
        match told(&stage, proxy, CONFIG).await.contains(&read) {
            true => Ok(()),
            false => Err("it is not there".to_owned()),
        }
    })
    .await;
}
