use crate::stage::{CONFIG, SYSTEM, Stage};

/// Asks the API server, with the asker's own token, as `kubectl auth can-i` does.
async fn may(stage: &Stage, account: (&str, &str), ask: &[&str]) -> bool {
    let kubeconfig = stage
        .plane
        .service_account_kubeconfig(account.0, account.1)
        .await
        .unwrap();
    let kubectl = stage.plane.kubectl().with_kubeconfig(&kubeconfig);
    // It fails where the answer is no.
    let args: Vec<&str> = ["auth", "can-i"].iter().chain(ask).copied().collect();
    match kubectl.run(&args).await {
        Ok(printed) => printed.stdout.trim() == "yes",
        Err(error) => {
            assert!(error.to_string().contains("exit status: 1"), "{error}");
            false
        }
    }
}

#[tokio::test]
async fn the_operator_may_do_its_work_and_nothing_more() {
    let stage = Stage::enter("permissions").await;
    let operator = (SYSTEM, "weft-operator");
    for ask in [
        &["watch", "services", "-A"][..],
        &["watch", "virtualroutes.weft.dev", "-A"],
        &["patch", "configmaps", "-n", CONFIG],
        &["create", "leases.coordination.k8s.io", "-n", SYSTEM],
    ] {
        assert!(
            may(&stage, operator, ask).await,
            "the operator needs {ask:?}"
        );
    }
    for ask in [
        &["list", "secrets", "-A"][..],
        &["get", "secrets", "-n", "default"],
        &["get", "secrets", "-n", "kube-system"],
        &["create", "pods", "-A"],
        &["patch", "virtualroutes.weft.dev", "-A"],
        &["patch", "configmaps", "-n", "default"],
        &["create", "clusterrolebindings.rbac.authorization.k8s.io"],
        &["escalate", "clusterroles.rbac.authorization.k8s.io"],
        &["impersonate", "users"],
    ] {
        assert!(
            !may(&stage, operator, ask).await,
            "the operator may {ask:?}"
        );
    }
}

#[tokio::test]
async fn a_proxy_may_read_documents_and_nothing_else() {
    let stage = Stage::enter("proxy-permissions").await;
    let proxy = ("proxy-permissions", "reviews");
    for ask in [
        &["get", "configmaps", "-n", CONFIG][..],
        &["watch", "configmaps", "-n", CONFIG],
    ] {
        assert!(may(&stage, proxy, ask).await, "a proxy needs {ask:?}");
    }
    for ask in [
        &["patch", "configmaps", "-n", CONFIG][..],
        &["delete", "configmaps", "-n", CONFIG],
        &["get", "secrets", "-n", CONFIG],
        &["get", "secrets", "-n", SYSTEM],
        &["get", "secrets", "-n", "proxy-permissions"],
        &["list", "pods", "-A"],
    ] {
        assert!(!may(&stage, proxy, ask).await, "a proxy may {ask:?}");
    }
}
