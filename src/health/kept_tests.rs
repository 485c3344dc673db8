use std::{
    net::Ipv4Addr,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

use http::{Request, Response};
use tokio::net::TcpListener;

use super::*;
use crate::health::{
    probe::deadline,
    testing::{resolver, serve, tls, until},
};

const LONG: Duration = Duration::from_secs(20);

/// What a server does to the connections that it gets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Server {
    Answers,
    /// Says that it will answer no more, after each answer.
    GoesAway,
    /// Answers once, and then no more on that connection.
    AnswersOnce,
}

/// A server, and how many connections it got and how many of them it has still.
async fn server(does: Server) -> (SocketAddr, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let (got, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&got), Arc::clone(&open));
    let address = serve(move |stream| {
        let (got, open) = (Arc::clone(&counts.0), Arc::clone(&counts.1));
        async move {
            got.fetch_add(1, SeqCst);
            open.fetch_add(1, SeqCst);
            let mut connection = h2::server::handshake(stream).await.unwrap();
            let mut unanswered = Vec::new();
            while let Some(Ok((_, mut answer))) = connection.accept().await {
                if does == Server::AnswersOnce && !unanswered.is_empty() {
                    unanswered.push(answer);
                    continue;
                }
                answer.send_response(Response::new(()), true).unwrap();
                match does {
                    Server::Answers => {}
                    Server::GoesAway => connection.graceful_shutdown(),
                    Server::AnswersOnce => unanswered.push(answer),
                }
            }
            open.fetch_sub(1, SeqCst);
        }
    })
    .await;
    (address, got, open)
}

fn connector() -> Connector {
    Connector::new(resolver(), tls(None))
}

async fn call(kept: &Kept, at: &str, time: Duration) -> Result<u16, Outcome> {
    let (connector, tls) = (connector(), ClientTls::default());
    let target = Target { at, what: "call", deadline: deadline(time) };
    let request = Request::get("http://web.example/").body(()).unwrap();
    let work = |requests: SendRequest<Bytes>| {
        let request = request.clone();
        async move { Ok(requests.ready().await?.send_request(request, true)?.0.await?.status().as_u16()) }
    };
    kept.call(&connector, (target, &tls), work).await
}

#[tokio::test]
async fn a_connection_serves_the_calls_of_its_time() {
    let (address, got, open) = server(Server::Answers).await;
    let kept = Kept { lasts: Duration::from_secs(1), ..Kept::new(8) };
    for _ in 0..5 {
        assert_eq!(call(&kept, &address.to_string(), LONG).await, Ok(200));
    }
    assert_eq!((got.load(SeqCst), open.load(SeqCst)), (1, 1));
    until("nobody needs it any more", || open.load(SeqCst) == 0).await;
    assert!(kept.lock().idle.is_empty());
    assert_eq!(call(&kept, &address.to_string(), LONG).await, Ok(200));
    assert_eq!(got.load(SeqCst), 2);
    until("and the second one, by another task", || open.load(SeqCst) == 0).await;
}

#[tokio::test]
async fn what_a_server_ended_is_not_used_again() {
    let (address, got, _) = server(Server::GoesAway).await;
    let kept = Kept::new(8);
    for calls in 1..=5 {
        assert_eq!((call(&kept, &address.to_string(), LONG).await, got.load(SeqCst)), (Ok(200), calls));
    }
}

#[tokio::test]
async fn on_a_connection_that_hangs_half_of_the_time_is_lost() {
    let (address, got, _) = server(Server::AnswersOnce).await;
    let kept = Kept::new(8);
    for calls in 1..=3 {
        assert_eq!(call(&kept, &address.to_string(), Duration::from_secs(2)).await, Ok(200));
        assert_eq!(got.load(SeqCst), calls);
    }
}

#[tokio::test]
async fn where_nobody_listens_any_more_the_call_fails() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serves = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let (_, mut answer) = connection.accept().await.unwrap().unwrap();
        answer.send_response(Response::new(()), true).unwrap();
        // Until the answer is out, and with it the connection and the listener are gone.
        connection.graceful_shutdown();
        while connection.accept().await.is_some() {}
    });
    let kept = Kept::new(8);
    assert_eq!(call(&kept, &address, LONG).await, Ok(200));
    serves.await.unwrap();
    let failed = call(&kept, &address, LONG).await.unwrap_err();
    assert!(matches!(&failed, Outcome::Done { output, .. } if output.contains("refused")), "{failed:?}");
}

#[tokio::test]
async fn only_so_many_are_kept_and_none_of_a_name() {
    let kept = Kept::new(1);
    let (first, second) = (server(Server::Answers).await, server(Server::Answers).await);
    let name = format!("web.example:{}", first.0.port());
    for at in [&first.0.to_string(), &second.0.to_string(), &second.0.to_string(), &name, &name] {
        assert_eq!(call(&kept, at, LONG).await, Ok(200));
    }
    assert_eq!((first.1.load(SeqCst), second.1.load(SeqCst)), (3, 2));
}
