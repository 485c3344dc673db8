//! nginx finds a service by our A records, and is never reloaded. Its configuration is that of `docs/consumers.md`.

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
};

use serde_json::json;

use crate::{
    backends::{Backends, Traffic},
    fenced, http,
    sandbox::scenario,
    server::serve,
    until::{SOON, until},
};

#[test]
fn nginx_follows_addresses() {
    scenario("nginx", |sandbox| {
        sandbox.needs(&["nginx"], "nginx");
        let backends = Backends::start(&[9000]);
        let _server = serve(sandbox, "--ephemeral --forward off --dns 127.0.0.1:8600");
        (1..=3).for_each(register);
        sandbox.write("web.conf", &fenced::blocks(&fenced::page(fenced::CONSUMERS), "nginx").swap_remove(0));
        sandbox.write("nginx.conf", MAIN);
        let nginx = sandbox.start("nginx", "nginx -p . -c nginx.conf -e stderr");
        let proxy = SocketAddr::from(([127, 0, 0, 1], 8081));
        until("nginx listens", SOON, || TcpStream::connect(proxy).ok());
        let workers = || fs::read_to_string(sandbox.file("nginx-main.pid")).unwrap();
        let started = workers();

        let traffic = Traffic::start(proxy);
        let asked_are = |expected: &[u8]| {
            let expected: BTreeSet<_> = expected.iter().map(|n| address(*n)).collect();
            until(&format!("nginx asks {expected:?}"), SOON, || {
                traffic.count_anew();
                let answered = until("thirty requests are answered", SOON, || {
                    let answered = traffic.answered();
                    (answered.values().sum::<u64>() >= 30).then_some(answered)
                });
                let answered: BTreeSet<_> = answered.keys().map(SocketAddr::ip).collect();
                (answered == expected).then_some(())
            });
        };
        asked_are(&[1, 2, 3]);
        register(4);
        asked_are(&[1, 2, 3, 4]);
        for path in ["deregister/web-1", "maintenance/web-2?enable=true"] {
            assert_eq!(http::request("PUT", &format!("/v1/agent/service/{path}"), "").unwrap().status, 200);
        }
        asked_are(&[3, 4]);
        (1..=2).for_each(|n| backends.kill(SocketAddr::from((address(n), 9000))));
        asked_are(&[3, 4]);
        // More than fit into the 512 bytes that nginx takes over UDP: it asks again by TCP.
        (11..=60).for_each(register);
        until("nginx has asked by TCP", SOON, || {
            let metrics = http::request("GET", "/metrics", "").unwrap().body;
            let line =
                metrics.lines().find(|line| line.starts_with("nameplate_dns_requests_total{proto=\"tcp\",type=\"A\"}"));
            line.filter(|line| !line.ends_with(" 0")).map(drop)
        });
        traffic.count_anew();
        until("nginx asks more than one truncated answer has", SOON, || (traffic.answered().len() > 40).then_some(()));
        traffic.end();
        assert_eq!(workers(), started, "the first process runs on");
        let log = fs::read_to_string(sandbox.file("nginx.log")).unwrap();
        assert!(!log.contains("reconfiguring"), "{log}");
        drop(nginx);
    });
}

fn register(number: u8) {
    let body = json!({ "Name": "web", "ID": format!("web-{number}"), "Address": address(number), "Port": 9000 });
    let response = http::request("PUT", "/v1/agent/service/register", &body.to_string()).unwrap();
    assert_eq!(response.status, 200, "{}", response.body);
}

fn address(number: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 1, number).into()
}

/// What Debian's own main file does for a file in `conf.d`, with everything in the scenario's folder.
pub const MAIN: &str = "\
daemon off;
worker_processes 1;
pid nginx-main.pid;
error_log stderr notice;
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include web.conf;
}
";
