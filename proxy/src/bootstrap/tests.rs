use clap::Parser;

use super::Bootstrap;

#[test]
fn labels_are_read_as_the_downward_api_writes_them() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        "app.kubernetes.io/name=\"reviews\"\nempty=\"\"\nversion=\"v1\"",
    )
    .unwrap();
    let path = file.path().to_str().unwrap();
    let mut bootstrap = Bootstrap::try_parse_from([
        "weft-proxy",
        "--namespace=a",
        "--config-dir=/x",
        "--labels=version=v0,zone=a",
        "--labels-file",
        path,
    ])
    .unwrap();
    bootstrap.read_labels().unwrap();
    let labels: Vec<_> = bootstrap.labels.iter().map(|(k, v)| (&**k, &**v)).collect();
    assert_eq!(
        labels,
        [
            ("app.kubernetes.io/name", "reviews"),
            ("empty", ""),
            ("version", "v1"),
            ("zone", "a"),
        ]
    );
}
