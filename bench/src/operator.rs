//! The operator's process, standalone: its first full lowering and single changes.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use weft_e2e::control_plane::process::{Process, tail};

use crate::{
    BenchError,
    footprint::{peak_kib, settled_kib},
    lowering::{median, ms},
    manifests::{self, Size},
};

/// The first full lowering takes no longer, or something is wrong.
const READY: Duration = Duration::from_secs(300);

/// A change takes no longer.
const CHANGE: Duration = Duration::from_secs(30);

const CHANGES: u32 = 11;

/// Figures of one mesh.
#[derive(Clone, Copy, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Operator {
    /// Services in the mesh.
    pub services: usize,
    /// From the start of the process to the last document and identity on disk.
    pub ready_ms: f64,
    /// One route's file changed: until its service's document is new. Median.
    pub change_ms: f64,
    /// Files of the output that one change wrote, status included.
    pub change_files: usize,
    /// Their bytes.
    pub change_bytes: u64,
    /// Resident memory after all that, in KiB.
    pub resident_kib: u64,
    /// The most that was resident, in KiB.
    pub peak_kib: u64,
}

/// A running operator and its folders.
#[derive(Debug)]
pub struct Running {
    process: Process,
    manifests: PathBuf,
    /// Where documents and identities are.
    pub out: PathBuf,
    log: PathBuf,
    /// How long the first full lowering took.
    pub ready: Duration,
}

/// Writes a mesh of `size` below `folder` and starts the operator on it.
pub fn start(program: &Path, folder: &Path, size: Size) -> Result<Running, BenchError> {
    let (manifests, out) = (folder.join("manifests"), folder.join("out"));
    for path in [&manifests, &out] {
        fs::create_dir_all(path).map_err(BenchError::file(path))?;
    }
    manifests::write(size, &manifests)?;
    let log = folder.join("operator.log");
    let file = File::create(&log).map_err(BenchError::file(&log))?;
    let mut command = Command::new(program);
    command.arg("standalone").arg("--manifests").arg(&manifests);
    command.arg("--out").arg(&out);
    let began = Instant::now();
    let process =
        Process::spawn("weft-operator", command, file).map_err(BenchError::file(program))?;
    let mut running = Running {
        process,
        manifests,
        out,
        log,
        ready: Duration::ZERO,
    };
    let ready = |running: &Running| {
        let text = fs::read_to_string(&running.log).unwrap_or_default();
        text.lines().any(|line| line.starts_with("ready "))
    };
    running.wait(READY, "was not ready within 5 minutes", ready)?;
    running.ready = began.elapsed();
    Ok(running)
}

impl Running {
    fn wait(
        &self,
        bound: Duration,
        otherwise: &str,
        mut done: impl FnMut(&Self) -> bool,
    ) -> Result<(), BenchError> {
        let failed = |reason: String| BenchError::Process {
            program: "weft-operator".to_owned(),
            reason,
            log: tail(&self.log, 12),
        };
        let began = Instant::now();
        while !done(self) {
            if let Some(status) = self.process.exited() {
                return Err(failed(format!("ended early: {status}")));
            }
            if began.elapsed() > bound {
                return Err(failed(otherwise.to_owned()));
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Changes one route a few times and reads the process's memory.
    pub fn measure(&self, size: Size) -> Result<Operator, BenchError> {
        let service = size.services / 2;
        let (namespace, name) = (manifests::namespace(service), manifests::name(service));
        let document = self
            .out
            .join("config")
            .join(format!("service.{namespace}.{name}.json"));
        let manifest = self.manifests.join(manifests::file(service));
        let mut changes = Vec::new();
        let mut written = (0, 0);
        for edition in 1..=CHANGES {
            let before = files(&self.out)?;
            let next = manifest.with_extension("next");
            let yaml = manifests::service(size, service, edition);
            fs::write(&next, yaml).map_err(BenchError::file(&next))?;
            let mark = format!("\"x-edition\":\"{edition}\"");
            let began = Instant::now();
            fs::rename(&next, &manifest).map_err(BenchError::file(&manifest))?;
            self.wait(CHANGE, "published no change within 30 s", |_| {
                fs::read_to_string(&document).is_ok_and(|text| text.contains(&mark))
            })?;
            changes.push(began.elapsed());
            // Status follows the document; a second is plenty for it, and for anything that
            // should not be written.
            thread::sleep(Duration::from_secs(1));
            written = difference(&before, &files(&self.out)?);
        }
        let pid = self.process.pid();
        Ok(Operator {
            services: size.services,
            ready_ms: ms(self.ready),
            change_ms: ms(median(changes)),
            change_files: written.0,
            change_bytes: written.1,
            resident_kib: settled_kib(pid),
            peak_kib: peak_kib(pid),
        })
    }
}

/// Inode, time of change and size: a file that was written has another of the first two.
type Stamp = (u64, i64, i64, u64);

fn files(folder: &Path) -> Result<BTreeMap<PathBuf, Stamp>, BenchError> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(BenchError::file(&folder))? {
            let entry = entry.map_err(BenchError::file(&folder))?;
            // Not followed: the links of an identity's folder are the operator's own business.
            let Ok(data) = entry.metadata() else { continue };
            if data.is_dir() {
                folders.push(entry.path());
            } else {
                let stamp = (data.ino(), data.ctime(), data.ctime_nsec(), data.size());
                found.insert(entry.path(), stamp);
            }
        }
    }
    Ok(found)
}

fn difference(before: &BTreeMap<PathBuf, Stamp>, after: &BTreeMap<PathBuf, Stamp>) -> (usize, u64) {
    let written = after
        .iter()
        .filter(|(path, stamp)| before.get(*path) != Some(stamp));
    written.fold((0, 0), |(count, bytes), (_, stamp)| {
        (count + 1, bytes + stamp.3)
    })
}
