//! nginx by HTTP, HTTPS, HTTP/2's ping, TCP and TLS, with the right name and a wrong one.

use serde_json::{Value, json};

use super::{Check, Server, Watched, certificates, nameplate};
use crate::{
    nginx::MAIN,
    sandbox::{Sandbox, scenario},
};

#[test]
fn a_check_says_what_nginx_answers() {
    scenario("checks-web", |sandbox| {
        certificates(sandbox);
        let _server = nameplate(sandbox, "");
        let mut watched = Watched::start(sandbox, vec![nginx(sandbox)], checks());
        watched.hang();
        watched.end();
    });
}

fn checks() -> Vec<Check> {
    let http = |path: &str| json!({ "HTTP": format!("http://{HTTP}{path}") });
    let https = |at: &str| json!({ "HTTP": format!("https://{at}/") });
    let tcp = |at: &str| json!({ "TCP": at, "TCPUseTLS": true });
    let with = |mut definition: Value, key: &str, value: Value| {
        definition[key] = value;
        definition
    };
    let named = |definition: Value, name: &str| with(definition, "TLSServerName", json!(name));
    let unverified = |definition: Value| with(definition, "TLSSkipVerify", json!(true));
    let wrong = ("critical", "not valid for name");
    let unknown = ("critical", "UnknownIssuer");
    let pings = json!({ "H2PING": HTTP2, "H2PingUseTLS": false });
    vec![
        Check::new("http", http("/"), "200 OK Output: fine"),
        Check::new("http-moved", http("/moved"), "200 OK Output: fine"),
        Check::new("http-busy", http("/busy"), "").in_place(("warning", "429 Too Many Requests")),
        Check::always("http-none", http("/none"), ("critical", "404 Not Found")),
        Check::always("http-broken", http("/broken"), ("critical", "500 Internal Server Error")),
        Check::new("https", https(HTTPS), "200 OK Output: fine"),
        Check::new("https-named", named(https(HTTPS), "web.example"), "200 OK Output: fine"),
        Check::always("https-wrong", named(https(HTTPS), "other.example"), wrong),
        Check::new("https-unverified", unverified(named(https(HTTPS), "other.example")), "200 OK Output: fine"),
        Check::always("https-stranger", https(STRANGER), unknown),
        Check::new("https-stranger-unverified", unverified(https(STRANGER)), "200 OK Output: a stranger"),
        Check::always("https-clear", https(HTTP), ("critical", "corrupt message")),
        Check::new("h2ping", json!({ "H2PING": HTTPS }), "Success"),
        Check::new("h2ping-named", named(json!({ "H2PING": HTTPS }), "web.example"), "Success"),
        Check::always("h2ping-wrong", named(json!({ "H2PING": HTTPS }), "other.example"), wrong),
        Check::new("h2ping-clear", pings, "Success"),
        // These speak HTTP/1.1 alone.
        Check::always("h2ping-http1", json!({ "H2PING": HTTP, "H2PingUseTLS": false }), ("critical", "")),
        Check::always("h2ping-http1-tls", unverified(json!({ "H2PING": STRANGER })), ("critical", "")),
        // The kernel accepts for a server that hangs.
        Check::new("tcp", json!({ "TCP": HTTP }), "Success").hanging(("passing", "Success")),
        Check::new("tls", tcp(HTTPS), "Success"),
        Check::new("tls-named", named(tcp(HTTPS), "web.example"), "Success"),
        Check::always("tls-wrong", named(tcp(HTTPS), "other.example"), wrong),
        Check::always("tls-stranger", tcp(STRANGER), unknown),
        Check::new("tls-unverified", unverified(tcp(STRANGER)), "Success"),
        // A web server is none of these.
        Check::always("redis", json!({ "Redis": HTTP }), ("critical", "not an answer of Redis")),
        Check::always("mysql", json!({ "MySQL": HTTP }), ("critical", "within 2s")),
        Check::always("postgres", json!({ "Postgres": HTTP }), ("critical", "")),
        Check::always("amqp", json!({ "AMQP": HTTP }), ("critical", "")),
        Check::always("grpc", json!({ "GRPC": HTTP2 }), ("critical", "")),
    ]
}

/// nginx, in the sandbox's folder, with the certificates that are there.
pub fn nginx(sandbox: &Sandbox) -> Server<'_> {
    sandbox.needs(&["nginx"], "nginx");
    sandbox.needs(&["pgrep"], "procps");
    sandbox.write("web.conf", SITES);
    sandbox.write("nginx.conf", MAIN);
    // Of the first process alone the others would go on.
    let processes = "$(cat nginx.pid) $(pgrep --parent $(cat nginx.pid))";
    Server::new(processes, || sandbox.start("nginx", "nginx -p . -c nginx.conf -e stderr"))
}

/// HTTP/1.1.
pub const HTTP: &str = "127.0.0.1:8081";

/// HTTP/2 in clear, and nothing else.
const HTTP2: &str = "127.0.0.1:8082";

/// HTTP/1.1 and HTTP/2 over TLS.
const HTTPS: &str = "127.0.0.1:8443";

/// HTTP/1.1 over TLS, with a certificate that nobody trusts.
const STRANGER: &str = "127.0.0.1:8444";

const SITES: &str = "
server {
    listen 127.0.0.1:8081;
    listen 127.0.0.1:8082 http2;
    listen 127.0.0.1:8443 ssl http2;
    ssl_certificate server.crt;
    ssl_certificate_key server.key;
    location = / { return 200 fine; }
    location = /moved { return 302 /; }
    location = /busy { return 429; }
    location = /broken { return 500; }
    location / { return 404; }
}
server {
    listen 127.0.0.1:8444 ssl;
    ssl_certificate stranger.crt;
    ssl_certificate_key stranger.key;
    location / { return 200 'a stranger'; }
}
";
