//! Words that are no strings to kubectl.

use weft_engine::problem::Problem;

/// What YAML 1.1 takes for a boolean besides `true` and `false`, and kubectl with it.
const BOOLEANS: [&str; 8] = ["y", "n", "yes", "no", "on", "off", "true", "false"];

/// Says of a boolean that stands where a string belongs what was written, on this line, and how
/// to make it a string. Any other problem stays as it is.
pub(super) fn explain(problem: Problem, line: &str) -> Problem {
    let Some(rest) = ["true is no string", "false is no string"]
        .iter()
        .find_map(|of| problem.message.strip_prefix(of))
    else {
        return problem;
    };
    let field = problem.field.rsplit(['.', '[']).next().unwrap_or_default();
    let Some(word) = word(line, field.trim_end_matches(']')) else {
        return problem;
    };
    Problem {
        message: format!(
            "`{word}` without quotes is a boolean, not a string (YAML 1.1, which kubectl reads){rest}"
        ),
        fix: format!("quote it: \"{word}\""),
        ..problem
    }
}

/// The boolean on a line: behind the field's own name if it stands there, else the only one.
fn word<'l>(line: &'l str, field: &str) -> Option<&'l str> {
    let line = line.split(" #").next().unwrap_or_default();
    let mut before = "";
    let mut found = None;
    for word in line.split([' ', ',', '[', ']', '{', '}', '-', '\n', '\t']) {
        if word.is_empty() {
            continue;
        }
        let boolean = BOOLEANS
            .iter()
            .any(|known| word.eq_ignore_ascii_case(known));
        if boolean && before.strip_suffix(':') == Some(field) {
            return Some(word);
        }
        if boolean {
            found = Some(word);
        }
        before = word;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn the_boolean_of_a_field_is_found_on_its_line() {
        for (line, field, wanted) in [
            ("  - name: y", "name", Some("y")),
            ("headers: [{name: no, value: on}]", "value", Some("on")),
            ("headers: [{name: no, value: on}]", "name", Some("no")),
            ("  - Off   # or yes", "0", Some("Off")),
            ("  name: yeast", "name", None),
        ] {
            assert_eq!(word(line, field), wanted, "{line}");
        }
    }
}
