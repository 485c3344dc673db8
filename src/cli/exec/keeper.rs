//! Keeps a program registered while it lives.

use std::{pin::pin, time::Duration};

use serde::de::IgnoredAny;
use tokio::{sync::oneshot, time::timeout};

use super::{super::write::Registration, complain};
use crate::{
    api::client::{Client, ClientError},
    catalog::duration::parse_duration,
    cli::args::ExecArgs,
};

/// Registers, looks whether it is still so, renews the check deadline, deregisters.
pub(super) struct Keeper<'a> {
    client: &'a Client,
    registration: Registration<'a>,
    name: &'a str,
    id: String,
    /// Time between two renewals of the check deadline, if there is one.
    renewal: Option<Duration>,
}

/// Dropped, it has the keeper deregister and end.
pub(super) struct Leave {
    _told: oneshot::Sender<()>,
}

/// Ends when the [`Leave`] is dropped.
pub(super) type Told = oneshot::Receiver<()>;

impl Leave {
    pub(super) fn pair() -> (Leave, Told) {
        let (sender, told) = oneshot::channel();
        (Leave { _told: sender }, told)
    }
}

impl<'a> Keeper<'a> {
    /// The keeper of what the arguments register; none if they do not.
    pub(super) fn new(client: &'a Client, args: &'a ExecArgs) -> anyhow::Result<Option<Keeper<'a>>> {
        let Some((name, port)) = args.name.as_deref().zip(args.port) else { return Ok(None) };
        // Not the name, as for `register`: instances of one service on one machine differ by their ports.
        let id = args.id.clone().unwrap_or_else(|| format!("{name}-{port}"));
        let registration = Registration::new((name, Some(id.clone().into()), port), &args.instance)?;
        let deadline = args.instance.check_ttl.as_deref().and_then(|span| parse_duration(span).ok());
        let renewal = deadline.map(|span| span / RENEWALS);
        Ok(Some(Keeper { client, registration, name, id, renewal }))
    }

    /// Keeps it registered until it is told to leave, then deregisters. Says once what does not work, and when it does.
    pub(super) async fn keep(self, mut told: Told) {
        let (mut registered, mut said) = (false, None);
        loop {
            let mut step = pin!(self.step(registered));
            let (outcome, leaving) = tokio::select! {
                outcome = &mut step => (Some(outcome), false),
                // What is on its way may still arrive, so that its end is awaited: it must not come after the deregistration.
                _ = &mut told => (timeout(STEP_MAX, step).await.ok(), true),
            };
            let mut pause = RETRY;
            match outcome {
                Some(Ok(warnings)) => {
                    warnings.iter().for_each(|warning| complain(&format!("warning: {warning}")));
                    if said.take().is_some() {
                        complain(&format!("{} is registered as {}", self.name, self.id));
                    }
                    (registered, pause) = (true, self.renewal.unwrap_or(LOOK));
                }
                Some(Err(error)) => {
                    let text = error.to_string();
                    if said.as_ref() != Some(&text) && !leaving {
                        complain(&format!("{} runs, but is not known to be registered yet: {text}", self.name));
                    }
                    said = Some(text);
                }
                None => {}
            }
            if leaving || timeout(pause, &mut told).await.is_ok() {
                break;
            }
        }
        self.deregister(registered).await;
    }

    /// Makes sure that it is registered and passes its deadline; returns what the server says of a new registration.
    async fn step(&self, registered: bool) -> Result<Vec<String>, ClientError> {
        if registered {
            let still = match self.renewal {
                Some(_) => self.renew().await,
                None => self.client.get::<IgnoredAny>(&["agent", "service", &self.id], &[]).await.map(drop),
            };
            match still {
                Err(ClientError::Refused { status: 404, .. }) => {}
                other => return other.map(|()| Vec::new()),
            }
        }
        let written = self.registration.send(self.client).await?;
        if self.renewal.is_some() {
            self.renew().await?;
        }
        Ok(written.warnings)
    }

    async fn renew(&self) -> Result<(), ClientError> {
        let check = format!("service:{}", self.id);
        self.client.put::<()>(&["agent", "check", "pass", &check], &[], None).await.map(drop)
    }

    async fn deregister(&self, registered: bool) {
        let path = ["agent", "service", "deregister", &self.id];
        let problem = match timeout(STEP_MAX, self.client.put::<()>(&path, &[], None)).await {
            // Somebody else has done it.
            Ok(Ok(_) | Err(ClientError::Refused { status: 404, .. })) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        if registered {
            complain(&format!("{} is still registered as {}: {problem}", self.name, self.id));
        }
    }
}

/// Renewals within a check deadline. Source: none, chosen: two may be lost.
const RENEWALS: u32 = 3;

/// Between two looks at whether it is still registered. Source: none, chosen: the time for which a client keeps an answer.
const LOOK: Duration = Duration::from_secs(5);

/// Between two attempts. Source: none, chosen.
const RETRY: Duration = Duration::from_secs(1);

/// Longest that the end of a step holds up a stop signal. Source: none, chosen: service managers kill after 10 s and more.
const STEP_MAX: Duration = Duration::from_secs(1);
