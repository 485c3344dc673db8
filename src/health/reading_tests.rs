use super::*;

/// What a seed of the fuzz target holds, less the letter of its protocol.
macro_rules! seed {
    ($name:literal) => {
        &include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/probe/", $name))[1..]
    };
}

#[track_caller]
fn check(protocol: Protocol, bytes: &[u8], text: &str) {
    assert_eq!(message(protocol, bytes), Reading::Done(text.to_owned(), bytes.len()));
}

#[test]
fn messages_are_understood() {
    check(Protocol::Redis, seed!("redis_pong"), "PONG");
    check(Protocol::Redis, seed!("redis_loading"), "-LOADING Redis is loading the dataset in memory");
    check(Protocol::MySqlGreeting, seed!("mysql_greeting"), "version 10.11.6-MariaDB");
    check(Protocol::MySqlGreeting, seed!("mysql_blocked"), "error 1129: Host is blocked");
    check(Protocol::MySqlLogin, seed!("mysql_ok"), "");
    check(Protocol::MySqlLogin, seed!("mysql_method"), "");
    check(Protocol::MySqlLogin, seed!("mysql_denied"), "Access denied for user");
    check(Protocol::Postgres, seed!("postgres_sasl"), "");
    check(Protocol::Postgres, seed!("postgres_starting"), "57P03: the database system is starting up");
    check(Protocol::Amqp, seed!("amqp_start"), "");
    let other = "the server speaks AMQP 1-0-0, not 0-9-1".to_owned();
    assert_eq!(message(Protocol::Amqp, seed!("amqp_version")), Reading::Wrong(other));
}

#[test]
fn dns_responses_are_understood() {
    assert_eq!(dns_response(seed!("dns_a"), "A").unwrap(), "192.0.2.1");
    assert_eq!(dns_response(seed!("dns_a"), "AAAA").unwrap_err(), "it answers another question");
    assert_eq!(dns_response(seed!("dns_nxdomain"), "A").unwrap_err(), "NXDOMAIN");
    for (bytes, record_type) in [(seed!("dns_txt"), "TXT"), (seed!("dns_srv"), "SRV"), (seed!("dns_caa"), "CAA")] {
        let problem = dns_response(bytes, record_type).unwrap_err();
        assert!(problem.starts_with("192.0.2.1 is not in the answer, which is "), "{problem}");
    }
}

#[test]
fn the_output_of_a_container_is_understood_in_any_pieces() {
    let bytes: &[u8] = seed!("docker");
    for size in 1..bytes.len() {
        assert_eq!(docker_output(bytes.chunks(size), 200).unwrap(), "up\nperfdata: x=1;2", "in pieces of {size}");
    }
    assert_eq!(docker_output([&b"HTTP/1.1 400"[..]], 200), None);
}

#[tokio::test]
async fn connections_of_http2_are_understood() {
    assert_eq!(grpc_answer(seed!("grpc_serving").to_vec()).await, Ok(()));
    let unknown = grpc_answer(seed!("grpc_unknown").to_vec()).await;
    assert_eq!(unknown, Err("NOT_FOUND (5): no such".to_owned()));
    let reset = grpc_answer(seed!("grpc_reset").to_vec()).await.unwrap_err();
    assert!(reset.contains("stream no longer needed"), "{reset}");
    assert_eq!(h2_ping(seed!("h2_ping").to_vec()).await, Ok(()));
    let ended = h2_ping(seed!("h2_goaway").to_vec()).await.unwrap_err();
    assert!(ended.contains("calm"), "{ended}");
}
