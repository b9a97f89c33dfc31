//! Where requests go, and what becomes of them on the way.

mod mesh;
mod web;

use weft_engine::documents::{
    AuthAction, AuthRule, AuthorizationPolicy, DirectResponse, HeaderChanges, HttpAction,
    HttpMatch, PathMatch, PathRewrite, PolicyMode, Protocol, Redirect, Rewrite, RuleFrom, RuleTo,
    Selector,
};

use mesh::{eventually, spiffe};
use web::{App, Client, HOST, Shop, empty, full, routes, rule, text, version};

#[tokio::test]
async fn the_callee_sees_the_callers_identity_and_no_forged_one() {
    let shop = Shop::open(1, Protocol::Http, |_| {}).await;
    let app = App::named(shop.instances[0].app, "v1").await;
    let mut client = shop.http1().await;
    let request = client
        .request(HOST, "/reviews/1?x=1")
        .header("x-forwarded-client-cert", "URI=spiffe://evil")
        .header("connection", "x-hop")
        .header("x-hop", "1")
        .body(empty())
        .unwrap();
    let got = client.send(request).await.unwrap();
    assert_eq!((got.status, got.body.as_str()), (200, "v1"));
    let seen = &app.seen()[0];
    let field = seen.headers()["x-forwarded-client-cert"].to_str().unwrap();
    assert_eq!(
        field,
        format!(
            "By={};URI={}",
            spiffe("shop", "reviews"),
            spiffe("web", "frontend")
        )
    );
    assert_eq!(seen.uri(), "/reviews/1?x=1");
    assert_eq!(seen.headers()["host"], HOST);
    assert!(seen.headers().contains_key("x-request-id"));
    assert!(!seen.headers().contains_key("x-hop"));
    let line = shop
        .client
        .logged("the request", |line| line["status"] == 200)
        .await;
    assert_eq!(line["destination"], "shop/reviews:9080");
    assert_eq!(line["destination_identity"], spiffe("shop", "reviews"));
    assert_eq!(line["attempts"], 1);
}

#[tokio::test]
async fn traffic_splits_by_weight() {
    let shop = Shop::open(2, Protocol::Http, |port| {
        let mut split = rule();
        split.action = HttpAction::Forward(vec![version("v1", 80), version("v2", 20)]);
        routes(port, vec![split]);
    })
    .await;
    let _v1 = App::named(shop.instances[0].app, "v1").await;
    let v2 = App::named(shop.instances[1].app, "v2").await;
    let mut client = shop.http2().await;
    for _ in 0..1000 {
        assert_eq!(client.get(HOST, "/").await.status, 200);
    }
    // Four standard deviations of a binomial with n = 1000, p = 0.2.
    let share = v2.count();
    assert!((150..=250).contains(&share), "v2 got {share} of 1000");
}

#[tokio::test]
async fn headers_and_paths_are_changed_as_the_rule_says() {
    let shop = Shop::open(1, Protocol::Http, |port| {
        let mut changed = rule();
        changed.matches = vec![HttpMatch {
            path: Some(PathMatch::Prefix("/old".to_owned())),
            ..HttpMatch::default()
        }];
        changed.rewrite = Some(Rewrite {
            hostname: Some("internal.example".to_owned()),
            path: Some(PathRewrite::ReplacePrefix {
                value: "/new".to_owned(),
            }),
        });
        changed.request_headers = HeaderChanges {
            set: [("x-env".to_owned(), "prod".to_owned())].into(),
            add: [("x-list".to_owned(), "b".to_owned())].into(),
            remove: vec!["x-debug".to_owned()],
        };
        changed.response_headers = HeaderChanges {
            set: [("x-from".to_owned(), "mesh".to_owned())].into(),
            add: Default::default(),
            remove: vec!["server".to_owned()],
        };
        routes(port, vec![changed]);
    })
    .await;
    let app = App::start(shop.instances[0].app, |_| async {
        let mut response = text(200, "ok");
        let headers = response.headers_mut();
        headers.insert("server", "secret/1.0".parse().unwrap());
        headers.insert("connection", "x-private".parse().unwrap());
        headers.insert("x-private", "1".parse().unwrap());
        response
    })
    .await;
    let mut client = shop.http1().await;
    let request = client
        .request(HOST, "/old/%61/../b?q=1")
        .header("x-env", "dev")
        .header("x-list", "a")
        .header("x-debug", "1")
        .body(empty())
        .unwrap();
    let got = client.send(request).await.unwrap();
    assert_eq!(got.status, 200);
    assert_eq!(got.header("x-from"), "mesh");
    assert!(!got.headers.contains_key("server"));
    assert!(!got.headers.contains_key("x-private"));
    let seen = &app.seen()[0];
    assert_eq!(seen.uri(), "/new/b?q=1");
    let headers = seen.headers();
    assert_eq!(headers["host"], "internal.example");
    assert_eq!(headers["x-env"], "prod");
    let list: Vec<_> = headers.get_all("x-list").iter().collect();
    assert_eq!(list, ["a", "b"]);
    assert!(!headers.contains_key("x-debug"));
}

#[tokio::test]
async fn redirects_and_direct_responses_are_given_by_the_proxy() {
    let shop = Shop::open(1, Protocol::Http, |port| {
        let matching = |path: &str, action| {
            let mut rule = rule();
            rule.matches = vec![HttpMatch {
                path: Some(PathMatch::Exact(path.to_owned())),
                ..HttpMatch::default()
            }];
            rule.action = action;
            rule
        };
        let redirect = HttpAction::Redirect(Redirect {
            scheme: Some("https".to_owned()),
            hostname: Some("shop.example".to_owned()),
            status_code: 308,
            ..Redirect::default()
        });
        let direct = HttpAction::DirectResponse(DirectResponse {
            status_code: 503,
            body: "closed".to_owned(),
            content_type: None,
        });
        routes(port, vec![matching("/a", redirect), matching("/b", direct)]);
    })
    .await;
    let app = App::named(shop.instances[0].app, "v1").await;
    let mut client = shop.http1().await;
    let redirect = client.get(HOST, "/a").await;
    assert_eq!(redirect.status, 308);
    assert_eq!(redirect.header("location"), "https://shop.example/a");
    let direct = client.get(HOST, "/b").await;
    assert_eq!((direct.status, direct.body.as_str()), (503, "closed"));
    let unmatched = client.get(HOST, "/c").await;
    assert_eq!(unmatched.status, 404);
    assert_eq!(unmatched.header("x-weft-flag"), "no_route");
    assert_eq!(app.count(), 0);
}

#[tokio::test]
async fn a_refusal_names_policy_and_rule() {
    let shop = Shop::open(1, Protocol::Http, |_| {}).await;
    let app = App::named(shop.instances[0].app, "v1").await;
    let port = shop.instances[0].pod.port();
    shop.mesh
        .inbound("shop", &[(port, Protocol::Http)], |inbound| {
            let policy = |name: &str, action, rules| AuthorizationPolicy {
                id: format!("shop/{name}"),
                selector: Selector::All,
                mode: PolicyMode::Enforce,
                action,
                rules,
                unknown: Vec::new(),
            };
            let readers = AuthRule {
                name: "frontend-reads".to_owned(),
                from: vec![RuleFrom {
                    service_accounts: vec!["web/frontend".to_owned()],
                    ..RuleFrom::default()
                }],
                to: vec![RuleTo {
                    methods: vec!["GET".to_owned()],
                    ..RuleTo::default()
                }],
                ..AuthRule::default()
            };
            let secret = AuthRule {
                name: "secret".to_owned(),
                to: vec![RuleTo {
                    paths: vec!["/admin/*".to_owned()],
                    ..RuleTo::default()
                }],
                ..AuthRule::default()
            };
            inbound.authorization = vec![
                policy("no-admin", AuthAction::Deny, vec![secret]),
                policy("viewer", AuthAction::Allow, vec![readers]),
            ];
        });
    let mut client = shop.http1().await;
    eventually("the policy is active", || async {
        let mut client = shop.http1().await;
        (client.get(HOST, "/admin/x").await.status == 403).then_some(())
    })
    .await;
    let before = app.count();
    for path in ["/admin/x", "//admin//x", "/a/../admin/x", "/%61dmin/x"] {
        let denied = client.get(HOST, path).await;
        assert_eq!(denied.status, 403, "{path}");
        assert_eq!(denied.header("x-weft-flag"), "denied_by");
        assert_eq!(denied.header("x-weft-denied-by"), "shop/no-admin/secret");
        assert!(denied.body.contains("shop/no-admin"), "{}", denied.body);
    }
    let request = client.request(HOST, "/").method("POST");
    let denied = client.send(request.body(full("x")).unwrap()).await.unwrap();
    assert_eq!(denied.header("x-weft-denied-by"), "shop/viewer/-");
    let grpc = shop
        .http2()
        .await
        .send(
            http::Request::post(format!("http://{HOST}/shop.Reviews/Get"))
                .header("content-type", "application/grpc")
                .body(empty())
                .unwrap(),
        )
        .await
        .unwrap();
    assert_eq!((grpc.status, grpc.header("grpc-status")), (200, "7"));
    assert_eq!(
        app.count(),
        before,
        "nothing refused reached the application"
    );
    assert_eq!(client.get(HOST, "/ok").await.status, 200);
    let line = shop.instances[0]
        .proxy
        .logged("the refusal", |line| line["rule"] == "shop/no-admin/secret")
        .await;
    assert_eq!(line["flag"], "denied_by");
    assert_eq!(line["source_identity"], spiffe("web", "frontend"));
}

#[tokio::test]
async fn a_host_that_the_mesh_does_not_know_is_told_so() {
    let shop = Shop::open(1, Protocol::Http, |_| {}).await;
    let mut client = Client::http1(shop.client.outbound).await;
    let got = client.get("nothing.shop", "/").await;
    assert_eq!(
        (got.status, got.header("x-weft-flag")),
        (404, "unknown_host")
    );
}
