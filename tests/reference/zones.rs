//! Random static zones, as plain records and as the text of zone files.

use nameplate::{publish::settings::Settings, wire::name::Name};

use super::{
    generate::name,
    rng::Rng,
    world::{PlainRecord, PlainZone},
};

/// Collects a zone.
struct Draft {
    origin: Name,
    records: Vec<PlainRecord>,
}

/// Draws the static zones of a world.
pub fn draw(rng: &mut Rng, settings: &Settings) -> Vec<PlainZone> {
    let domain = &settings.domain;
    let mut zones = Vec::new();
    if !rng.one_in(3) {
        zones.push(ordinary(rng, &name("example."), domain));
    }
    if rng.one_in(2) {
        zones.push(ordinary(rng, &domain.prepend(b"shop").expect("short"), domain));
    }
    if rng.one_in(3) {
        zones.push(ordinary(rng, &name("deep.zone.example."), domain));
    }
    if rng.one_in(2) {
        zones.push(of_domain(rng, domain));
    }
    if let (Some(alt), true) = (settings.alt_domains.first(), rng.one_in(2)) {
        zones.push(of_domain(rng, alt));
    }
    if rng.one_in(4) {
        zones.push(reverse(rng));
    }
    zones
}

/// The zone as a zone file.
pub fn text(zone: &PlainZone) -> String {
    let mut text = String::new();
    for record in &zone.records {
        let (word, rdata) = present(record);
        text.push_str(&format!("{} {} IN {word} {rdata}\n", record.owner, record.ttl));
    }
    text
}

fn present(record: &PlainRecord) -> (&'static str, String) {
    let rdata = &record.rdata;
    let name_at = |at: usize| Name::from_wire(&rdata[at..]).map(|name| name.to_string()).unwrap_or_default();
    let number = |at: usize| u16::from_be_bytes([rdata[at], rdata[at + 1]]);
    match record.rtype {
        1 => ("A", format!("{}.{}.{}.{}", rdata[0], rdata[1], rdata[2], rdata[3])),
        28 => {
            let octets: [u8; 16] = rdata[..].try_into().expect("16 bytes");
            ("AAAA", std::net::Ipv6Addr::from(octets).to_string())
        }
        2 => ("NS", name_at(0)),
        5 => ("CNAME", name_at(0)),
        12 => ("PTR", name_at(0)),
        6 => ("SOA", present_soa(rdata)),
        15 => ("MX", format!("{} {}", number(0), name_at(2))),
        33 => ("SRV", format!("{} {} {} {}", number(0), number(2), number(4), name_at(6))),
        16 => ("TXT", format!("\"{}\"", String::from_utf8_lossy(&rdata[1..]))),
        257 => {
            let tag_end = 2 + usize::from(rdata[1]);
            let (tag, value) = (&rdata[2..tag_end], &rdata[tag_end..]);
            let (tag, value) = (String::from_utf8_lossy(tag), String::from_utf8_lossy(value));
            ("CAA", format!("{} {tag} \"{value}\"", rdata[0]))
        }
        other => panic!("the generator draws no type {other}"),
    }
}

fn present_soa(rdata: &[u8]) -> String {
    let fields = super::answer::read_soa(rdata).expect("the generator writes SOAs");
    let text = |wire: &[u8]| Name::from_wire(wire).map(|name| name.to_string()).unwrap_or_default();
    let [serial, refresh, retry, expire] = fields.numbers;
    let minimum = fields.minimums[0];
    format!("{} {} {serial} {refresh} {retry} {expire} {minimum}", text(&fields.mname), text(&fields.rname))
}

impl Draft {
    fn new(rng: &mut Rng, origin: &Name) -> Draft {
        let mut draft = Draft { origin: origin.clone(), records: Vec::new() };
        let (mname, rname) = (draft.below("ns1"), draft.below("admin"));
        let numbers: [u32; 5] = [7, 7200, 900, 604_800, *rng.pick(&[30, 300])];
        let numbers: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
        let rdata = [mname.as_wire(), rname.as_wire(), &numbers].concat();
        draft.put("@", 6, *rng.pick(&[20, 3600]), rdata);
        draft
    }

    fn below(&self, text: &str) -> Name {
        name(&format!("{text}.{}", self.origin))
    }

    fn put(&mut self, owner: &str, rtype: u16, ttl: u32, rdata: Vec<u8>) {
        let owner = if owner == "@" { self.origin.clone() } else { self.below(owner) };
        let record = PlainRecord { owner, rtype, ttl, rdata };
        if !self
            .records
            .iter()
            .any(|known| (&known.owner, known.rtype, &known.rdata) == (&record.owner, rtype, &record.rdata))
        {
            self.records.push(record);
        }
    }

    fn point(&mut self, owner: &str, rtype: u16, target: &Name) {
        self.put(owner, rtype, 120, target.as_wire().to_vec());
    }

    fn addresses(&mut self, owner: &str, count: usize) {
        for at in 0..count {
            self.put(owner, 1, 120, vec![198, 51, 100, 1 + at as u8]);
        }
        if count.is_multiple_of(2) {
            self.put(owner, 28, 120, [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[count as u8]].concat());
        }
    }

    fn finish(self) -> PlainZone {
        PlainZone { origin: self.origin, records: self.records }
    }
}

fn txt(text: &str) -> Vec<u8> {
    [&[text.len() as u8][..], text.as_bytes()].concat()
}

/// What any zone may hold.
fn fill(rng: &mut Rng, zone: &mut Draft, domain: &Name) {
    let count = *rng.pick(&[1, 2, 30, 90]);
    zone.addresses("www", count);
    zone.addresses("mail", 2);
    let mail = zone.below("mail");
    zone.put("@", 15, 60, [&[0, 10][..], mail.as_wire()].concat());
    zone.put("www", 16, 60, txt("hello"));
    zone.put("@", 257, 60, [&[0, 5][..], b"issueca.example"].concat());
    zone.addresses("empty.non.terminal", 1);
    let targets = [
        zone.below("www"),
        zone.below("missing"),
        zone.below("alias2"),
        name(&format!("web.service.{domain}")),
        name(&format!("nobody.service.{domain}")),
        name("elsewhere.example.org."),
        name("far.example.net."),
        name("www.example."),
        name("api."),
        zone.below("host.sub"),
    ];
    let target = rng.pick(&targets).clone();
    zone.point("alias", 5, &target);
    let target = zone.below("www");
    zone.point("alias2", 5, &target);
    if rng.one_in(2) {
        let (glued, sibling) = (zone.below("ns.sub"), zone.below("mail"));
        zone.point("sub", 2, &glued);
        zone.point("sub", 2, &sibling);
        zone.point("sub", 2, &name("ns.example.org."));
        zone.addresses("ns.sub", 2);
    }
    match rng.below(4) {
        0 => zone.addresses("*", 1),
        1 => zone.put("*", 16, 60, txt("any")),
        2 => {
            let target = zone.below("www");
            zone.point("*.wild", 5, &target);
        }
        _ => {}
    }
    if rng.one_in(3) {
        let target = zone.below("www");
        zone.put("_sip._tcp.calls", 33, 60, [&[0, 1, 0, 2, 0, 3][..], target.as_wire()].concat());
    }
}

fn ordinary(rng: &mut Rng, origin: &Name, domain: &Name) -> PlainZone {
    let mut zone = Draft::new(rng, origin);
    let host = zone.below("ns1");
    zone.point("@", 2, &host);
    zone.addresses("ns1", 2);
    fill(rng, &mut zone, domain);
    zone.finish()
}

/// A zone that is D or an AD.
fn of_domain(rng: &mut Rng, origin: &Name) -> PlainZone {
    let mut zone = Draft::new(rng, origin);
    if rng.one_in(2) {
        let host = zone.below("ns1");
        zone.point("@", 2, &host);
        zone.addresses("ns1", 2);
    }
    if rng.one_in(3) {
        zone.addresses("ns", 1);
    }
    if rng.one_in(2) {
        zone.addresses("web", 1);
    }
    if rng.one_in(2) {
        let target = zone.below("www");
        zone.put("_api._tcp", 33, 60, [&[0, 1, 0, 2, 0, 3][..], target.as_wire()].concat());
    }
    if rng.one_in(2) {
        zone.addresses("*.service", 1);
    }
    fill(rng, &mut zone, origin);
    zone.finish()
}

fn reverse(rng: &mut Rng) -> PlainZone {
    let mut zone = Draft::new(rng, &name("2.0.192.in-addr.arpa."));
    let host = name("ns1.example.");
    zone.point("@", 2, &host);
    for octet in [1, 5, 9] {
        zone.point(&octet.to_string(), 12, &name("fixed.example."));
    }
    zone.finish()
}
