use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use weft_engine::{
    documents::{Document, DocumentName},
    problem::{Problem, Severity},
};

use super::{
    CaseFile, CorpusError,
    file::{is_case_file, yaml_files},
    servers::{Servers, servers},
};
use crate::{
    Object, Settings, World, lower_all,
    manifests::{Location, parse},
};

/// Manifests, lowered: the world that calls are followed in.
#[derive(Debug, Default)]
pub struct Scene {
    /// The objects, each with the place that it was read from.
    pub objects: Vec<(Object, Location)>,
    /// The config documents.
    pub documents: BTreeMap<DocumentName, Document>,
    /// What parsing, validation and lowering had to say.
    pub problems: Vec<Problem>,
    /// The meshed workloads behind each Service.
    pub servers: Servers,
}

impl Scene {
    /// The manifests of a case file: its includes, then its own.
    pub fn of(file: &CaseFile) -> Result<Self, CorpusError> {
        let here = file.path.parent().unwrap_or(Path::new("."));
        let mut texts = Vec::new();
        if file.include.is_empty() && file.manifests.is_empty() {
            texts.extend(manifest_texts(here)?);
        }
        for include in &file.include {
            texts.extend(manifest_texts(&here.join(include))?);
        }
        texts.push((file.path.display().to_string(), file.manifests.clone()));
        Ok(Self::from_texts(&texts))
    }

    /// The manifests of a file, or of every file below a directory; case files are left out.
    pub fn read(path: &Path) -> Result<Self, CorpusError> {
        Ok(Self::from_texts(&manifest_texts(path)?))
    }

    /// Manifests as (file name, YAML text).
    pub fn from_texts(texts: &[(String, String)]) -> Self {
        let mut scene = Self::default();
        let mut world = World::new(Settings::default());
        for (file, text) in texts {
            let parsed = parse(text, file);
            scene.problems.extend(parsed.problems);
            for (object, location) in parsed.objects {
                world.apply(object.clone());
                scene.objects.push((object, location));
            }
        }
        scene.servers = servers(&scene.objects);
        let lowered = lower_all(&world);
        scene.documents = lowered.documents.into_iter().collect();
        scene.problems.extend(lowered.problems);
        scene.problems.sort();
        scene.problems.dedup();
        scene
    }

    /// Whether some manifest cannot be served as it was written.
    pub fn has_errors(&self) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.severity == Severity::Error)
    }
}

/// The manifests of a file, or of every YAML and JSON file below a directory, as (file name,
/// text). Case files are left out.
pub fn manifest_texts(path: &Path) -> Result<Vec<(String, String)>, CorpusError> {
    let files: Vec<PathBuf> = yaml_files(path)?;
    let mut texts = Vec::with_capacity(files.len());
    for file in files {
        let text = fs::read_to_string(&file).map_err(|source| CorpusError::Read {
            path: file.clone(),
            source,
        })?;
        if !is_case_file(&text) {
            texts.push((file.display().to_string(), text));
        }
    }
    Ok(texts)
}
