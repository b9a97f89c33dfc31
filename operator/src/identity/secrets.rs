use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::{
    ByteString,
    api::core::v1::Secret,
    api::rbac::v1::{RoleBinding, RoleRef, Subject},
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{
    Api, Client,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions},
};
use serde_json::json;
use zeroize::{Zeroize, Zeroizing};

use super::{Account, Identity, IdentityStore, StoreError, StoredAuthority};
use crate::publish::{FIELD_MANAGER, MANAGED_BY, MANAGED_BY_WEFT};

/// The Secret that holds the CA, in the operator's namespace: `tls.crt`, `tls.key`, `ca.crt`,
/// as cert-manager and others write one.
const AUTHORITY: &str = "weft-ca";

/// The ClusterRole that lets the operator keep Secrets, and that it binds only in namespaces
/// that joined the mesh.
const ISSUER_ROLE: &str = "weft-identity-issuer";

/// The RoleBinding by which proxies read the config documents. It is installed without subjects.
const READERS: &str = "weft-proxy";

/// The bound on one call.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Identities as Secrets `weft-identity-<service account>` in the account's own namespace.
#[derive(Clone)]
pub struct Secrets {
    client: Client,
    /// The operator's namespace.
    namespace: Arc<str>,
    /// The namespace of the config documents.
    config_namespace: Arc<str>,
}

impl Secrets {
    /// Keeps identities through `client`, the CA in `namespace`, and the list of who may read in
    /// `config_namespace`.
    pub fn new(client: Client, namespace: &str, config_namespace: &str) -> Self {
        Self {
            client,
            namespace: namespace.into(),
            config_namespace: config_namespace.into(),
        }
    }

    fn api(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Lets this operator keep Secrets in a namespace that joined the mesh, and in no other:
    /// nothing in the cluster grants it Secrets everywhere.
    async fn join(&self, namespace: &str) -> Result<(), StoreError> {
        let name = format!("RoleBinding {namespace}/{ISSUER_ROLE}");
        let binding = RoleBinding {
            metadata: ObjectMeta {
                name: Some(ISSUER_ROLE.to_owned()),
                namespace: Some(namespace.to_owned()),
                labels: Some(managed()),
                ..ObjectMeta::default()
            },
            role_ref: RoleRef {
                api_group: Some("rbac.authorization.k8s.io".to_owned()),
                kind: "ClusterRole".to_owned(),
                name: ISSUER_ROLE.to_owned(),
            },
            subjects: Some(vec![Subject {
                kind: "ServiceAccount".to_owned(),
                name: "weft-operator".to_owned(),
                namespace: Some(self.namespace.to_string()),
                ..Subject::default()
            }]),
        };
        let api: Api<RoleBinding> = Api::namespaced(self.client.clone(), namespace);
        let params = PatchParams::apply(FIELD_MANAGER).force();
        bounded(
            &name,
            api.patch(ISSUER_ROLE, &params, &Patch::Apply(&binding)),
        )
        .await?;
        Ok(())
    }
}

impl IdentityStore for Secrets {
    const OWNED: bool = true;

    async fn read_authority(&self) -> Result<Option<StoredAuthority>, StoreError> {
        let name = format!("Secret {}/{AUTHORITY}", self.namespace);
        let api = self.api(&self.namespace);
        let Some(secret) = bounded(&name, api.get_opt(AUTHORITY)).await? else {
            return Ok(None);
        };
        let mut secret = Contents::of(secret);
        let chain = secret.take("tls.crt").to_string();
        let roots = secret.take("ca.crt").to_string();
        Ok(Some(StoredAuthority {
            key: secret.take("tls.key"),
            // A self-signed CA may be given without a bundle: it is its own root.
            roots: if roots.is_empty() {
                chain.clone()
            } else {
                roots
            },
            chain,
        }))
    }

    async fn create_authority(&self, authority: &StoredAuthority) -> Result<bool, StoreError> {
        let name = format!("Secret {}/{AUTHORITY}", self.namespace);
        let secret = secret(
            AUTHORITY,
            &self.namespace,
            &authority.chain,
            &authority.key,
            &authority.roots,
        );
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let api = self.api(&self.namespace);
        match bounded(&name, api.create(&params, &secret)).await {
            Ok(_) => Ok(true),
            Err(StoreError::Api { source, .. }) if is_status(&source, 409) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn read(&self, account: &Account) -> Result<Option<Identity>, StoreError> {
        let (name, api) = (secret_name(account), self.api(&account.namespace));
        let full_name = format!("Secret {}/{name}", account.namespace);
        let secret = match bounded(&full_name, api.get_opt(&name)).await {
            Err(StoreError::Api { source, .. }) if is_status(&source, 403) => {
                self.join(&account.namespace).await?;
                bounded(&full_name, api.get_opt(&name)).await?
            }
            other => other?,
        };
        let Some(secret) = secret else {
            return Ok(None);
        };
        let ours = secret
            .metadata
            .labels
            .as_ref()
            .and_then(|labels| labels.get(MANAGED_BY))
            .is_some_and(|manager| manager == MANAGED_BY_WEFT);
        let owner = owner_of(&secret, account);
        let mut secret = Contents::of(secret);
        if !ours {
            return Err(StoreError::Foreign {
                name: format!("{}/{name}", account.namespace),
            });
        }
        Ok(Some(Identity {
            chain: secret.take("tls.crt").to_string(),
            key: secret.take("tls.key"),
            bundle: secret.take("ca.crt").to_string(),
            owner,
        }))
    }

    async fn write(&self, account: &Account, identity: &Identity) -> Result<(), StoreError> {
        let name = secret_name(account);
        let mut secret = secret(
            &name,
            &account.namespace,
            &identity.chain,
            &identity.key,
            &identity.bundle,
        );
        secret.metadata.owner_references = identity
            .owner
            .as_ref()
            .map(|uid| vec![owner_reference(account, uid)]);
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let written = bounded(
            &format!("Secret {}/{name}", account.namespace),
            self.api(&account.namespace)
                .patch(&name, &params, &Patch::Apply(&secret)),
        )
        .await?;
        drop(Contents::of(written));
        drop(Contents::of(secret));
        Ok(())
    }

    async fn remove(&self, account: &Account) -> Result<(), StoreError> {
        let (name, api) = (secret_name(account), self.api(&account.namespace));
        let full_name = format!("Secret {}/{name}", account.namespace);
        // Only what is ours, and only the one that was looked at.
        let found = match bounded(&full_name, api.get_metadata_opt(&name)).await {
            // The namespace is going, and its Secrets with it.
            Err(StoreError::Api { source, .. }) if is_status(&source, 403) => return Ok(()),
            other => other?,
        };
        let Some(found) = found else {
            return Ok(());
        };
        if found
            .metadata
            .labels
            .as_ref()
            .and_then(|l| l.get(MANAGED_BY))
            != Some(&MANAGED_BY_WEFT.to_owned())
        {
            return Ok(());
        }
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: found.metadata.uid,
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match bounded(&full_name, api.delete(&name, &params)).await {
            Err(StoreError::Api { source, .. })
                if is_status(&source, 404) || is_status(&source, 409) =>
            {
                Ok(())
            }
            other => other.map(drop),
        }
    }

    async fn admit(&self, namespaces: &BTreeSet<String>) -> Result<(), StoreError> {
        let groups: Vec<_> = namespaces
            .iter()
            .map(|namespace| {
                json!({
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "Group",
                    "name": format!("system:serviceaccounts:{namespace}"),
                })
            })
            .collect();
        // The subjects and nothing else: all that the manifest says is whose who applied it.
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": READERS, "namespace": &*self.config_namespace},
            "subjects": groups,
        });
        let api: Api<RoleBinding> = Api::namespaced(self.client.clone(), &self.config_namespace);
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let name = format!("RoleBinding {}/{READERS}", self.config_namespace);
        bounded(&name, api.patch(READERS, &params, &Patch::Apply(&binding))).await?;
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Account>, StoreError> {
        // Listing would need the right to list every Secret of the cluster. It is not needed:
        // a Secret goes with the ServiceAccount that owns it, whether an operator runs or not.
        Ok(Vec::new())
    }
}

fn secret_name(account: &Account) -> String {
    format!("weft-identity-{}", account.name)
}

fn managed() -> BTreeMap<String, String> {
    BTreeMap::from([(MANAGED_BY.to_owned(), MANAGED_BY_WEFT.to_owned())])
}

fn secret(name: &str, namespace: &str, chain: &str, key: &str, bundle: &str) -> Secret {
    let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: Some(managed()),
            ..ObjectMeta::default()
        },
        type_: Some("kubernetes.io/tls".to_owned()),
        data: Some(BTreeMap::from([
            ("tls.crt".to_owned(), bytes(chain)),
            ("tls.key".to_owned(), bytes(key)),
            ("ca.crt".to_owned(), bytes(bundle)),
        ])),
        ..Secret::default()
    }
}

/// Garbage collection removes the Secret when its ServiceAccount goes. It neither holds up that
/// deletion nor claims to control the Secret.
fn owner_reference(account: &Account, uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: "v1".to_owned(),
        kind: "ServiceAccount".to_owned(),
        name: account.name.clone(),
        uid: uid.to_owned(),
        ..OwnerReference::default()
    }
}

fn owner_of(secret: &Secret, account: &Account) -> Option<String> {
    let owners = secret.metadata.owner_references.as_ref()?;
    let owner = owners
        .iter()
        .find(|owner| owner.kind == "ServiceAccount" && owner.name == account.name)?;
    Some(owner.uid.clone())
}

/// A Secret's contents, wiped when they are dropped.
struct Contents(BTreeMap<String, ByteString>);

impl Contents {
    fn of(secret: Secret) -> Self {
        Self(secret.data.unwrap_or_default())
    }

    /// One key's text; empty when it is missing or not UTF-8, which no PEM is.
    fn take(&mut self, key: &str) -> Zeroizing<String> {
        let bytes = self.0.remove(key).unwrap_or_default().0;
        Zeroizing::new(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                error.into_bytes().zeroize();
                String::new()
            }
        })
    }
}

impl Drop for Contents {
    fn drop(&mut self) {
        for bytes in self.0.values_mut() {
            bytes.0.zeroize();
        }
    }
}

async fn bounded<T>(
    name: &str,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(StoreError::Api {
            name: name.to_owned(),
            hint: hint(&source),
            source: Box::new(source),
        }),
        Err(_) => Err(StoreError::Timeout {
            name: name.to_owned(),
            seconds: CALL_TIMEOUT.as_secs(),
        }),
    }
}

fn is_status(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}

fn hint(error: &kube::Error) -> &'static str {
    if is_status(error, 403) {
        "check the operator's rights in config/rbac, and that they are installed"
    } else if is_status(error, 404) {
        "does the namespace still exist?"
    } else {
        "check that the API server is reachable and not overloaded"
    }
}
