use super::sum;

#[test]
fn a_counter_is_summed_over_its_labels_and_no_other_is() {
    let text = "# TYPE written counter\n\
                written_total{kind=\"service\"} 3\n\
                written_total{kind=\"mesh\"} 4\n\
                written_total_created 9\n\
                statuses_total 5\n";
    assert_eq!(sum(text, "written_total"), 7);
    assert_eq!(sum(text, "statuses_total"), 5);
    assert_eq!(sum(text, "absent_total"), 0);
}
