//! HTTP probes: 2xx passes, 429 warns, everything else is critical.
//!
//! | bound | value |
//! |---|---|
//! | redirects followed | 10 |
//! | body read | 4 KiB; a body that is still coming 1 s after the head is not waited for: the status decides |
//! | clients kept | 64, one for each distinct set of TLS options |
//!
//! Each probe has a connection of its own, so that one that died unseen can never be taken for a dead instance. Host
//! names are resolved by the [`TargetResolver`] alone; proxy variables do not count.
//!
//! **Limits:** a Host header, or a TLS server name other than the URL's host, keeps the probe on HTTP/1.1. A server
//! name that is an IP address holds for the certificates of all redirects, too.
//!
//! **Source:** Consul's HTTP check and its output; redirects as RFC 9110 section 15.4 says.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{
    Client, Method, Response, StatusCode, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{
        ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue,
        LOCATION, USER_AGENT,
    },
};
use rustls_pki_types::ServerName;
use tokio::time::{Instant, timeout_at};

use super::{
    probe::{Outcome, TargetResolver, addresses, deadline, within},
    tls::{Protocols, Tls},
};
use crate::catalog::check::{CheckStatus, HttpCheck, OUTPUT_MAX_BYTES};

/// Executes HTTP probes.
pub(super) struct HttpProber {
    resolver: TargetResolver,
    tls: Arc<Tls>,
    clients: Mutex<HashMap<ClientOptions, Client>>,
}

/// What tells one client from another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum ClientOptions {
    Plain,
    Tls {
        skip_verify: bool,
        protocols: Protocols,
    },
    /// Certificates must be for this name, an IP address.
    TlsForAddress(ServerName<'static>, Protocols),
}

/// One request of a probe: the first, or one that follows a redirect.
struct Hop {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Arc<str>,
}

impl std::fmt::Debug for HttpProber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpProber").finish_non_exhaustive()
    }
}

impl HttpProber {
    pub(super) fn new(resolver: TargetResolver, tls: Arc<Tls>) -> HttpProber {
        HttpProber { resolver, tls, clients: Mutex::default() }
    }

    /// Probes a URL once, within this time.
    pub(super) async fn probe(&self, url: &str, check: &HttpCheck, timeout: Duration) -> Outcome {
        let deadline = deadline(timeout);
        let what = format!("HTTP {} {}", check.method, without_password(url));
        let response = match within(deadline, self.exchange(url, check, &what)).await {
            Some(Ok(response)) => response,
            Some(Err(outcome)) => return outcome,
            None => return Outcome::critical(format!("{what}: no response within {timeout:?}")),
        };
        let code = response.status();
        let body = beginning(response, deadline.min(Instant::now() + BODY_WAIT_MAX)).await;
        let output = format!("{what}: {code} Output: {}", String::from_utf8_lossy(&body));
        Outcome::Done { status: status_of(code), output }
    }

    /// Sends the request, and those that redirects ask for, until there is a response to judge by.
    async fn exchange(&self, url: &str, check: &HttpCheck, what: &str) -> Result<Response, Outcome> {
        let critical = |problem: String| Outcome::critical(format!("{what}: {problem}"));
        let mut hop = Hop::first(url, check).map_err(critical)?;
        for _ in 0..=REDIRECTS_MAX {
            let response = self.send(check, &hop, what).await?;
            if check.disable_redirects {
                return Ok(response);
            }
            match hop.following(&response).map_err(critical)? {
                None => return Ok(response),
                Some(next) => hop = next,
            }
        }
        Err(critical(format!("stopped after {REDIRECTS_MAX} redirects")))
    }

    async fn send(&self, check: &HttpCheck, hop: &Hop, what: &str) -> Result<Response, Outcome> {
        let critical = |problem: String| Outcome::critical(format!("{what}: {problem}"));
        let mut url = hop.url.clone();
        let mut headers = hop.headers.clone();
        let mut target = None;
        let options = if url.scheme() == "http" {
            ClientOptions::Plain
        } else {
            let name = check.tls_server_name.as_deref().filter(|name| Some(*name) != url.host_str());
            let http1 = name.is_some() || headers.contains_key(HOST);
            let protocols = if http1 { Protocols::Http1 } else { Protocols::Http2 };
            match name.map(|name| ServerName::try_from(name.to_owned())).transpose() {
                Ok(Some(name @ ServerName::IpAddress(_))) if !check.tls_skip_verify => {
                    ClientOptions::TlsForAddress(name, protocols)
                }
                Ok(Some(ServerName::DnsName(name))) => {
                    target = Some(speak_to(&mut url, &mut headers, name.as_ref()).map_err(critical)?);
                    ClientOptions::Tls { skip_verify: check.tls_skip_verify, protocols }
                }
                Ok(_) => ClientOptions::Tls { skip_verify: check.tls_skip_verify, protocols },
                Err(_) => return Err(critical("TLSServerName is not a host name".to_owned())),
            }
        };
        let client = self.client(options).await.map_err(critical)?;
        let mut request = client.request(hop.method.clone(), url).headers(headers);
        if !hop.body.is_empty() {
            request = request.body(hop.body.to_string());
        }
        TARGET.scope(target, request.send()).await.map_err(|error| Outcome::failed(what, &error.without_url()))
    }

    async fn client(&self, options: ClientOptions) -> Result<Client, String> {
        if let Some(client) = self.clients.lock().unwrap_or_else(PoisonError::into_inner).get(&options) {
            return Ok(client.clone());
        }
        let config = match &options {
            ClientOptions::Plain => self.tls.none(),
            ClientOptions::Tls { skip_verify, protocols } => self.tls.config(*skip_verify, *protocols).await?,
            ClientOptions::TlsForAddress(name, protocols) => {
                self.tls.config_for_address(name.clone(), *protocols).await?
            }
        };
        let client = Client::builder()
            .tls_backend_preconfigured(Arc::unwrap_or_clone(config))
            .dns_resolver(Arc::new(Hook { resolver: Arc::clone(&self.resolver) }))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| format!("no HTTP client can be made: {error}"))?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        Ok(clients.entry(options).or_insert(client).clone())
    }
}

impl Hop {
    fn first(url: &str, check: &HttpCheck) -> Result<Hop, String> {
        let url = Url::parse(url).map_err(|error| format!("not a URL: {error}"))?;
        web_only(&url)?;
        let method = Method::from_bytes(check.method.as_bytes()).map_err(|_| "not an HTTP method".to_owned())?;
        let mut headers = HeaderMap::new();
        for (name, value) in &check.headers {
            let illegal = || format!("header {name:?} is not legal in HTTP");
            let value = HeaderValue::from_str(value).map_err(|_| illegal())?;
            headers.append(HeaderName::from_bytes(name.as_bytes()).map_err(|_| illegal())?, value);
        }
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static("nameplate health check"));
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("text/plain, text/*, */*"));
        Ok(Hop { method, url, headers, body: Arc::clone(&check.body) })
    }

    /// What a response asks for in place of this request; none if it is to be judged by.
    fn following(&self, response: &Response) -> Result<Option<Hop>, String> {
        let keeps_method = match response.status().as_u16() {
            301..=303 => false,
            307 | 308 => true,
            _ => return Ok(None),
        };
        let Some(location) = response.headers().get(LOCATION) else { return Ok(None) };
        let bad = || "the redirect's Location is not a URL".to_owned();
        let url = self.url.join(location.to_str().map_err(|_| bad())?).map_err(|_| bad())?;
        web_only(&url)?;
        let mut hop =
            Hop { method: self.method.clone(), headers: self.headers.clone(), body: Arc::clone(&self.body), url };
        if !keeps_method && self.method != Method::HEAD {
            hop.method = Method::GET;
            hop.body = Arc::from("");
            hop.headers.remove(CONTENT_TYPE);
            hop.headers.remove(CONTENT_LENGTH);
        }
        if hop.url.origin() != self.url.origin() {
            for secret in [HOST, AUTHORIZATION, COOKIE] {
                hop.headers.remove(secret);
            }
        }
        Ok(Some(hop))
    }
}

/// Resolves for reqwest.
struct Hook {
    resolver: TargetResolver,
}

impl Resolve for Hook {
    fn resolve(&self, name: Name) -> Resolving {
        let target = TARGET.try_with(Clone::clone).ok().flatten();
        let resolver = Arc::clone(&self.resolver);
        Box::pin(async move {
            let host = target.as_deref().unwrap_or_else(|| name.as_str());
            let found = addresses(&resolver, host).await?;
            let targets: Addrs = Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(targets)
        })
    }
}

tokio::task_local! {
    /// The host that the current request really goes to, where its URL names another (see [`speak_to`]).
    static TARGET: Option<String>;
}

/// Puts the server's TLS name into the URL, because reqwest takes what it sends in SNI from there, and what stood
/// there into the Host header. Returns the host to connect to.
fn speak_to(url: &mut Url, headers: &mut HeaderMap, server_name: &str) -> Result<String, String> {
    let host = url.host_str().unwrap_or_default().to_owned();
    let authority = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.clone(),
    };
    let authority = HeaderValue::from_str(&authority).map_err(|_| "the URL's host is not legal in HTTP".to_owned())?;
    url.set_host(Some(server_name)).map_err(|error| format!("TLSServerName is not a host name: {error}"))?;
    headers.entry(HOST).or_insert(authority);
    Ok(host)
}

fn web_only(url: &Url) -> Result<(), String> {
    match url.scheme() {
        "http" | "https" => Ok(()),
        other => Err(format!("{other:?} is neither http nor https")),
    }
}

/// The beginning of a body: what has come by then, at most as much as is kept of an output.
async fn beginning(mut response: Response, deadline: Instant) -> Vec<u8> {
    let mut body = Vec::new();
    // A body that breaks off says nothing that its status has not said.
    while body.len() < OUTPUT_MAX_BYTES {
        let Ok(Ok(Some(chunk))) = timeout_at(deadline, response.chunk()).await else { break };
        body.extend_from_slice(&chunk[..chunk.len().min(OUTPUT_MAX_BYTES - body.len())]);
    }
    body
}

fn status_of(code: StatusCode) -> CheckStatus {
    match code {
        StatusCode::TOO_MANY_REQUESTS => CheckStatus::Warning,
        code if code.is_success() => CheckStatus::Passing,
        _ => CheckStatus::Critical,
    }
}

/// The URL as it may be shown: a password in it is replaced.
fn without_password(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else { return text.to_owned() };
    if url.password().is_some() && url.set_password(Some("xxxxx")).is_ok() { url.into() } else { text.to_owned() }
}

/// Most redirects that a probe follows. Source: Go's HTTP client, which Consul uses.
const REDIRECTS_MAX: usize = 10;

/// Longest time that a body may take after the head.
///
/// Source: none, chosen: the verdict is known by then, and an instance should not wait for it because its health page
/// streams.
const BODY_WAIT_MAX: Duration = Duration::from_secs(1);

/// Most clients that are kept; beyond, all are made anew.
///
/// Source: none, chosen: there are five sets of TLS options, and one more for each IP address named as server name.
const CLIENTS_MAX: usize = 64;

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
