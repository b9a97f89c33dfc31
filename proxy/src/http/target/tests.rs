use super::service_of;

fn read(authority: &str) -> Option<(String, String, u16)> {
    service_of(authority, "shop", "cluster.local")
        .map(|service| (service.namespace, service.name, service.port))
}

fn service(namespace: &str, name: &str, port: u16) -> Option<(String, String, u16)> {
    Some((namespace.to_owned(), name.to_owned(), port))
}

#[test]
fn every_form_of_a_services_name_is_understood() {
    assert_eq!(read("reviews"), service("shop", "reviews", 80));
    assert_eq!(read("reviews:9080"), service("shop", "reviews", 9080));
    assert_eq!(read("reviews.other"), service("other", "reviews", 80));
    assert_eq!(read("reviews.other.svc:1"), service("other", "reviews", 1));
    assert_eq!(
        read("Reviews.Other.SVC.cluster.local.:9080"),
        service("other", "reviews", 9080)
    );
}

#[test]
fn other_hosts_name_no_service() {
    for authority in [
        "",
        ":80",
        "www.example.com",
        "a.b.svc.example.org",
        "reviews:port",
        "reviews:99999",
        "[::1]:80",
    ] {
        assert_eq!(read(authority), None, "{authority}");
    }
}
