use super::*;

#[test]
fn running_out_of_something_of_ours_is_no_verdict() {
    for code in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM] {
        let error = io::Error::other(io::Error::from_raw_os_error(code));
        let outcome = Outcome::failed("TCP connect 192.0.2.1:80", &error);
        assert!(matches!(outcome, Outcome::NotMade(_)), "{outcome:?}");
    }
}

#[test]
fn a_failure_is_told_by_its_innermost_cause() {
    let error = io::Error::other(io::Error::new(io::ErrorKind::ConnectionRefused, "refused"));
    assert_eq!(
        Outcome::failed("TCP connect 192.0.2.1:80", &error),
        Outcome::critical("TCP connect 192.0.2.1:80: refused")
    );
}

#[tokio::test]
async fn an_address_needs_no_resolver() {
    let nobody: TargetResolver = Arc::new(|host| panic!("asked for {host}"));
    for address in ["192.0.2.1", "2001:db8::1"] {
        assert_eq!(addresses(&nobody, address).await, Ok(vec![address.parse().unwrap()]));
    }
    assert_eq!(addresses(&nobody, "[2001:db8::1]").await, Ok(vec!["2001:db8::1".parse().unwrap()]));
}

#[test]
fn an_output_is_cut_between_characters() {
    assert_eq!(cut("short"), "short");
    let long = format!("x{}", "\u{e4}".repeat(OUTPUT_MAX_BYTES));
    assert_eq!(cut(&long).len(), OUTPUT_MAX_BYTES - 1);
}
