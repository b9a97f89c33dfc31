//! A Kubernetes of one node on this machine, for use by hand and for the stories.

use std::{
    fs::File,
    io::{Read, Seek, Write, stderr, stdout},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use clap::{Parser, Subcommand};
use weft_e2e::{
    binaries::{Cache, Tool, find_or_build},
    cluster::{Error, first, images, node, outside, place, trial},
};

#[derive(Parser)]
#[command(
    version,
    about = "A Kubernetes of one node on this machine, as root on Linux"
)]
struct Args {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Start it, print how to use it, and leave it running
    Up {
        /// A folder of OCI archives that the node has as images; may be given more than once
        #[arg(long, value_name = "DIR")]
        images: Vec<PathBuf>,
    },
    /// Take it down, and leave nothing of it
    Down,
    /// Print the path of its administrator's kubeconfig
    Kubeconfig,
    /// Say whether it could run here, or why not
    Check,
    /// Find or build what it is made of
    Build,
    /// Build the images of the mesh and its sample from static programs
    Images {
        /// The folder of the programs
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
        /// The folder of the archives
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// Stay as the one who holds it, until it ends
    #[command(hide = true)]
    Hold(node::Options),
    /// Be its first process
    #[command(hide = true)]
    First(node::Options),
    /// Be its node
    #[command(hide = true)]
    Node(node::Options),
}

/// Without a runtime: the holder must have one thread.
fn main() -> ExitCode {
    let done = match Args::parse().command {
        Verb::Up { images } => up(&images),
        Verb::Down => down(),
        Verb::Kubeconfig => kubeconfig(),
        Verb::Check => trial::run().map_err(Into::into),
        Verb::Build => build(),
        Verb::Images { from, to } => build_images(&from, &to),
        Verb::Hold(options) => outside::hold(&arguments(&options)).map_err(Into::into),
        Verb::First(options) => first::run(&arguments(&options)).map_err(Into::into),
        Verb::Node(options) => run_node(options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(stderr(), "weft-cluster: {error}");
            ExitCode::FAILURE
        }
    }
}

type Done = Result<(), Box<dyn std::error::Error>>;

fn arguments(options: &node::Options) -> Vec<String> {
    let mut arguments: Vec<String> = options
        .images
        .iter()
        .map(|dir| format!("--images={}", dir.display()))
        .collect();
    arguments.extend(options.tied.then(|| "--tied".to_owned()));
    arguments
}

fn run_node(options: node::Options) -> Done {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let done = runtime.block_on(node::run(options));
    // A read of standard input may be under way; nothing waits for it.
    runtime.shutdown_background();
    Ok(done?)
}

/// The holder goes on in the background; what it says until the cluster is up is passed on.
fn up(images: &[PathBuf]) -> Done {
    let log = Cache::open()?.root().join("log/cluster.log");
    let written = File::create(&log)?;
    let mut holder = Command::new(std::env::current_exe()?)
        .arg("hold")
        .args(
            images
                .iter()
                .map(|dir| {
                    std::path::absolute(dir).map(|dir| format!("--images={}", dir.display()))
                })
                .collect::<Result<Vec<_>, _>>()?,
        )
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(written)
        .process_group(0)
        .spawn()?;
    let mut said = File::open(&log)?;
    loop {
        let ended = holder.try_wait()?;
        let ready = place::Ready::read_of(holder.id());
        let mut news = Vec::new();
        said.read_to_end(&mut news)?;
        stderr().write_all(&news)?;
        if ended.is_some() {
            return Err(format!("the cluster is not up; see above, or {}", log.display()).into());
        }
        if let Ok(ready) = ready {
            said.rewind()?;
            writeln!(
                stdout(),
                "# a cluster of one node is up ({:.1} s); `make cluster-down` takes it down\n\
                 export KUBECONFIG={}\n\
                 alias kubectl={}",
                Duration::from_millis(ready.took_ms).as_secs_f32(),
                ready.kubeconfig.display(),
                ready.kubectl.display()
            )?;
            return Ok(());
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn down() -> Done {
    let was_up = outside::down()?;
    let traces = outside::traces();
    if !traces.is_empty() {
        return Err(format!(
            "the cluster is down, but there still is {}",
            traces.join(", ")
        )
        .into());
    }
    writeln!(
        stdout(),
        "{}",
        if was_up {
            "the cluster is down; nothing of it is left"
        } else {
            "no cluster was up"
        }
    )?;
    Ok(())
}

fn kubeconfig() -> Done {
    let ready = place::Ready::read()
        .map_err(|error| format!("no cluster is up here ({error}); `make cluster` starts one"))?;
    writeln!(stdout(), "{}", ready.kubeconfig.display())?;
    Ok(())
}

fn build() -> Done {
    for tool in Tool::API.into_iter().chain(Tool::NODE) {
        writeln!(stdout(), "{}", find_or_build(tool)?.display())?;
    }
    for archive in images::of_the_node()? {
        writeln!(stdout(), "{}", archive.display())?;
    }
    Ok(())
}

fn build_images(from: &std::path::Path, to: &std::path::Path) -> Done {
    for image in images::WEFT {
        let archive = to.join(format!("{}.tar", image.name));
        images::build(image, &from.join(image.program), &archive)?;
        writeln!(stdout(), "{} ({})", archive.display(), image.reference)?;
        // A cluster that is up gets it at once.
        if place::containerd_socket().exists() {
            import(&archive)?;
        }
    }
    Ok(())
}

fn import(archive: &std::path::Path) -> Result<(), Error> {
    images::import(archive)
}
