//! Images without a registry: built by buildah from the Dockerfiles in `images/`, kept as OCI
//! archives, and read into containerd.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Error, network::run, place, requirements};
use crate::binaries::{Cache, Tool, find_or_build};

/// The sandbox of every pod.
pub const PAUSE: &str = "weft.local/pause:1.0.0";

/// An image: its Dockerfile is in `images/<name>/`, and copies one static program.
#[derive(Debug, Clone, Copy)]
pub struct Image {
    /// The folder below `images/`.
    pub name: &'static str,
    /// The program that it copies.
    pub program: &'static str,
    /// What pods call it.
    pub reference: &'static str,
}

/// What a node itself needs.
const NODE: &[(Tool, Image)] = &[
    (
        Tool::Pause,
        Image {
            name: "pause",
            program: "pause",
            reference: PAUSE,
        },
    ),
    (
        Tool::CoreDns,
        Image {
            name: "coredns",
            program: "coredns",
            reference: "weft.local/coredns:1.15.0",
        },
    ),
];

/// The images of the mesh and of its sample.
pub const WEFT: &[Image] = &[
    Image {
        name: "operator",
        program: "weft-operator",
        reference: "docker.io/library/weft-operator:0.1.0",
    },
    Image {
        name: "proxy",
        program: "weft-proxy",
        reference: "docker.io/library/weft-proxy:0.1.0",
    },
    Image {
        name: "bookstore",
        program: "bookstore",
        reference: "weft.dev/bookstore:dev",
    },
    Image {
        name: "caller",
        program: "caller",
        reference: "weft.dev/caller:dev",
    },
];

/// The archives of what a node needs, built where the cache does not have them.
///
/// # Errors
/// Where a program cannot be built, or buildah is missing or fails.
pub fn of_the_node() -> Result<Vec<PathBuf>, Error> {
    let dir = Cache::open()?.root().join("images");
    let mut archives = Vec::new();
    for (tool, image) in NODE {
        let archive = dir.join(format!("{}-{}.tar", image.name, tool.version()));
        if !archive.is_file() {
            build(image, &find_or_build(*tool)?, &archive)?;
        }
        archives.push(archive);
    }
    Ok(archives)
}

/// Builds one archive around `program`, which must be static.
///
/// # Errors
/// Where buildah is missing or fails.
pub fn build(image: &Image, program: &Path, archive: &Path) -> Result<(), Error> {
    requirements::check_buildah()?;
    let work = tempfile::Builder::new()
        .prefix("weft-image.")
        .tempdir()
        .map_err(Error::files("cannot make a folder", std::env::temp_dir()))?;
    let context = work.path().join("context");
    let copied = context.join(image.program);
    fs::create_dir(&context)
        .and_then(|()| fs::copy(program, &copied))
        .map_err(Error::files("cannot copy a program", program))?;
    if let Some(dir) = archive.parent() {
        fs::create_dir_all(dir).map_err(Error::files("cannot make", dir))?;
    }
    let dockerfile = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../images")
        .join(image.name)
        .join("Dockerfile");
    let text = |path: &Path| path.to_string_lossy().into_owned();
    // Storage of its own, gone with the folder: nothing of the user's own images takes part.
    let storage = [
        "--root".to_owned(),
        text(&work.path().join("root")),
        "--runroot".to_owned(),
        text(&work.path().join("run")),
        "--storage-driver".to_owned(),
        "vfs".to_owned(),
    ];
    let buildah = |args: &[&str]| {
        let all: Vec<&str> = storage
            .iter()
            .map(String::as_str)
            .chain(args.iter().copied())
            .collect();
        run("buildah", &all)
    };
    buildah(&[
        "bud",
        "--isolation",
        "chroot",
        "--layers=false",
        "--tag",
        image.reference,
        "--file",
        &text(&dockerfile),
        &text(&context),
    ])?;
    let unfinished = archive.with_extension("unfinished");
    let _ = fs::remove_file(&unfinished);
    let target = format!("oci-archive:{}:{}", unfinished.display(), image.reference);
    buildah(&["push", "--disable-compression", image.reference, &target])?;
    fs::rename(&unfinished, archive).map_err(Error::files("cannot keep an image", archive))
}

/// Reads an archive into the node's containerd.
///
/// # Errors
/// What `ctr` says.
pub fn import(archive: &Path) -> Result<(), Error> {
    ctr(&["images", "import", &archive.to_string_lossy()])
}

/// Gives the node's images of the operator and the proxy another tag beside their own.
///
/// # Errors
/// What `ctr` says.
pub fn tag(tag: &str) -> Result<(), Error> {
    for image in WEFT {
        if let "operator" | "proxy" = image.name
            && let Some((name, _)) = image.reference.rsplit_once(':')
        {
            let other = format!("{name}:{tag}");
            ctr(&["images", "tag", "--force", image.reference, &other])?;
        }
    }
    Ok(())
}

fn ctr(args: &[&str]) -> Result<(), Error> {
    let socket = place::containerd_socket();
    let socket = socket.to_string_lossy();
    let place = ["--address", &socket, "--namespace", "k8s.io"];
    run("ctr", &[&place, args].concat())
}

/// The archives in a folder; none where it does not exist.
#[must_use]
pub fn in_dir(dir: &Path) -> Vec<PathBuf> {
    let mut archives: Vec<PathBuf> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "tar"))
        .collect();
    archives.sort();
    archives
}
