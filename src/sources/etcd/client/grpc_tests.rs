use proptest::{collection::vec, prelude::*};

use super::{
    super::messages::{LeaseGrantResponse, RangeResponse, TxnResponse, WatchResponse},
    *,
};

/// Reads what comes in these pieces as far as it goes.
fn read<M: Message + Default>(pieces: &[Vec<u8>]) -> Result<usize, Failure> {
    let mut buffer = BytesMut::new();
    let mut messages = 0;
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while let Some(message) = unframed(&mut buffer, 1 << 20)? {
            decoded::<M>(message)?;
            messages += 1;
        }
    }
    Ok(messages)
}

proptest! {
    #[test]
    fn any_bytes_are_messages_or_an_error(pieces in vec(vec(any::<u8>(), 0..40), 0..4), body in vec(any::<u8>(), 0..200)) {
        let framed = [&[0][..], &u32::try_from(body.len()).unwrap().to_be_bytes(), &body].concat();
        for pieces in [pieces, vec![framed]] {
            // None of it may panic.
            let _ = read::<RangeResponse>(&pieces);
            let _ = read::<TxnResponse>(&pieces);
            let _ = read::<WatchResponse>(&pieces);
            let _ = read::<LeaseGrantResponse>(&pieces);
        }
    }

    #[test]
    fn messages_are_found_wherever_they_are_cut(ids in vec(any::<i64>(), 0..20), cuts in vec(1usize..9, 0..200)) {
        let all: Vec<u8> = ids
            .iter()
            .flat_map(|id| framed(&LeaseGrantResponse { id: *id, ttl: 1, error: String::new() }).to_vec())
            .collect();
        let mut rest = &all[..];
        let mut pieces: Vec<Vec<u8>> = Vec::new();
        for cut in cuts {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece.to_vec());
            rest = after;
        }
        pieces.push(rest.to_vec());
        prop_assert_eq!(read::<LeaseGrantResponse>(&pieces), Ok(ids.len()));
    }
}

#[test]
fn the_server_is_told_how_long_an_answer_is_waited_for() {
    for (timeout, told) in [(Duration::from_secs(3), "3000m"), (Duration::MAX, "99999999m"), (Duration::ZERO, "1m")] {
        assert_eq!(head(Uri::from_static("http://h1/m"), None, Some(timeout)).headers()["grpc-timeout"], told);
    }
}
