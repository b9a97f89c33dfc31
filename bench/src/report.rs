//! What was measured, for a terminal and for docs/performance.md.

/// Bars.
pub mod chart;

/// Text.
pub mod page;

/// Figures that are one value each.
mod values;

use comfy_table::{CellAlignment, Table, presets::NOTHING};

use crate::{
    control_plane,
    figures::{Figure, Figures, Measured},
    reach::{self, Reach},
    statistics::Summary,
};

/// The columns of a scenario.
fn columns(measured: &Measured) -> [String; 10] {
    let unit = match measured.unit.as_str() {
        "" => "requests",
        unit => unit,
    };
    [
        String::new(),
        format!("CPU-s / 10,000 {unit}"),
        "÷ weft".to_owned(),
        format!("{unit} / CPU-s"),
        format!("{unit} / s"),
        "p50 µs".to_owned(),
        "p99 µs".to_owned(),
        "p99.9 µs".to_owned(),
        "RSS idle / load MiB".to_owned(),
        "others' CPU".to_owned(),
    ]
}

/// The cells of a scenario, a row for each peer.
fn rows(measured: &Measured) -> Vec<Vec<String>> {
    let weft = measured
        .figures
        .iter()
        .find(|figure| figure.peer.starts_with("weft"))
        .map(|figure| figure.cpu.median);
    measured
        .figures
        .iter()
        .map(|figure| row(figure, weft))
        .collect()
}

fn row(figure: &Figure, weft: Option<f64>) -> Vec<String> {
    let or_none = |is: bool, text: String| if is { text } else { "–".to_owned() };
    let micros = |summary: &Option<Summary>| {
        summary.map_or_else(
            || "–".to_owned(),
            |summary| format!("{:.0} ±{:.0} %", summary.median, summary.spread() * 100.0),
        )
    };
    let mib = |kib: u64| kib as f64 / 1024.0;
    let cpu = figure.cpu.median;
    let used = cpu > 0.0;
    let weft = weft.filter(|weft| *weft > 0.0);
    let spread = figure.cpu.spread() * 100.0;
    let disturbed = if figure.disturbed { " !" } else { "" };
    vec![
        figure.peer.clone(),
        or_none(used, format!("{cpu:.3} ±{spread:.0} %")),
        or_none(
            used && weft.is_some(),
            format!("{:.2}", cpu / weft.unwrap_or(1.0)),
        ),
        or_none(used, format!("{:.0}", 10_000.0 / cpu)),
        or_none(
            figure.per_second.median > 0.0,
            format!("{:.0}", figure.per_second.median),
        ),
        micros(&figure.p50),
        micros(&figure.p99),
        micros(&figure.p999),
        or_none(
            figure.idle_kib > 0,
            format!("{:.1} / {:.1}", mib(figure.idle_kib), mib(figure.load_kib)),
        ),
        format!("{:.0} %{disturbed}", figure.foreign * 100.0),
    ]
}

/// A scenario as an aligned table.
pub fn table(measured: &Measured) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_header(columns(measured));
    for row in rows(measured) {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{}\n{table}", measured.title)
}

/// The control plane as an aligned table.
pub fn control_plane(measured: &control_plane::Measured) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_header(measured.header());
    table.add_rows(measured.rows());
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{}\n{table}", control_plane::TITLE)
}

/// What must be shown, as an aligned table.
pub fn reaches(rows: &[Reach]) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_header(["figure", "reach", "seen", ""]);
    for row in rows {
        table.add_row(reach_row(row));
    }
    for column in table.column_iter_mut().skip(1).take(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

fn reach_row(row: &Reach) -> [String; 4] {
    let number = |value: f64| {
        let text = if value.abs() < 10.0 {
            format!("{value:.2}")
        } else {
            format!("{value:.0}")
        };
        format!("{text} {}", row.unit).trim_end().to_owned()
    };
    let disturbed = if row.disturbed {
        ", machine not calm"
    } else {
        ""
    };
    [
        row.figure.clone(),
        format!("≤ {}", number(row.most)),
        row.seen.map_or_else(|| "–".to_owned(), number),
        format!("{}{disturbed}", row.verdict()),
    ]
}

/// Everything of `figures` for a terminal.
pub fn all(figures: &Figures) -> String {
    let mut parts: Vec<String> = figures.sections().into_iter().map(table).collect();
    parts.extend(values::sections(figures));
    parts.extend(figures.control_plane.as_ref().map(control_plane));
    parts.push(reaches(&reach::all(figures)));
    parts.join("\n\n")
}
