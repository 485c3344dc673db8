//! HTTP as small as it can be: one request a connection.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

/// An HTTP response.
#[derive(Debug)]
pub struct Response {
    /// 200 and so on.
    pub status: u16,
    /// The status line and the headers.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Response {
    /// The value of a header, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// Sends a request to the server's usual address and reads the whole response. An error: there was none, or not all
/// of it.
pub fn request(method: &str, path: &str, body: &str) -> io::Result<Response> {
    request_at(API, method, path, body)
}

/// The same for the server at this address.
pub fn request_at(server: SocketAddr, method: &str, path: &str, body: &str) -> io::Result<Response> {
    let mut stream = TcpStream::connect_timeout(&server, RESPONSE_MAX)?;
    stream.set_read_timeout(Some(RESPONSE_MAX))?;
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let torn = || io::Error::new(io::ErrorKind::UnexpectedEof, text.clone());
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(torn)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(torn)?;
    let response = Response { status, head: head.to_owned(), body: body.to_owned() };
    let length = response.header("content-length").and_then(|length| length.parse().ok());
    if length.is_some_and(|length: usize| length != body.len()) {
        return Err(torn());
    }
    Ok(response)
}

/// Reads a list or an object.
pub fn read(path: &str) -> serde_json::Value {
    let response = request("GET", path, "").unwrap();
    assert_eq!(response.status, 200, "{path}: {}", response.body);
    serde_json::from_str(&response.body).unwrap()
}

/// Where a server without options is asked. Source: DESIGN.md, "Command line and defaults".
const API: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8500);

/// Most time for a response. Source: none, chosen: above the server's own 5 s for a busy writer.
const RESPONSE_MAX: Duration = Duration::from_secs(20);
