use hickory_proto::{
    op::{Message, ResponseCode},
    rr::rdata::opt::EdnsCode,
};

use super::*;

fn query(name: &str, edns: bool) -> Vec<u8> {
    let mut message = vec![0xab, 0xcd, RD, CD, 0, 1, 0, 0, 0, 0, 0, u8::from(edns)];
    message.extend_from_slice(Name::parse(name).unwrap().as_wire());
    message.extend_from_slice(&[0, 1, 0, 1]);
    if edns {
        message.extend_from_slice(&[0, 0, 41, 16, 0, 0, 0, DO, 0, 0, 0]);
    }
    message
}

fn rr(owner: &str, rtype: u16, rdata: Vec<u8>) -> Rr {
    Rr { owner: Name::parse(owner).unwrap(), rtype, class: 1, ttl_secs: 60, rdata }
}

fn addresses(owner: &str, count: u8) -> Vec<Rr> {
    (0..count).map(|last| rr(owner, 1, vec![192, 0, 2, last])).collect()
}

fn answer(answers: Vec<Rr>, authorities: Vec<Rr>, additionals: Vec<Rr>) -> Answer {
    Answer { rcode: 0, answers, authorities, additionals, keep_secs: None }
}

fn respond(query: &[u8], answer: &Answer, error: Option<&ExtendedError>, limit: usize) -> (Vec<u8>, Message) {
    let content =
        Content { rcode: answer.rcode, answer: Some(answer), ageing: Ageing::Less(10), extended_error: error };
    let query = ClientQuery::read(query).unwrap();
    let response = write(&query, &content, Room { limit, may_truncate: true });
    assert!(response.len() <= limit, "{} > {limit}", response.len());
    let message = Message::from_vec(&response).unwrap();
    (response, message)
}

#[test]
fn a_query_is_read_with_its_flags_and_opt() {
    let message = query("wEb.example", true);
    let read = ClientQuery::read(&message).unwrap();
    assert_eq!((read.name.to_string().as_str(), read.rtype, read.class), ("wEb.example.", 1, 1));
    assert_eq!(read.edns, Some(ClientEdns { dnssec_ok: true, subnet: None }));
    assert!(read.checking_disabled);
    assert_eq!(ClientQuery::read(&query("web.example", false)).unwrap().edns, None);
}

#[test]
fn a_query_cut_anywhere_is_no_query_or_one_without_opt() {
    let message = query("web.example", true);
    let question_end = message.len() - OPT_BYTES;
    for end in 0..message.len() {
        let read = ClientQuery::read(&message[..end]);
        assert_eq!(read.is_some(), end >= question_end, "{end}");
        assert!(read.is_none_or(|read| read.edns.is_none() || end + 2 >= message.len()), "{end}");
        assert_eq!(write_format_error(&message[..end]).len(), 12);
    }
}

#[test]
fn header_and_question_are_echoed() {
    let (bytes, message) =
        respond(&query("wEb.exAmple", true), &answer(addresses("web.example", 1), vec![], vec![]), None, 512);
    assert_eq!(bytes[..2], [0xab, 0xcd]);
    assert_eq!(bytes[2..4], [QR | RD, RA | CD], "AA, TC, AD are 0");
    assert_eq!(bytes[12..29], query("wEb.exAmple", false)[12..29]);
    assert_eq!(bytes[29..31], [0xc0, 12], "the owner points at the question");
    assert_eq!(message.answers[0].ttl, 50);
    let edns = message.edns.unwrap();
    assert_eq!((edns.max_payload(), edns.flags().dnssec_ok), (1232, true));
}

#[test]
fn there_is_no_opt_unless_the_query_had_one() {
    let error = ExtendedError { code: 3, text: "stale" };
    let (_, message) = respond(&query("web.example", false), &answer(vec![], vec![], vec![]), Some(&error), 512);
    assert!(message.edns.is_none());
}

#[test]
fn names_are_compressed_in_owners_and_in_rdata_of_old_types() {
    let target = Name::parse("a.web.example").unwrap().as_wire().to_vec();
    let chain = vec![rr("web.example", CNAME, target), rr("a.web.example", 1, vec![192, 0, 2, 1])];
    let (bytes, message) = respond(&query("web.example", false), &answer(chain, vec![], vec![]), None, 512);
    assert_eq!(bytes.len(), 12 + 17 + (12 + 4) + (12 + 4));
    assert_eq!(message.answers[0].data.to_string(), "a.web.example.");
    assert_eq!(message.answers[1].name.to_string(), "a.web.example.");
    let soa = [Name::parse("ns.example").unwrap().as_wire(), Name::root().as_wire(), &[7; 20]].concat();
    let (_, message) =
        respond(&query("web.example", false), &answer(vec![rr("example", SOA, soa)], vec![], vec![]), None, 512);
    assert!(message.answers[0].data.to_string().starts_with("ns.example. . "), "{}", message.answers[0]);
}

#[test]
fn the_additional_section_gives_way_first_in_whole_rrsets_and_without_tc() {
    let additionals = [addresses("a.example", 2), addresses("b.example", 30)].concat();
    let answer = answer(addresses("web.example", 3), vec![], additionals);
    let (_, message) = respond(&query("web.example", true), &answer, None, 512);
    assert!(!message.truncation);
    assert_eq!((message.answers.len(), message.additionals.len()), (3, 2));
}

#[test]
fn what_does_not_fit_of_the_answer_is_cut_at_whole_rrs_with_tc() {
    let (_, message) =
        respond(&query("web.example", true), &answer(addresses("web.example", 200), vec![], vec![]), None, 512);
    assert!(message.truncation);
    assert_eq!(message.answers.len(), (512 - 29 - OPT_BYTES) / 16);
}

#[test]
fn over_tcp_nothing_says_truncated() {
    let message = query("web.example", false);
    let answer = answer(addresses("web.example", 200), vec![], vec![]);
    let content = Content { rcode: 0, answer: Some(&answer), ageing: Ageing::Less(0), extended_error: None };
    let room = Room { limit: 512, may_truncate: false };
    let response = write(&ClientQuery::read(&message).unwrap(), &content, room);
    assert_eq!(response[2] & TC, 0);
}

#[test]
fn the_extended_error_gives_way_before_any_record() {
    let error = ExtendedError { code: 3, text: "upstreams are away" };
    let answer = answer(addresses("web.example", 3), vec![], vec![]);
    let full = 29 + 3 * 16 + OPT_BYTES;
    let ede = |limit| {
        let (bytes, message) = respond(&query("web.example", true), &answer, Some(&error), limit);
        assert_eq!(message.answers.len(), 3);
        (bytes.len() - full, message.edns.unwrap().option(EdnsCode::Unknown(15)).is_some())
    };
    assert_eq!(ede(full + 24), (24, true));
    assert_eq!(ede(full + 23), (6, true), "the text goes first");
    assert_eq!(ede(full + 6), (6, true));
    assert_eq!(ede(full + 5), (0, false));
}

#[test]
fn a_negative_answer_keeps_its_proof_or_says_truncated() {
    let soa = rr("example", SOA, [Name::root().as_wire(), Name::root().as_wire(), &[7; 20]].concat());
    let mut nxdomain = answer(vec![], vec![soa], vec![]);
    nxdomain.rcode = 3;
    let (_, message) = respond(&query("web.example", false), &nxdomain, None, 512);
    assert_eq!((message.response_code, message.authorities.len()), (ResponseCode::NXDomain, 1));
    assert!(respond(&query("web.example", false), &nxdomain, None, 40).1.truncation);
}

#[test]
fn the_clients_network_is_echoed_with_scope_0() {
    let mut message = query("web.example", true);
    let at = message.len() - 2;
    message[at..].copy_from_slice(&[0, 11]);
    message.extend_from_slice(&[0, 8, 0, 7, 0, 1, 24, 9, 192, 0, 2]);
    let (bytes, _) = respond(&message, &answer(vec![], vec![], vec![]), None, 512);
    assert_eq!(bytes[bytes.len() - 11..], [0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2]);
    message.truncate(message.len() - 1);
    assert_eq!(ClientQuery::read(&message).unwrap().edns.unwrap().subnet, None, "cut short");
}

#[test]
fn expired_answers_have_one_ttl() {
    assert_eq!(Ageing::Fixed(30).ttl_secs(86_400), 30);
    assert_eq!(Ageing::Less(90).ttl_secs(60), 0);
}

proptest::proptest! {
    #[test]
    fn any_answer_is_readable_within_the_limit_and_complete_unless_truncated(
        records in proptest::collection::vec(("[ab](\\.[abB]){0,3}", 0..4usize, "[ab](\\.[abB]){0,3}"), 0..40),
        limit in 64..2000usize,
    ) {
        let rrs: Vec<_> = records.iter().map(|(owner, kind, target)| {
            let target = Name::parse(target).unwrap();
            match kind {
                0 => rr(owner, 1, vec![192, 0, 2, 1]),
                1 => rr(owner, CNAME, target.as_wire().to_vec()),
                2 => rr(owner, MX, [&[0, 10], target.as_wire()].concat()),
                _ => rr(owner, SOA, [target.as_wire(), target.as_wire(), &[0; 20]].concat()),
            }
        }).collect();
        let answer = answer(rrs.clone(), vec![], vec![]);
        let (_, message) = respond(&query("B.a", true), &answer, None, limit);
        proptest::prop_assert_eq!(message.truncation, message.answers.len() < rrs.len());
        let read = Answer::new(&crate::forward::answer::Sections {
            rcode: ResponseCode::NoError, answers: &message.answers, authorities: &[], additionals: &[],
        }, 1).unwrap();
        for (read, sent) in read.answers.iter().zip(&rrs) {
            proptest::prop_assert_eq!((&read.owner, read.rtype, &read.rdata), (&sent.owner, sent.rtype, &sent.rdata));
        }
    }
}
