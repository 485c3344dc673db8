use hickory_proto::rr::{
    self, RData,
    rdata::{self, A, SOA as Soa},
};

use super::*;

fn name(text: &str) -> rr::Name {
    rr::Name::from_ascii(text).unwrap()
}

fn address(ttl: u32) -> Record {
    Record::from_rdata(name("web.example."), ttl, RData::A(A::new(192, 0, 2, 1)))
}

fn alias(ttl: u32) -> Record {
    Record::from_rdata(name("web.example."), ttl, RData::CNAME(rdata::CNAME(name("Www.example."))))
}

fn soa(ttl: u32, minimum: u32) -> Record {
    let soa = Soa::new(name("ns.example."), name("hostmaster.example."), 1, 2, 3, 4, minimum);
    Record::from_rdata(name("example."), ttl, RData::SOA(soa))
}

fn answer(rcode: ResponseCode, answers: &[Record], authorities: &[Record]) -> Answer {
    Answer::new(&Sections { rcode, answers, authorities, additionals: &[] }, 1).unwrap()
}

#[test]
fn an_answer_is_kept_for_its_smallest_ttl_but_a_day_at_most() {
    let kept = |answers: &[Record]| answer(ResponseCode::NoError, answers, &[]).keep_secs;
    assert_eq!(kept(&[alias(60), address(300)]), Some(60));
    assert_eq!(kept(&[address(1_000_000)]), Some(86_400));
    assert_eq!(kept(&[address(0)]), None);
    assert_eq!(kept(&[address(1 << 31)]), None, "a TTL with the highest bit set is zero");
}

#[test]
fn a_negative_answer_is_kept_by_its_soa_but_an_hour_at_most() {
    let kept = |soa| answer(ResponseCode::NXDomain, &[], &[soa]);
    assert_eq!(kept(soa(900, 60)).keep_secs, Some(60));
    assert_eq!(kept(soa(30, 60)).keep_secs, Some(30));
    assert_eq!(kept(soa(86_400, 86_400)).keep_secs, Some(3_600));
    assert_eq!(kept(soa(900, 60)).authorities[0].ttl_secs, 60, "and so says the SOA's TTL");
}

#[test]
fn a_negative_answer_without_soa_is_not_kept() {
    assert_eq!(answer(ResponseCode::NXDomain, &[], &[]).keep_secs, None);
    assert_eq!(answer(ResponseCode::NoError, &[], &[]).keep_secs, None);
    assert_eq!(answer(ResponseCode::NoError, &[alias(60)], &[]).keep_secs, None, "a chain that ends in nothing");
}

#[test]
fn a_chain_that_ends_in_nothing_is_kept_by_its_smallest_ttl() {
    assert_eq!(answer(ResponseCode::NoError, &[alias(20)], &[soa(900, 60)]).keep_secs, Some(20));
}

#[test]
fn an_answer_over_16_kib_is_not_kept() {
    let addresses = |count: usize| vec![address(60); count];
    assert!(answer(ResponseCode::NoError, &addresses(606), &[]).keep_secs.is_some());
    assert_eq!(answer(ResponseCode::NoError, &addresses(700), &[]).keep_secs, None);
}

#[test]
fn rdata_is_uncompressed_and_keeps_its_letter_case() {
    let answer = answer(ResponseCode::NoError, &[alias(60)], &[soa(900, 60)]);
    assert_eq!(answer.answers[0].rdata, Name::parse("Www.example").unwrap().as_wire());
    let both = [Name::parse("ns.example").unwrap(), Name::parse("hostmaster.example").unwrap()];
    let names = [both[0].as_wire(), both[1].as_wire()].concat();
    assert_eq!(answer.authorities[0].rdata[..names.len()], names);
}
