use super::*;

#[track_caller]
fn check(said: &str, target: &str) -> Output {
    let output = Output::new(said, target);
    assert_eq!(output.shown(target), said);
    output
}

#[test]
fn what_was_said_is_shown() {
    for target in ["", "x", "192.0.2.1:80", "http://192.0.2.1/", "\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}"] {
        for said in ["", "\u{1}", "\u{2}", "\u{2}\u{1}", "200 OK", "x", "\u{1}http://192.0.2.1/"] {
            check(said, target);
            check(&format!("TCP connect {target}{target}: {said}"), target);
            check(&format!("{target}{said}"), target);
        }
    }
}

#[test]
fn what_is_said_alike_of_two_targets_is_equal() {
    let said = |target: &str| check(&format!("HTTP GET {target}: 200 OK Output: ok"), target);
    assert_eq!(said("http://192.0.2.1:80/"), said("http://192.0.2.2:8080/"));
    assert_ne!(said("http://192.0.2.1:80/"), check("HTTP GET http://192.0.2.1:80/: 200 OK", "http://192.0.2.1:80/"));
}
