use super::{AuthorityRejection as No, host};

#[test]
fn equal_hosts_have_one_form() {
    for (authority, form) in [
        ("Reviews.Shop", "reviews.shop"),
        ("reviews:9080", "reviews"),
        ("reviews.", "reviews"),
        ("reviews.:80", "reviews"),
        ("reviews:", "reviews"),
        ("[2001:DB8::1]:80", "[2001:db8::1]"),
        ("[::1]", "[::1]"),
        ("10.0.0.1:8080", "10.0.0.1"),
        ("my_service", "my_service"),
        ("", ""),
    ] {
        assert_eq!(host(authority).as_deref(), Ok(form), "{authority}");
    }
}

#[test]
fn an_authority_that_names_no_host_is_refused() {
    for (authority, why) in [
        ("user@reviews", No::UserInfo),
        ("user:pass@reviews:80", No::UserInfo),
        ("reviews..shop", No::Host),
        (".reviews", No::Host),
        ("reviews..", No::Host),
        (".", No::Host),
        (":80", No::Host),
        ("re views", No::Host),
        ("reviews/x", No::Host),
        ("reviews%00", No::Host),
        ("[::1", No::Host),
        ("[::1]x", No::Host),
        ("[nope]", No::Host),
        ("reviews:http", No::Port),
        ("reviews:65536", No::Port),
        ("reviews:80:80", No::Port),
    ] {
        assert_eq!(host(authority), Err(why), "{authority}");
    }
}
