use crate::{lowering, manifests::Size, operator::Operator, proxy::Proxy, scale::Figures};

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

#[test]
fn a_change_whose_cost_grows_with_the_mesh_is_told() {
    let lowering = lowering::Lowering {
        services: 0,
        parse_ms: 0.0,
        world_ms: 0.0,
        lower_ms: 0.0,
        documents: 0,
        bytes: 0,
        change_ms: 0.05,
        change_documents: 1,
        change_bytes: 1400,
    };
    let operator = Operator {
        services: 0,
        ready_ms: 0.0,
        change_ms: 12.0,
        change_files: 2,
        change_bytes: 2900,
        resident_kib: 0,
        peak_kib: 0,
    };
    let figures = |large_lowering, large_operator| Figures {
        command: String::new(),
        machine: String::new(),
        endpoints: 5,
        lowering: vec![lowering, large_lowering],
        operator: vec![operator, large_operator],
        proxy: Proxy::default(),
    };
    assert!(figures(lowering, operator).growth().is_empty());
    let slower = Operator {
        change_ms: 97.0,
        ..operator
    };
    assert_eq!(figures(lowering, slower).growth().len(), 1);
    let longer = lowering::Lowering {
        change_bytes: 14_000,
        change_documents: 2,
        ..lowering
    };
    assert_eq!(figures(longer, operator).growth().len(), 2);
}
