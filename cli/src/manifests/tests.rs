use weft_crds::manifests::Location;

use super::{document_at, node::Node};

const ROUTE: &str = "\
apiVersion: weft.dev/v1alpha1
kind: VirtualRoute
spec:
  parentRefs: [{kind: Service, name: web}]
  http:
  - name: first
    matches:
    - path:
        type: Exact
        value: /a
  - name: second
    requestHeaders:
      set:
        x.y: z
";

fn line(field: &str) -> usize {
    serde_saphyr::from_str::<Node>(ROUTE)
        .expect("the route parses")
        .line_of(field)
}

#[test]
fn a_field_is_found_at_its_key() {
    assert_eq!(line("spec"), 3);
    assert_eq!(line("spec.http"), 5);
    assert_eq!(line("spec.http[0].matches[0].path.value"), 10);
    assert_eq!(line("spec.http[1].name"), 11);
}

#[test]
fn a_field_in_flow_style_is_found_on_its_line() {
    assert_eq!(line("spec.parentRefs[0].name"), 4);
}

#[test]
fn a_field_that_is_not_written_is_found_at_what_holds_it() {
    assert_eq!(line("spec.http[1].rewrite.path"), 11);
    assert_eq!(line("status"), 1);
}

#[test]
fn a_key_with_dots_is_found_in_quotes() {
    assert_eq!(line("spec.http[1].requestHeaders.set[\"x.y\"]"), 14);
}

#[test]
fn an_item_is_found_by_its_name() {
    assert_eq!(line("spec.http[second]"), 11);
    assert_eq!(line("spec.http[first].matches[0].path.type"), 9);
}

#[test]
fn a_document_ends_where_the_next_begins() {
    let text = "a: 1\n---\nb: 2\nc: 3\n---\nd: 4\n";
    assert_eq!(document_at(text, 3), "b: 2\nc: 3\n");
    assert_eq!(document_at(text, 1), "a: 1\n");
}

#[test]
fn a_file_that_has_gone_leaves_the_documents_own_line() {
    let location = Location {
        file: "no/such/file.yaml".to_owned(),
        line: 7,
    };
    let found = super::Lines::default().of(&location, "spec.http");
    assert_eq!(found, location);
}
