use super::PathPattern;

fn matches(pattern: &str, path: &str) -> bool {
    PathPattern::compile(pattern)
        .expect("a valid pattern")
        .matches(path)
}

#[test]
fn a_pattern_matches_what_it_says_and_nothing_beside_it() {
    for (pattern, hits, misses) in [
        ("/a", &["/a"][..], &["/a/", "/a/b", "/ab", "/A", "/"][..]),
        ("/a/", &["/a/"], &["/a", "/a/b"]),
        (
            "/a/*",
            &["/a", "/a/", "/a/b", "/a/b/c"],
            &["/ab", "/", "/b/a"],
        ),
        ("/*", &["/", "/a", "/a/b"], &["*"]),
        ("*", &["/", "/a/b", "*"], &[]),
        (
            "/items/{id}",
            &["/items/7", "/items/%C3%A9"],
            &["/items", "/items/", "/items/7/x", "/items/7/"],
        ),
        (
            "/shops/{shop}/items/{item}",
            &["/shops/1/items/2"],
            &["/shops/1/items", "/shops//items/2", "/shops/1/2/items/3"],
        ),
        (
            "/users/{id}/public/*",
            &["/users/1/public", "/users/1/public/", "/users/1/public/a/b"],
            &["/users/1/publicity", "/users/1", "/users/public/x"],
        ),
        ("/", &["/"], &["/a"]),
    ] {
        for path in hits {
            assert!(matches(pattern, path), "{pattern} matches {path}");
        }
        for path in misses {
            assert!(!matches(pattern, path), "{pattern} does not match {path}");
        }
    }
}

#[test]
fn a_pattern_is_compared_in_the_form_that_requests_have() {
    assert!(matches("/%61dmin/*", "/admin/x"));
    assert!(matches("/caf%c3%a9", "/caf%C3%A9"));
    assert!(matches("/{id}/%61", "/7/a"));
}

#[test]
fn a_pattern_that_could_never_match_is_refused() {
    for pattern in [
        "", "a", "a/*", "/a*", "/*/a", "/a/*/b", "/{}", "/a{b}", "/{a}{b}", "/a//b", "/{id}//b",
        "/a%2fb", "/{id}/..", "/a/../b", "/../a", "/a\\b", "/%00",
    ] {
        assert!(PathPattern::compile(pattern).is_err(), "{pattern}");
    }
}
