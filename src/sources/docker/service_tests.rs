use super::*;

#[track_caller]
fn check(image: &str, expected: Option<&str>) {
    assert_eq!(image_name(image).as_deref(), expected);
}

#[test]
fn an_image_is_named_by_the_last_part_of_its_path() {
    check("redis", Some("redis"));
    check("redis:7", Some("redis"));
    check("team/redis:7", Some("redis"));
    check("registry:5000/team/redis:7", Some("redis"));
    check("registry:5000/redis", Some("redis"));
}

#[test]
fn a_digest_is_no_part_of_the_name() {
    check("redis@sha256:0123456789abcdef", Some("redis"));
    check("registry:5000/team/redis:7@sha256:0123456789abcdef", Some("redis"));
}

#[test]
fn an_id_is_no_name() {
    check("sha256:0123456789abcdef", None);
    check("4bcff63911fc", None);
    check("", None);
    check("cafe", Some("cafe"));
}
