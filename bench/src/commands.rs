//! What each command does.

use std::{collections::BTreeMap, path::PathBuf};

use weft_bench::{
    BenchError, control_plane,
    figures::{Figure, Figures},
    handshakes, idle,
    instructions::{self, record},
    path, reach, reload, report, scale,
    scenario::Scenario,
    stage::Stage,
    syscalls,
    tools::{Places, Tools},
};

#[derive(clap::Args)]
pub(crate) struct Run {
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
pub(crate) struct Store {
    /// Where figures are kept: JSON.
    #[arg(long, default_value = "target/bench/figures.json")]
    figures: PathBuf,
}

pub(crate) fn measure_scale(options: &scale::Options) -> Result<bool, BenchError> {
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

pub(crate) fn measure_path(scenarios: &[Scenario], run: &Run) -> Result<bool, BenchError> {
    let (stage, effort) = (run.stage()?, run.effort());
    let all = if scenarios.is_empty() {
        &Scenario::ALL
    } else {
        scenarios
    };
    let mut complete = true;
    for scenario in all {
        let (measured, is_whole) = path::measure(&stage, *scenario, &effort);
        let unit = scenario.load().unit();
        keep(&run.store, &stage.tools, scenario.section(), unit, measured)?;
        complete &= is_whole;
    }
    Ok(complete)
}

pub(crate) fn measure_handshakes(run: &Run) -> Result<bool, BenchError> {
    let stage = run.stage()?;
    let measured = handshakes::measure(&stage, &run.effort())?;
    let ratio = handshakes::ratio(&measured, "haproxy");
    let mut figures = keep(
        &run.store,
        &stage.tools,
        handshakes::SECTION,
        "handshakes",
        measured,
    )?;
    if let Some(ratio) = ratio {
        figures.put_value("handshake-cpu-haproxy", ratio, "");
        figures.write(&run.store.figures)?;
    }
    Ok(true)
}

pub(crate) fn measure_idle(run: &Run) -> Result<bool, BenchError> {
    let stage = run.stage()?;
    let connections = if run.quick { 200 } else { 5000 };
    let measured = idle::measure(&stage, connections)?;
    let footprint = idle::footprint(&stage, &measured, connections)?;
    let mut figures = keep(&run.store, &stage.tools, idle::SECTION, "", measured)?;
    for (name, value, unit) in footprint {
        println!("{name}: {value:.2} {unit}");
        figures.put_value(name, value, unit);
    }
    figures.write(&run.store.figures)?;
    Ok(true)
}

pub(crate) fn measure_reload(run: &Run) -> Result<bool, BenchError> {
    let stage = run.stage()?;
    let mut figures = Figures::read(&run.store.figures)?;
    reload::measure(&stage, if run.quick { 1 } else { 10 }, &mut figures)?;
    figures.write(&run.store.figures)?;
    Ok(true)
}

pub(crate) fn measure_control_plane(
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
    unit: &str,
    measured: Vec<Figure>,
) -> Result<Figures, BenchError> {
    let mut figures = Figures::read(&store.figures)?;
    figures.versions.extend(tools.versions());
    figures.put(section, unit, measured);
    figures.write(&store.figures)?;
    if let Some(measured) = figures.scenarios.get(section.0) {
        println!("{}\n", report::table(measured));
    }
    Ok(figures)
}

pub(crate) fn count_instructions(
    options: &instructions::Options,
    store: &Store,
    places: &Places,
) -> Result<bool, BenchError> {
    let stage = Stage::set(Tools::from(places))?;
    let seen = instructions::measure(&stage, options)?;
    let counts = seen
        .iter()
        .map(|(name, each)| (name.clone(), each.instructions));
    let counts: BTreeMap<String, u64> = counts.collect();
    if options.write {
        record::write(&options.record, &options.profile, &counts)?;
        return Ok(true);
    }
    if !options.check {
        let mut figures = Figures::read(&store.figures)?;
        for (name, each) in &seen {
            figures.put_value(
                &format!("instructions/{name}"),
                each.instructions as f64,
                "",
            );
            figures.put_value(&format!("allocations/{name}"), each.allocations, "");
        }
        for (name, count) in syscalls::measure(&stage)? {
            figures.put_value(&format!("syscalls/{name}"), count, "");
        }
        figures.write(&store.figures)?;
        return Ok(true);
    }
    let recorded = record::read(&options.record)?;
    let recorded = recorded.get(&options.profile).cloned().unwrap_or_default();
    let verdict = record::compare(&recorded, &counts);
    for line in &verdict.better {
        println!("lower the record, so that this is kept: {line}");
    }
    for line in &verdict.worse {
        eprintln!("weft-bench: {line}");
    }
    Ok(verdict.worse.is_empty())
}

pub(crate) fn tell(store: &Store, docs: Option<PathBuf>) -> Result<bool, BenchError> {
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
