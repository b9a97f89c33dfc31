//! Which Go builds the tools.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// From 1.21 on, `go` reads the version that a module asks for and fetches that toolchain through
/// the module proxy; an older one only prints a parse error.
const OLDEST: (u32, u32) = (1, 21);

/// A Go command that is able to build the tools, itself or by fetching a newer toolchain.
#[derive(Debug, Clone)]
pub struct Go {
    /// The command.
    pub path: PathBuf,
    /// What it says its version is, such as `go1.26.8`.
    pub version: String,
}

impl Go {
    /// The first usable Go among those that `PATH` and the usual folders hold.
    ///
    /// # Errors
    /// A sentence that says where was looked and what each Go answered.
    pub fn find() -> Result<Self, String> {
        Self::find_in(candidates())
    }

    pub(super) fn find_in(candidates: Vec<PathBuf>) -> Result<Self, String> {
        let mut answers = Vec::new();
        let mut absent = Vec::new();
        for path in candidates {
            if !path.is_file() {
                absent.push(path.display().to_string());
                continue;
            }
            match version(&path) {
                Ok(version) if parse(&version).is_some_and(|found| found >= OLDEST) => {
                    return Ok(Self { path, version });
                }
                Ok(version) => answers.push(format!(
                    "{} is {version}, older than go{}.{}, the first that fetches newer toolchains",
                    path.display(),
                    OLDEST.0,
                    OLDEST.1
                )),
                Err(error) => answers.push(format!("{} does not run: {error}", path.display())),
            }
        }
        if answers.is_empty() {
            answers.push("there is no `go` command".to_owned());
        }
        Err(format!(
            "{} (looked at {})",
            answers.join("; "),
            absent.join(", ")
        ))
    }
}

/// `PATH` first: it is what the user chose. Then golang.org's own folder, the home folder of
/// `go install golang.org/dl/…`, and Debian's versioned packages, none of which is on `PATH` by
/// itself.
fn candidates() -> Vec<PathBuf> {
    let on_path = env::var_os("PATH").map_or_else(Vec::new, |path| {
        env::split_paths(&path)
            .map(|dir| dir.join("go"))
            .filter(|go| go.is_file())
            .collect()
    });
    let mut found: Vec<PathBuf> = on_path;
    found.push(PathBuf::from("/usr/local/go/bin/go"));
    if let Some(home) = env::var_os("HOME") {
        found.push(Path::new(&home).join("go/bin/go"));
        found.push(Path::new(&home).join(".local/go/bin/go"));
    }
    found.extend(
        (OLDEST.1..OLDEST.1 + 12)
            .rev()
            .map(|minor| PathBuf::from(format!("/usr/lib/go-1.{minor}/bin/go"))),
    );
    found
}

fn version(go: &Path) -> Result<String, String> {
    let output = Command::new(go)
        // Outside any module, so that asking does not already fetch a toolchain.
        .current_dir(env::temp_dir())
        .env("GOTOOLCHAIN", "local")
        .args(["env", "GOVERSION"])
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && !text.is_empty() {
        Ok(text)
    } else {
        Err(format!(
            "`go env GOVERSION` ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        ))
    }
}

/// `go1.26.8` and `go1.22rc1` to their first two numbers.
pub(super) fn parse(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.strip_prefix("go")?.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor: String = parts
        .next()?
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    Some((major, minor.parse().ok()?))
}
