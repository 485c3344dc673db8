//! nameplate whole, inside this program, with checks that flip when it is told so: what flips cost the server, without
//! what it costs to hand them in from outside.
//!
//! Results go into the feed as the health scheduler's do: one at a time, from a task of the server's runtime, when they
//! are due by its timer.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use nameplate::{
    catalog::{
        check::{CheckKey, CheckResult, CheckStatus},
        names::{CheckId, NodeName},
    },
    config::{Config, Host, Inputs},
    daemon,
    publish::feed::Feed,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval},
};

use crate::{
    catalog::Place,
    sections::{
        churn::{FLIPS_A_SECOND, Half, flip},
        mix::GROUP,
    },
    server::NODE,
};

/// Serves until it is killed. SIGUSR1 makes checks flip, and makes them stay again.
pub fn serve(dns: &str, http: &str, data: &str) -> Result<()> {
    // As the server's own `main` does.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = config(dns, http, data)?;
    daemon::runtime()?.block_on(async {
        let told = signal(SignalKind::user_defined1())?;
        let server = daemon::Server::start(config, None).await?;
        tokio::spawn(flip_when_told(told, server.feed().clone())).await??;
        Ok(())
    })
}

/// What [`Server::nameplate`](crate::server::Server::nameplate) is started with, but for where its data is.
fn config(dns: &str, http: &str, data: &str) -> Result<Config> {
    let flags = [
        ("dns", dns),
        ("http", http),
        ("data_dir", data),
        ("node", NODE),
        ("advertise", "127.0.0.1"),
        ("workers", "1"),
        ("forward", "off"),
    ];
    let flags = flags.into_iter().map(|(key, value)| (key, vec![value.to_owned()])).collect();
    let inputs = Inputs { flags, variables: Vec::new(), file: None, host: Host::default() };
    Config::load(&inputs).map_err(|problems| anyhow!("{problems:?}"))
}

/// Hands in what is due each time that the runtime's timer ticks, which is each millisecond, or later on a full core.
async fn flip_when_told(mut told: Signal, feed: Feed) -> Result<()> {
    let keys = GROUP.places().map(key).collect::<Result<Vec<_>>>()?;
    let mut flipped = 0;
    loop {
        told.recv().await.context("signals end with the process")?;
        let (began, before) = (Instant::now(), flipped);
        let mut ticks = interval(Duration::from_millis(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = told.recv() => break,
                _ = ticks.tick() => {}
            }
            let due = before + (began.elapsed().as_secs_f64() * FLIPS_A_SECOND) as u64;
            for number in flipped..due {
                let (instance, is_critical) = flip(number, Half::First);
                feed.report(keys[instance].clone(), result(is_critical));
            }
            flipped = due;
        }
    }
}

/// Names the check of an instance, in the order of [`GROUP`]'s.
fn key(place: Place) -> Result<CheckKey> {
    Ok(CheckKey { node: NodeName::new(NODE)?, id: CheckId::new(format!("service:{}", GROUP.id(place)))? })
}

fn result(is_critical: bool) -> CheckResult {
    let (status, said) = match is_critical {
        true => (CheckStatus::Critical, "connect: Connection refused (os error 111)"),
        false => (CheckStatus::Passing, "connect: Success"),
    };
    CheckResult { status, output: said.into() }
}
