use serde_json::{Value, json};
use weft_engine::identity::SpiffeId;

use crate::{Error, place::Place, source::FILES};

/// Something that an installation may choose. Its name is that of the chart's value.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name, such as `operator.image`.
    pub key: &'static str,
    /// What it decides.
    pub about: &'static str,
    pub(crate) form: Form,
    /// Where its value goes. The manifests hold its default there.
    pub(crate) places: &'static [Place],
}

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    /// At least one.
    Count,
    OneOf(&'static [&'static str]),
    /// A DNS name, which a trust domain is too.
    Domain,
    /// At least ten seconds, as the operator demands.
    Lifetime,
    /// Kubernetes' ResourceRequirements.
    Resources,
    /// Whether objects are there at all; its default.
    Switch(bool),
}

const PULL: Form = Form::OneOf(&["IfNotPresent", "Always", "Never"]);

const fn operator(path: &'static str) -> Place {
    Place {
        kind: "Deployment",
        name: "weft-operator",
        path,
    }
}

const fn gateway(path: &'static str) -> Place {
    Place {
        kind: "Deployment",
        name: "gateway",
        path,
    }
}

/// Whether the namespaces are made too.
pub(crate) const NAMESPACES: &str = "namespaces.create";
/// Whether there is a gateway.
pub(crate) const GATEWAY: &str = "gateway.enabled";

/// Everything that may be chosen.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "trustDomain",
        about: "The SPIFFE trust domain of every identity.",
        form: Form::Domain,
        places: &[operator(
            "spec.template.spec.containers[operator].env[WEFT_TRUST_DOMAIN].value",
        )],
    },
    Setting {
        key: "clusterDomain",
        about: "The cluster's DNS domain: the suffix of a service's full name.",
        form: Form::Domain,
        places: &[operator(
            "spec.template.spec.containers[operator].env[WEFT_CLUSTER_DOMAIN].value",
        )],
    },
    Setting {
        key: "leafLifetime",
        about: "How long an identity lives, at least 10s; it is issued again after two thirds of it.",
        form: Form::Lifetime,
        places: &[operator(
            "spec.template.spec.containers[operator].env[WEFT_LEAF_LIFETIME].value",
        )],
    },
    Setting {
        key: NAMESPACES,
        about: "Whether the namespaces are made too; else they must exist, with the labels of config/.",
        form: Form::Switch(true),
        places: &[],
    },
    Setting {
        key: "operator.image",
        about: "The operator's image.",
        form: Form::Text,
        places: &[operator("spec.template.spec.containers[operator].image")],
    },
    Setting {
        key: "operator.imagePullPolicy",
        about: "How it is pulled.",
        form: PULL,
        places: &[operator(
            "spec.template.spec.containers[operator].imagePullPolicy",
        )],
    },
    Setting {
        key: "operator.replicas",
        about: "One leads, the others stand by; all serve the webhooks.",
        form: Form::Count,
        places: &[operator("spec.replicas")],
    },
    Setting {
        key: "operator.resources",
        about: "What each of them requests and may take.",
        form: Form::Resources,
        places: &[operator(
            "spec.template.spec.containers[operator].resources",
        )],
    },
    Setting {
        key: "proxy.image",
        about: "The image of the proxy that pods get, and of the gateway.",
        form: Form::Text,
        places: &[
            operator("spec.template.spec.containers[operator].env[WEFT_PROXY_IMAGE].value"),
            gateway("spec.template.spec.containers[gateway].image"),
        ],
    },
    Setting {
        key: "proxy.imagePullPolicy",
        about: "How it is pulled.",
        form: PULL,
        places: &[
            operator(
                "spec.template.spec.containers[operator].env[WEFT_PROXY_IMAGE_PULL_POLICY].value",
            ),
            gateway("spec.template.spec.containers[gateway].imagePullPolicy"),
        ],
    },
    Setting {
        key: GATEWAY,
        about: "Whether there is an ingress gateway, in a namespace of its own: weft-gateway.",
        form: Form::Switch(false),
        places: &[],
    },
    Setting {
        key: "gateway.replicas",
        about: "How many of them.",
        form: Form::Count,
        places: &[gateway("spec.replicas")],
    },
    Setting {
        key: "gateway.resources",
        about: "What each of them requests and may take.",
        form: Form::Resources,
        places: &[gateway("spec.template.spec.containers[gateway].resources")],
    },
    Setting {
        key: "gateway.serviceType",
        about: "How it is reached from outside.",
        form: Form::OneOf(&["LoadBalancer", "NodePort", "ClusterIP"]),
        places: &[Place {
            kind: "Service",
            name: "gateway",
            path: "spec.type",
        }],
    },
];

impl Setting {
    /// What it is where nothing else is chosen: what the manifests say.
    ///
    /// # Errors
    /// Where the manifests do not hold what the setting names.
    pub fn default(&self) -> Result<Value, Error> {
        if let Form::Switch(on) = self.form {
            return Ok(json!(on));
        }
        for file in FILES {
            for mut object in file.objects()? {
                for place in self.places {
                    if !place.is_in(&object) {
                        continue;
                    }
                    if let Some(value) = place.find(&mut object) {
                        return Ok(value.take());
                    }
                }
            }
        }
        Err(Error::Source {
            path: "",
            why: format!("nothing in it holds {}", self.key),
        })
    }

    /// Refuses what it cannot be.
    pub(crate) fn check(&self, value: &Value) -> Result<(), Error> {
        self.form.check(value).map_err(|why| Error::Value {
            key: self.key.to_owned(),
            value: value.to_string(),
            why,
        })
    }
}

impl Form {
    fn check(self, value: &Value) -> Result<(), String> {
        let text = value.as_str().filter(|text| !text.is_empty());
        match (self, text) {
            (Self::Text, Some(_)) => Ok(()),
            (Self::Text, None) => Err("it is text; quote what YAML reads otherwise".to_owned()),
            (Self::Count, _) => match value.as_u64() {
                Some(1..=100) => Ok(()),
                _ => Err("it is a number from 1 to 100".to_owned()),
            },
            (Self::OneOf(choices), text) => match text {
                Some(text) if choices.contains(&text) => Ok(()),
                _ => Err(format!("it is one of {}", choices.join(", "))),
            },
            (Self::Domain, text) => match SpiffeId::new(text.unwrap_or_default(), "ns", "sa") {
                Ok(_) => Ok(()),
                Err(error) => Err(format!("{error}; write a domain, such as cluster.local")),
            },
            (Self::Lifetime, text) => {
                let duration = text.and_then(|text| text.parse::<jiff::SignedDuration>().ok());
                match duration {
                    Some(duration) if duration.as_secs() >= 10 => Ok(()),
                    _ => Err("it is at least 10s; write it like 24h, 90m or 10s".to_owned()),
                }
            }
            (Self::Resources, _) => match value.as_object() {
                Some(fields)
                    if fields
                        .keys()
                        .all(|key| matches!(key.as_str(), "requests" | "limits" | "claims")) =>
                {
                    Ok(())
                }
                _ => Err("it has `requests` and `limits`".to_owned()),
            },
            (Self::Switch(_), _) if value.is_boolean() => Ok(()),
            (Self::Switch(_), _) => Err("it is true or false".to_owned()),
        }
    }
}
