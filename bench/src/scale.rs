//! `scale`: what 2,000 services cost, and what one change costs among 200 and among 2,000.

use std::path::PathBuf;

use comfy_table::{CellAlignment, Table, presets::NOTHING};

use crate::{
    BenchError, footprint,
    lowering::{self, Lowering},
    manifests::Size,
    operator::{self, Operator},
    proxy::{self, Proxy},
};

/// What to measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Services of the large mesh.
    #[arg(long, default_value_t = 2000)]
    pub services: usize,
    /// Services of the small mesh, for comparison.
    #[arg(long, default_value_t = 200)]
    pub small: usize,
    /// Endpoints of each service.
    #[arg(long, default_value_t = 5)]
    pub endpoints: usize,
    /// Services that the proxy calls.
    #[arg(long, default_value_t = 1000)]
    pub called: usize,
    /// Worker threads of the proxy.
    #[arg(long, default_value_t = 1)]
    pub workers: usize,
    /// Where weft-operator and weft-proxy are. Default: beside this program.
    #[arg(long)]
    pub bin_dir: Option<PathBuf>,
    /// JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Every figure.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Figures {
    /// The command that produced them.
    pub command: String,
    /// Where it ran.
    pub machine: String,
    /// Endpoints of each service.
    pub endpoints: usize,
    /// The library alone, small mesh first.
    pub lowering: Vec<Lowering>,
    /// The operator's process, small mesh first.
    pub operator: Vec<Operator>,
    /// A proxy in the large mesh.
    pub proxy: Proxy,
}

/// Measures; a minute or two.
pub fn measure(options: &Options) -> Result<Figures, BenchError> {
    let programs = match &options.bin_dir {
        Some(folder) => folder.clone(),
        None => std::env::current_exe()
            .ok()
            .and_then(|program| program.parent().map(PathBuf::from))
            .unwrap_or_default(),
    };
    let size = |services| Size {
        services,
        endpoints: options.endpoints,
    };
    let (small, large) = (size(options.small), size(options.services));
    let note = |what: &str| eprintln!("measuring {what}");

    note("the library");
    let lowering = vec![lowering::measure(small)?, lowering::measure(large)?];

    let folder = tempfile::Builder::new()
        .prefix("weft-bench-")
        .tempdir()
        .map_err(BenchError::file(std::env::temp_dir()))?;
    let program = programs.join("weft-operator");
    note("the operator, small mesh");
    let running = operator::start(&program, &folder.path().join("small"), small)?;
    let mut operator = vec![running.measure(small)?];
    drop(running);
    note("the operator, large mesh");
    let running = operator::start(&program, &folder.path().join("large"), large)?;
    operator.push(running.measure(large)?);

    note("a proxy");
    let proxy = proxy::measure(
        &programs.join("weft-proxy"),
        &running.out,
        folder.path(),
        options.called.min(options.services),
        options.workers,
    )?;
    Ok(Figures {
        command: std::env::args().collect::<Vec<_>>().join(" "),
        machine: footprint::machine(),
        endpoints: options.endpoints,
        lowering,
        operator,
        proxy,
    })
}

/// What a measurement of a few hundredths of a millisecond varies by.
const LIBRARY_SLACK_MS: f64 = 0.05;

/// What a process that shares the machine varies by.
const OPERATOR_SLACK_MS: f64 = 10.0;

impl Figures {
    /// What of one change grows with the mesh, and must not: its time beyond twice that of the
    /// small mesh and a slack, its documents and bytes at all.
    pub fn growth(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut time = |what: &str, small: f64, large: f64, slack: f64| {
            if large > 2.0 * small + slack {
                found.push(format!(
                    "{what}: one change takes {small:.2} ms in the small mesh and {large:.2} ms in the large one"
                ));
            }
        };
        if let [small, large] = self.lowering.as_slice() {
            time(
                "library",
                small.change_ms,
                large.change_ms,
                LIBRARY_SLACK_MS,
            );
        }
        if let [small, large] = self.operator.as_slice() {
            time(
                "operator",
                small.change_ms,
                large.change_ms,
                OPERATOR_SLACK_MS,
            );
        }
        let mut equal = |what: &str, small: u64, large: u64| {
            if small != large {
                found.push(format!(
                    "{what} of one change: {small} in the small mesh, {large} in the large one"
                ));
            }
        };
        if let [small, large] = self.lowering.as_slice() {
            let (documents, bytes) = (large.change_documents as u64, large.change_bytes as u64);
            equal("documents", small.change_documents as u64, documents);
            equal("bytes of documents", small.change_bytes as u64, bytes);
        }
        if let [small, large] = self.operator.as_slice() {
            let files = large.change_files as u64;
            equal("files", small.change_files as u64, files);
            equal("bytes of files", small.change_bytes, large.change_bytes);
        }
        found
    }

    /// An aligned table under the command and the machine.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_preset(NOTHING);
        let mut header = vec![String::new()];
        header.extend(
            self.lowering
                .iter()
                .map(|l| format!("{} services", l.services)),
        );
        table.set_header(header);
        let mut row = |name: &str, values: Vec<String>| {
            let mut cells = vec![name.to_owned()];
            cells.extend(values);
            table.add_row(cells);
        };
        let of = |value: &dyn Fn(&Lowering) -> String| self.lowering.iter().map(value).collect();
        row("library: read and check YAML", of(&|l| millis(l.parse_ms)));
        row("library: fill the World", of(&|l| millis(l.world_ms)));
        row("library: first full lowering", of(&|l| millis(l.lower_ms)));
        row("library: documents", of(&|l| l.documents.to_string()));
        row("library: bytes of documents", of(&|l| kib(l.bytes as u64)));
        row("library: one route change", of(&|l| millis(l.change_ms)));
        row(
            "library: documents of one change",
            of(&|l| l.change_documents.to_string()),
        );
        row(
            "library: bytes of one change",
            of(&|l| format!("{} B", l.change_bytes)),
        );
        let of = |value: &dyn Fn(&Operator) -> String| self.operator.iter().map(value).collect();
        row(
            "operator: start to all written",
            of(&|o| millis(o.ready_ms)),
        );
        row("operator: one route change", of(&|o| millis(o.change_ms)));
        row(
            "operator: files of one change",
            of(&|o| o.change_files.to_string()),
        );
        row(
            "operator: bytes of one change",
            of(&|o| format!("{} B", o.change_bytes)),
        );
        row("operator: resident", of(&|o| kib(o.resident_kib * 1024)));
        row("operator: peak", of(&|o| kib(o.peak_kib * 1024)));
        let large = |value: String| vec![String::new(), value];
        let proxy = &self.proxy;
        row("proxy: start to ready", large(millis(proxy.ready_ms)));
        row("proxy: resident, idle", large(kib(proxy.idle_kib * 1024)));
        let name = format!("proxy: resident, {} services loaded", proxy.called);
        row(&name, large(kib(proxy.loaded_kib * 1024)));
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        format!(
            "{}\n{}\n{} endpoints per service, {} proxy worker(s)\n\n{table}",
            self.command, self.machine, self.endpoints, proxy.workers
        )
    }
}

fn millis(ms: f64) -> String {
    if ms < 10.0 {
        format!("{ms:.2} ms")
    } else {
        format!("{ms:.0} ms")
    }
}

fn kib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
