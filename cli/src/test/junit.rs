use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use weft_crds::corpus::FileReport;

use crate::exit::Failure;

/// The reports as JUnit XML: a suite per file.
pub(super) fn report(files: &[FileReport]) -> Result<String, Failure> {
    let mut report = Report::new("weft test");
    for file in files {
        let mut suite = TestSuite::new(file.path.display().to_string());
        for result in &file.results {
            let status = if result.failures.is_empty() {
                TestCaseStatus::success()
            } else {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_message(result.failures.join("; "));
                status
            };
            suite.add_test_case(TestCase::new(result.name.as_str(), status));
        }
        report.add_test_suite(suite);
    }
    report.to_string().map_err(|error| Failure::Format {
        format: "junit",
        message: error.to_string(),
    })
}
