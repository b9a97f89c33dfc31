use proptest::prelude::*;

use super::{PathRejection as No, normalise};

#[test]
fn equal_spellings_have_one_form() {
    for (spelling, form) in [
        ("/", "/"),
        ("//", "/"),
        ("///a", "/a"),
        ("/a//b", "/a/b"),
        ("/a/", "/a/"),
        ("/a//", "/a/"),
        ("/a/.", "/a/"),
        ("/a/./b", "/a/b"),
        ("/a/..", "/"),
        ("/a/../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a//../b", "/b"),
        ("/a/%2e%2e/b", "/b"),
        ("/a/%2E./b", "/b"),
        ("/a/.%2e/b", "/b"),
        ("/%61dmin", "/admin"),
        ("/%7euser", "/~user"),
        ("/a%2db", "/a-b"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/café", "/caf%C3%A9"),
        ("/a b", "/a%20b"),
        ("/a%20b", "/a%20b"),
        ("/{id}", "/%7Bid%7D"),
        ("/a%21", "/a%21"),
        ("/a!", "/a!"),
        ("/%252e%252e/x", "/%252e%252e/x"),
        ("/...", "/..."),
        ("/a/...", "/a/..."),
        ("/a./b", "/a./b"),
        ("/.hidden", "/.hidden"),
        ("/a;v=1/b", "/a;v=1/b"),
        ("/a;v=1/../b", "/b"),
        ("/A", "/A"),
    ] {
        assert_eq!(normalise(spelling).as_deref(), Ok(form), "{spelling}");
    }
}

#[test]
fn what_has_no_safe_reading_is_refused() {
    for (path, why) in [
        ("", No::NotAbsolute),
        ("a", No::NotAbsolute),
        ("*", No::NotAbsolute),
        ("http://x/", No::NotAbsolute),
        ("/..", No::AboveRoot),
        ("/../a", No::AboveRoot),
        ("/a/../..", No::AboveRoot),
        ("/%2e%2e", No::AboveRoot),
        ("/a%2fb", No::EncodedSlash),
        ("/a%2Fb", No::EncodedSlash),
        ("/a%5cb", No::EncodedSlash),
        ("/a\\b", No::EncodedSlash),
        ("/a%00", No::ControlCharacter),
        ("/a%0d%0a", No::ControlCharacter),
        ("/a%7f", No::ControlCharacter),
        ("/a\u{0}", No::ControlCharacter),
        ("/a\r\n", No::ControlCharacter),
        ("/%", No::InvalidEncoding),
        ("/%2", No::InvalidEncoding),
        ("/%zz", No::InvalidEncoding),
        ("/%+1", No::InvalidEncoding),
        ("/a#b", No::Delimiter),
        ("/a?b", No::Delimiter),
        ("/public/..;/admin", No::HiddenDotSegment),
        ("/public/%2e%2e;x=1/admin", No::HiddenDotSegment),
        ("/.;/admin", No::HiddenDotSegment),
    ] {
        assert_eq!(normalise(path), Err(why), "{path:?}");
    }
}

#[test]
fn a_normal_path_costs_no_allocation() {
    for path in ["/", "/reviews/7", "/a.b/c-d_e~f", "/a;b=c/@x:y"] {
        assert!(matches!(normalise(path), Ok(std::borrow::Cow::Borrowed(_))));
    }
}

proptest! {
    #[test]
    fn normalising_twice_changes_nothing(path in "/[a-z./%;0-9A-F{} é\\\\?#]{0,40}") {
        if let Ok(once) = normalise(&path) {
            let twice = normalise(&once);
            prop_assert_eq!(twice.as_deref(), Ok(&*once));
        }
    }

    #[test]
    fn no_path_makes_it_panic(path in any::<String>()) {
        let _ = normalise(&path);
    }

    #[test]
    fn a_form_holds_no_dot_segment_and_no_empty_segment(path in "/[a./%2eE]{0,40}") {
        if let Ok(form) = normalise(&path) {
            prop_assert!(form.starts_with('/'));
            prop_assert!(!form.contains("//"));
            prop_assert!(form.split('/').all(|segment| segment != "." && segment != ".."));
        }
    }
}
