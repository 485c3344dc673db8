use serde_json::json;

use super::{super::fake::Fake, *};

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), expected);
}

#[test]
fn an_endpoint_is_a_socket_or_a_port() {
    check("unix:///var/run/docker.sock", "unix:///var/run/docker.sock");
    check("tcp://192.0.2.1:2375", "tcp://192.0.2.1:2375");
    check("http://docker.example:2375/", "tcp://docker.example:2375");
    check("tcp://[2001:db8::1]:2375", "tcp://[2001:db8::1]:2375");
}

#[test]
fn what_is_no_endpoint_is_refused_with_what_would_be() {
    for text in [
        "",
        "docker.sock",
        "/var/run/docker.sock",
        "unix://docker.sock",
        "tcp://192.0.2.1",
        "tcp://:2375",
        "tcp://a:0",
        "tcp://a:99999",
        "tcp://a/b:1",
        "tcp://[a]:1",
        "npipe:////./pipe/docker_engine",
    ] {
        assert_eq!(text.parse::<Endpoint>(), Err(EndpointError::Form), "{text}");
    }
    assert_eq!("https://192.0.2.1:2376".parse::<Endpoint>(), Err(EndpointError::Protocol("TLS")));
    assert_eq!("ssh://root@192.0.2.1".parse::<Endpoint>(), Err(EndpointError::Protocol("SSH")));
}

#[tokio::test]
async fn the_version_is_the_daemons_but_none_that_is_not_known() {
    for (told, agreed) in [("1.41", "1.41"), ("1.24", "1.24"), ("1.52", "1.52"), ("1.99", "1.52"), ("2.0", "1.52")] {
        let fake = Fake::start(told);
        let client = Client::connect(fake.endpoint()).await.unwrap();
        assert_eq!(client.version().to_string(), agreed);
        assert_eq!(client.get("/containers/json").await.unwrap(), b"[]");
        assert!(fake.asked().iter().any(|path| *path == format!("/v{agreed}/containers/json")));
    }
}

#[tokio::test]
async fn a_daemon_that_is_too_old_or_none_is_an_error_that_says_so() {
    for (told, expected) in
        [("1.23", "its API has version 1.23, but 1.24 at least is needed"), ("", "no container engine")]
    {
        let fake = Fake::start(told);
        let error = Client::connect(fake.endpoint()).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn errors_say_where_what_and_why() {
    let nowhere = Endpoint::Unix("/nonexistent/docker.sock".into());
    let error = Client::connect(nowhere).await.unwrap_err();
    assert!(error.to_string().starts_with("unix:///nonexistent/docker.sock: cannot connect: No such file"), "{error}");
    let fake = Fake::start("1.41");
    let client = Client::connect(fake.endpoint()).await.unwrap();
    let error = client.get("/containers/4bcf/json").await.unwrap_err();
    assert!(error.is_not_found() && error.is_of_the_request());
    assert!(
        error.to_string().ends_with("/v1.41/containers/4bcf/json: 404 Not Found: No such container: 4bcf"),
        "{error}"
    );
    let error = client.read("/containers/json", |_| serde_json::from_str::<Value>("}")).await.unwrap_err();
    assert!(error.to_string().contains("/containers/json: what came is not JSON"), "{error}");
    let forbidden = ClientError::Forbidden(fake.endpoint()).to_string();
    assert!(forbidden.contains("permission denied") && forbidden.contains("usermod -aG docker USER"), "{forbidden}");
}

#[tokio::test]
async fn a_stream_brings_each_object_as_it_comes() {
    let mut fake = Fake::start("1.41");
    let client = Client::connect(fake.endpoint()).await.unwrap();
    let mut stream = client.stream("/events").await.unwrap();
    for number in 0..3 {
        let event = json!({"Action": number});
        fake.tell(&event);
        assert_eq!(stream.next().await.unwrap().unwrap(), event);
    }
    fake.go_away();
    assert!(!matches!(stream.next().await, Some(Ok(_))), "it is at its end, or broken");
}
