use super::Summary;

#[test]
fn one_wild_round_does_not_move_the_median() {
    let calm = Summary::of(&[3.0, 1.0, 2.0]);
    assert_eq!((calm.median, calm.least, calm.most), (2.0, 1.0, 3.0));
    assert_eq!(Summary::of(&[100.0, 1.0, 2.0]).median, 2.0);
    assert_eq!(Summary::of(&[1.0, 2.0, 3.0, 100.0]).median, 2.5);
    assert!((calm.spread() - 0.5).abs() < 1e-9);
    assert_eq!(Summary::of(&[]), Summary::default());
}
