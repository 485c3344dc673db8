//! Holds a real response against what is acceptable.

use std::net::IpAddr;

use super::{
    expected::{
        Authority, ErrorRule, Expected, HttpsMember, Member, Members, OptContents, OptRule, Question, Record, Response,
        RrsetRule, SoaRule,
    },
    facts::octets,
    parse::{Parsed, ParsedOpt, Rr, parse},
};

/// What was done with a query.
#[derive(Debug, Clone)]
pub enum Actual {
    /// These bytes were sent.
    Sent(Vec<u8>),
    /// Nothing was.
    Dropped,
    /// The question was handed to the forwarder.
    Forwarded,
    /// This name (wire form) of others was handed over: a host name, or where a chain leaves our data.
    Resolves(Vec<u8>),
}

/// Whether it is acceptable; else why not.
pub fn check(expected: &Expected, actual: &Actual) -> Result<(), String> {
    match (expected, actual) {
        (Expected::AnyOf(all), _) => {
            let mut reasons = Vec::new();
            for one in all {
                match check(one, actual) {
                    Ok(()) => return Ok(()),
                    Err(reason) => reasons.push(reason),
                }
            }
            Err(reasons.join("; or: "))
        }
        (Expected::Drop, Actual::Dropped) | (Expected::Forward, Actual::Forwarded) => Ok(()),
        (Expected::HostName(names), Actual::Resolves(name)) if names.contains(&name.to_ascii_lowercase()) => Ok(()),
        (Expected::Chase(wanted), Actual::Resolves(name)) if name.eq_ignore_ascii_case(wanted) => Ok(()),
        (Expected::Response(response), Actual::Sent(bytes)) => check_response(response, bytes),
        _ => Err(format!("expected {}, got {}", describe(expected), describe_actual(actual))),
    }
}

fn describe(expected: &Expected) -> String {
    match expected {
        Expected::Response(response) => format!("a response ({}, RCODE {})", response.form, response.rcode),
        other => format!("{other:?}"),
    }
}

fn describe_actual(actual: &Actual) -> String {
    match actual {
        Actual::Sent(bytes) => format!("a response, RCODE {}", bytes.get(3).map_or(0, |byte| byte & 15)),
        other => format!("{other:?}"),
    }
}

/// Fails with the text if the condition does not hold.
macro_rules! hold {
    ($condition:expr, $($text:tt)*) => {
        if !$condition {
            return Err(format!($($text)*));
        }
    };
}

fn check_response(rule: &Response, bytes: &[u8]) -> Result<(), String> {
    let parsed = parse(bytes)?;
    hold!(bytes.len() <= rule.limit, "{} bytes, limit {}", bytes.len(), rule.limit);
    hold!(parsed.rest == 0, "{} bytes after the message", parsed.rest);
    check_header(rule, &parsed)?;
    let truncated = parsed.flags & 0x0200 != 0;
    let answer = &parsed.sections[0];
    hold!(answer.len() >= rule.chain.len() || truncated, "the CNAME chain is not whole");
    for (link, rr) in rule.chain.iter().zip(answer) {
        check_record(link, rr, &rule.question)?;
    }
    let rest = &answer[rule.chain.len().min(answer.len())..];
    for rr in rest {
        let fits = |set: &&RrsetRule| set.rtype == rr.rtype && rr.owner.eq_ignore_ascii_case(&set.owner);
        hold!(rule.answer.iter().any(|set| fits(&set)), "a record that nobody asked for: {rr:?}");
    }
    let mut cut = answer.len() < rule.chain.len();
    for set in &rule.answer {
        let own: Vec<&Rr> = rest.iter().filter(|rr| rr.rtype == set.rtype).collect();
        cut |= check_set(set, &own, &rule.question)?;
    }
    let mandatory_missing = rule.additional.mandatory.iter().any(|glue| !holds(&parsed.sections[2], glue));
    if rule.tcp {
        hold!(!truncated, "TC over TCP");
        hold!(!cut || bytes.len() > 60_000, "cut over TCP at {} bytes", bytes.len());
    } else {
        hold!(truncated == (cut || mandatory_missing), "TC={truncated}, but cut={cut}, glue={mandatory_missing}");
    }
    if cut {
        // What the additional section takes would have been the answer's.
        let additional: usize = parsed.sections[2].iter().map(|rr| rr.size).sum();
        let room = rule.limit - bytes.len() + additional;
        let largest = largest_record(rule);
        hold!(room < largest, "{room} bytes left, a record takes {largest} at most");
    }
    check_authority(rule, &parsed.sections[1], truncated)?;
    check_additional(rule, &parsed, bytes.len())?;
    check_opt(rule, &parsed, bytes.len())
}

fn check_header(rule: &Response, parsed: &Parsed) -> Result<(), String> {
    let flag = |bit: u16| parsed.flags & bit != 0;
    hold!(parsed.id == rule.id, "ID {:04x}, not {:04x}", parsed.id, rule.id);
    hold!(flag(0x8000), "QR is 0");
    hold!(parsed.flags >> 11 & 15 == u16::from(rule.opcode), "opcode not copied");
    hold!(flag(0x0400) == rule.aa, "AA={} ({})", flag(0x0400), rule.form);
    hold!(flag(0x0100) == rule.rd, "RD not copied");
    hold!(flag(0x0080) == rule.ra, "RA={}", flag(0x0080));
    hold!(!flag(0x0040) && !flag(0x0020), "Z or AD set");
    hold!(flag(0x0010) == rule.cd, "CD not copied");
    let high = parsed.opt.as_ref().map_or(0, |opt| (opt.ttl >> 24) as u16);
    let rcode = high << 4 | parsed.flags & 15;
    hold!(rcode == rule.rcode, "RCODE {rcode}, not {} ({})", rule.rcode, rule.form);
    match &rule.question {
        Question::Echo(bytes) => hold!(parsed.question == *bytes, "question not echoed"),
        Question::EchoOrNone(bytes) => {
            hold!(parsed.question.is_empty() || parsed.question == *bytes, "question neither echoed nor left out");
        }
        Question::None => hold!(parsed.question.is_empty(), "a question that could not be read"),
    }
    Ok(())
}

/// Whether an owner is as it must be: byte for byte where it is the name asked.
fn owner_fits(wanted: &[u8], actual: &[u8], question: &Question) -> bool {
    if let Question::Echo(bytes) = question {
        if bytes.len() >= 4 && wanted == &bytes[..bytes.len() - 4] {
            return actual == wanted;
        }
    }
    actual.eq_ignore_ascii_case(wanted)
}

fn check_record(record: &Record, rr: &Rr, question: &Question) -> Result<(), String> {
    hold!(rr.rtype == record.rtype, "type {} where {} belongs", rr.rtype, record.rtype);
    hold!(owner_fits(&record.owner, &rr.owner, question), "wrong owner: {rr:?}");
    hold!(record.ttl.is_none_or(|ttl| rr.ttl == ttl), "TTL {}, not {:?}", rr.ttl, record.ttl);
    hold!(rr.rdata == record.rdata, "RDATA {:?}, not {:?}", rr.rdata, record.rdata);
    Ok(())
}

/// Checks an RRset; tells whether members are missing that should be there.
fn check_set(set: &RrsetRule, actual: &[&Rr], question: &Question) -> Result<bool, String> {
    for rr in actual {
        hold!(owner_fits(&set.owner, &rr.owner, question), "owner {:?}, not {:?}", rr.owner, set.owner);
        hold!(rr.class == set.class, "class {}", rr.class);
        hold!(set.ttl.is_none_or(|ttl| rr.ttl == ttl), "type {} TTL {}, not {:?}", rr.rtype, rr.ttl, set.ttl);
    }
    match &set.members {
        Members::Exact(members) => check_members(set, members, actual),
        Members::OneTxt => {
            hold!(actual.len() == 1, "{} TXT records", actual.len());
            Ok(false)
        }
        Members::Https(members) => check_https(members, actual),
    }
}

fn check_members(set: &RrsetRule, members: &[Member], actual: &[&Rr]) -> Result<bool, String> {
    let mut left: Vec<&Member> = members.iter().collect();
    let mut order = Vec::new();
    for rr in actual {
        let Some(at) = left.iter().position(|member| member.rdata == rr.rdata) else {
            let twice = members.iter().any(|member| member.rdata == rr.rdata);
            let what = if twice { "there twice" } else { "unknown" };
            let left: Vec<_> = left.iter().map(|member| &member.rdata).collect();
            return Err(format!("{what}: type {} RDATA {:?}; left: {left:?}", rr.rtype, rr.rdata));
        };
        order.push(left.remove(at));
        if set.rtype == SRV {
            hold!(rr.rdata_size == rr.rdata.len(), "an SRV target is compressed");
        }
    }
    let wanted = set.most.map_or(members.len(), |most| most.min(members.len()));
    hold!(actual.len() <= wanted, "{} records, at most {wanted} wanted", actual.len());
    if set.rtype == SRV {
        let priorities: Vec<&[u8]> = order.iter().map(|member| &member.rdata[..2]).collect();
        hold!(priorities.is_sorted(), "SRV priorities out of order: {priorities:?}");
    } else {
        let weightless = order.iter().position(|member| member.weight == 0).unwrap_or(order.len());
        hold!(order[weightless..].iter().all(|member| member.weight == 0), "weight 0 does not come last");
        let left_out = left.iter().any(|member| member.weight > 0);
        hold!(!left_out || weightless == order.len(), "weight 0 was taken before others");
    }
    Ok(actual.len() < wanted)
}

/// One HTTPS RR for each instance, none made up.
/// Checks HTTPS records; tells whether there are fewer than there should be.
fn check_https(members: &[HttpsMember], actual: &[&Rr]) -> Result<bool, String> {
    hold!(actual.len() <= members.len(), "{} HTTPS records", actual.len());
    for (number, rr) in actual.iter().enumerate() {
        hold!(actual[..number].iter().all(|other| other.rdata != rr.rdata), "an HTTPS record twice");
        hold!(rr.rdata[..2] != [0, 0], "HTTPS in AliasMode");
        let mut at = 2;
        while rr.rdata[at] != 0 {
            at += 1 + usize::from(rr.rdata[at]);
        }
        let mut params = Vec::new();
        let mut rest = &rr.rdata[at + 1..];
        while rest.len() >= 4 {
            let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
            params.push((u16::from_be_bytes([rest[0], rest[1]]), rest[4..4 + length].to_vec()));
            rest = &rest[4 + length..];
        }
        hold!(params.is_sorted_by(|a, b| a.0 < b.0), "SvcParamKeys out of order");
        let of = |member: &&HttpsMember| rr.rdata[..2] == member.priority.to_be_bytes();
        let mut members = members.iter().filter(of);
        let fits = members.any(|member| params.iter().all(|(key, value)| param_fits(member, *key, value)));
        hold!(fits, "HTTPS parameters fit no instance: {params:?}");
    }
    Ok(actual.len() < members.len())
}

fn param_fits(member: &HttpsMember, key: u16, value: &[u8]) -> bool {
    let known = |size: usize| {
        value.chunks(size).all(|hint| member.hints.iter().map(|ip: &IpAddr| octets(*ip)).any(|ip| ip == hint))
    };
    match key {
        1 => {
            let protocols = member.alpn.split(',').map(str::trim).filter(|text| !text.is_empty());
            value == protocols.flat_map(|text| [&[text.len() as u8], text.as_bytes()].concat()).collect::<Vec<_>>()
        }
        2 => true,
        3 => member.port.is_some_and(|port| value == port.to_be_bytes()),
        4 => known(4),
        6 => known(16),
        _ => false,
    }
}

/// Size of the largest record of the answer, owner a pointer.
fn largest_record(rule: &Response) -> usize {
    let sizes = rule.answer.iter().filter_map(|set| match &set.members {
        Members::Exact(members) => members.iter().map(|member| 12 + member.rdata.len()).max(),
        // Priority, target, ALPN, port and two hints.
        Members::Https(members) => members.iter().map(|member| 12 + 3 + 5 + member.alpn.len() + 6 + 8 + 20).max(),
        Members::OneTxt => Some(65_535),
    });
    let chain = rule.chain.iter().map(|link| 12 + link.rdata.len() + link.owner.len());
    sizes.chain(chain).max().unwrap_or(0) + if rule.chain.is_empty() { 0 } else { 255 }
}

fn check_authority(rule: &Response, actual: &[Rr], truncated: bool) -> Result<(), String> {
    match &rule.authority {
        Authority::Empty => hold!(actual.is_empty(), "authority must be empty: {actual:?}"),
        Authority::AnySoa => hold!(actual.iter().all(|rr| rr.rtype == 6) && actual.len() < 2, "not one SOA at most"),
        Authority::Referral(records) => {
            let known = |rr: &Rr| records.iter().any(|record| check_record(record, rr, &Question::None).is_ok());
            hold!(actual.iter().all(known), "NS not of the cut: {actual:?}");
            hold!(actual.len() == records.len() || truncated, "{} of {} NS", actual.len(), records.len());
        }
        Authority::Soa(soa) => {
            let [rr] = actual else { return Err(format!("{} authority records, not one SOA", actual.len())) };
            check_soa(soa, rr, &rule.question)?;
        }
    }
    Ok(())
}

fn check_soa(rule: &SoaRule, rr: &Rr, question: &Question) -> Result<(), String> {
    hold!(rr.rtype == 6, "type {} in authority", rr.rtype);
    match (&rule.owner, question) {
        (Some(owner), _) => hold!(rr.owner.eq_ignore_ascii_case(owner), "SOA owner {:?}, not {owner:?}", rr.owner),
        (None, Question::Echo(bytes)) => {
            let name = bytes[..bytes.len() - 4].to_ascii_lowercase();
            hold!(name.ends_with(&rr.owner.to_ascii_lowercase()), "SOA owner not above the question");
        }
        _ => {}
    }
    hold!(rule.ttls.is_empty() || rule.ttls.contains(&rr.ttl), "SOA TTL {}, not one of {:?}", rr.ttl, rule.ttls);
    let Some(wanted) = &rule.rdata else { return Ok(()) };
    let actual = super::answer::read_soa(&rr.rdata).ok_or("SOA RDATA cut")?;
    hold!(actual.mname == wanted.mname && actual.rname == wanted.rname, "SOA names: {actual:?}, not {wanted:?}");
    hold!(actual.numbers == wanted.numbers, "SOA numbers {:?}, not {:?}", actual.numbers, wanted.numbers);
    hold!(wanted.minimums.contains(&actual.minimums[0]), "MINIMUM {:?}, not {:?}", actual.minimums, wanted.minimums);
    Ok(())
}

fn holds(section: &[Rr], record: &Record) -> bool {
    section.iter().any(|rr| check_record(record, rr, &Question::None).is_ok())
}

/// Target RRsets in the order of the answer's targets, whole, the last ones left out where there is no room.
fn check_additional(rule: &Response, parsed: &Parsed, size: usize) -> Result<(), String> {
    let actual = &parsed.sections[2];
    let mut wanted: Vec<(&Vec<u8>, &Vec<Record>)> = Vec::new();
    for rr in parsed.sections[0].iter().filter(|rr| rr.rtype == SRV) {
        let target = rr.rdata[6..].to_vec();
        if let Some((target, sets)) = rule.additional.by_target.get_key_value(&target) {
            if !wanted.iter().any(|(known, _)| *known == target) {
                wanted.extend(sets.iter().map(|set| (target, set)));
            }
        }
    }
    let mut position = 0;
    let cut = parsed.flags & 0x0200 != 0;
    for (number, (_, set)) in wanted.iter().enumerate() {
        let there: Vec<_> = actual.iter().skip(position).take(set.len()).collect();
        if there.len() < set.len() {
            let needed: usize = set.iter().map(|record| 12 + record.rdata.len()).sum();
            let room = rule.limit - size;
            hold!(
                cut || room < needed || rule.tcp && size > 60_000,
                "additional RRset {number} left out with {room} bytes of room, {needed} needed"
            );
            hold!(there.is_empty(), "an additional RRset in part");
            break;
        }
        for rr in &there {
            hold!(
                set.iter().any(|record| check_record(record, rr, &Question::None).is_ok()),
                "additional record {number} is {rr:?}, not {set:?}"
            );
        }
        position += set.len();
    }
    for (at, rr) in actual.iter().enumerate().skip(position) {
        let optional = rule.additional.optional.values().flatten();
        let mut known = optional.chain(&rule.additional.mandatory);
        hold!(known.any(|record| check_record(record, rr, &Question::None).is_ok()), "additional record {at}: {rr:?}");
        hold!(!actual[..at].contains(rr), "an additional record twice");
    }
    Ok(())
}

fn check_opt(rule: &Response, parsed: &Parsed, size: usize) -> Result<(), String> {
    match (&rule.opt, &parsed.opt) {
        (OptRule::Maybe, None) | (OptRule::None, None) => Ok(()),
        (OptRule::None, Some(_)) => Err("an OPT for a query without".into()),
        (OptRule::Some(_), None) => Err("no OPT for a query with one".into()),
        (OptRule::Maybe, Some(opt)) => {
            hold!(opt.size == 1232, "payload size {}", opt.size);
            Ok(())
        }
        (OptRule::Some(contents), Some(opt)) => check_opt_contents(rule, contents, opt, size),
    }
}

fn check_opt_contents(rule: &Response, wanted: &OptContents, opt: &ParsedOpt, size: usize) -> Result<(), String> {
    hold!(opt.size == 1232, "payload size {}", opt.size);
    hold!(opt.ttl >> 16 & 0xff == 0, "EDNS version not 0");
    hold!(opt.ttl & 0xffff == u32::from(wanted.dnssec_ok) << 15, "EDNS flags {:04x}", opt.ttl & 0xffff);
    let subnets: Vec<_> = opt.options.iter().filter(|(code, _)| *code == 8).map(|(_, bytes)| bytes).collect();
    let error = rule.rcode != 0 && rule.rcode != 3;
    match (&wanted.client_subnet, &subnets[..]) {
        (None, []) => {}
        (Some(_), []) if error => {}
        (Some(subnet), [actual]) => hold!(*actual == subnet, "client subnet {actual:?}, not {subnet:?}"),
        _ => return Err(format!("client subnet: {subnets:?}, not {:?}", wanted.client_subnet)),
    }
    let known =
        |code: u16| [8, 15].contains(&code) || (code == 11 && rule.tcp) || (code == 3 && wanted.asks_identifier);
    hold!(opt.options.iter().all(|(code, _)| known(*code)), "unknown option");
    let errors: Vec<_> = opt.options.iter().filter(|(code, _)| *code == 15).map(|(_, bytes)| bytes).collect();
    for bytes in &errors {
        hold!(bytes.len() >= 2 && bytes.len() <= 82, "an extended error of {} bytes", bytes.len());
        let code = u16::from_be_bytes([bytes[0], bytes[1]]);
        let cut_over_tcp = rule.tcp && size > 60_000;
        let known = |rule: &&ErrorRule| rule.codes.contains(&code);
        let fits = wanted.errors.iter().filter(known).any(|rule| {
            let text = String::from_utf8_lossy(&bytes[2..]).to_lowercase();
            let cut = bytes.len() > 78; // At most 80 bytes of text, whole characters.
            rule.text.as_ref().is_none_or(|wanted| text.is_empty() || cut || text.contains(&wanted.to_lowercase()))
        });
        hold!(
            fits || cut_over_tcp,
            "extended error {code} {:?} fits none of {:?}",
            String::from_utf8_lossy(&bytes[2..]),
            wanted.errors
        );
    }
    for rule_of_error in wanted.errors.iter().filter(|rule| rule.required) {
        let there = errors.iter().any(|bytes| rule_of_error.codes.contains(&u16::from_be_bytes([bytes[0], bytes[1]])));
        hold!(there || rule.limit - size < 8, "no extended error of {:?}", rule_of_error.codes);
    }
    Ok(())
}

const SRV: u16 = 33;
