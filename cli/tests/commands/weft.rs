//! The real binary.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn run<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_weft"))
        .args(arguments)
        .output()
        .expect("weft runs");
    Run {
        code: output.status.code().expect("weft ends by itself"),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

/// The sample mesh.
pub(crate) fn bookstore() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../config/samples/bookstore");
    text(&path).to_owned()
}
