use proptest::prelude::*;

use super::*;

fn read(slot: u8, text: &str) -> Result<Event, String> {
    read_event(slot, text.as_bytes()).map_err(|error| error.to_string())
}

#[test]
fn an_event_is_written_in_the_words_of_consul() {
    let event = Event { number: 259, id: "e1".into(), name: "deploy".into(), ..Event::default() };
    let written = |event: &Event| String::from_utf8(write_event(event).unwrap()).unwrap();
    assert_eq!(written(&event), r#"{"Number":259,"ID":"e1","Name":"deploy"}"#);
    let full = Event {
        payload: (*b"1.2").into(),
        node_filter: "n.*".into(),
        service_filter: "web".into(),
        tag_filter: "blue".into(),
        ..event
    };
    let text = r#"{"Number":259,"ID":"e1","Name":"deploy","Payload":"MS4y","NodeFilter":"n.*","ServiceFilter":"web","TagFilter":"blue"}"#;
    assert_eq!(written(&full), text);
    assert_eq!(read(3, text), Ok(full));
}

#[test]
fn what_is_wrong_is_said_with_its_field() {
    let check = |slot: u8, text: &str, error: &str| {
        let problem = read(slot, text).unwrap_err();
        assert!(problem.contains(error), "{problem}");
    };
    let with = |field: &str| format!(r#"{{"Number": 3, "ID": "e", "Name": "n", {field}}}"#);
    check(3, "", "EOF");
    check(3, "{}", "missing field `Number`");
    check(3, r#"{"Number": -1}"#, "Number: invalid value");
    for number in [0_u64, 4, (1 << 53) + 3] {
        let text = format!(r#"{{"Number": {number}, "ID": "e", "Name": "n"}}"#);
        check((number % 256) as u8 % 4, &text, "Number: must be from 1 on, and ");
    }
    check(3, &with(r#""Payload": "?""#), "Payload: must be a text in base64");
    check(3, &with(r#""ServiceFilter": "(""#), "ServiceFilter: ");
    check(3, &with(r#""TagFilter": "blue""#), "TagFilter: means nothing without service");
}

#[test]
fn an_event_of_the_largest_payload_can_be_written() {
    let event = Event { payload: vec![0; 512 << 10].into(), ..Event::default() };
    assert!(write_event(&event).is_ok());
}

proptest! {
    #[test]
    fn an_event_is_read_as_it_was_written(id: String, name: String, payload: Vec<u8>, number in 1..1_u64 << 53, filter in "[a-z]{0,3}") {
        let filter = crate::catalog::names::Text::from(filter);
        let event = Event {
            id: id.into(),
            name: name.into(),
            payload: payload.into(),
            node_filter: filter.clone(),
            service_filter: filter.clone(),
            tag_filter: filter,
            number,
            is_here: false,
        };
        prop_assert_eq!(read_event(event.slot(), &write_event(&event).unwrap()), Ok(event));
    }

    #[test]
    fn any_bytes_are_read_or_refused(slot: u8, bytes: Vec<u8>, text in r#"\{("(Number|ID|Name|Payload|TagFilter)": ?("[a-z0-9(]*"|[0-9]|null),?){0,5}\}"#) {
        let _ = read_event(slot, &bytes);
        let _ = read_event(slot, text.as_bytes());
    }
}
