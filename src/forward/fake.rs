//! For tests: an upstream (UDP and TCP on one loopback port) that answers as a script says, and a client.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use hickory_proto::{
    op::{Edns, Message, Query, ResponseCode},
    rr::{
        self, RData, Record, RecordType,
        rdata::{
            self,
            opt::{EdnsCode, EdnsOption},
        },
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::watch,
    time::{interval, timeout},
};

use super::{ForwardQuery, ForwardSettings, Forwarder, Limits, Upstreams};

/// What is done with a query.
pub(super) enum Action {
    /// Sends this message.
    Respond(Message),
    /// Sends these datagrams, one after another.
    Datagrams(Vec<Vec<u8>>),
    /// Sends this message once [`Fake::release`] has been called.
    Hold(Message),
    /// Nothing.
    Silent,
}

/// A query that arrived.
pub(super) struct Seen {
    pub(super) query: Message,
    pub(super) from: SocketAddr,
    pub(super) over_tcp: bool,
}

type Script = Arc<dyn Fn(&Seen) -> Action + Send + Sync>;

/// The upstream; it ends with the test's runtime.
pub(super) struct Fake {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    released: watch::Sender<bool>,
}

impl Fake {
    pub(super) async fn start(script: impl Fn(&Seen) -> Action + Send + Sync + 'static) -> Fake {
        Fake::start_on(IpAddr::from([127, 0, 0, 1]), true, script).await
    }

    /// Listens on `address`, over TCP too if told so.
    pub(super) async fn start_on(
        address: IpAddr,
        tcp: bool,
        script: impl Fn(&Seen) -> Action + Send + Sync + 'static,
    ) -> Fake {
        let (listener, socket) = loop {
            let listener = TcpListener::bind((address, 0)).await.unwrap();
            if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()).await {
                break (listener, socket);
            }
        };
        let fake =
            Fake { address: socket.local_addr().unwrap(), seen: Arc::default(), released: watch::Sender::new(false) };
        let script: Script = Arc::new(script);
        tokio::spawn(serve_udp(socket, Arc::clone(&script), Arc::clone(&fake.seen), fake.released.subscribe()));
        if tcp {
            tokio::spawn(serve_tcp(listener, script, Arc::clone(&fake.seen), fake.released.subscribe()));
        }
        fake
    }

    /// Lets what was held go, now and from now on.
    pub(super) fn release(&self) {
        self.released.send_replace(true);
    }

    /// How many queries have arrived.
    pub(super) fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// What `look` makes of each query that has arrived.
    pub(super) fn each<T>(&self, look: impl Fn(&Seen) -> T) -> Vec<T> {
        self.seen.lock().unwrap().iter().map(look).collect()
    }
}

async fn serve_udp(socket: UdpSocket, script: Script, seen: Arc<Mutex<Vec<Seen>>>, released: watch::Receiver<bool>) {
    let socket = Arc::new(socket);
    let mut buffer = vec![0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let query = Seen { query: Message::from_vec(&buffer[..length]).unwrap(), from, over_tcp: false };
        let action = script(&query);
        seen.lock().unwrap().push(query);
        let (socket, released) = (Arc::clone(&socket), released.clone());
        tokio::spawn(async move {
            for message in messages(action, released).await {
                let _ = socket.send_to(&message, from).await;
            }
        });
    }
}

async fn serve_tcp(
    listener: TcpListener,
    script: Script,
    seen: Arc<Mutex<Vec<Seen>>>,
    released: watch::Receiver<bool>,
) {
    while let Ok((stream, from)) = listener.accept().await {
        let (script, seen, released) = (Arc::clone(&script), Arc::clone(&seen), released.clone());
        tokio::spawn(async move { serve_connection(stream, from, script, seen, released).await });
    }
}

async fn serve_connection(
    mut stream: TcpStream,
    from: SocketAddr,
    script: Script,
    seen: Arc<Mutex<Vec<Seen>>>,
    released: watch::Receiver<bool>,
) {
    while let Ok(length) = stream.read_u16().await {
        let mut buffer = vec![0; length.into()];
        stream.read_exact(&mut buffer).await.unwrap();
        let query = Seen { query: Message::from_vec(&buffer).unwrap(), from, over_tcp: true };
        let action = script(&query);
        seen.lock().unwrap().push(query);
        for message in messages(action, released.clone()).await {
            stream.write_u16(message.len() as u16).await.unwrap();
            stream.write_all(&message).await.unwrap();
        }
    }
}

async fn messages(action: Action, mut released: watch::Receiver<bool>) -> Vec<Vec<u8>> {
    match action {
        Action::Respond(message) => vec![message.to_vec().unwrap()],
        Action::Datagrams(datagrams) => datagrams,
        Action::Silent => vec![],
        Action::Hold(message) => {
            let _ = released.wait_for(|released| *released).await;
            vec![message.to_vec().unwrap()]
        }
    }
}

/// A response to `seen` without records.
pub(super) fn response(seen: &Seen, rcode: ResponseCode) -> Message {
    let mut message = seen.query.clone().into_response();
    message.metadata.response_code = rcode;
    message.metadata.recursion_available = true;
    message
}

/// A response to `seen` with one address, TTL 300.
pub(super) fn address(seen: &Seen, last: u8) -> Message {
    let mut message = response(seen, ResponseCode::NoError);
    message.add_answer(a_record(&seen.query.queries[0].name.to_string(), last));
    message
}

/// `owner` 300 IN A 192.0.2.`last`
pub(super) fn a_record(owner: &str, last: u8) -> Record {
    record(owner, RData::A(rdata::A::new(192, 0, 2, last)))
}

/// `owner` 300 IN CNAME `target`
pub(super) fn cname_record(owner: &str, target: &str) -> Record {
    record(owner, RData::CNAME(rdata::CNAME(rr::Name::from_ascii(target).unwrap())))
}

/// `owner` 300 IN SOA with MINIMUM 60
pub(super) fn soa_record(owner: &str) -> Record {
    let name = rr::Name::from_ascii(owner).unwrap();
    record(owner, RData::SOA(rdata::SOA::new(name.clone(), name, 1, 2, 3, 4, 60)))
}

fn record(owner: &str, data: RData) -> Record {
    Record::from_rdata(rr::Name::from_ascii(owner).unwrap(), 300, data)
}

/// Waits until `reached` is true, five seconds at most.
pub(super) async fn until(reached: impl Fn() -> bool) {
    let mut ticks = interval(Duration::from_millis(5));
    let wait = async {
        while !reached() {
            ticks.tick().await;
        }
    };
    timeout(Duration::from_secs(5), wait).await.expect("reached within five seconds");
}

/// A client on this host.
pub(super) const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// Times for tests: the same order as in service, shorter.
pub(super) fn quick() -> Limits {
    Limits {
        try_after: Duration::from_millis(150),
        stale_after: Duration::from_millis(180),
        explore_after: Duration::MAX,
        ..Limits::default()
    }
}

pub(super) fn settings(upstreams: &[&Fake]) -> ForwardSettings {
    let addresses = upstreams.iter().map(|fake| fake.address).collect();
    ForwardSettings { limits: quick(), ..ForwardSettings::new(Upstreams::Listed(addresses)) }
}

pub(super) fn forwarder(upstreams: &[&Fake]) -> Arc<Forwarder> {
    Forwarder::new(settings(upstreams))
}

pub(super) fn question(name: &str, rtype: RecordType) -> Message {
    let mut message = Message::query();
    message.add_query(Query::query(rr::Name::from_ascii(name).unwrap(), rtype));
    message.metadata.recursion_desired = true;
    message.set_edns(Edns::new());
    message
}

pub(super) async fn ask_as(forwarder: &Arc<Forwarder>, message: &Message, client: IpAddr) -> Message {
    let bytes = message.to_vec().unwrap();
    let query = ForwardQuery { message: &bytes, client, limit: 1232, over_tcp: false };
    let response = Message::from_vec(&forwarder.answer(&query).await).unwrap();
    assert_eq!(response.id, message.id);
    assert!(response.recursion_available && !response.authoritative && !response.authentic_data);
    response
}

pub(super) async fn ask(forwarder: &Arc<Forwarder>, name: &str) -> Message {
    ask_as(forwarder, &question(name, RecordType::A), CLIENT).await
}

pub(super) fn texts(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| format!("{} {}", record.name, record.data)).collect()
}

/// Info code of the extended error, if there is one.
pub(super) fn extended_error(message: &Message) -> Option<u16> {
    match message.edns.as_ref()?.option(EdnsCode::Unknown(15))? {
        EdnsOption::Unknown(_, data) => Some(u16::from_be_bytes([data[0], data[1]])),
        _ => None,
    }
}
