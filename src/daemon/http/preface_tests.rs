use super::*;

/// What a client sends, piece by piece, and what it is taken for; all of it is read in the end.
#[track_caller]
fn check(pieces: &[&[u8]], version: Version) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut mock = tokio_stream(pieces);
        let (found, mut replayed) = read(&mut mock).await.unwrap();
        assert_eq!(found, version);
        let mut all = Vec::new();
        replayed.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, pieces.concat());
    });
}

/// A stream that gives one piece a read.
fn tokio_stream<'a>(pieces: &'a [&'a [u8]]) -> impl AsyncRead + Unpin + 'a {
    pieces.iter().rev().fold(Box::new(tokio::io::empty()) as Box<dyn AsyncRead + Unpin + 'a>, |after, piece| {
        Box::new(AsyncReadExt::chain(*piece, after))
    })
}

#[test]
fn the_preface_is_http_2_however_it_is_cut() {
    check(&[PREFACE, b"\0\0\0\x04\0\0\0\0\0"], Version::Http2);
    check(&[b"P", b"RI * HT", b"TP/2.0\r\n\r\nSM\r\n", b"\r\n", b"\0\0"], Version::Http2);
}

#[test]
fn all_else_is_http_1() {
    check(&[b"GET / HTTP/1.1\r\n\r\n"], Version::Http1);
    check(&[b"P", b"UT /v1/kv/a HTTP/1.1\r\n\r\n"], Version::Http1);
    check(&[b"PRI * HTTP/1.1\r\n\r\n"], Version::Http1);
    check(&[b"PRI"], Version::Http1);
    check(&[], Version::Http1);
}
