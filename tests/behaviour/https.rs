//! The HTTP API over TLS, with certificates of clients, and certificates that change.

use std::{fs, path::Path, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tempfile::{TempDir, tempdir};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    connection::Connection,
    harness::{Served, page, request, run, serve, until},
};

/// An authority that signs certificates into a folder.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(home: &Path, name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        fs::write(home.join(format!("{name}.crt")), params.self_signed(&key).unwrap().pem()).unwrap();
        Authority { issuer: Issuer::new(params, key) }
    }

    fn sign(&self, home: &Path, name: &str, host: &str) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![host.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        fs::write(home.join(format!("{name}.key")), key.serialize_pem()).unwrap();
        fs::write(home.join(format!("{name}.crt")), certificate.pem()).unwrap();
    }
}

/// A home with an authority `ca`, and a server's certificate of it.
fn prepared() -> (TempDir, Authority) {
    let home = tempdir().unwrap();
    let authority = Authority::new(home.path(), "ca");
    authority.sign(home.path(), "server", "127.0.0.1");
    (home, authority)
}

const TLS: [&str; 5] = ["--ephemeral", "--http-tls-cert", "server.crt", "--http-tls-key", "server.key"];

/// Asks with the program; returns its exit code and what it complained of.
fn services(served: &Served, flags: &[&str]) -> (i32, String) {
    let url = format!("https://{}", served.at.http);
    let output = run(&served.home, &[&["services", "--server", &url], flags].concat());
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_trust_the_authority_are_served_over_tls_alone() {
    let (home, _authority) = prepared();
    let mut served = serve(&home, &TLS).await;
    assert_eq!(services(&served, &["--ca-file", "ca.crt"]).0, 0);
    let (code, said) = services(&served, &[]);
    assert_eq!(code, 3, "nobody knows this authority: {said}");
    let mut plain = TcpStream::connect(served.at.http).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: n1\r\n\r\n").await.unwrap();
    let told = page(plain).await;
    assert!(told.status == 400 && told.body.contains("https://"), "{told:?}");
    until("it finds itself healthy", async || served.at.addresses("nameplate.service.internal.").await.len() == 1)
        .await;
    assert_eq!(served.stop().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_both_sides_agree_on_the_version() {
    let (home, _authority) = prepared();
    let served = serve(&home, &TLS).await;
    for (offered, agreed) in [(&["h2", "http/1.1"][..], Some("h2")), (&["http/1.1"], Some("http/1.1")), (&[], None)] {
        let stream = over_tls(&served, offered).await;
        let found = stream.get_ref().1.alpn_protocol().map(|found| String::from_utf8(found.to_vec()).unwrap());
        assert_eq!(found.as_deref(), agreed);
        let status = if agreed == Some("h2") {
            Connection::over(stream).await.get("/v1/status/leader").await.status
        } else {
            let (mut stream, mut said) = (stream, Vec::new());
            stream.write_all(request("GET", "/v1/status/leader", 0).as_bytes()).await.unwrap();
            stream.read_to_end(&mut said).await.unwrap();
            String::from_utf8(said).unwrap().split(' ').nth(1).unwrap().parse().unwrap()
        };
        assert_eq!(status, 200, "{offered:?}");
    }
}

/// A connection to the server, on which these versions are offered.
async fn over_tls(served: &Served, offered: &[&str]) -> TlsStream<TcpStream> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(served.home.join("ca.crt")).unwrap()).unwrap();
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = versions.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(served.at.http).await.unwrap();
    let name = ServerName::IpAddress(served.at.http.ip().into());
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_an_authority_of_clients_only_theirs_are_served() {
    let (home, authority) = prepared();
    let stranger = Authority::new(home.path(), "other");
    authority.sign(home.path(), "client", "client.example");
    stranger.sign(home.path(), "stranger", "client.example");
    let served = serve(&home, &[&TLS[..], &["--http-tls-client-ca", "ca.crt"]].concat()).await;
    let identity = |name: &str| {
        let (cert, key) = (format!("{name}.crt"), format!("{name}.key"));
        services(&served, &["--ca-file", "ca.crt", "--client-cert", &cert, "--client-key", &key])
    };
    assert_eq!(identity("client").0, 0);
    assert_eq!(identity("stranger").0, 3);
    assert_eq!(services(&served, &["--ca-file", "ca.crt"]).0, 3);
    let (code, said) = services(&served, &["--ca-file", "missing.crt"]);
    assert!(code == 2 && said.contains("missing.crt"), "{code} {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_changes_is_served_without_a_restart_and_a_broken_one_is_not() {
    let (home, _) = prepared();
    let served = serve(&home, &TLS).await;
    assert_eq!(services(&served, &["--ca-file", "ca.crt"]).0, 0);
    let next = Authority::new(home.path(), "next");
    next.sign(home.path(), "renewed", "127.0.0.1");
    for kind in ["key", "crt"] {
        fs::rename(home.path().join(format!("renewed.{kind}")), home.path().join(format!("server.{kind}"))).unwrap();
    }
    until("the new one is shown", async || services(&served, &["--ca-file", "next.crt"]).0 == 0).await;
    assert_eq!(services(&served, &["--ca-file", "ca.crt"]).0, 3);
    fs::write(home.path().join("server.crt"), "no certificate").unwrap();
    until("it is told", async || served.complaints().contains("http_tls_cert: cannot read server.crt")).await;
    assert_eq!(services(&served, &["--ca-file", "next.crt"]).0, 0);
}

#[test]
fn a_certificate_that_cannot_be_had_is_told_at_the_start() {
    let (home, authority) = prepared();
    authority.sign(home.path(), "another", "127.0.0.1");
    let started = |cert: &str, key: &[&str]| {
        let flags = ["serve", "--ephemeral", "--forward", "off", "--dns", "127.0.0.1:0", "--http", "127.0.0.1:0"];
        let output = run(home.path(), &[&flags[..], &["--http-tls-cert", cert], key].concat());
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let said = started("missing.crt", &["--http-tls-key", "server.key"]);
    assert!(said.contains("http_tls_cert: cannot read missing.crt"), "{said}");
    let said = started("server.crt", &["--http-tls-key", "another.key"]);
    assert!(said.contains("http_tls_cert and http_tls_key"), "{said}");
    let said = started("server.crt", &[]);
    assert!(said.contains("--http-tls-cert: set http_tls_key too"), "{said}");
}
