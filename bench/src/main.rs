//! Figures on the command line.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use weft_bench::{
    BenchError, control_plane,
    figures::{Figure, Figures},
    handshakes, idle, instructions, path, reach, reload, report, scale,
    scenario::{Scenario, Stage},
    tools::{Places, Tools, version},
};

#[derive(Parser)]
#[command(
    name = "weft-bench",
    about = "Figures, with the command that produced them"
)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// What thousands of services cost: lowering, one change, memory. Fails when the cost of one
    /// change grows with the mesh.
    Scale(scale::Options),
    /// The path of a request under load, side by side with other proxies.
    Path {
        /// Which; none: all of them.
        scenarios: Vec<Scenario>,
        #[command(flatten)]
        run: Run,
    },
    /// Handshakes of mutual TLS, full and resumed.
    Handshakes {
        #[command(flatten)]
        run: Run,
    },
    /// One of 1,000 services changes ten times a second; the memory of 1,000 services.
    Reload {
        #[command(flatten)]
        run: Run,
    },
    /// 5,000 connections that say nothing.
    Idle {
        #[command(flatten)]
        run: Run,
    },
    /// The control plane on a real kube-apiserver and etcd: starts, changes, memory, many proxies.
    ControlPlane {
        #[command(flatten)]
        options: control_plane::Options,
        #[command(flatten)]
        store: Store,
        #[command(flatten)]
        places: Places,
        /// Enough to see that everything runs.
        #[arg(long)]
        quick: bool,
    },
    /// User instructions of a request, counted by callgrind; with --check, held to the record.
    Instructions {
        #[command(flatten)]
        options: instructions::Options,
        #[command(flatten)]
        store: Store,
        #[command(flatten)]
        places: Places,
    },
    /// What was measured, as tables; fails where a figure falls short of what must be shown.
    Report {
        #[command(flatten)]
        store: Store,
        /// Writes performance.md and performance.svg to this folder.
        #[arg(long)]
        docs: Option<PathBuf>,
    },
}

#[derive(clap::Args)]
struct Run {
    #[command(flatten)]
    effort: path::Effort,
    #[command(flatten)]
    store: Store,
    #[command(flatten)]
    places: Places,
    /// Enough to see that everything runs.
    #[arg(long)]
    quick: bool,
}

impl Run {
    fn effort(&self) -> path::Effort {
        let effort = self.effort.clone();
        if self.quick { effort.quick() } else { effort }
    }

    fn stage(&self) -> Result<Stage, BenchError> {
        Stage::set(Tools::from(&self.places))
    }
}

#[derive(clap::Args)]
struct Store {
    /// Where figures are kept: JSON.
    #[arg(long, default_value = "target/bench/figures.json")]
    figures: PathBuf,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().what {
        What::Scale(options) => measure_scale(&options),
        What::Path { scenarios, run } => measure_path(&scenarios, &run),
        What::Handshakes { run } => measure_handshakes(&run),
        What::Reload { run } => measure_reload(&run),
        What::Idle { run } => measure_idle(&run),
        What::ControlPlane {
            options,
            store,
            places,
            quick,
        } => {
            let options = if quick { options.quick() } else { options };
            measure_control_plane(&options, &store, &places)
        }
        What::Instructions {
            options,
            store,
            places,
        } => count_instructions(&options, &store, &places),
        What::Report { store, docs } => tell(&store, docs),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("weft-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure_scale(options: &scale::Options) -> Result<bool, BenchError> {
    let figures = scale::measure(options)?;
    if options.json {
        println!("{}", json(&figures)?);
    } else {
        println!("{}", figures.table());
    }
    let growth = figures.growth();
    for grows in &growth {
        eprintln!("weft-bench: {grows}");
    }
    Ok(growth.is_empty())
}

fn measure_path(scenarios: &[Scenario], run: &Run) -> Result<bool, BenchError> {
    let (stage, effort) = (run.stage()?, run.effort());
    let all = if scenarios.is_empty() {
        &Scenario::ALL
    } else {
        scenarios
    };
    for scenario in all {
        let measured = path::measure(&stage, *scenario, &effort)?;
        keep(&run.store, &stage.tools, scenario.section(), measured)?;
    }
    Ok(true)
}

fn measure_handshakes(run: &Run) -> Result<bool, BenchError> {
    let stage = run.stage()?;
    let measured = handshakes::measure(&stage, &run.effort())?;
    let ratio = handshakes::ratio(&measured, "haproxy");
    let mut figures = keep(&run.store, &stage.tools, handshakes::SECTION, measured)?;
    if let Some(ratio) = ratio {
        figures.put_value("handshake-cpu-haproxy", ratio, "");
        figures.write(&run.store.figures)?;
    }
    Ok(true)
}

fn measure_idle(run: &Run) -> Result<bool, BenchError> {
    let stage = run.stage()?;
    let measured = idle::measure(&stage, if run.quick { 200 } else { 5000 })?;
    keep(&run.store, &stage.tools, idle::SECTION, measured)?;
    Ok(true)
}

fn measure_reload(run: &Run) -> Result<bool, BenchError> {
    let stage = run.stage()?;
    let mut figures = Figures::read(&run.store.figures)?;
    reload::measure(&stage, if run.quick { 1 } else { 10 }, &mut figures)?;
    figures.write(&run.store.figures)?;
    Ok(true)
}

fn measure_control_plane(
    options: &control_plane::Options,
    store: &Store,
    places: &Places,
) -> Result<bool, BenchError> {
    let measured = control_plane::measure(&Tools::from(places), options)?;
    let mut figures = Figures::read(&store.figures)?;
    measured.keep(&mut figures);
    figures.write(&store.figures)?;
    if let Some(measured) = &figures.control_plane {
        println!("{}\n", report::control_plane(measured));
    }
    Ok(true)
}

/// Takes a section into the file and prints it.
fn keep(
    store: &Store,
    tools: &Tools,
    section: (&str, &str, &str),
    measured: Vec<Figure>,
) -> Result<Figures, BenchError> {
    let mut figures = Figures::read(&store.figures)?;
    figures.versions.extend(versions(tools));
    figures.put(section, measured);
    figures.write(&store.figures)?;
    if let Some(measured) = figures.scenarios.get(section.0) {
        println!("{}\n", report::table(measured));
    }
    Ok(figures)
}

fn versions(tools: &Tools) -> BTreeMap<String, String> {
    let mut seen = BTreeMap::new();
    for (name, flag) in [
        ("haproxy", "-v"),
        ("nginx", "-v"),
        ("wrk", "-v"),
        ("h2load", "--version"),
    ] {
        if let Ok(program) = tools.system(name) {
            seen.insert(name.to_owned(), version(&program, flag));
        }
    }
    if let Ok(program) = tools.envoy() {
        let said = version(&program, "--version");
        // Path, commit and version, divided by slashes.
        let said = said
            .rsplit_once("version:")
            .map_or(said.as_str(), |(_, version)| version);
        seen.insert("envoy".to_owned(), said.trim().to_owned());
    }
    if let Ok(program) = tools.released("weft-proxy") {
        seen.insert("weft-proxy".to_owned(), version(&program, "--version"));
    }
    seen
}

fn count_instructions(
    options: &instructions::Options,
    store: &Store,
    places: &Places,
) -> Result<bool, BenchError> {
    let stage = Stage::set(Tools::from(places))?;
    let seen = instructions::measure(&stage, options)?;
    if options.write {
        instructions::write(&options.record, &options.profile, &seen)?;
    }
    if !options.check {
        let mut figures = Figures::read(&store.figures)?;
        for (name, count) in &seen {
            figures.put_value(&format!("instructions/{name}"), *count as f64, "");
        }
        figures.write(&store.figures)?;
        return Ok(true);
    }
    let record = instructions::read(&options.record)?;
    let recorded = record.get(&options.profile).cloned().unwrap_or_default();
    let verdict = instructions::compare(&recorded, &seen);
    for line in &verdict.better {
        println!("lower the record, so that this is kept: {line}");
    }
    for line in &verdict.worse {
        eprintln!("weft-bench: {line}");
    }
    Ok(verdict.worse.is_empty())
}

fn tell(store: &Store, docs: Option<PathBuf>) -> Result<bool, BenchError> {
    let figures = Figures::read(&store.figures)?;
    println!("{}", report::all(&figures));
    if let Some(folder) = docs {
        let put = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|source| BenchError::File { path, source })
        };
        put("performance.md", report::page::markdown(&figures))?;
        put("performance.svg", report::chart::svg(&figures))?;
    }
    Ok(reach::all(&figures).iter().all(reach::Reach::holds))
}

fn json(figures: &scale::Figures) -> Result<String, BenchError> {
    serde_json::to_string_pretty(figures).map_err(|error| BenchError::Manifest(error.to_string()))
}
