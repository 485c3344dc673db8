//! Inspect documents, settings and what comes of them, in the words of a table.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::catalog::{change::Registration, check::Check, names::NodeName};

/// An inspect document under construction.
#[derive(Debug, Clone)]
pub(crate) struct Document(Value);

/// A running container of this name and image, on no network.
pub(crate) fn running(name: &str, image: &str) -> Document {
    Document(json!({
        "Id": format!("{:0<64}", "4bcff63911fc"),
        "Name": format!("/{name}"),
        "State": {"Status": "running", "Running": true, "ExitCode": 0},
        "Config": {"Image": image, "Env": ["PATH=/bin"], "Labels": {}, "ExposedPorts": {}, "Hostname": "4bcff63911fc"},
        "HostConfig": {"NetworkMode": "default"},
        "NetworkSettings": {"Ports": {}, "Networks": {}},
    }))
}

/// `web` of image `nginx` on the default bridge at 172.17.0.2, port 80 published as 8080 on all addresses.
pub(crate) fn web() -> Document {
    running("web", "nginx").on("bridge", "172.17.0.2/16").publish("80/tcp", &["0.0.0.0:8080", ":::8080"])
}

impl Document {
    fn at(&mut self, path: &str) -> &mut Value {
        path.split('.').fold(&mut self.0, |value, name| &mut value[name])
    }

    /// Puts a value anywhere.
    pub(crate) fn with(mut self, path: &str, value: Value) -> Document {
        *self.at(path) = value;
        self
    }

    pub(crate) fn env(mut self, variable: &str) -> Document {
        self.at("Config.Env").as_array_mut().unwrap().push(variable.into());
        self
    }

    pub(crate) fn label(mut self, name: &str, value: &str) -> Document {
        self.at("Config.Labels")[name] = value.into();
        self
    }

    /// Exposes a port without publishing it.
    pub(crate) fn expose(mut self, port: &str) -> Document {
        self.at("Config.ExposedPorts")[port] = json!({});
        self.at("NetworkSettings.Ports")[port] = Value::Null;
        self
    }

    /// Publishes a port at these addresses, each with its number behind the last colon.
    pub(crate) fn publish(mut self, port: &str, bindings: &[&str]) -> Document {
        let binding = |text: &&str| {
            let (address, number) = text.rsplit_once(':').unwrap();
            json!({"HostIp": address, "HostPort": number})
        };
        self.at("Config.ExposedPorts")[port] = json!({});
        self.at("NetworkSettings.Ports")[port] = bindings.iter().map(binding).collect();
        self
    }

    /// On a network, with an address and the prefix length of the network.
    pub(crate) fn on(mut self, network: &str, address: &str) -> Document {
        let (address, length) = address.split_once('/').unwrap_or((address, "0"));
        let length: i64 = length.parse().unwrap();
        let endpoint = &mut self.at("NetworkSettings.Networks")[network];
        if address.contains(':') {
            endpoint["GlobalIPv6Address"] = address.into();
            endpoint["GlobalIPv6PrefixLen"] = length.into();
        } else {
            endpoint["IPAddress"] = address.into();
            endpoint["IPPrefixLen"] = length.into();
        }
        self
    }

    pub(crate) fn mode(self, mode: &str) -> Document {
        self.with("HostConfig.NetworkMode", mode.into())
    }

    pub(crate) fn state(self, status: &str) -> Document {
        self.with("State.Status", status.into()).with("State.Running", (status == "running").into())
    }

    pub(crate) fn exited(self, code: i64) -> Document {
        self.state("exited")
            .with("State.ExitCode", code.into())
            .with("NetworkSettings", json!({"Ports": {}, "Networks": {}}))
    }

    pub(crate) fn value(self) -> Value {
        self.0
    }

    pub(crate) fn container(&self) -> Container {
        Container::read(self.0.to_string().as_bytes()).unwrap()
    }
}

/// The defaults on node `n1`.
pub(crate) fn settings() -> Settings {
    Settings::new(NodeName::new("n1").unwrap())
}

/// Registrator's rule for all.
pub(crate) fn host() -> Settings {
    Settings { address: AddressMode::Host, ..settings() }
}

/// Registrator's `-internal`.
pub(crate) fn internal() -> Settings {
    Settings { address: AddressMode::Container, ..settings() }
}

/// A host at 192.0.2.101 and 2001:db8::101.
pub(crate) fn around() -> Surroundings<'static> {
    let host = HostAddresses { v4: "192.0.2.101".parse().ok(), v6: "2001:db8::101".parse().ok() };
    Surroundings { host, ..Surroundings::default() }
}

/// A Docker network of this driver.
pub(crate) fn network(driver: &str) -> Network {
    Network { driver: driver.to_owned(), ..Network::default() }
}

pub(crate) fn known(name: &str, network: Network) -> Surroundings<'static> {
    Surroundings { networks: Arc::new(BTreeMap::from([(name.to_owned(), network)])), ..around() }
}

/// Each registration as one line: `service id=ID at ADDRESS:PORT in NETWORK=ADDRESS:PORT tags=A,B`. What is everybody's follows `at`,
/// `lan_` addresses of the other family `and`, client networks `in`.
pub(crate) fn lines(mapped: &Mapped) -> Vec<String> {
    mapped.registrations.iter().map(line).collect()
}

fn line(registration: &Registration) -> String {
    let instance = &registration.instance;
    let number = |port: Option<u16>| port.filter(|port| *port > 0).map_or("-".to_owned(), |port| port.to_string());
    let mut parts = vec![instance.service.to_string(), instance.id.to_string()];
    let port = instance.ports.first().map(|port| port.number);
    match &instance.address {
        Some(address) => parts.push(format!("at {address} {}", number(port))),
        None => parts.push("at nothing".to_owned()),
    }
    let own = instance.address.as_ref();
    for tagged in instance.tagged_addresses.iter().filter(|tagged| tagged.role.starts_with("lan_")) {
        assert!(tagged.port == port.unwrap_or(0), "what is answered has one port: {tagged:?}");
        if Some(&tagged.address) != own {
            parts.push(format!("and {}", tagged.address));
        }
    }
    for there in &instance.network_addresses {
        parts.push(format!("in {} {} {}", there.network, there.address, number(there.ports.first().copied())));
    }
    if !instance.tags.is_empty() {
        parts.push(format!("tags {}", instance.tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>().join(",")));
    }
    parts.join("; ")
}

/// The further names of the services, which have all the same ones.
pub(crate) fn further_names(mapped: &Mapped) -> Vec<&str> {
    let all: Vec<_> = mapped.registrations.iter().map(|registration| &registration.instance.further_names).collect();
    assert!(all.iter().all(|names| *names == all[0]), "one container has one set of names");
    all.into_iter().take(1).flatten().map(|further| further.name.as_str()).collect()
}

/// A check as one line: ID, status, kind, target, interval/timeout, output.
pub(crate) fn check_line(check: &Check) -> String {
    let definition = &check.definition;
    let spans = format!("{}/{}", definition.interval.as_secs(), definition.timeout.as_secs());
    format!(
        "{} {} {} {} {spans} {}",
        check.id,
        check.status.as_str(),
        definition.kind.as_str(),
        check.target,
        check.shown_output()
    )
    .trim_end()
    .to_owned()
}

/// The registrations of a document are these lines, and there are these warnings, each `container NAME: ` without that beginning.
#[track_caller]
pub(crate) fn check_with(
    document: &Document,
    settings: &Settings,
    around: &Surroundings<'_>,
    expected: &[&str],
    warnings: &[&str],
) {
    let container = document.container();
    let mapped = map(&container, settings, around);
    assert_eq!(lines(&mapped), expected);
    let beginning = format!("container {}: ", container.plain_name());
    let told: Vec<&str> =
        mapped.warnings.iter().map(|text| text.strip_prefix(&beginning).expect("it names it")).collect();
    assert_eq!(told, warnings);
}

/// As [`check_with`] on the usual host, without warnings.
#[track_caller]
pub(crate) fn check_lines(document: &Document, settings: &Settings, expected: &[&str]) {
    check_with(document, settings, &around(), expected, &[]);
}

/// The only registration.
#[track_caller]
pub(crate) fn only(document: &Document, settings: &Settings) -> Registration {
    let mut mapped = map(&document.container(), settings, &around());
    assert_eq!((mapped.registrations.len(), &mapped.warnings), (1, &Vec::new()));
    mapped.registrations.remove(0)
}

/// The value of a pair of meta.
pub(crate) fn meta<'a>(registration: &'a Registration, key: &str) -> Option<&'a str> {
    registration.instance.meta.get(key).map(|value| &**value)
}
