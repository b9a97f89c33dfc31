//! Sections of figures that are one value each.

use std::{collections::BTreeMap, fmt::Write};

use crate::figures::Figures;

/// Title, what it is about, and what its values are called and mean, in order.
type Group = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const GROUPS: &[Group] = &[
    (
        "A thousand services, one of which changes",
        "A proxy that has called 1,000 services with 5 endpoints each. The route of one more changes \
         ten times a second: CPU of a change without other work, then 1,000 requests per second to \
         that very service. Envoy reads a file with as many virtual hosts (RDS), replaced at each \
         change.",
        &[
            ("rss-1000-services", "RSS of Weft's proxy"),
            ("rss-1000-services-envoy", "RSS of Envoy"),
            ("rss-per-service", "of it, each service"),
            ("reload-cpu", "CPU of a change, Weft"),
            ("reload-cpu-of-envoy", "CPU of a change, Envoy"),
            ("reload-failed", "failed requests, Weft"),
            ("reload-closed", "closed connections, Weft"),
            ("reload-failed-envoy", "failed requests, Envoy"),
            ("reload-p99", "p99, Weft"),
            ("reload-p99-of-envoy", "p99, Envoy"),
        ],
    ),
    (
        "Footprint",
        "What the proxy takes before it does anything.",
        &[
            ("program-size", "the program, as it is released"),
            ("image-size", "its image, compressed"),
            ("ready-ms", "from exec to ready, with the benchmark's mesh"),
            ("rss-idle", "RSS before the first request"),
            (
                "rss-per-1000-connections",
                "RSS for 1,000 idle connections more",
            ),
        ],
    ),
];

/// Prefixes of values that are by scenario and peer, and their columns.
const REQUEST: [(&str, &str); 3] = [
    ("instructions/", "user instructions"),
    ("allocations/", "allocations"),
    ("syscalls/", "system calls"),
];

/// As Markdown, which a terminal shows well enough.
pub(super) fn sections(figures: &Figures) -> Vec<String> {
    let mut sections: Vec<String> = GROUPS
        .iter()
        .filter_map(|group| singles(figures, group))
        .collect();
    sections.extend(request(figures));
    sections
}

fn singles(figures: &Figures, (title, about, names): &Group) -> Option<String> {
    let rows: String = names
        .iter()
        .filter_map(|(name, meaning)| {
            let value = figures.values.get(*name)?;
            Some(format!(
                "| {meaning} | {:.2} {} | {} |\n",
                value.value, value.unit, value.date
            ))
        })
        .collect();
    (!rows.is_empty())
        .then(|| format!("## {title}\n\n{about}\n\n| | seen | when |\n| --- | --- | --- |\n{rows}"))
}

fn request(figures: &Figures) -> Option<String> {
    let mut subjects: BTreeMap<&str, [Option<f64>; 3]> = BTreeMap::new();
    for (column, (prefix, _)) in REQUEST.iter().enumerate() {
        for (name, value) in &figures.values {
            if let Some(subject) = name.strip_prefix(prefix)
                && let Some(cell) = subjects.entry(subject).or_default().get_mut(column)
            {
                *cell = Some(value.value);
            }
        }
    }
    if subjects.is_empty() {
        return None;
    }
    let mut text = String::from(
        "## What a request takes beside time

User instructions and calls of the allocator are counted by callgrind, where time on a shared machine
is not steady: the difference of a run with N and one with 2 N requests, over N. What a program takes
from pools of its own is no allocation. System calls are counted by perf under saturating load.
`bench/instructions.json` is the record that `make test` holds Weft to: 5 % more instructions fail it.

|  |",
    );
    for (_, column) in REQUEST {
        let _ = write!(text, " {column} |");
    }
    text += "\n| --- | --- | --- | --- |\n";
    for (subject, cells) in subjects {
        let _ = write!(text, "| {subject} |");
        for (column, cell) in cells.iter().enumerate() {
            let digits = usize::from(column > 0);
            let _ = match cell {
                Some(value) => write!(text, " {value:.digits$} |"),
                None => write!(text, " – |"),
            };
        }
        text.push('\n');
    }
    Some(text)
}
