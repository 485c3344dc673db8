//! Servers and catalogs for the tests of this folder. All on loopback, on ports that the kernel chooses.

use std::{
    future::Future,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use rustls_pki_types::PrivateKeyDer;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::{
    probe::{Outcome, Prober, TargetResolver},
    tls::Tls,
};
use crate::{
    catalog::{
        change::{Change, Origin, Registration},
        check::{Check, CheckDefinition, CheckKey, CheckKind, CheckStatus, ClientTls, HttpCheck},
        names::{CheckId, NodeName, ServiceId, ServiceName},
        node::Node,
        service::{Instance, InstanceKey, Port, Weights},
    },
    publish::{
        feed::Feed,
        publisher::{Publisher, Start},
        watch::{Published, WatchKey},
    },
};

/// Starts a server that hands each connection to this.
pub(super) async fn serve<F, R>(handle: F) -> SocketAddr
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handle(stream));
        }
    });
    address
}

/// Starts a server that takes connections, and neither says nor reads anything.
pub(super) async fn silent() -> SocketAddr {
    serve(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await
}

/// Requests that a server got, as text.
pub(super) type Requests = Arc<Mutex<Vec<String>>>;

/// Starts an HTTP server that gives each request the response that this makes of it.
pub(super) async fn http(respond: impl Fn(&str) -> String + Send + Sync + Clone + 'static) -> (SocketAddr, Requests) {
    let requests = Requests::default();
    let kept = Arc::clone(&requests);
    let address = serve(move |stream| answer(stream, Arc::clone(&kept), respond.clone())).await;
    (address, requests)
}

/// The same over TLS.
pub(super) async fn https(
    acceptor: TlsAcceptor,
    respond: impl Fn(&str) -> String + Send + Sync + Clone + 'static,
) -> (SocketAddr, Requests) {
    let requests = Requests::default();
    let kept = Arc::clone(&requests);
    let address = serve(move |stream| {
        let (acceptor, kept, respond) = (acceptor.clone(), Arc::clone(&kept), respond.clone());
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                let name = stream.get_ref().1.server_name().unwrap_or("none").to_owned();
                kept.lock().unwrap().push(format!("SNI {name}"));
                answer(stream, kept, respond).await;
            }
        }
    })
    .await;
    (address, requests)
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    requests: Requests,
    respond: impl Fn(&str) -> String,
) {
    let request = request(&mut stream).await;
    let response = respond(&request);
    requests.lock().unwrap().push(request);
    let _ = stream.write_all(response.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// Reads one request, with its body if it says how long that is.
pub(super) async fn request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some(head) = text.find("\r\n\r\n") {
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if text.len() >= head + 4 + length.unwrap_or(0) {
                return text;
            }
        }
        match stream.read(&mut chunk).await {
            Ok(count) if count > 0 => bytes.extend_from_slice(&chunk[..count]),
            _ => return text,
        }
    }
}

/// A response of this status line with a body.
pub(super) fn response(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A redirect.
pub(super) fn redirect(status: &str, location: &str) -> String {
    format!("HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

/// A certificate authority of its own, whose certificate lies in a file.
pub(super) struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    pub(super) fn new() -> Authority {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Authority { issuer: rcgen::Issuer::new(params, key), folder }
    }

    pub(super) fn bundle(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Accepts TLS connections with a certificate for this name.
    pub(super) fn acceptor(&self, name: &str) -> TlsAcceptor {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "leaf");
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Resolves the names below `example` to 127.0.0.1, `two.example` to an address where nobody is before that, and
/// nothing else.
pub(super) fn resolver() -> TargetResolver {
    Arc::new(|host: String| {
        Box::pin(async move {
            match host.as_str() {
                "none.example" => Ok(Vec::new()),
                "two.example" => Ok(vec![IpAddr::from([127, 0, 0, 2]), Ipv4Addr::LOCALHOST.into()]),
                host if host.ends_with(".example") => Ok(vec![Ipv4Addr::LOCALHOST.into()]),
                _ => Err("unknown name".to_owned()),
            }
        })
    })
}

pub(super) fn tls(bundle: Option<PathBuf>) -> Arc<Tls> {
    Arc::new(Tls::new(Some(bundle.unwrap_or_else(|| PathBuf::from("/nonexistent/ca.pem")))))
}

/// Waits until this holds of what no snapshot shows; at most 10 s.
pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    let started = std::time::Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(10), "not within 10 s: {what}");
        ticks.tick().await;
    }
}

/// An HTTP check as plain as can be.
pub(super) fn http_check() -> HttpCheck {
    HttpCheck {
        method: Arc::from("GET"),
        headers: Vec::new(),
        body: Arc::from(""),
        disable_redirects: false,
        tls_skip_verify: false,
        tls_server_name: None,
    }
}

/// A TCP check as plain as can be.
pub(super) fn tcp_check() -> ClientTls {
    ClientTls::default()
}

/// Executes a check of this target and kind with a prober of its own.
pub(super) async fn probe(
    (target, kind): (&str, CheckKind),
    bundle: Option<PathBuf>,
    timeout: Duration,
) -> (CheckStatus, String) {
    let bundle = bundle.unwrap_or_else(|| PathBuf::from("/nonexistent/ca.pem"));
    let prober = Arc::new(Prober::new(resolver(), Some(bundle)));
    match prober.run(target.into(), Arc::new(definition(kind, Duration::from_secs(1), timeout)), Origin::Api).await {
        Some(Outcome::Done { status, output }) => (status, output),
        other => panic!("no verdict: {other:?}"),
    }
}

/// A definition without thresholds.
pub(super) fn definition(kind: CheckKind, interval: Duration, timeout: Duration) -> CheckDefinition {
    CheckDefinition { interval, timeout, ..CheckDefinition::unprobed(kind) }
}

/// A running publisher with the node `n1` and the instance `web-1` on it.
pub(super) struct Catalog {
    pub(super) feed: Feed,
    pub(super) published: Arc<Published>,
    _publisher: Publisher,
}

impl Catalog {
    pub(super) async fn start() -> Catalog {
        let (publisher, feed, published) = Publisher::start(Start::example(1)).unwrap();
        let catalog = Catalog { feed, published, _publisher: publisher };
        catalog.submit(Change::RegisterNode(Node::example("n1"))).await;
        catalog.register("n1", Vec::new()).await;
        catalog
    }

    pub(super) async fn submit(&self, change: Change) {
        self.feed.submit(vec![change]).await.unwrap();
    }

    /// Registers the instance `web-1` on a node, with these checks.
    pub(super) async fn register(&self, node: &str, checks: Vec<Check>) {
        let registration = Registration { instance: instance_of(node), checks, replace_existing_checks: false };
        self.submit(Change::Register(Box::new(registration))).await;
    }

    pub(super) fn status(&self, id: &str) -> Option<(CheckStatus, String)> {
        let snapshot = self.published.load();
        let entry = snapshot.catalog.check(&key(id))?;
        Some((entry.check.status, entry.check.shown_output().into_owned()))
    }

    pub(super) fn has_instance(&self) -> bool {
        let instance = InstanceKey { node: NodeName::new("n1").unwrap(), id: ServiceId::new("web-1").unwrap() };
        self.published.load().catalog.instance(&instance).is_some()
    }

    /// Waits until the catalog is so; at most 10 s.
    pub(super) async fn until(&self, what: &str, holds: impl Fn(&Catalog) -> bool) {
        let mut tickets = [WatchKey::Checks, WatchKey::Services].map(|key| self.published.register(key));
        let [checks, services] = &mut tickets;
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let waiting = async {
            while !holds(self) {
                tokio::select! {
                    () = checks.changed() => {}
                    () = services.changed() => {}
                    // An output that changes alone wakes nobody.
                    _ = ticks.tick() => {}
                }
            }
        };
        let outcome = tokio::time::timeout(Duration::from_secs(10), waiting).await;
        assert!(outcome.is_ok(), "not within 10 s: {what}");
    }
}

/// A check of the instance `web-1` on `n1`, critical to begin with.
pub(super) fn check_of(id: &str, (target, definition): (String, CheckDefinition)) -> Check {
    Check {
        node: NodeName::new("n1").unwrap(),
        id: CheckId::new(id).unwrap(),
        service_id: Some(ServiceId::new("web-1").unwrap()),
        name: id.into(),
        notes: "".into(),
        status: CheckStatus::Critical,
        output: "".into(),
        target: target.into(),
        definition: Arc::new(definition),
        origin: Origin::Api,
    }
}

pub(super) fn key(id: &str) -> CheckKey {
    CheckKey { node: NodeName::new("n1").unwrap(), id: CheckId::new(id).unwrap() }
}

fn instance_of(node: &str) -> Instance {
    Instance {
        node: NodeName::new(node).unwrap(),
        id: ServiceId::new("web-1").unwrap(),
        service: ServiceName::new("web").unwrap(),
        address: None,
        ports: Arc::new([Port { name: None, number: 80, default: false }]),
        tags: Arc::from([]),
        meta: Arc::default(),
        weights: Weights::default(),
        tagged_addresses: Default::default(),
        network_addresses: Default::default(),
        further_names: Default::default(),
        enable_tag_override: false,
        origin: Origin::Api,
    }
}
