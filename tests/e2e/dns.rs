//! DNS as small as it can be: a question, and what can be counted in the response.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

/// Asks one server again and again.
pub struct Asker {
    socket: UdpSocket,
    id: u16,
    /// What the query says about the requester besides the question.
    additional: Vec<u8>,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// 0 NOERROR, 3 NXDOMAIN, and so on.
    pub rcode: u8,
    /// The addresses of the answer section's A and AAAA records, sorted.
    pub addresses: Vec<IpAddr>,
    /// The ports of the answer section's SRV records, sorted.
    pub ports: Vec<u16>,
    /// Whether records were left out.
    pub truncated: bool,
}

impl Asker {
    /// Will ask the server at this address.
    pub fn new(server: impl Into<SocketAddr>) -> Asker {
        let server = server.into();
        let socket = UdpSocket::bind(if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).unwrap();
        socket.set_read_timeout(Some(ANSWER_MAX)).unwrap();
        socket.connect(server).unwrap();
        Asker { socket, id: 0, additional: Vec::new() }
    }

    /// Takes answers of up to [`PAYLOAD_MAX`] bytes, and says so, instead of up to 512.
    pub fn of_large_answers(self) -> Asker {
        let size = u16::try_from(PAYLOAD_MAX).expect("it is below 65,536");
        Asker { additional: [&[0, 0, 41][..], &size.to_be_bytes(), &[0; 6]].concat(), ..self }
    }

    /// Asks for one name and type, once. An error: no response in [`ANSWER_MAX`].
    pub fn ask(&mut self, name: &str, kind: u16) -> io::Result<Answer> {
        self.id = self.id.wrapping_add(1);
        let additional = u8::from(!self.additional.is_empty());
        let mut query = [&self.id.to_be_bytes()[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, additional]].concat();
        for label in name.trim_end_matches('.').split('.') {
            query.push(label.len().try_into().unwrap());
            query.extend(label.as_bytes());
        }
        query.push(0);
        query.extend([kind.to_be_bytes(), [0, 1]].concat());
        let question_end = query.len();
        query.extend(&self.additional);
        self.socket.send(&query)?;
        let mut buffer = [0; PAYLOAD_MAX];
        loop {
            let length = self.socket.recv(&mut buffer)?;
            if buffer[..length].starts_with(&self.id.to_be_bytes()) {
                return Ok(read(&buffer[..length], question_end));
            }
        }
    }
}

/// Reads the answer section, which begins where the question ends.
fn read(message: &[u8], question_end: usize) -> Answer {
    let truncated = message[2] & 2 != 0;
    let mut answer = Answer { rcode: message[3] & 15, addresses: Vec::new(), ports: Vec::new(), truncated };
    let number = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
    let mut at = question_end;
    for _ in 0..number(6) {
        while message[at] != 0 && message[at] < 0xC0 {
            at += 1 + usize::from(message[at]);
        }
        at += if message[at] == 0 { 1 } else { 2 };
        let (kind, length, data) = (number(at), usize::from(number(at + 8)), at + 10);
        match kind {
            A => answer
                .addresses
                .push(Ipv4Addr::new(message[data], message[data + 1], message[data + 2], message[data + 3]).into()),
            AAAA => answer.addresses.push(<[u8; 16]>::try_from(&message[data..data + 16]).unwrap().into()),
            SRV => answer.ports.push(number(data + 4)),
            _ => {}
        }
        at = data + length;
    }
    answer.addresses.sort_unstable();
    answer.ports.sort_unstable();
    answer
}

/// Type A.
pub const A: u16 = 1;
/// Type AAAA.
pub const AAAA: u16 = 28;
/// Type SRV.
pub const SRV: u16 = 33;
/// NOERROR.
pub const NOERROR: u8 = 0;
/// NXDOMAIN.
pub const NXDOMAIN: u8 = 3;

/// Most bytes of an answer. Source: the server's own limit on loopback.
const PAYLOAD_MAX: usize = 16_384;

/// Most time for an answer. Source: none, chosen: glibc's patience is 5 s, musl's attempt 2.5 s.
const ANSWER_MAX: Duration = Duration::from_secs(2);
