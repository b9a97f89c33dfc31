//! Figures, kept in one file: each command replaces what it measured.

use std::{collections::BTreeMap, fs, path::Path};

use crate::{BenchError, control_plane, footprint, scenario::Scenario, statistics::Summary};

/// One peer in one scenario.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    /// As the tables call it.
    pub peer: String,
    /// CPU-seconds of its proxies, user and system, per 10,000 requests.
    pub cpu: Summary,
    /// Responses per second at saturation.
    pub per_second: Summary,
    /// Microseconds at the fixed rate, corrected for coordinated omission.
    pub p50: Option<Summary>,
    /// The same.
    pub p99: Option<Summary>,
    /// The same.
    pub p999: Option<Summary>,
    /// Resident memory of its proxies before the first request, in KiB.
    pub idle_kib: u64,
    /// The same at the end of the heaviest round.
    pub load_kib: u64,
    /// Rounds that count.
    pub rounds: usize,
    /// No round was calm: others used the machine.
    pub disturbed: bool,
    /// Rounds that were repeated for that reason.
    pub repeated: usize,
    /// The share of the machine that others used, 0 to 1.
    pub foreign: f64,
    /// What only this scenario has.
    #[serde(default)]
    pub more: BTreeMap<String, f64>,
}

/// A scenario as it was measured.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Measured {
    /// For a heading.
    pub title: String,
    /// What happens, in a sentence or two.
    pub about: String,
    /// What is counted.
    #[serde(default)]
    pub unit: String,
    /// The command.
    pub command: String,
    /// When.
    pub date: String,
    /// For each peer, in order.
    pub figures: Vec<Figure>,
}

/// Everything that was measured.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Figures {
    /// Where.
    pub machine: String,
    /// What the peers say of themselves.
    pub versions: BTreeMap<String, String>,
    /// By scenario.
    pub scenarios: BTreeMap<String, Measured>,
    /// Single values, by name, and when they were measured.
    #[serde(default)]
    pub values: BTreeMap<String, Value>,
    /// The control plane on a real API server.
    #[serde(default)]
    pub control_plane: Option<control_plane::Measured>,
}

/// A single value.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Value {
    /// The value.
    pub value: f64,
    /// Its unit.
    pub unit: String,
    /// When.
    pub date: String,
}

impl Figures {
    /// What the file holds; nothing if there is none.
    pub fn read(path: &Path) -> Result<Self, BenchError> {
        let mut figures: Self = match fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text)
                .map_err(|error| BenchError::Manifest(format!("{}: {error}", path.display())))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::default(),
            Err(error) => return Err(BenchError::file(path)(error)),
        };
        figures.machine = footprint::machine();
        Ok(figures)
    }

    /// Writes the file.
    pub fn write(&self, path: &Path) -> Result<(), BenchError> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(BenchError::file(folder))?;
        }
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| BenchError::Manifest(error.to_string()))?;
        fs::write(path, text).map_err(BenchError::file(path))
    }

    /// Takes a scenario in, of which `unit` is counted. Peers that were not measured this time keep
    /// what they had.
    pub fn put(&mut self, section: (&str, &str, &str), unit: &str, figures: Vec<Figure>) {
        let (scenario, title, about) = section;
        let measured = self.scenarios.entry(scenario.to_owned()).or_default();
        (measured.title, measured.about) = (title.to_owned(), about.to_owned());
        unit.clone_into(&mut measured.unit);
        (measured.command, measured.date) = (command(), now());
        for figure in figures {
            match measured
                .figures
                .iter_mut()
                .find(|old| old.peer == figure.peer)
            {
                Some(old) => *old = figure,
                None => measured.figures.push(figure),
            }
        }
    }

    /// Takes a single value in.
    pub fn put_value(&mut self, name: &str, value: f64, unit: &str) {
        let value = Value {
            value,
            unit: unit.to_owned(),
            date: now(),
        };
        self.values.insert(name.to_owned(), value);
    }

    /// The sections in the order in which they are told.
    pub fn sections(&self) -> Vec<&Measured> {
        let order = Scenario::ALL.map(Scenario::name);
        let place = |name: &str| order.iter().position(|other| *other == name);
        let mut sections: Vec<_> = self.scenarios.iter().collect();
        sections.sort_by_key(|(name, _)| place(name).unwrap_or(order.len()));
        sections.into_iter().map(|(_, measured)| measured).collect()
    }

    /// A peer in a scenario.
    pub fn get(&self, scenario: &str, peer: &str) -> Option<&Figure> {
        let measured = self.scenarios.get(scenario)?;
        measured.figures.iter().find(|figure| figure.peer == peer)
    }

    /// A single value.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.values.get(name).map(|value| value.value)
    }
}

/// This process's command, without the folder of the program.
pub fn command() -> String {
    let mut arguments = std::env::args();
    let program = arguments.next().unwrap_or_default();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    std::iter::once(program)
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}

/// To the minute, in UTC.
pub fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%d %H:%M UTC")
        .to_string()
}
