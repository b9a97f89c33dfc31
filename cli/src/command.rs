//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::output::Format;

const EXIT_CODES: &str = "\
Exit codes:
  0  nothing to complain of
  1  findings: errors in manifests, failed cases, a verdict that a proposal changes
  2  bad arguments, or files that cannot be read

NO_COLOR is honoured; output that is not a terminal's is neither coloured nor wrapped.";

/// The Weft service mesh, from the command line.
#[derive(Debug, Parser)]
#[command(name = "weft", version, after_help = EXIT_CODES, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say what the API server and the operator would say of manifests, without either
    Lint(Lint),
    /// Run case files (*_test.yaml: a call, and what must become of it) against manifests
    Test(Test),
    /// Follow one request: each rule that matched or missed, and the verdict
    Why(Box<Why>),
    /// Put the proxy into manifests that make pods, as the webhook would
    Inject(Inject),
    /// Print what the mesh is in a cluster, for kubectl apply --server-side -f -
    Install(Install),
    /// Print what to delete of it, for kubectl delete --ignore-not-found -f -
    Uninstall(Uninstall),
    /// Print the CustomResourceDefinitions, for kubectl apply --server-side -f -
    Crds(Crds),
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Lint {
    /// Directory or file of manifests
    #[arg(short, long = "filename", value_name = "DIR")]
    pub(crate) filename: PathBuf,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Test {
    /// Directory or file of cases; a case file without `manifests` and `include` plays in the
    /// manifests beside it
    #[arg(short, long = "filename", value_name = "DIR")]
    pub(crate) filename: PathBuf,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Format,
    /// Also write a JUnit report
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Also name each case that passed and each rule that no case exercises
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = EXIT_CODES,
    after_long_help = "\
Examples:
  weft why shop/frontend shop/reviews:9080 GET /reviews/7 -f manifests/
  weft why - shop/reviews GET /reviews/7 -f manifests/        an unmeshed client, in plaintext
  weft why shop/frontend shop/db:5432 -f manifests/           a TCP connection
  weft why shop/frontend 10.0.3.7:8080 GET / -f dump/           a pod, by its own address and port
  weft why - gateway:edge/public GET / --host www.example.com -f manifests/
  weft why shop/frontend shop/reviews GET / -f manifests/ --proposed pull-request/

Exit codes: 0, or 1 where --proposed changes the verdict, or 2."
)]
pub(crate) struct Why {
    /// Who calls: namespace/service-account, or - for a client without a proxy
    #[arg(value_name = "SRC", allow_hyphen_values = true)]
    pub(crate) source: String,
    /// What is called: namespace/service:port, or gateway:namespace/name:port (the port may be left out), or a
    /// pod's own address:port
    #[arg(value_name = "DST")]
    pub(crate) destination: String,
    /// The method; leave METHOD and PATH out for a TCP connection
    #[arg(requires = "path")]
    pub(crate) method: Option<String>,
    /// Path and query, as the client sends them
    pub(crate) path: Option<String>,
    /// Directory or file of manifests
    #[arg(short, long = "filename", value_name = "DIR")]
    pub(crate) filename: PathBuf,
    /// A header of the request; may be repeated
    #[arg(long = "header", short = 'H', value_name = "NAME=VALUE")]
    pub(crate) headers: Vec<String>,
    /// The request's Host; default: the service's full name
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// A label of the calling pod; default: those of a pod with that service account
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub(crate) labels: Vec<String>,
    /// The client's address as the server sees it
    #[arg(long, value_name = "IP")]
    pub(crate) source_address: Option<std::net::IpAddr>,
    /// Manifests laid over the others: shows how they change the verdict
    #[arg(long, value_name = "DIR")]
    pub(crate) proposed: Option<PathBuf>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  weft inject -f deployment.yaml | kubectl apply -f -
  kubectl get deployment web -o yaml | weft inject -f - | kubectl apply -f -

Exit codes: 0, or 2 where a manifest cannot be read or cannot have a proxy.")]
pub(crate) struct Inject {
    /// File of manifests, or - for standard input
    #[arg(short, long = "filename", value_name = "FILE")]
    pub(crate) filename: PathBuf,
    /// The proxy's image
    #[arg(long, env = "WEFT_PROXY_IMAGE", default_value_t = weft_inject::Settings::default().image)]
    pub(crate) image: String,
    /// How it is pulled
    #[arg(long, default_value = "IfNotPresent", value_parser = ["IfNotPresent", "Always", "Never"])]
    pub(crate) image_pull_policy: String,
    /// The namespace of the config documents
    #[arg(long, default_value = "weft-config")]
    pub(crate) config_namespace: String,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Format::Yaml)]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Crds {
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Format::Yaml)]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
#[command(after_help = crate::install::settings())]
pub(crate) struct Install {
    /// Set one value; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    /// A file of values, as the Helm chart takes; may be repeated, the last one wins
    #[arg(short = 'f', long = "values", value_name = "FILE")]
    pub(crate) values: Vec<PathBuf>,
    /// With an ingress gateway: --set gateway.enabled=true
    #[arg(long)]
    pub(crate) gateway: bool,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Format::Yaml)]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The namespaces of the mesh (with its CA and its config documents) and the CRDs (with every object
of them) stay, unless --all names them too. Pods keep their proxies until they are made anew:
take the label weft.dev/inject from their namespaces and restart them first.

Example:
  weft uninstall | kubectl delete --ignore-not-found -f -")]
pub(crate) struct Uninstall {
    /// Also the namespaces and the CRDs, and with them every route and policy
    #[arg(long)]
    pub(crate) all: bool,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Format::Yaml)]
    pub(crate) output: Format,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE".to_owned()),
    }
}
