use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use weft_engine::journey::Call;

/// Cases and the manifests that they play in.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    /// What the file is about.
    #[serde(default)]
    pub description: String,
    /// Manifests to read first: files or directories, relative to this file. Default: the
    /// directory that this file stands in, unless there are `manifests`.
    #[serde(default)]
    pub include: Vec<PathBuf>,
    /// Manifests, as YAML documents.
    #[serde(default)]
    pub manifests: String,
    /// Errors that the manifests are meant to have: a part of each one's text. An error that none
    /// of these is a part of fails the file, and so does one of these that is in no error.
    #[serde(default)]
    pub problems: Vec<String>,
    /// What every case's call starts from. A case's own fields replace these; its `http` is
    /// merged field by field.
    #[serde(default)]
    pub call: Map<String, Value>,
    /// The cases.
    #[serde(default)]
    pub cases: Vec<Case>,
    /// Where the file stands.
    #[serde(skip)]
    pub path: PathBuf,
}

/// A call and what must become of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The promise that it keeps.
    pub name: String,
    /// The call, as it stands in the file.
    #[serde(default, rename = "call")]
    written: Map<String, Value>,
    /// The call, with the file's defaults.
    #[serde(skip)]
    pub call: Call,
    /// What must become of it.
    #[serde(default)]
    pub expect: Expect,
    /// Where it differs for live proxies.
    #[serde(default)]
    pub live: Live,
}

/// What must become of a call. `status` and `wouldDeny` always count; `deniedBy` counts unless
/// the call is expected to be refused with 403 by whom is left open; the other fields count where
/// they are given.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Expect {
    /// The status that the mesh answers itself; absent: the call reaches the application.
    pub status: Option<u16>,
    /// The route rule (`namespace/route/rule`), or `none`.
    pub route: Option<String>,
    /// Each backend with its share in percent.
    pub backends: Option<BTreeMap<String, f64>>,
    /// `namespace/policy/rule` that refused, with `-` for the rule where nothing allowed it.
    pub denied_by: Option<String>,
    /// Shadow policies' rules that would have refused.
    pub would_deny: Vec<String>,
    /// Path and query as the application sees them.
    pub path: Option<String>,
    /// `Location` of a redirect.
    pub location: Option<String>,
    /// Headers that the application sees; `null`: it must not see one. Only where there is an
    /// application: with live proxies.
    #[serde(deserialize_with = "header_expectations")]
    pub request_headers: BTreeMap<String, Option<String>>,
    /// Headers that the caller gets back, in the same manner.
    #[serde(deserialize_with = "header_expectations")]
    pub response_headers: BTreeMap<String, Option<String>>,
}

/// How a case is run against live proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Live {
    /// Why live proxies on one machine cannot show it.
    pub skip: Option<String>,
}

/// Why case files cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// A file or directory cannot be read.
    #[error("cannot read {}: {source}; check the path and its permissions", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not a case file.
    #[error("{}: {message}; a case file has description, include, manifests, problems, call and cases", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        message: String,
    },
    /// A case's call does not parse.
    #[error(
        "{}: case `{case}`: {message}; a call has source, sourceAddress, service, port, gateway and http", path.display()
    )]
    Call {
        /// The file.
        path: PathBuf,
        /// The case.
        case: String,
        /// What the parser said.
        message: String,
    },
    /// A manifest is no manifest.
    #[error("{}: {message}; manifests are Kubernetes objects, one per YAML document", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        message: String,
    },
}

impl CaseFile {
    /// Reads a case file.
    pub fn read(path: &Path) -> Result<Self, CorpusError> {
        let text = fs::read_to_string(path).map_err(|source| CorpusError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(path, &text)
    }

    /// Parses a case file that stands at `path`.
    pub fn parse(path: &Path, text: &str) -> Result<Self, CorpusError> {
        let mut file: Self = serde_saphyr::from_str(text).map_err(|error| CorpusError::Parse {
            path: path.to_owned(),
            message: error.to_string(),
        })?;
        file.path = path.to_owned();
        for case in &mut file.cases {
            let merged = merge(&file.call, &case.written);
            case.call = serde_json::from_value(Value::Object(merged)).map_err(|error| {
                CorpusError::Call {
                    path: path.to_owned(),
                    case: case.name.clone(),
                    message: error.to_string(),
                }
            })?;
        }
        Ok(file)
    }
}

/// The case files below `directory`, or the file that it is: YAML and JSON files with `cases` at
/// the top, in order of their paths.
pub fn case_files(path: &Path) -> Result<Vec<CaseFile>, CorpusError> {
    let mut found = Vec::new();
    for file in yaml_files(path)? {
        let text = fs::read_to_string(&file).map_err(|source| CorpusError::Read {
            path: file.clone(),
            source,
        })?;
        if is_case_file(&text) {
            found.push(CaseFile::parse(&file, &text)?);
        }
    }
    Ok(found)
}

/// Whether a YAML or JSON file holds cases: no Kubernetes object has that field at its top.
pub(super) fn is_case_file(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("cases:"))
        || text.trim_start().starts_with('{')
            && serde_json::from_str::<Map<String, Value>>(text)
                .is_ok_and(|fields| fields.contains_key("cases"))
}

/// Every YAML or JSON file below `path`, or `path` itself where it is a file; sorted.
pub(super) fn yaml_files(path: &Path) -> Result<Vec<PathBuf>, CorpusError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| CorpusError::Read { path, source }
    };
    if !fs::metadata(path).map_err(failed(path))?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(failed(path))? {
        let entry = entry.map_err(failed(path))?.path();
        if entry.is_dir() {
            found.extend(yaml_files(&entry)?);
        } else if entry.extension().is_some_and(|extension| {
            ["yaml", "yml", "json"]
                .iter()
                .any(|known| extension == *known)
        }) {
            found.push(entry);
        }
    }
    found.sort();
    Ok(found)
}

fn merge(defaults: &Map<String, Value>, own: &Map<String, Value>) -> Map<String, Value> {
    let mut merged = defaults.clone();
    for (key, value) in own {
        match (merged.get_mut(key), value) {
            (Some(Value::Object(http)), Value::Object(fields)) if key == "http" => {
                http.extend(fields.clone());
            }
            _ => {
                merged.insert(key.clone(), value.clone());
            }
        }
    }
    merged
}

fn header_expectations<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Option<String>>, D::Error> {
    let written = BTreeMap::<String, Option<String>>::deserialize(deserializer)?;
    Ok(written
        .into_iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect())
}
