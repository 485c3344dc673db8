use super::*;

#[test]
fn a_level_or_a_filter_by_module_is_taken() {
    for text in ["info", "warn", "info,nameplate::forward=debug", "off"] {
        assert!(filter(text).is_ok(), "{text}");
    }
}

#[test]
fn anything_else_is_refused_by_name() {
    let problem = filter("nameplate=loud").unwrap_err().to_string();
    assert!(problem.starts_with("log: expected a level"), "{problem}");
    assert!(problem.contains("nameplate=loud"), "{problem}");
}
