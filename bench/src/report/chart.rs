//! CPU per request as bars, a group for each scenario: an SVG without fonts or scripts of others.

use std::fmt::Write;

use crate::figures::{Figure, Figures};

const BAR: usize = 20;
const GAP: usize = 6;
const GROUP: usize = 34;
const LEFT: usize = 190;
const WIDTH: usize = 820;
const LONGEST: f64 = 480.0;

/// The chart, light and dark.
pub fn svg(figures: &Figures) -> String {
    let groups: Vec<(String, Vec<&Figure>)> = figures
        .sections()
        .into_iter()
        .filter_map(|measured| {
            let bars: Vec<&Figure> = measured
                .figures
                .iter()
                .filter(|figure| figure.cpu.median > 0.0)
                .collect();
            let title = match measured.unit.as_str() {
                "" | "requests" => measured.title.clone(),
                unit => format!("{}: 10,000 {unit}", measured.title),
            };
            (!bars.is_empty()).then_some((title, bars))
        })
        .collect();
    let mut body = String::new();
    let mut y = GROUP;
    for (title, bars) in &groups {
        let most = bars
            .iter()
            .map(|figure| figure.cpu.median)
            .fold(f64::MIN_POSITIVE, f64::max);
        let _ = writeln!(
            body,
            "<text class=\"title\" x=\"10\" y=\"{y}\">{title}</text>"
        );
        y += GAP + 6;
        for figure in bars {
            let length = (figure.cpu.median / most * LONGEST).round();
            let class = if figure.peer.starts_with("weft") {
                "own"
            } else if figure.peer.contains("floor") {
                "floor"
            } else {
                "peer"
            };
            let (middle, end) = (y + BAR - GAP, LEFT as f64 + length + 8.0);
            let _ = writeln!(
                body,
                "<text class=\"name\" x=\"{}\" y=\"{middle}\">{}</text>\
                 <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{length}\" height=\"{BAR}\" rx=\"2\"/>\
                 <text x=\"{end}\" y=\"{middle}\">{:.3}</text>",
                LEFT - 10,
                figure.peer,
                figure.cpu.median,
            );
            y += BAR + GAP;
        }
        y += GROUP;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y}\" viewBox=\"0 0 {WIDTH} {y}\" role=\"img\" aria-label=\"CPU-seconds per 10,000 requests\">
<style>
text {{ font: 13px system-ui, sans-serif; fill: #24292f; }}
.title {{ font-weight: 600; font-size: 15px; }}
.name {{ text-anchor: end; }}
.own {{ fill: #2a78d6; }}
.peer {{ fill: #9aa4af; }}
.floor {{ fill: #d5dae0; }}
@media (prefers-color-scheme: dark) {{ text {{ fill: #e6edf3; }} .peer {{ fill: #6e7681; }} .floor {{ fill: #444c56; }} }}
</style>
<text x=\"10\" y=\"16\">CPU-seconds of the proxies for 10,000 requests; shorter is better</text>
{body}</svg>
"
    )
}
