use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use k8s_openapi::{
    api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
    apimachinery::pkg::apis::meta::v1::APIResourceList,
};
use kube::{Api, Client, api::PostParams};

use super::table::Right;

/// The verbs of requests; `*` is what an administrator has.
const VERBS: [&str; 9] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "*",
];

/// Verbs that the API server checks besides, and resources that no discovery names.
const SPECIAL: [(&str, &str, bool, &[&str]); 9] = [
    (
        "rbac.authorization.k8s.io",
        "roles",
        true,
        &["bind", "escalate"],
    ),
    (
        "rbac.authorization.k8s.io",
        "clusterroles",
        false,
        &["bind", "escalate"],
    ),
    ("", "users", false, &["impersonate"]),
    ("", "groups", false, &["impersonate"]),
    ("", "serviceaccounts", true, &["impersonate"]),
    ("authentication.k8s.io", "uids", false, &["impersonate"]),
    (
        "certificates.k8s.io",
        "signers",
        false,
        &["approve", "sign", "attest"],
    ),
    ("*", "*", true, &["*", "get"]),
    ("*", "*", false, &["*", "get"]),
];

/// A question.
pub(super) struct Asked {
    pub(super) right: Right,
    pub(super) namespaced: bool,
}

/// Whose rights are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    pub(super) namespace: &'static str,
    pub(super) name: &'static str,
}

/// Every resource that the API server serves, with its subresources, and every verb.
pub(super) async fn everything(client: &Client) -> Vec<Asked> {
    let mut lists = vec![(
        String::new(),
        client.list_core_api_resources("v1").await.unwrap(),
    )];
    for group in client.list_api_groups().await.unwrap().groups {
        for version in group.versions {
            let list = client
                .list_api_group_resources(&version.group_version)
                .await;
            lists.push((group.name.clone(), list.unwrap()));
        }
    }
    let mut asked: Vec<Asked> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut ask = |right: Right, namespaced: bool| {
        if seen.insert((right.clone(), namespaced)) {
            asked.push(Asked { right, namespaced });
        }
    };
    for (group, APIResourceList { resources, .. }) in lists {
        for resource in resources {
            for verb in VERBS {
                let right = Right {
                    group: group.clone(),
                    resource: resource.name.clone(),
                    name: String::new(),
                    verb: verb.to_owned(),
                };
                ask(right, resource.namespaced);
            }
        }
    }
    for (group, resource, namespaced, verbs) in SPECIAL {
        for verb in verbs {
            let right = Right {
                group: group.to_owned(),
                resource: resource.to_owned(),
                name: String::new(),
                verb: (*verb).to_owned(),
            };
            ask(right, namespaced);
        }
    }
    asked
}

/// Which of them the API server would allow an account in a namespace; in the empty one: in all.
pub(super) async fn allowed(
    client: &Client,
    account: Account,
    namespace: &str,
    asked: &[&Asked],
) -> BTreeSet<Right> {
    let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
    let answers = stream::iter(asked.iter().map(|asked| {
        let review = review(account, namespace, &asked.right);
        let reviews = reviews.clone();
        async move {
            let answer = reviews.create(&PostParams::default(), &review).await;
            (asked, answer.unwrap().status.unwrap().allowed)
        }
    }));
    answers
        .buffer_unordered(16)
        .filter_map(async |(asked, allowed)| allowed.then(|| asked.right.clone()))
        .collect()
        .await
}

fn review(account: Account, namespace: &str, right: &Right) -> SubjectAccessReview {
    let Account {
        namespace: home,
        name,
    } = account;
    let (resource, subresource) = match right.resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (right.resource.as_str(), None),
    };
    SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(format!("system:serviceaccount:{home}:{name}")),
            groups: Some(vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{home}"),
                "system:authenticated".to_owned(),
            ]),
            resource_attributes: Some(ResourceAttributes {
                group: Some(right.group.clone()),
                resource: Some(resource.to_owned()),
                subresource,
                namespace: Some(namespace.to_owned()),
                verb: Some(right.verb.clone()),
                version: Some("*".to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    }
}
