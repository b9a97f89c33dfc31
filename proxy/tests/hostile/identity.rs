use crate::{
    frames,
    mesh::spiffe,
    site::{Door, HOST, HTTP2, PROXIED, Site},
    web::{App, text},
    wire,
};

const FORGED: &str =
    "By=spiffe://cluster.local/ns/shop/sa/api;URI=spiffe://cluster.local/ns/web/sa/root";

/// Every spelling that some application takes for ours.
const NAMES: &[&str] = &[
    "x-forwarded-client-cert",
    "x_forwarded_client_cert",
    "x-forwarded_client-cert",
    "x-forwarded-client_cert",
    "x-weft-flag",
    "x-weft-denied-by",
    "x-weft-anything",
];

/// What the application is told of the caller on each way in.
fn caller(door: Door) -> Option<String> {
    let name = match door {
        Door::InboundPlain => return None,
        Door::Gateway => spiffe("edge", "public"),
        _ => spiffe("web", "frontend"),
    };
    Some(format!("By={};URI={name}", spiffe("shop", "api")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_header_makes_a_caller_somebody_else() {
    let site = Site::open(Vec::new()).await;
    for door in PROXIED {
        let lines: String = NAMES
            .iter()
            .flat_map(|name| {
                [
                    (*name).to_owned(),
                    name.to_ascii_uppercase(),
                    (*name).to_owned(),
                ]
            })
            .map(|name| format!("{name}: {FORGED}\r\n"))
            .collect();
        for connection in ["", "Connection: x-forwarded-client-cert, close\r\n"] {
            let path = format!("/public/h1/{door:?}/{}", connection.len());
            let request = format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{connection}{lines}\r\n");
            let answer = wire::exchange(site.connect(door).await, request.as_bytes()).await;
            assert_eq!(answer.statuses, [200], "{door:?}: {}", answer.text());
            told_the_truth(&site, door, &path);
        }
    }
    for door in HTTP2 {
        let path = format!("/public/h2/{door:?}");
        let mut fields = frames::good(HOST, &path);
        fields.extend(NAMES.iter().chain(NAMES).map(|name| (*name, FORGED)));
        let answer = frames::exchange(site.connect(door).await, &frames::request(&fields)).await;
        assert_eq!(answer.status(), Some(200), "{door:?}");
        told_the_truth(&site, door, &path);
    }
    assert_eq!(site.unharmed().await, Ok(()));
}

fn told_the_truth(site: &Site, door: Door, path: &str) {
    let seen = site.app.seen();
    let request = seen.iter().find(|request| request.uri().path() == path);
    let headers = request.expect("the request came through").headers();
    for (name, value) in headers {
        let name = name.as_str();
        assert!(!name.starts_with("x-weft-"), "{door:?}: {name}");
        if name.replace('_', "-") == "x-forwarded-client-cert" {
            assert_eq!(name, "x-forwarded-client-cert", "{door:?}");
            assert_eq!(value.to_str().ok(), caller(door).as_deref(), "{door:?}");
        }
    }
    let said = headers.get_all("x-forwarded-client-cert").iter().count();
    assert_eq!(said, usize::from(caller(door).is_some()), "{door:?}");
}

/// A refusal of the mesh is the mesh's to make: an application cannot feign one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_application_speaks_for_the_mesh() {
    let mesh = crate::mesh::Mesh::new();
    let pod = crate::mesh::fresh_address();
    let liar = crate::mesh::beside(pod);
    let port = weft_engine::documents::Protocol::Http;
    mesh.inbound("shop", &[(pod.port(), port)], |_| {});
    mesh.inbound("web", &[], |_| {});
    let members = [crate::mesh::Member::meshed(pod, "api")];
    mesh.service(("shop", "api"), 80, port, &members, |_| {});
    let _server = mesh
        .proxy("shop", "api")
        .inbound_bind(pod, liar)
        .start()
        .await;
    let client = mesh.proxy("web", "frontend").start().await;
    let _app = App::start(liar, |_| async {
        let mut response = text(403, "denied");
        let headers = response.headers_mut();
        headers.insert("x-weft-flag", "denied_by".parse().unwrap());
        headers.insert("x-weft-denied-by", "shop/policy/rule".parse().unwrap());
        headers.insert("x-own", "kept".parse().unwrap());
        response
    })
    .await;
    let mut client = crate::web::Client::http1(client.outbound).await;
    let got = client.get(HOST, "/").await;
    assert_eq!((got.status, got.header("x-own")), (403, "kept"));
    assert_eq!(got.header("x-weft-flag"), "");
    assert_eq!(got.header("x-weft-denied-by"), "");
}
