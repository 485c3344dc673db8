//! A client of the HTTP API, for the command line.
//!
//! **Limits:** no proxies, whatever the environment says: the server is on this machine or in this network. `https` servers
//! are trusted by the authorities of a file that is named, else by those of the system, or of the file that `SSL_CERT_FILE` names.

use std::{
    error::Error,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use reqwest::{
    Method, RequestBuilder, Response, Url,
    header::{CONTENT_TYPE, HeaderMap},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde::{Serialize, de::DeserializeOwned};

/// One server, spoken to as one user.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    server: Url,
    token: Option<Arc<str>>,
}

/// Whom to trust, and what to show, where the server speaks HTTPS.
#[derive(Debug, Clone, Default)]
pub struct ClientTls {
    /// Authorities, PEM; without it, those of the system.
    pub ca_file: Option<PathBuf>,
    /// Our certificate and its key, PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// What a server says of a write that took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// What the user should know all the same.
    pub warnings: Vec<String>,
    /// The response's body; mostly empty.
    pub body: String,
}

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server's URL is none.
    #[error("--server: expected a URL such as {DEFAULT_SERVER}, got {server:?}")]
    Server {
        /// What was given.
        server: String,
    },
    /// A file of certificates is no such.
    #[error("cannot read {path}: {problem}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The client could not be built.
    #[error("cannot set up the HTTP client")]
    Setup(#[source] Box<dyn Error + Send + Sync>),
    /// Nobody answered there.
    #[error("cannot reach {server}: {problem}; start a server with `nameplate serve` or name one with --server")]
    Unreached {
        /// The server's URL.
        server: String,
        /// What the system said.
        problem: String,
    },
    /// The server answered with another status than 200.
    #[error("{message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the server said.
        message: String,
    },
    /// The answer is not what the API gives.
    #[error("{server} answers, but not as nameplate does: {problem}")]
    NotUnderstood {
        /// The server's URL.
        server: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Client {
    /// A client of the server at this URL; `http://` may be left out. An empty token is none.
    pub fn new(server: &str, token: Option<&str>) -> Result<Client, ClientError> {
        Client::with_tls(server, token, &ClientTls::default())
    }

    /// As [`Client::new`], with certificates of its own.
    pub fn with_tls(server: &str, token: Option<&str>, tls: &ClientTls) -> Result<Client, ClientError> {
        let wrong = || ClientError::Server { server: server.to_owned() };
        let text = if server.contains("://") { server.to_owned() } else { format!("http://{server}") };
        let url = Url::parse(&text).map_err(|_| wrong())?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(wrong());
        }
        let tls = tls_config(tls)?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_backend_preconfigured(tls)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .user_agent(concat!("nameplate/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|source| ClientError::Setup(source.into()))?;
        Ok(Client { http, server: url, token: token.filter(|token| !token.is_empty()).map(Arc::from) })
    }

    /// `GET` of JSON. The segments of the path and the query are percent-encoded here.
    pub async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<T, ClientError> {
        let response = self.send(self.request(Method::GET, path, query)?).await?;
        let text = self.text(response).await?;
        serde_json::from_str(&text).map_err(|problem| self.not_understood(&problem))
    }

    /// `GET` of a body of any length, piece by piece.
    pub async fn download(&self, path: &[&str]) -> Result<Download<'_>, ClientError> {
        let request = self.request(Method::GET, path, &[])?.timeout(DOWNLOAD_TIMEOUT);
        Ok(Download { client: self, response: self.send(request).await? })
    }

    /// Reads JSON of the server as what it should be.
    pub fn understand<T: DeserializeOwned>(&self, value: serde_json::Value) -> Result<T, ClientError> {
        serde_json::from_value(value).map_err(|problem| self.not_understood(&problem))
    }

    /// `PUT`, with JSON or nothing.
    pub async fn put<T: Serialize>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&T>,
    ) -> Result<Written, ClientError> {
        let request = self.request(Method::PUT, path, query)?;
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let response = self.send(request).await?;
        let warnings = warnings(response.headers());
        Ok(Written { warnings, body: self.text(response).await? })
    }

    /// `PUT` of JSON that is text already; returns the response's body.
    pub async fn put_text(&self, path: &[&str], json: String) -> Result<String, ClientError> {
        let request = self.request(Method::PUT, path, &[])?.body(json);
        let response = self.send(request).await?;
        self.text(response).await
    }

    fn request(&self, method: Method, path: &[&str], query: &[(&str, &str)]) -> Result<RequestBuilder, ClientError> {
        let mut url = self.server.clone();
        url.path_segments_mut()
            .map_err(|()| ClientError::Server { server: self.server.to_string() })?
            .pop_if_empty()
            .push("v1")
            .extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.request(method, url);
        Ok(match &self.token {
            Some(token) => request.header(TOKEN_HEADER, &**token),
            None => request,
        })
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request.send().await.map_err(|error| self.unreached(&error))?;
        let status = response.status().as_u16();
        if status == 200 {
            return Ok(response);
        }
        // Our refusals are plain text; a page for browsers comes from another program, or from a proxy before ours.
        if is_page(response.headers()) {
            let problem = format!("status {status} with a page for browsers");
            return Err(ClientError::NotUnderstood { server: self.name(), problem });
        }
        let said = self.text(response).await?;
        let said = said.trim();
        let message =
            if said.is_empty() { format!("the server answered with status {status}") } else { said.to_owned() };
        Err(ClientError::Refused { status, message })
    }

    async fn text(&self, response: Response) -> Result<String, ClientError> {
        response.text().await.map_err(|error| self.unreached(&error))
    }

    /// The innermost cause says what the system said; what is around it only says that something failed.
    fn unreached(&self, error: &reqwest::Error) -> ClientError {
        let mut cause: &dyn Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let problem = if error.is_timeout() { "no answer in time".to_owned() } else { cause.to_string() };
        ClientError::Unreached { server: self.name(), problem }
    }

    fn not_understood(&self, problem: &serde_json::Error) -> ClientError {
        ClientError::NotUnderstood { server: self.name(), problem: format!("no JSON as expected: {problem}") }
    }

    fn name(&self) -> String {
        self.server.as_str().trim_end_matches('/').to_owned()
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the token.
        f.debug_struct("Client").field("server", &self.server.as_str()).finish_non_exhaustive()
    }
}

fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.starts_with("text/html")
}

/// A body that is being read.
#[derive(Debug)]
pub struct Download<'a> {
    client: &'a Client,
    response: Response,
}

impl Download<'_> {
    /// A header that counts something.
    pub fn count(&self, name: &str) -> Option<u64> {
        self.response.headers().get(name)?.to_str().ok()?.parse().ok()
    }

    /// The next piece; none at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        match tokio::time::timeout(CALL_TIMEOUT, self.response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk.map(|bytes| bytes.to_vec())),
            Ok(Err(error)) => Err(self.client.unreached(&error)),
            Err(_) => {
                let problem = "it stopped sending".to_owned();
                Err(ClientError::Unreached { server: self.client.name(), problem })
            }
        }
    }
}

fn warnings(headers: &HeaderMap) -> Vec<String> {
    let texts = headers.get_all(WARNING_HEADER).iter().filter_map(|value| value.to_str().ok());
    texts.map(str::to_owned).collect()
}

/// An explicit configuration, because reqwest's own fails where the system has no certificate bundle, also for `http`.
fn tls_config(tls: &ClientTls) -> Result<ClientConfig, ClientError> {
    let setup = |error: rustls::Error| ClientError::Setup(error.into());
    let mut roots = RootCertStore::empty();
    match &tls.ca_file {
        Some(path) => {
            for authority in certificates(path)? {
                roots.add(authority).map_err(|problem| unread(path, problem.to_string()))?;
            }
        }
        None => {
            let found = bundle().and_then(|path| CertificateDer::pem_file_iter(path).ok());
            roots.add_parsable_certificates(found.into_iter().flatten().filter_map(Result::ok));
        }
    }
    let provider = Arc::new(ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let trusting = versions.map_err(setup)?.with_root_certificates(roots);
    let Some((certificate, key)) = &tls.identity else { return Ok(trusting.with_no_client_auth()) };
    let own = PrivateKeyDer::from_pem_file(key).map_err(|problem| unread(key, problem.to_string()))?;
    trusting.with_client_auth_cert(certificates(certificate)?, own).map_err(setup)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|problem| unread(path, problem.to_string()))?;
    if certificates.is_empty() {
        return Err(unread(path, "no certificate as PEM is in it".to_owned()));
    }
    Ok(certificates)
}

fn unread(path: &Path, problem: String) -> ClientError {
    ClientError::File { path: path.to_path_buf(), problem }
}

fn bundle() -> Option<PathBuf> {
    let chosen = std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()).map(PathBuf::from);
    chosen.or_else(|| BUNDLES.iter().map(PathBuf::from).find(|path| path.is_file()))
}

/// Where a server is by default: Consul's port.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:8500";

/// Source: Consul.
const TOKEN_HEADER: &str = "X-Consul-Token";

/// What the server adds to a success that the user should know more of.
const WARNING_HEADER: &str = "x-nameplate-warning";

/// Source: none, chosen: longer than any start of a connection within a data centre.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Source: none, chosen: above the 5 s after which a busy server answers 503.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest download; that it goes on is looked at besides. Source: none, chosen.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// Certificate bundles of Debian, Fedora, Alpine and openSUSE.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
];

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
