use super::*;

fn parse(text: &str) -> Result<StoreAddress, StoreAddressError> {
    StoreAddress::parse(text, "/nameplate")
}

#[track_caller]
fn check(text: &str, written: &str) {
    let address = parse(text).unwrap();
    assert_eq!(address.to_string(), written);
    assert_eq!(parse(written).unwrap(), address, "what is written is read again");
}

#[track_caller]
fn wrong(text: &str, error: &StoreAddressError) {
    assert_eq!(&parse(text).unwrap_err(), error);
}

#[test]
fn members_have_ports_and_a_prefix_by_default() {
    check("etcd://h1", "etcd://h1:2379/nameplate");
    check("etcd://h1/", "etcd://h1:2379/nameplate");
    check("etcd+v2://h1", "etcd+v2://h1:2379/nameplate");
    check("etcds+v2://u@h1/a", "etcds+v2://u@h1:2379/a");
    check("etcds://h1:1,192.0.2.2,h3.example", "etcds://h1:1,192.0.2.2:2379,h3.example:2379/nameplate");
}

#[test]
fn a_prefix_has_one_slash_before_it_and_none_after_it() {
    check("etcd://h1/a", "etcd://h1:2379/a");
    check("etcd://h1//a/b.c~d_e-f//", "etcd://h1:2379/a/b.c~d_e-f");
}

#[test]
fn an_ipv6_address_stands_in_brackets() {
    check("etcd://[2001:db8::1],[2001:db8::2]:1/p", "etcd://[2001:db8::1]:2379,[2001:db8::2]:1/p");
    for host in ["2001:db8::1", "[2001:db8::1", "[h1]:1", "[2001:db8::1]1", "[]"] {
        wrong(&format!("etcd://{host}"), &StoreAddressError::Host(host.to_owned()));
    }
}

#[test]
fn a_user_may_have_any_signs_as_escapes() {
    check("etcds://root@h1", "etcds://root@h1:2379/nameplate");
    check("etcds://a%40b%3ac%C3%A9@h1", "etcds://a%40b%3Ac%C3%A9@h1:2379/nameplate");
    assert_eq!(parse("etcd://a%40b@h1").unwrap().user.as_deref(), Some("a@b"));
    for user in ["", "a b", "a%", "a%4", "a%+4", "a%zz", "a%FF", "a%00", "é", "a@b"] {
        wrong(&format!("etcd://{user}@h1"), &StoreAddressError::User(user.to_owned()));
    }
}

#[test]
fn a_password_is_refused_and_its_place_named() {
    wrong("etcd://root:secret@h1", &StoreAddressError::Password);
    wrong("etcd://root:@h1", &StoreAddressError::Password);
    let message = StoreAddressError::Password.to_string();
    assert!(message.contains("store_password_file") && !message.contains("secret"), "{message}");
}

#[test]
fn what_is_no_address_is_refused_with_what_was_expected() {
    for text in ["", "h1:2379", "http://h1:2379", "ETCD://h1", "etcd:h1"] {
        wrong(text, &StoreAddressError::Scheme);
    }
    for host in ["", "h1:", "h1:0", "h1:65536", "h1:+1", "h 1", "h1:1:2", "h1?a=b", "é"] {
        wrong(&format!("etcd://{host}"), &StoreAddressError::Host(host.to_owned()));
    }
    wrong("etcd://h1,,h2", &StoreAddressError::Host(String::new()));
    wrong(&format!("etcd://{}", ["h"; 33].join(",")), &StoreAddressError::Hosts(33));
    for prefix in ["/a//b", "/a?b", "/a#b", "/a%20b", "/a b", "/é"] {
        wrong(&format!("etcd://h1{prefix}"), &StoreAddressError::Prefix(prefix.to_owned()));
    }
}
