//! Random questions about a world: every form of name, every type, EDNS, letter case, clients, broken messages.

use std::{collections::BTreeMap, net::IpAddr};

use nameplate::wire::name::Name;

use super::{
    answer::udp_cap,
    chain,
    generate::name,
    rng::Rng,
    tree::Forest,
    world::{Asker, World},
};

/// A query and who sends it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The client.
    pub asker: Asker,
    /// What it is, for people.
    pub text: String,
}

/// Draws questions about one world.
#[derive(Debug)]
pub struct Questions<'a> {
    world: &'a World,
    /// All names that mean something, by form.
    listed: Vec<Vec<Name>>,
    /// Bare names of services.
    bare: Vec<Vec<u8>>,
    /// All addresses in the catalog.
    addresses: Vec<IpAddr>,
}

impl<'a> Questions<'a> {
    /// Looks the world over.
    pub fn new(world: &'a World, forest: &Forest) -> Questions<'a> {
        let mut listed: BTreeMap<&str, Vec<Name>> = BTreeMap::new();
        for (form, name) in forest.trees.iter().flat_map(|tree| tree.listed()) {
            listed.entry(form).or_default().push(name);
        }
        let listed = listed.into_values().collect();
        let bare = forest.names.by_labels.keys().filter(|labels| labels.len() == 1).map(|labels| labels[0].clone());
        let nodes = world.nodes.iter().filter_map(|entry| entry.node.address.ip());
        let instances = world.instances.iter().filter_map(|entry| entry.instance.address.as_ref()?.ip());
        Questions { world, listed, bare: bare.collect(), addresses: nodes.chain(instances).collect() }
    }

    /// Draws a question.
    pub fn draw(&self, rng: &mut Rng) -> Asked {
        let name = self.draw_name(rng);
        let qtype = draw_type(rng, &name);
        self.ask(rng, &name, qtype)
    }

    /// Draws a question of one of these types, of which few names have any.
    pub fn draw_of(&self, rng: &mut Rng, types: &[u16]) -> Asked {
        let name = self.draw_name(rng);
        let qtype = *rng.pick(types);
        self.ask(rng, &name, qtype)
    }

    fn ask(&self, rng: &mut Rng, name: &Name, qtype: u16) -> Asked {
        let chaos = name.to_string().to_lowercase().ends_with("bind.") || *name == self::name("id.server.");
        let class: u16 = match chaos {
            true if !rng.one_in(10) => 3,
            _ if rng.one_in(30) => *rng.pick(&[3, 4, 255]),
            _ => 1,
        };
        let wire = letter_case(rng, name);
        let opcode = draw_opcode(rng);
        let mut bytes = header(rng, opcode);
        bytes.extend_from_slice(&wire);
        bytes.extend_from_slice(&qtype.to_be_bytes());
        bytes.extend_from_slice(&class.to_be_bytes());
        draw_opt(rng, &mut bytes);
        if rng.one_in(16) {
            spoil(rng, &mut bytes, wire.len());
        }
        let asker = self.draw_asker(rng);
        let hexed: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = format!("{name} type {qtype} class {class} from {} tcp={} bytes {hexed}", asker.address, asker.tcp);
        Asked { bytes, asker, text }
    }

    fn draw_asker(&self, rng: &mut Rng) -> Asker {
        let address: IpAddr = (*rng.pick(&CLIENTS)).parse().expect("an address");
        let settings = &self.world.settings;
        let may_recurse = settings.allow_recursion.iter().any(|network| network.contains(address));
        Asker {
            address,
            suspect: rng.one_in(80),
            tcp: rng.one_in(5),
            udp_cap: udp_cap(settings, address),
            may_recurse: may_recurse && settings.forwarding,
        }
    }

    fn draw_name(&self, rng: &mut Rng) -> Name {
        match rng.below(20) {
            0..=8 => self.listed(rng).clone(),
            9..=11 => self.altered(rng),
            12 => self.hex(rng),
            13 => self.reverse(rng),
            14 | 15 if !self.bare.is_empty() => Name::from_labels([rng.pick(&self.bare)]).expect("a label"),
            16 => self.short_form(rng),
            17 => self.odd(rng),
            _ => name(*rng.pick(&ELSEWHERE)),
        }
    }

    /// A listed name, each form as often as any other.
    fn listed(&self, rng: &mut Rng) -> &Name {
        let form = rng.below(self.listed.len());
        rng.pick(&self.listed[form])
    }

    /// A listed name with a label too many, too few or another.
    fn altered(&self, rng: &mut Rng) -> Name {
        let known = self.listed(rng);
        let labels: Vec<&[u8]> = known.labels().collect();
        let drawn: &[u8] = rng.pick(&LABELS).as_bytes();
        let altered = match rng.below(3) {
            0 => [&[drawn][..], &labels].concat(),
            1 if labels.len() > 1 => labels[1..].to_vec(),
            _ => {
                let mut labels = labels;
                let at = rng.below(labels.len());
                labels[at] = drawn;
                labels
            }
        };
        Name::from_labels(altered).unwrap_or_else(|_| known.clone())
    }

    fn domain(&self, rng: &mut Rng) -> Name {
        rng.pick(&self.world.domains()).clone()
    }

    fn hex(&self, rng: &mut Rng) -> Name {
        let label = match rng.below(5) {
            0 => "c0000201".to_owned(),
            1 => "20010DB8000000000000000000000001".to_owned(),
            2 => format!("{:08x}", rng.next() as u32),
            3 => "c000020".to_owned(),
            _ => "c000020g".to_owned(),
        };
        let location = *rng.pick(&["addr", "addr.dc1", "addr.dc1.dc", "addr.http.port", "addr.dc9"]);
        name(&format!("{label}.{location}.{}", self.domain(rng)))
    }

    fn reverse(&self, rng: &mut Rng) -> Name {
        let known = if self.addresses.is_empty() { IpAddr::from([192, 0, 2, 1]) } else { *rng.pick(&self.addresses) };
        let other = [
            IpAddr::from([10, 9, 9, 9]),
            IpAddr::from([127, 0, 0, 1]),
            IpAddr::from([127, 0, 0, 2]),
            IpAddr::from([203, 0, 113, 9]),
            IpAddr::from([8, 8, 8, 8]),
            IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
            IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 1]),
        ];
        let ip = if rng.one_in(4) { *rng.pick(&other) } else { known };
        let full = reverse_name(ip);
        let drawn = rng.below(64);
        let above = if drawn.is_multiple_of(8) { (1 + drawn / 8).min(full.label_count() - 2) } else { 0 };
        (0..above).fold(full, |name, _| name.parent().expect("not the root"))
    }

    /// The forms without a kind.
    fn short_form(&self, rng: &mut Rng) -> Name {
        let domain = self.domain(rng);
        let Some(label) = (!self.bare.is_empty()).then(|| rng.pick(&self.bare)) else { return domain };
        let label = String::from_utf8_lossy(label);
        let text = match rng.below(4) {
            0 | 1 => format!("{label}.{domain}"),
            2 => format!("_{label}._tcp.{domain}"),
            _ => format!("_{label}._blue.{domain}"),
        };
        Name::parse(&text).unwrap_or(domain)
    }

    /// What is special below a domain.
    fn odd(&self, rng: &mut Rng) -> Name {
        let domain = self.domain(rng);
        let left = *rng.pick(&[
            "",
            "ns.",
            "hostmaster.",
            "service.",
            "_tcp.",
            "_udp.",
            "port.",
            "dc.",
            "dc1.",
            "dc1.dc.",
            "node.",
            "addr.",
            "query.",
            "x.query.",
            "_x._tcp.query.",
            "web.connect.",
            "web.ingress.",
            "virtual.",
            "web.service.dc9.",
            "web.service.dc9.dc.",
            "dc9.",
            "web.dc1.",
            "unknown.service.",
            "tag.unknown.service.",
            "unknown.",
            "_services._dns-sd._udp.",
            "b._dns-sd._udp.",
            "web.service.nope.port.",
            "web.service.http.port.dc1.",
            "web.service.dc1.dc.http.port.",
            "_id.web.service.",
            "nobody._id.web.service.",
            "_tcp.web.service.",
            "_nope._tcp.web.service.",
            "nope.web.service.",
            "n1.node.http.port.",
            "www.",
            "a.b.",
        ]);
        name(&format!("{left}{domain}"))
    }
}

/// The reverse name of an address.
pub fn reverse_name(ip: IpAddr) -> Name {
    let text = match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
        }
        IpAddr::V6(v6) => {
            let digits: String =
                format!("{:032x}", u128::from(v6)).chars().rev().flat_map(|digit| [digit, '.']).collect();
            format!("{digits}ip6.arpa.")
        }
    };
    name(&text)
}

fn draw_type(rng: &mut Rng, name: &Name) -> u16 {
    if name.labels().last() == Some(b"arpa") && !rng.one_in(3) {
        return chain::PTR;
    }
    if rng.one_in(40) {
        // What is refused, whatever the name.
        return *rng.pick(&[41, 249, 250, 251, 252, 253, 254]);
    }
    if rng.one_in(3) {
        return *rng.pick(&TYPES);
    }
    *rng.pick(&[chain::A, chain::A, chain::AAAA, chain::SRV, chain::SRV, chain::TXT, chain::ANY])
}

fn draw_opcode(rng: &mut Rng) -> u8 {
    if rng.one_in(25) { *rng.pick(&[1, 2, 4, 5, 6, 15]) } else { 0 }
}

/// A header with one question.
fn header(rng: &mut Rng, opcode: u8) -> Vec<u8> {
    let id = (rng.next() as u16).to_be_bytes();
    // RD mostly; AD, CD and Z now and then.
    let flags = [opcode << 3 | u8::from(!rng.one_in(5)), *rng.pick(&[0, 0, 0, 0x10, 0x20, 0x40, 0x70])];
    [&id[..], &flags, &[0, 1, 0, 0, 0, 0, 0, 0]].concat()
}

/// The wire form with letters in random case, or as they are.
fn letter_case(rng: &mut Rng, name: &Name) -> Vec<u8> {
    let mut wire = name.as_wire().to_vec();
    if rng.one_in(2) {
        for byte in &mut wire {
            if byte.is_ascii_alphabetic() && rng.one_in(2) {
                *byte ^= 0x20;
            }
        }
    }
    wire
}

fn draw_opt(rng: &mut Rng, bytes: &mut Vec<u8>) {
    if rng.one_in(3) {
        return;
    }
    let size: u16 = *rng.pick(&[0, 100, 512, 600, 1232, 1400, 4096, 65_535]);
    let version = if rng.one_in(20) { 1 + rng.below(255) as u8 } else { 0 };
    let flags: u16 = *rng.pick(&[0, 0, 0x8000, 0xffff]);
    let mut options = Vec::new();
    for (code, contents) in &OPTIONS {
        // Several client subnets have no meaning.
        if *code == 8 && options.windows(2).any(|pair| pair == [0, 8]) {
            continue;
        }
        if rng.one_in(if legal(*code, contents) { 10 } else { 60 }) {
            options.extend(code.to_be_bytes());
            options.extend((contents.len() as u16).to_be_bytes());
            options.extend_from_slice(contents);
        }
    }
    let owner: &[u8] = if rng.one_in(60) { b"\x01x\x00" } else { b"\x00" };
    let count = if rng.one_in(60) { 2 } else { 1 };
    for _ in 0..count {
        bytes.extend_from_slice(owner);
        bytes.extend([0, 41]);
        bytes.extend(size.to_be_bytes());
        bytes.extend([0, version]);
        bytes.extend(flags.to_be_bytes());
        bytes.extend((options.len() as u16).to_be_bytes());
        bytes.extend_from_slice(&options);
    }
    bytes[11] = count;
}

/// Whether an option of the pool is well formed.
fn legal(code: u16, contents: &[u8]) -> bool {
    !(code == 8 && contents.len() == 6 || code == 10 && contents.len() == 7)
}

/// Breaks a message.
fn spoil(rng: &mut Rng, bytes: &mut Vec<u8>, name_size: usize) {
    match rng.below(9) {
        0 => bytes.truncate(rng.below(bytes.len())),
        1 => bytes[2] |= 0x80,
        2 => bytes[5] = *rng.pick(&[0, 2, 255]),
        3 => bytes[7] = 1,
        4 => bytes[12] = 0xc0,
        5 => bytes[12] = 64,
        6 => bytes.extend_from_slice(b"after"),
        7 => bytes[11] = bytes[11].wrapping_add(1),
        _ => {
            let at = 12 + rng.below(name_size + 4);
            bytes[at] = rng.next() as u8;
        }
    }
}

/// A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, NAPTR, DS, RRSIG, DNSKEY, SVCB, HTTPS, CAA, ANY, an unknown one.
const TYPES: [u16; 26] =
    [1, 2, 5, 6, 12, 15, 16, 28, 33, 35, 43, 46, 48, 64, 65, 65, 65, 257, 255, 65_280, 2, 6, 15, 16, 28, 33];

const CLIENTS: [&str; 15] = [
    "127.0.0.1",
    "::1",
    "10.0.0.9",
    "10.1.9.9",
    "10.1.2.9",
    "172.17.0.9",
    "172.18.0.9",
    "172.18.5.9",
    "192.0.2.99",
    "198.51.100.9",
    "2001:db8::99",
    "127.0.0.2",
    "172.17.0.10",
    "10.2.0.9",
    "fd00::9",
];

const LABELS: [&str; 23] = [
    "x", "unknown", "service", "node", "addr", "_tcp", "_udp", "_id", "dc1", "dc", "port", "http", "web", "blue",
    "_blue", "*", "connect", "query", "n1", "_web", "ns", "c0000201", "odd name",
];

const ELSEWHERE: [&str; 27] = [
    ".",
    "unknownbare.",
    "com.",
    "www.example.org.",
    "localhost.",
    "x.localhost.",
    "invalid.",
    "x.invalid.",
    "x.onion.",
    "alt.",
    "_dns.resolver.arpa.",
    "forwarded.example.",
    "x.forwarded.example.",
    "x.compute.internal.",
    "www.example.",
    "deep.zone.example.",
    "zone.example.",
    "example.",
    "x.example.",
    "host.sub.example.",
    "version.bind.",
    "hostname.bind.",
    "forwarded.example.",
    "other.bind.",
    "id.server.",
    "web.api.",
    "1.0.0.127.in-addr.arpa.",
];

const OPTIONS: [(u16, &[u8]); 9] = [
    (8, &[0, 1, 24, 0, 192, 0, 2]),
    (8, &[0, 1, 24, 0, 192, 0]),
    (8, &[0, 2, 56, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 0]),
    (10, &[1, 2, 3, 4, 5, 6, 7, 8]),
    (10, &[1, 2, 3, 4, 5, 6, 7]),
    (3, &[]),
    (11, &[]),
    (12, &[0, 0, 0, 0]),
    (65_001, b"unknown"),
];
