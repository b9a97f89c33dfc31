use super::base64;

#[test]
fn bytes_are_written_as_etcd_reads_them() {
    assert_eq!(base64(b"/registry/pods/"), "L3JlZ2lzdHJ5L3BvZHMv");
    assert_eq!(base64(b"a"), "YQ==");
}
