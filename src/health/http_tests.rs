use std::{net::Ipv4Addr, time::Duration};

use tokio::{io::AsyncWriteExt, net::TcpListener};

use super::*;
use crate::{
    catalog::check::CheckKind,
    health::testing::{
        Authority, http, http_check, https, probe, redirect, request, resolver, response, serve, silent, tls,
    },
};

const TIMEOUT: Duration = Duration::from_secs(5);

async fn run(url: impl AsRef<str>, check: HttpCheck) -> (CheckStatus, String) {
    probe((url.as_ref(), CheckKind::Http(Box::new(check))), None, TIMEOUT).await
}

async fn run_plain(url: impl AsRef<str>) -> (CheckStatus, String) {
    run(url, http_check()).await
}

#[track_caller]
fn assert_verdict(found: (CheckStatus, String), status: CheckStatus, words: &str) {
    assert!(found.0 == status && found.1.contains(words), "{found:?}");
}

/// What comes of a probe of a server that always responds so.
async fn verdict(status: &'static str) -> CheckStatus {
    let (address, _) = http(move |_| response(status, "")).await;
    run_plain(format!("http://{address}/")).await.0
}

#[tokio::test]
async fn the_status_code_decides() {
    assert_eq!(verdict("200 OK").await, CheckStatus::Passing);
    assert_eq!(verdict("204 No Content").await, CheckStatus::Passing);
    assert_eq!(verdict("429 Too Many Requests").await, CheckStatus::Warning);
    assert_eq!(verdict("301 Moved Permanently").await, CheckStatus::Critical);
    assert_eq!(verdict("404 Not Found").await, CheckStatus::Critical);
    assert_eq!(verdict("500 Internal Server Error").await, CheckStatus::Critical);
}

#[tokio::test]
async fn the_output_is_in_consuls_words() {
    let (address, _) = http(|_| response("200 OK", "all is well")).await;
    let found = run_plain(format!("http://{address}/health")).await;
    let words = format!("HTTP GET http://{address}/health: 200 OK Output: all is well");
    assert_eq!(found, (CheckStatus::Passing, words));
}

#[tokio::test]
async fn a_request_has_the_headers_of_a_health_check() {
    let (address, requests) = http(|_| response("200 OK", "")).await;
    run_plain(format!("http://{address}/health?deep=1")).await;
    let request = requests.lock().unwrap()[0].to_lowercase();
    assert!(request.starts_with("get /health?deep=1 http/1.1\r\n"), "{request}");
    assert!(request.contains("user-agent: nameplate health check\r\n"), "{request}");
    assert!(request.contains("accept: text/plain, text/*, */*\r\n"), "{request}");
    assert!(request.contains(&format!("host: {address}\r\n")), "{request}");
}

#[tokio::test]
async fn method_headers_and_body_are_those_of_the_definition() {
    let (address, requests) = http(|_| response("200 OK", "")).await;
    let header = |name: &str, value: &str| (Arc::from(name), Arc::from(value));
    let check = HttpCheck {
        method: Arc::from("POST"),
        headers: vec![
            header("Host", "web.example"),
            header("X-Two", "a"),
            header("X-Two", "b"),
            header("User-Agent", "me"),
        ],
        body: Arc::from("{\"deep\":true}"),
        ..http_check()
    };
    assert_eq!(run(format!("http://{address}/"), check).await.0, CheckStatus::Passing);
    let request = requests.lock().unwrap()[0].clone();
    assert!(request.starts_with("POST / HTTP/1.1\r\n") && request.ends_with("\r\n\r\n{\"deep\":true}"), "{request}");
    for line in ["host: web.example", "x-two: a", "x-two: b", "user-agent: me"] {
        assert!(request.contains(&format!("\r\n{line}\r\n")), "{line} not in {request}");
    }
    assert!(!request.contains("nameplate"), "{request}");
}

#[tokio::test]
async fn a_password_is_sent_and_not_shown() {
    let (address, requests) = http(|_| response("200 OK", "")).await;
    let (_, output) = run_plain(format!("http://me:secret@{address}/")).await;
    assert!(output.contains("me:xxxxx@") && !output.contains("secret"), "{output}");
    assert!(requests.lock().unwrap()[0].contains("authorization: Basic bWU6c2VjcmV0\r\n"));
}

#[tokio::test]
async fn redirects_are_followed_unless_disabled() {
    let (address, requests) =
        http(
            |request| {
                if request.starts_with("GET /old") { redirect("302 Found", "/new") } else { response("200 OK", "new") }
            },
        )
        .await;
    let url = format!("http://{address}/old");
    assert_verdict(run_plain(&url).await, CheckStatus::Passing, "Output: new");
    assert_eq!(requests.lock().unwrap().len(), 2);
    let disabled = HttpCheck { disable_redirects: true, ..http_check() };
    assert_verdict(run(url, disabled).await, CheckStatus::Critical, "302 Found");
}

#[tokio::test]
async fn a_redirect_to_another_server_takes_no_secrets_along() {
    let (other, requests) = http(|_| response("200 OK", "")).await;
    let (first, _) = http(move |_| redirect("307 Temporary Redirect", &format!("http://{other}/"))).await;
    let header = |name: &str, value: &str| (Arc::from(name), Arc::from(value));
    let check = HttpCheck {
        method: Arc::from("PUT"),
        headers: vec![header("Authorization", "Bearer secret"), header("Host", "web.example")],
        body: Arc::from("body"),
        ..http_check()
    };
    assert_eq!(run(format!("http://{first}/"), check).await.0, CheckStatus::Passing);
    let request = requests.lock().unwrap()[0].clone();
    assert!(request.starts_with("PUT / ") && request.ends_with("body"), "{request}");
    assert!(request.contains(&format!("host: {other}\r\n")) && !request.contains("secret"), "{request}");
}

#[tokio::test]
async fn the_eleventh_redirect_is_critical() {
    let (address, requests) = http(|_| redirect("302 Found", "/again")).await;
    let found = run_plain(format!("http://{address}/")).await;
    assert_verdict(found, CheckStatus::Critical, "stopped after 10 redirects");
    assert_eq!(requests.lock().unwrap().len(), 11);
}

#[tokio::test]
async fn a_redirect_leads_nowhere_but_to_the_web() {
    for location in ["file:///etc/passwd", "gopher://192.0.2.1/", "http://"] {
        let (address, _) = http(move |_| redirect("302 Found", location)).await;
        assert_eq!(run_plain(format!("http://{address}/")).await.0, CheckStatus::Critical, "{location}");
    }
}

#[tokio::test]
async fn of_a_body_only_the_beginning_is_read() {
    let (tell, mut told) = tokio::sync::mpsc::channel(1);
    let address = serve(move |mut stream| {
        let tell = tell.clone();
        async move {
            request(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n").await;
            let chunk = vec![b'x'; 1 << 16];
            let mut sent = 0;
            while sent < 104_857_600 && stream.write_all(&chunk).await.is_ok() {
                sent += chunk.len();
            }
            let _ = tell.send(sent).await;
        }
    })
    .await;
    let (status, output) = run_plain(format!("http://{address}/")).await;
    assert_eq!(status, CheckStatus::Passing);
    assert_eq!(output.matches('x').count(), OUTPUT_MAX_BYTES);
    // The rest is what fits into the buffers of both sockets.
    assert!(told.recv().await.unwrap() < 32 << 20);
}

#[tokio::test]
async fn a_body_that_trickles_is_not_waited_for() {
    let address = serve(|mut stream| async move {
        request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await;
        let mut ticks = tokio::time::interval(Duration::from_millis(300));
        while stream.write_all(b"x").await.is_ok() {
            ticks.tick().await;
        }
    })
    .await;
    let started = Instant::now();
    assert_verdict(run_plain(format!("http://{address}/")).await, CheckStatus::Passing, "Output: xx");
    assert!(started.elapsed() < TIMEOUT);
}

#[tokio::test]
async fn a_response_that_does_not_come_in_time_is_critical() {
    let address = serve(|mut stream| async move {
        request(&mut stream).await;
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        // One byte of an endless head at a time.
        while stream.write_all(b"H").await.is_ok() {
            ticks.tick().await;
        }
    })
    .await;
    let silent = silent().await;
    for address in [address, silent] {
        let (url, check) = (format!("http://{address}/"), CheckKind::Http(Box::new(http_check())));
        let (status, output) = probe((&url, check), None, Duration::from_millis(200)).await;
        assert_eq!(status, CheckStatus::Critical, "{output}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_critical() {
    for garbage in ["\0\u{1}\u{2}\r\n\r\n", "SSH-2.0-example\r\n", "HTTP/9.9 200 OK\r\n\r\n", ""] {
        let (address, _) = http(move |_| garbage.to_owned()).await;
        assert_eq!(run_plain(format!("http://{address}/")).await.0, CheckStatus::Critical, "{garbage:?}");
    }
}

#[tokio::test]
async fn an_endless_head_is_critical() {
    let address = serve(|mut stream| async move {
        request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX: ").await;
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    })
    .await;
    assert_eq!(run_plain(format!("http://{address}/")).await.0, CheckStatus::Critical);
}

#[tokio::test]
async fn a_closed_port_is_critical() {
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    assert_verdict(run_plain(format!("http://{address}/")).await, CheckStatus::Critical, "refused");
}

#[tokio::test]
async fn a_definition_that_is_no_request_is_critical() {
    let header =
        |name: &str, value: &str| HttpCheck { headers: vec![(Arc::from(name), Arc::from(value))], ..http_check() };
    let url = "http://192.0.2.1/";
    assert_verdict(run_plain("web.example").await, CheckStatus::Critical, "not a URL");
    assert_verdict(run_plain("ftp://192.0.2.1/").await, CheckStatus::Critical, "neither http nor https");
    assert_verdict(run(url, header("X Y", "z")).await, CheckStatus::Critical, "not legal");
    assert_verdict(run(url, header("X", "a\r\nb")).await, CheckStatus::Critical, "not legal");
    let method = HttpCheck { method: Arc::from("GET IT"), ..http_check() };
    assert_verdict(run(url, method).await, CheckStatus::Critical, "not an HTTP method");
}

#[tokio::test]
async fn a_host_name_is_resolved_by_the_given_resolver_alone() {
    let (address, _) = http(|_| response("200 OK", "")).await;
    let at = |host: &str| format!("http://{host}:{}/", address.port());
    assert_eq!(run_plain(at("web.example")).await.0, CheckStatus::Passing);
    assert_eq!(run_plain(at("two.example")).await.0, CheckStatus::Passing);
    assert_verdict(run_plain(at("none.example")).await, CheckStatus::Critical, "no addresses");
    // The system's resolver would know this one.
    assert_verdict(run_plain(at("localhost")).await, CheckStatus::Critical, "unknown name");
}

#[tokio::test]
async fn every_probe_has_a_connection_of_its_own() {
    let address = serve(|mut stream| async move {
        // Offers to keep the connection, and closes it all the same.
        request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n").await;
    })
    .await;
    let prober = HttpProber::new(resolver(), tls(None));
    for _ in 0..20 {
        let outcome = prober.probe(&format!("http://{address}/"), &http_check(), TIMEOUT).await;
        assert!(matches!(outcome, Outcome::Done { status: CheckStatus::Passing, .. }), "{outcome:?}");
    }
}

/// What comes of a probe of a server with a certificate of this authority for `web.example`, and what it saw.
async fn verdict_over_tls(
    bundle: Option<&Authority>,
    host: &str,
    change: impl Fn(&mut HttpCheck),
) -> ((CheckStatus, String), Vec<String>) {
    let own = Authority::new();
    let acceptor = bundle.unwrap_or(&own).acceptor("web.example");
    let (address, requests) = https(acceptor, |_| response("200 OK", "")).await;
    let mut check = http_check();
    change(&mut check);
    let url = format!("https://{host}:{}/", address.port());
    let found = probe((&url, CheckKind::Http(Box::new(check))), bundle.map(Authority::bundle), TIMEOUT).await;
    let seen = requests.lock().unwrap().clone();
    (found, seen)
}

#[tokio::test]
async fn a_certificate_must_be_for_the_urls_host() {
    let authority = Authority::new();
    let (found, seen) = verdict_over_tls(Some(&authority), "web.example", |_| {}).await;
    assert_verdict(found, CheckStatus::Passing, "200 OK");
    assert_eq!(seen[0], "SNI web.example");
    let (found, _) = verdict_over_tls(Some(&authority), "other.example", |_| {}).await;
    assert_verdict(found, CheckStatus::Critical, "certificate");
    let (found, _) = verdict_over_tls(Some(&authority), "127.0.0.1", |_| {}).await;
    assert_verdict(found, CheckStatus::Critical, "certificate");
}

#[tokio::test]
async fn a_tls_server_name_is_sent_and_looked_for_and_is_not_connected_to() {
    let authority = Authority::new();
    let (found, seen) = verdict_over_tls(Some(&authority), "127.0.0.1", |check| {
        check.tls_server_name = Some(Arc::from("web.example"));
    })
    .await;
    assert_verdict(found, CheckStatus::Passing, "https://127.0.0.1:");
    assert_eq!(seen[0], "SNI web.example");
    assert!(seen[1].contains("\r\nhost: 127.0.0.1:"), "{}", seen[1]);
    let (found, seen) = verdict_over_tls(Some(&authority), "web.example", |check| {
        check.tls_server_name = Some(Arc::from("other.example"));
    })
    .await;
    assert_verdict(found, CheckStatus::Critical, "certificate");
    assert!(seen.is_empty());
    let (found, _) = verdict_over_tls(Some(&authority), "web.example", |check| {
        check.tls_server_name = Some(Arc::from("192.0.2.1"));
    })
    .await;
    assert_verdict(found, CheckStatus::Critical, "certificate");
}

#[tokio::test]
async fn an_unverified_certificate_passes_where_the_definition_says_so() {
    let (found, _) = verdict_over_tls(None, "127.0.0.1", |check| {
        check.tls_skip_verify = true;
    })
    .await;
    assert_verdict(found, CheckStatus::Passing, "200 OK");
}

#[tokio::test]
async fn without_ca_certificates_only_verifying_probes_fail() {
    let (address, _) = http(|_| response("200 OK", "")).await;
    assert_eq!(run_plain(format!("http://{address}/")).await.0, CheckStatus::Passing);
    let (found, _) = verdict_over_tls(None, "web.example", |_| {}).await;
    assert_verdict(found, CheckStatus::Critical, "cannot read CA certificates from /nonexistent/ca.pem");
}

#[tokio::test]
async fn one_client_serves_all_probes_of_equal_tls_options() {
    let prober = HttpProber::new(resolver(), tls(None));
    let (plain, _) = http(|_| response("200 OK", "")).await;
    let (secure, seen) = https(Authority::new().acceptor("web.example"), |_| response("200 OK", "")).await;
    for path in 0..20 {
        prober.probe(&format!("http://{plain}/{path}"), &http_check(), TIMEOUT).await;
        let name = Some(Arc::from(format!("{path}.example")));
        let check = HttpCheck { tls_skip_verify: true, tls_server_name: name, ..http_check() };
        prober.probe(&format!("https://{secure}/{path}"), &check, TIMEOUT).await;
    }
    assert_eq!(prober.clients.lock().unwrap().len(), 2);
    assert!(seen.lock().unwrap().contains(&"SNI 19.example".to_owned()));
}
