use std::{fs, path::PathBuf};

use crate::weft;

#[test]
fn crds_print_the_three_definitions_as_they_stand_in_config() {
    let run = weft::run(["crds"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let config = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../config/crd");
    for kind in ["virtualroutes", "meshpolicies", "authpolicies"] {
        let file = config.join(format!("{kind}.weft.dev.yaml"));
        let written = fs::read_to_string(file).expect("a generated definition");
        assert!(run.stdout.contains(&written), "{kind} differs");
    }
}

#[test]
fn bad_arguments_exit_2_and_say_what_to_write() {
    let bookstore = weft::bookstore();
    for (arguments, part) in [
        (
            vec![
                "why",
                "storefront",
                "bookstore/reviews",
                "GET",
                "/",
                "-f",
                &*bookstore,
            ],
            "namespace/service-account",
        ),
        (
            vec!["why", "a/b", "reviews", "GET", "/", "-f", &*bookstore],
            "namespace/service",
        ),
        (
            vec![
                "why",
                "a/b",
                "bookstore/reviews:x",
                "GET",
                "/",
                "-f",
                &*bookstore,
            ],
            "is no port",
        ),
        (
            vec![
                "why",
                "a/b",
                "bookstore/none",
                "GET",
                "/",
                "-f",
                &*bookstore,
            ],
            "there is no service",
        ),
        (
            vec![
                "why",
                "a/b",
                "bookstore/none:1",
                "GET",
                "/",
                "-f",
                &*bookstore,
            ],
            "there is no",
        ),
        (
            vec![
                "why",
                "a/b",
                "bookstore/reviews:9080",
                "GET",
                "-f",
                &*bookstore,
            ],
            "PATH",
        ),
        (vec!["lint", "-f", "/nowhere/at/all"], "/nowhere/at/all"),
        (vec!["lint"], "--filename"),
    ] {
        let run = weft::run(arguments.iter().copied());
        assert_eq!(run.code, 2, "{arguments:?}: {}", run.stdout);
        assert!(run.stderr.contains(part), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn output_that_is_no_terminals_holds_no_escapes() {
    let run = weft::run([
        "why",
        "-",
        "bookstore/reviews:9080",
        "GET",
        "/",
        "-f",
        &weft::bookstore(),
    ]);
    assert!(!run.stdout.contains('\u{1b}'), "{}", run.stdout);
}
