//! Registrations of every kind for tests.

use std::{net::IpAddr, sync::Arc, time::Duration};

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::document::{Nameplate, NodeRegistration};
use crate::catalog::{
    change::{Origin, Registration},
    check::{
        AliasCheck, Check, CheckDefinition, CheckKind, ClientTls, DnsCheck, DockerExecCheck, HttpCheck, ScriptCheck,
    },
    names::{CheckId, NodeName, ServiceId, Text},
    node::Node,
    output::Output,
    service::Instance,
    testing::{any_instance, any_node, any_status},
};

/// An instance that is registered on this node, with checks of any kind, sorted by ID.
pub(super) fn any_registration(node: &str) -> impl Strategy<Value = Registration> + use<> {
    let node = NodeName::new(node).unwrap();
    (any_instance(), vec(any_check(), 0..4)).prop_map(move |(instance, checks)| {
        let instance = Instance { node: node.clone(), network_addresses: Default::default(), ..instance };
        let checks = of(checks, &node, Some(&instance.id));
        Registration { instance, checks, replace_existing_checks: true }
    })
}

/// A node with checks of any kind, sorted by ID.
pub(super) fn any_node_registration(node: &str) -> impl Strategy<Value = NodeRegistration> + use<> {
    let name = NodeName::new(node).unwrap();
    (any_node(), vec(any_check(), 0..3), option::of(any_nameplate())).prop_map(move |(node, checks, nameplate)| {
        let node = Node { name: name.clone(), ..node };
        NodeRegistration { node, checks: of(checks, &name, None), nameplate }
    })
}

fn any_nameplate() -> impl Strategy<Value = Nameplate> {
    vec(any::<IpAddr>(), 0..3).prop_map(|addresses| Nameplate {
        addresses: addresses.into_iter().filter(|at| !at.is_loopback() && !at.is_unspecified()).collect(),
        version: "1.2.3".into(),
    })
}

/// The same, told by another machine.
pub(super) fn told(mut registration: Registration) -> Registration {
    registration.instance.origin = Origin::Cluster;
    registration.checks.iter_mut().for_each(|check| check.origin = Origin::Cluster);
    registration
}

/// The same, told by another machine.
pub(super) fn told_node(mut registration: NodeRegistration) -> NodeRegistration {
    registration.node.origin = Origin::Cluster;
    registration.checks.iter_mut().for_each(|check| check.origin = Origin::Cluster);
    registration
}

fn of(checks: Vec<Check>, node: &NodeName, id: Option<&ServiceId>) -> Vec<Check> {
    let its = |check| Check { node: node.clone(), service_id: id.cloned(), ..check };
    let mut checks: Vec<Check> = checks.into_iter().map(its).collect();
    if let (Some(id), Some(first)) = (id, checks.first_mut()) {
        first.id = CheckId::of_service(id);
    }
    checks.sort_by(|left, right| left.id.cmp(&right.id));
    checks.dedup_by(|later, earlier| later.id == earlier.id);
    checks
}

fn any_check() -> impl Strategy<Value = Check> {
    let ids = ["c1", "c2", "c/3 %", "_service_maintenance:i1", "service:other:2"];
    let texts = || select(vec!["", "ok", "größe \"x\"\n\u{1}", "{\"a\": 1}"]);
    let origin = select(vec![Origin::Server, Origin::Api, Origin::File, Origin::Docker]);
    (select(ids.to_vec()), (texts(), texts(), texts()), any_status(), any_kind(), (any_definition(), origin)).prop_map(
        |(id, (name, notes, said), status, (target, kind), (definition, origin))| {
            let target = Text::from(target);
            let said = if status == crate::catalog::check::CheckStatus::Passing {
                format!("GET {target}: {said}")
            } else {
                said.to_owned()
            };
            Check {
                node: NodeName::new("n").unwrap(),
                id: CheckId::derived(id),
                service_id: None,
                name: name.into(),
                notes: notes.into(),
                status,
                output: Output::new(&said, &target),
                target,
                definition: Arc::new(CheckDefinition { kind, ..definition }),
                origin,
            }
        },
    )
}

fn any_definition() -> impl Strategy<Value = CheckDefinition> {
    let span =
        || select(vec![0, 1, 1_500, 250_000_000, 10_000_000_001, 5_400_000_000_000]).prop_map(Duration::from_nanos);
    let counts = (0..3_u32, 0..3_u32, 0..u32::MAX);
    (span(), span(), counts, option::of(span()), select(vec![1_u16, 200, 4096])).prop_map(
        |(interval, timeout, (success, warning, critical), after, output_max_bytes)| CheckDefinition {
            kind: CheckKind::External,
            interval,
            timeout,
            success_before_passing: success,
            failures_before_warning: warning,
            failures_before_critical: critical,
            deregister_critical_service_after: after,
            output_max_bytes,
        },
    )
}

fn text(text: &str) -> Arc<str> {
    Arc::from(text)
}

fn any_tls() -> impl Strategy<Value = ClientTls> {
    (any::<bool>(), any::<bool>(), option::of(Just(text("tls.example"))))
        .prop_map(|(use_tls, tls_skip_verify, tls_server_name)| ClientTls { use_tls, tls_skip_verify, tls_server_name })
}

fn any_args() -> impl Strategy<Value = Box<[Arc<str>]>> {
    let words = select(vec!["/bin/sh", "-c", "probe -x", ""]).prop_map(text);
    vec(words, 1..5).prop_map(Into::into)
}

/// A target with any kind.
fn any_kind() -> impl Strategy<Value = (&'static str, CheckKind)> {
    const AT: &str = "192.0.2.7:80";
    let pair = (select(vec!["A", "B"]), select(vec!["1", "", "3"])).prop_map(|(name, value)| (text(name), text(value)));
    let http = (any_tls(), vec(pair, 0..4), select(vec!["", "x"])).prop_map(|(tls, headers, body)| {
        let check = HttpCheck {
            method: text("POST"),
            headers,
            body: text(body),
            disable_redirects: tls.use_tls,
            tls_skip_verify: tls.tls_skip_verify,
            tls_server_name: tls.tls_server_name,
        };
        ("https://192.0.2.7/health", CheckKind::Http(Box::new(check)))
    });
    let alias = (any::<bool>(), any::<bool>()).prop_map(|(node, service)| {
        let alias = AliasCheck {
            node: node.then(|| NodeName::new("other").unwrap()),
            service_id: service.then(|| ServiceId::new("other-1").unwrap()),
        };
        ("", CheckKind::Alias(Box::new(alias)))
    });
    let dns = any_args().prop_map(|expected| {
        let check = DnsCheck { name: text("shop.example"), record_type: text("AAAA"), expected };
        ("192.0.2.53:53", CheckKind::Dns(Box::new(check)))
    });
    let plain = [
        ("", CheckKind::External),
        ("", CheckKind::Maintenance),
        ("", CheckKind::Deadline(Duration::from_nanos(60_000_000_007))),
        (AT, CheckKind::Udp),
        ("nginx.service", CheckKind::Systemd),
        (AT, CheckKind::MySql),
        (AT, CheckKind::Redis),
        (AT, CheckKind::Postgres),
        (AT, CheckKind::Amqp),
        ("host.example", CheckKind::Icmp),
    ];
    prop_oneof![
        10 => select(plain.to_vec()),
        2 => http,
        1 => any_tls().prop_map(|tls| (AT, CheckKind::Tcp(tls))),
        1 => any_tls().prop_map(|tls| ("192.0.2.7:80/shop.Cart", CheckKind::Grpc(tls))),
        1 => any_tls().prop_map(|tls| (AT, CheckKind::H2Ping(tls))),
        1 => any_args().prop_map(|args| ("", CheckKind::Script(ScriptCheck { args }))),
        2 => any_args().prop_map(|args| {
            ("", CheckKind::DockerExec(Box::new(DockerExecCheck { container: text("web"), args })))
        }),
        1 => alias,
        1 => dns,
    ]
}
