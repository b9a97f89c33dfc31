use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    Error, SETTINGS, Setting, chart_values,
    settings::{Form, GATEWAY, NAMESPACES},
    source::{FILES, File},
    to_yaml,
};

/// At the top of every generated file.
pub(crate) const GENERATED: &str =
    "Generated from config/ by `cargo run -p weft-install --bin weft-chartgen`; do not edit.";

/// Objects that stay when the release goes: with a definition every object of its kind would go,
/// with a namespace the CA and what users put there.
const KEPT: [&str; 2] = ["CustomResourceDefinition", "Namespace"];

/// The Helm chart: its files by their path.
///
/// The templates are the manifests with expressions in the places of the settings. CRDs are
/// templates like everything else, because Helm never upgrades what is in `crds/`.
///
/// # Errors
/// Where the manifests do not hold what a setting names.
pub fn chart() -> Result<BTreeMap<String, String>, Error> {
    let mut files = BTreeMap::new();
    files.insert("Chart.yaml".to_owned(), description());
    files.insert("values.yaml".to_owned(), chart_values::values()?);
    files.insert("values.schema.json".to_owned(), chart_values::schema()?);
    files.insert("templates/NOTES.txt".to_owned(), NOTES.to_owned());
    for file in FILES {
        files.insert(format!("templates/{}", file.path), template(file)?);
    }
    Ok(files)
}

const NOTES: &str = "\
Weft {{ .Chart.AppVersion }} is installed. A namespace joins the mesh by a label, pods when they are created:

  kubectl label namespace NAMESPACE weft.dev/inject=enabled
  kubectl -n NAMESPACE rollout restart deployment
";

fn description() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "# {GENERATED}\n\
         apiVersion: v2\n\
         name: weft\n\
         description: A service mesh whose only control channel is the Kubernetes API.\n\
         type: application\n\
         version: {version}\n\
         appVersion: \"{version}\"\n"
    )
}

fn template(file: &File) -> Result<String, Error> {
    let mut text = format!("# {GENERATED}\n");
    if file.is_gateway() {
        text.push_str(&format!("{{{{- if .Values.{GATEWAY} }}}}\n"));
    }
    for object in file.objects()? {
        let is_namespace = object["kind"] == "Namespace";
        if is_namespace {
            text.push_str(&format!("{{{{- if .Values.{NAMESPACES} }}}}\n"));
        }
        text.push_str(&templated(file, object)?);
        if is_namespace {
            text.push_str("{{- end }}\n");
        }
    }
    if file.is_gateway() {
        text.push_str("{{- end }}\n");
    }
    Ok(text)
}

fn templated(file: &File, mut object: Value) -> Result<String, Error> {
    let mut marked = Vec::new();
    for setting in SETTINGS {
        for place in setting.places {
            if !place.is_in(&object) {
                continue;
            }
            let field = place.find(&mut object).ok_or_else(|| Error::Source {
                path: file.path,
                why: format!("there is no {} for {}", place.path, setting.key),
            })?;
            let mark = format!("WEFT_SETTING_{}_", marked.len());
            *field = json!(mark);
            marked.push((mark, setting));
        }
    }
    if KEPT.iter().any(|kind| object["kind"] == *kind)
        && let Some(metadata) = object["metadata"].as_object_mut()
    {
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        annotations["helm.sh/resource-policy"] = json!("keep");
    }
    // Braces of a description are none of a template.
    let mut text = to_yaml(&[object])?.replace("{{", "{{ \"{{\" }}");
    for (mark, setting) in marked {
        text = in_place(file, &text, &mark, setting)?;
    }
    Ok(text)
}

/// The expression instead of the mark.
fn in_place(file: &File, text: &str, mark: &str, setting: &Setting) -> Result<String, Error> {
    let line = text.lines().find(|line| line.ends_with(mark));
    let line = line.ok_or_else(|| Error::Source {
        path: file.path,
        why: format!("{} does not stand at the end of a line", setting.key),
    })?;
    let value = format!(".Values.{}", setting.key);
    let expression = match setting.form {
        Form::Resources => {
            let indent = line.len() - line.trim_start_matches([' ', '-']).len() + 2;
            format!("{{{{- toYaml {value} | nindent {indent} }}}}")
        }
        Form::Count => format!("{{{{ int {value} }}}}"),
        _ => format!("{{{{ quote {value} }}}}"),
    };
    Ok(text.replace(mark, &expression))
}
