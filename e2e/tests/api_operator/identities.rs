use std::time::Duration;

use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::{Api, ResourceExt};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject};
use serde_json::{Value, json};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::{
    operator::Operator,
    stage::{Stage, eventually},
};

const BOUND: Duration = Duration::from_secs(20);

#[tokio::test]
async fn every_account_of_a_meshed_namespace_has_an_identity_that_verifies() {
    let stage = Stage::enter("identities").await;
    stage.service("ratings").await;
    stage.plane.create_namespace("unmeshed", &[]).await.unwrap();
    let _operator = Operator::lead(&stage, "identities-operator").await;

    let secrets: Api<Secret> = Api::namespaced(stage.client.clone(), "identities");
    for account in ["reviews", "ratings"] {
        let name = format!("weft-identity-{account}");
        eventually(&format!("{name} exists"), BOUND, || async {
            match secrets.get_opt(&name).await.unwrap() {
                Some(_) => Ok(()),
                None => Err("absent".to_owned()),
            }
        })
        .await;
        let secret = secrets.get(&name).await.unwrap();
        verify(
            &secret,
            &format!("spiffe://cluster.local/ns/identities/sa/{account}"),
        );
        let bundle = trust_bundle(&stage).await;
        let ca = String::from_utf8(secret.data.as_ref().unwrap()["ca.crt"].0.clone()).unwrap();
        assert!(
            bundle.contains(ca.trim()),
            "the bundle of {name} is not the one of the mesh document"
        );
    }

    let elsewhere: Api<Secret> = Api::namespaced(stage.client.clone(), "unmeshed");
    let leaked = elsewhere
        .list(&Default::default())
        .await
        .unwrap()
        .iter()
        .map(ResourceExt::name_any)
        .collect::<Vec<_>>();
    assert!(
        leaked.is_empty(),
        "a namespace that did not join has {leaked:?}"
    );
}

#[tokio::test]
async fn an_identity_goes_with_its_service_account() {
    let stage = Stage::enter("owners").await;
    let _operator = Operator::lead(&stage, "owners-operator").await;
    let accounts: Api<ServiceAccount> = Api::namespaced(stage.client.clone(), "owners");
    let secrets: Api<Secret> = Api::namespaced(stage.client.clone(), "owners");
    let owned_by = async |account: ServiceAccount| {
        let uid = account.metadata.uid.unwrap();
        eventually("the identity's owner is its account", BOUND, || async {
            let secret = secrets.get_opt("weft-identity-reviews").await.unwrap();
            let owners = secret.map(|secret| secret.metadata.owner_references);
            let owners = owners.flatten().unwrap_or_default();
            match owners.as_slice() {
                // Garbage collection takes what names an owner that is not there any more.
                [owner] if owner.kind == "ServiceAccount" && owner.uid == uid => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    };
    let first = accounts.get("reviews").await.unwrap();
    owned_by(first).await;

    accounts
        .delete("reviews", &Default::default())
        .await
        .unwrap();
    stage.service("reviews").await;
    let second = accounts.get("reviews").await.unwrap();
    owned_by(second).await;
}

#[tokio::test]
async fn no_document_holds_a_private_key() {
    let stage = Stage::enter("keys").await;
    let _operator = Operator::lead(&stage, "keys-operator").await;
    stage.until_says("reviews", "9080", BOUND).await;
    let maps: Api<k8s_openapi::api::core::v1::ConfigMap> =
        Api::namespaced(stage.client.clone(), crate::stage::CONFIG);
    let maps = maps.list(&Default::default()).await.unwrap();
    assert!(!maps.items.is_empty());
    for map in maps {
        let text = serde_json::to_string(&map).unwrap();
        assert!(!text.contains("PRIVATE KEY"), "{}", map.name_any());
    }
}

fn verify(secret: &Secret, id: &str) {
    let name = secret.name_any();
    assert_eq!(secret.type_.as_deref(), Some("kubernetes.io/tls"));
    let data = secret.data.as_ref().unwrap();
    let chain: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(&data["tls.crt"].0)
        .collect::<Result<_, _>>()
        .unwrap();
    let roots: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(&data["ca.crt"].0)
        .collect::<Result<_, _>>()
        .unwrap();
    let anchors: Vec<_> = roots
        .iter()
        .map(|root| anchor_from_trusted_cert(root).unwrap())
        .collect();
    let leaf = EndEntityCert::try_from(&chain[0]).unwrap();
    for usage in [KeyUsage::server_auth(), KeyUsage::client_auth()] {
        leaf.verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &anchors,
            &chain[1..],
            UnixTime::now(),
            usage,
            None,
            None,
        )
        .unwrap_or_else(|error| panic!("{name} does not verify: {error}"));
    }

    let (_, parsed) = X509Certificate::from_der(&chain[0]).unwrap();
    let names = parsed.subject_alternative_name().unwrap().unwrap();
    let uris: Vec<&str> = names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        })
        .collect();
    assert_eq!(uris, [id], "{name}");
    assert!(!parsed.is_ca(), "{name}");

    // The key is the certificate's own.
    let key = PrivateKeyDer::from_pem_slice(&data["tls.key"].0).unwrap();
    let signer = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let public = signer.public_key().unwrap();
    assert_eq!(public.as_ref(), parsed.public_key().raw, "{name}");
}

async fn trust_bundle(stage: &Stage) -> String {
    let text = stage.document("mesh").await.expect("the mesh document");
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["apiVersion"], json!("weft.dev/config/v1"));
    // Wherever the document puts the bundle, it is PEM in one of its strings.
    let mut found = String::new();
    collect(&document, &mut found);
    found
}

fn collect(value: &Value, into: &mut String) {
    match value {
        Value::String(text) => into.push_str(text),
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        Value::Object(fields) => fields.values().for_each(|field| collect(field, into)),
        _ => {}
    }
}
