use crate::{lowering, manifests::Size};

fn measure(services: usize) -> lowering::Lowering {
    let size = Size {
        services,
        endpoints: 5,
    };
    lowering::measure(size).expect("the generated manifests are accepted")
}

#[test]
fn one_route_change_lowers_one_document_whose_size_does_not_depend_on_the_mesh() {
    let (small, large) = (measure(20), measure(120));
    assert!(large.documents > small.documents + 190);
    for mesh in [small, large] {
        assert_eq!(mesh.change_documents, 1);
        assert_eq!(mesh.change_bytes, small.change_bytes);
    }
    assert!(small.change_bytes > 500, "the document is there");
}
