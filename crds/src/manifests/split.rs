//! Cutting a YAML stream into documents.

/// The documents of a stream, each with the line on which it begins. Split before parsing, so
/// that a syntax error ends with its own document. A `---` in the first column is always a
/// marker: inside a document every line of content that could begin so is indented (YAML 1.2,
/// 9.1.2).
pub(super) fn documents(text: &str) -> Vec<(usize, &str)> {
    let mut documents = Vec::new();
    let (mut start, mut start_line) = (0, 1);
    let mut offset = 0;
    for (at, line) in text.split_inclusive('\n').enumerate() {
        let content = line.trim_end();
        let marker = content == "---" || content.starts_with("--- ") || content == "...";
        if marker {
            push(&mut documents, text, start..offset, start_line);
            // What stands on the marker's own line belongs to the document.
            start = offset + 3.min(line.len());
            start_line = at + 1;
        }
        offset += line.len();
    }
    push(&mut documents, text, start..text.len(), start_line);
    documents
}

fn push<'t>(
    documents: &mut Vec<(usize, &'t str)>,
    text: &'t str,
    range: std::ops::Range<usize>,
    line: usize,
) {
    let document = text.get(range).unwrap_or_default();
    // Comments alone are no document.
    if document
        .lines()
        .any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
    {
        documents.push((line, document));
    }
}
