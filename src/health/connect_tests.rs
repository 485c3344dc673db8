use super::host_and_port;

#[test]
fn a_target_is_a_host_and_a_port() {
    assert_eq!(host_and_port("web.example:80"), Some(("web.example", 80)));
    assert_eq!(host_and_port("[2001:db8::1]:80"), Some(("2001:db8::1", 80)));
    assert_eq!(host_and_port(":80"), Some(("127.0.0.1", 80)));
    for bad in ["", "web.example", "web.example:", "web.example:0", "web.example:65536", "2001:db8::1:80", "[::1:80"] {
        assert_eq!(host_and_port(bad), None, "{bad}");
    }
}
