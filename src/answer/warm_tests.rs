use proptest::prelude::*;

use super::*;
use crate::wire::{name::Name, query::Question};

fn message(name: &str, kind: u16) -> Vec<u8> {
    let head = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    [&head[..], Name::parse(name).unwrap().as_wire(), &kind.to_be_bytes(), &[0, 1]].concat()
}

#[test]
fn the_service_of_each_form_is_guessed() {
    let seed = Seed(7);
    let web = seed.hash(&b"\x03web"[..]);
    for name in [
        "web.service.internal",
        "WEB.Service.dc1.internal",
        "web.internal",
        "web",
        "v1.web.service.internal",
        "v1.beta.web.service.internal",
        "web-1._id.web.service.internal",
        "_http._tcp.web.service.internal",
        "_web._tcp.service.internal",
        "_web._v1.internal",
    ] {
        assert_eq!(guess(seed, &message(name, rtype::A)), Some((web, false)), "{name}");
    }
    let service = seed.hash(&b"\x07service"[..]);
    assert_eq!(guess(seed, &message("service.service.internal", rtype::SRV)), Some((service, true)));
    assert_eq!(guess(seed, &message(".", rtype::A)), None);
}

#[test]
fn what_is_guessed_is_what_is_looked_up() {
    let seed = Seed(7);
    let name = Name::parse("WEB.service.internal").unwrap();
    let question = Question::of(&name, rtype::A, 1);
    let (guessed, _) = guess(seed, &message("WEB.service.internal", rtype::A)).unwrap();
    assert_eq!(guessed, seed.hash(question.labels(0, 1)));
}

proptest! {
    #[test]
    fn any_message_is_let_through(message in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = guess(Seed(1), &message);
    }

    #[test]
    fn any_name_is_let_through(tail in prop::collection::vec(0u8..70, 0..300)) {
        let _ = guess(Seed(1), &[&[0; HEADER_BYTES][..], &tail].concat());
    }
}
