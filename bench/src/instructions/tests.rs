use std::{collections::BTreeMap, path::Path};

use super::{
    callgrind::{Counts, counts as read_counts},
    record::{compare, read, write},
    *,
};

fn counts(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
    pairs
        .iter()
        .map(|(name, count)| ((*name).to_owned(), *count))
        .collect()
}

#[test]
fn five_per_cent_more_fails_and_five_less_asks_for_a_new_record() {
    let record = counts(&[("a", 1000), ("b", 1000), ("c", 1000), ("d", 1000)]);
    let seen = counts(&[("a", 1050), ("b", 1051), ("c", 950), ("d", 949)]);
    let verdict = compare(&record, &seen);
    assert_eq!(verdict.worse.len(), 1);
    assert!(verdict.worse[0].starts_with("b: 1051"), "{verdict:?}");
    assert_eq!(verdict.better.len(), 1);
    assert!(verdict.better[0].starts_with("d: 949"), "{verdict:?}");
}

#[test]
fn what_has_no_record_fails() {
    let verdict = compare(&BTreeMap::new(), &counts(&[("a", 1)]));
    assert_eq!(verdict.worse.len(), 1);
}

#[test]
fn a_new_record_of_one_profile_leaves_the_others_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("instructions.json");
    write(&path, "demo", &counts(&[("a", 1), ("b", 2)])).expect("written");
    write(&path, "release", &counts(&[("a", 3)])).expect("written");
    write(&path, "demo", &counts(&[("a", 4)])).expect("written");
    let record = read(&path).expect("read");
    assert_eq!(record["demo"], counts(&[("a", 4), ("b", 2)]));
    assert_eq!(record["release"], counts(&[("a", 3)]));
}

#[test]
fn the_committed_record_has_what_a_check_counts() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.json");
    let record = read(&path).expect("the record is readable");
    for (name, _, _) in SUBJECTS.iter().filter(|(name, _, _)| is_weft(name)) {
        assert!(record["demo"].contains_key(*name), "{name} is missing");
    }
}

#[test]
fn memory_that_is_asked_for_is_counted_and_what_the_allocator_asks_of_itself_is_not() {
    let said = "events: Ir
fn=(1) forward
10 200
cfn=(2) _rjem_malloc
calls=3 10
12 90
cfn=(3) memcpy
calls=7 10
14 70
fn=(2)
5 90
cfn=(4) _rjem_mallocx
calls=2 5
6 10
fn=(5) answer
cfn=(2)
calls=4 10
9 120
cfn=(6) realloc'2
calls=1 10
9 20
totals: 610
";
    let expected = Counts {
        instructions: 610,
        allocations: 8,
    };
    assert_eq!(read_counts(said), expected);
}
