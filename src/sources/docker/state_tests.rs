use super::*;
use crate::sources::docker::testing::{Document, running, settings, web};

#[track_caller]
fn check(document: &Document, deregister: Deregister, expected: &Fate) {
    assert_eq!(&fate(&document.container(), &Settings { deregister, ..settings() }), expected);
}

fn gone(reason: &str) -> Fate {
    Fate::Gone(reason.to_owned())
}

#[test]
fn who_runs_is_registered_and_who_does_not_is_not() {
    for status in ["running", "paused", "stopping"] {
        check(&web().state(status), Deregister::OnSuccess, &Fate::Registered);
    }
    for status in ["created", "initialized", "configured", ""] {
        check(&web().state(status), Deregister::OnSuccess, &gone("was not started yet"));
    }
    check(&web().state("removing"), Deregister::OnSuccess, &gone("is removing"));
    check(&web().state("dead"), Deregister::OnSuccess, &gone("is dead"));
    check(&web().state("something new").with("State.Running", true.into()), Deregister::Always, &Fate::Registered);
}

#[test]
fn every_end_deregisters_unless_that_is_asked_to_depend_on_success() {
    for code in [0, 1, 137] {
        assert!(matches!(fate(&web().exited(code).container(), &settings()), Fate::Gone(_)));
    }
    check(&web().exited(0), Deregister::OnSuccess, &gone("exited with status 0"));
    check(&web().exited(137), Deregister::OnSuccess, &gone("was ended by signal 9"));
    check(&web().exited(255), Deregister::OnSuccess, &gone("exited with status 255"));
    check(&web().exited(1), Deregister::OnSuccess, &Fate::Kept("exited with status 1".to_owned()));
    check(&web().state("stopped"), Deregister::Always, &gone("exited with status 0"));
}

#[test]
fn a_container_between_two_starts_has_ended() {
    let restarting = web().exited(3).state("restarting").with("State.Running", true.into());
    check(&restarting, Deregister::Always, &gone("exited with status 3"));
    check(&restarting, Deregister::OnSuccess, &Fate::Kept("exited with status 3".to_owned()));
}

#[test]
fn what_is_kept_after_a_failure_is_critical_and_says_why() {
    let mut registrations = super::super::map(&web().container(), &settings(), &Default::default()).registrations;
    for _ in 0..2 {
        kept(&mut registrations, "exited with status 1");
        let check = &registrations[0].checks[..];
        assert_eq!((check.len(), check[0].status), (1, CheckStatus::Critical));
        let reason = "container exited with status 1; kept because docker_deregister is on-success";
        assert_eq!(check[0].shown_output(), reason);
    }
}

#[test]
fn a_signal_stops_a_container_if_it_is_its_own_or_kill() {
    let check = |stop: &str, signal: &str, expected: bool| {
        let container = running("web", "nginx").with("Config.StopSignal", stop.into()).container();
        assert_eq!(is_stop_signal(&container, signal), expected, "{stop:?} {signal:?}");
    };
    check("", "15", true);
    check("", "SIGTERM", true);
    check("", "9", true);
    check("", "1", false);
    check("", "HUP", false);
    check("SIGQUIT", "3", true);
    check("SIGQUIT", "15", false);
    check("3", "quit", true);
    check("SIGRTMIN+3", "37", true);
    check("RTMAX-1", "63", true);
    check("SIGRTMIN", "34", true);
    check("SIGNONSENSE", "TERM", true);
    for nonsense in ["", "0", "65", "999", "SIGRTMIN+99", "SIGRTMIN+", "RTMAXé", "-1"] {
        check("", nonsense, false);
    }
}
