use clap::{Parser, error::ErrorKind};

use super::*;
use crate::cli::args::ServeArgs;

fn parsed(line: &str) -> Result<CommandLine, clap::Error> {
    CommandLine::try_parse_from(line.split_whitespace())
}

#[track_caller]
fn check_refused(line: &str, kind: ErrorKind) {
    assert_eq!(parsed(line).unwrap_err().kind(), kind, "{line}");
}

/// Runs a command line that starts no server.
fn run_alone(line: &str) -> anyhow::Result<Verdict> {
    run(parsed(line).unwrap(), |_| anyhow::bail!("no server in tests"))
}

#[test]
fn the_command_line_is_consistent() {
    CommandLine::command().debug_assert();
}

#[test]
fn every_verb_parses() {
    for line in [
        "nameplate serve",
        "nameplate serve -c a.toml --dns 127.0.0.1:53 --dns [::1]:53 --http 127.0.0.1:8500 --domain example --alt-domain a \
         --alt-domain b --datacenter dc2 --node n1 --advertise 192.0.2.1 --workers 2 --data-dir /d --zones z --services s \
         --docker off --docker-ip 192.0.2.1 --docker-explicit --forward system --log debug --log-format json",
        "nameplate serve --ephemeral",
        "nameplate deregister web-1 --server http://192.0.2.1:8500 --token t",
        "nameplate exec --name web --port 80 --check-http /health -- ./server -p 80 --name other",
        "nameplate exec --name web --port 80 --id a --tag b --meta c=d --address 192.0.2.1 --check-ttl 3s ./server -p 80",
        "nameplate services --json",
        "nameplate instances web",
        "nameplate query web.service.internal SRV",
        "nameplate query web",
        "nameplate export",
        "nameplate export all.jsonl --json",
        "nameplate import - --server http://192.0.2.1:8500",
        "nameplate import all.jsonl",
        "nameplate cache flush",
        "nameplate cache flush example.com",
        "nameplate zone check a.zone",
        "nameplate config",
        "nameplate config -c a.toml --domain example",
        "nameplate config check a.toml",
        "nameplate completions bash",
    ] {
        assert!(parsed(line).is_ok(), "{line}: {}", parsed(line).unwrap_err());
    }
}

#[test]
fn wrong_use_is_refused() {
    check_refused("nameplate serve --data-dir /d --ephemeral", ErrorKind::ArgumentConflict);
    check_refused("nameplate register web", ErrorKind::MissingRequiredArgument);
    check_refused("nameplate register web --port 0", ErrorKind::ValueValidation);
    check_refused("nameplate register web --port 80 --meta novalue", ErrorKind::ValueValidation);
    check_refused("nameplate register web --port 80 --check-ttl 30", ErrorKind::ValueValidation);
    check_refused("nameplate register web --port 80 --check-ttl 30s --check-tcp a:1", ErrorKind::ArgumentConflict);
    check_refused("nameplate register web --port 80 --check-ttl 30s --interval 1s", ErrorKind::ArgumentConflict);
    check_refused("nameplate register web --port 80 --interval 1s", ErrorKind::MissingRequiredArgument);
    check_refused("nameplate exec -- ./server", ErrorKind::MissingRequiredArgument);
    check_refused("nameplate exec --name web -- ./server", ErrorKind::MissingRequiredArgument);
    check_refused("nameplate exec --name web --port 80", ErrorKind::MissingRequiredArgument);
    check_refused("nameplate exec --name web --port 80 --json -- ./server", ErrorKind::UnknownArgument);
    check_refused("nameplate serve --server http://127.0.0.1:8500", ErrorKind::UnknownArgument);
    check_refused("nameplate serve --cluster etcd://127.0.0.1", ErrorKind::UnknownArgument);
}

#[test]
fn a_name_may_begin_with_an_underscore() {
    assert!(parsed("nameplate query _web._tcp.service.internal SRV").is_ok());
}

#[test]
fn flags_reach_the_settings_under_their_keys() {
    let given = parsed("nameplate serve --alt-domain a --alt-domain b --ephemeral --log-format json").unwrap();
    let Verb::Serve(serve) = given.verb else { panic!("not serve") };
    let texts = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        serve.flags(),
        [("alt_domain", texts(&["a", "b"])), ("ephemeral", texts(&["true"])), ("log_format", texts(&["json"]))]
    );
}

#[test]
fn every_flag_of_serve_is_a_setting() {
    let command = CommandLine::command();
    let serve = command.find_subcommand("serve").unwrap();
    let reference = crate::config::REFERENCE;
    for flag in serve.get_arguments().filter_map(|argument| argument.get_long()) {
        let key = flag.replace('-', "_");
        let known = reference.lines().any(|line| line.trim_start_matches('#').starts_with(&format!("{key} = ")));
        assert!(known || matches!(flag, "config" | "help"), "--{flag}");
    }
    let all = ServeArgs {
        dns: vec!["x".into()],
        docker_dns: Some("x".into()),
        http: Some("x".into()),
        http_tls_cert: Some("x".into()),
        http_tls_key: Some("x".into()),
        http_tls_client_ca: Some("x".into()),
        http_hosts: vec!["x".into()],
        access: Some("x".into()),
        access_anonymous: Some("x".into()),
        access_tokens: Some("x".into()),
        domain: Some("x".into()),
        alt_domain: vec!["x".into()],
        datacenter: Some("x".into()),
        node: Some("x".into()),
        advertise: vec!["x".into()],
        workers: Some("x".into()),
        data_dir: Some("x".into()),
        ephemeral: true,
        store: Some("x".into()),
        store_adopt: Some("x".into()),
        etcd_services: Some("x".into()),
        etcd_skydns: Some("x".into()),
        zones: Some("x".into()),
        services: Some("x".into()),
        docker: Some("x".into()),
        docker_address: Some("x".into()),
        docker_ip: Some("x".into()),
        docker_ip_label: Some("x".into()),
        docker_network: Some("x".into()),
        docker_explicit: true,
        docker_tags: Some("x".into()),
        docker_name: Some("x".into()),
        docker_deregister: Some("x".into()),
        forward: vec!["x".into()],
        log: Some("x".into()),
        log_format: Some("x".into()),
        config: None,
    };
    let flags = serve.get_arguments().filter(|argument| !matches!(argument.get_id().as_str(), "config" | "help"));
    assert_eq!(all.flags().len(), flags.count());
}

#[test]
fn completions_know_the_verbs() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let shell: clap_complete::Shell = shell.parse().unwrap();
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut CommandLine::command(), "nameplate", &mut script);
        assert!(String::from_utf8(script).unwrap().contains("deregister"), "{shell}");
    }
}

#[test]
fn a_zone_that_would_be_refused_is_a_no() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("example.zone");
    let line = format!("nameplate zone check {} --domain internal", file.display());
    let zone = "$TTL 60\n@ SOA ns hostmaster 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n";
    std::fs::write(&file, zone).unwrap();
    assert_eq!(run_alone(&line).unwrap(), Verdict::Done);
    std::fs::write(&file, format!("{zone}www A 192.0.2\n")).unwrap();
    assert_eq!(run_alone(&line).unwrap(), Verdict::No);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(run_alone(&line).unwrap(), Verdict::No);
}

#[test]
fn a_file_is_checked_by_itself_and_every_problem_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("nameplate.toml");
    let line = format!("nameplate config check {}", file.display());
    std::fs::write(&file, "domain = \"example\"\nephemeral = true\n").unwrap();
    assert_eq!(run_alone(&line).unwrap(), Verdict::Done);
    std::fs::write(&file, "domian = 1\nttl = \"x\"\nephemeral = true\n").unwrap();
    let error = run_alone(&line).unwrap_err();
    assert_eq!(error.to_string().lines().count(), 2, "{error}");
    assert_eq!(exit_code(&error), ExitCode::from(2));
    std::fs::remove_file(&file).unwrap();
    let error = format!("{:#}", run_alone(&line).unwrap_err());
    assert!(error.starts_with("cannot read the configuration file ") && error.contains("No such file"), "{error}");
}

#[test]
fn the_exit_code_tells_what_kind_of_failure_it_was() {
    let refused = |status| ClientError::Refused { status, message: String::new() }.into();
    let server = || "http://127.0.0.1:1".to_owned();
    for (error, code) in [
        (ClientError::Unreached { server: server(), problem: String::new() }.into(), 3),
        (ClientError::NotUnderstood { server: server(), problem: String::new() }.into(), 3),
        (ClientError::Server { server: server() }.into(), 2),
        (refused(400), 2),
        (refused(404), 1),
        (refused(503), 1),
        (anyhow::anyhow!("anything else"), 2),
    ] {
        assert_eq!(exit_code(&error), ExitCode::from(code), "{error:?}");
    }
}

#[test]
fn a_server_that_is_not_there_is_told_in_one_line() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = run_alone(&format!("nameplate services --server {server}")).unwrap_err();
    assert_eq!(exit_code(&error), ExitCode::from(3));
    let text = format!("{error:#}");
    assert!(text.starts_with(&format!("cannot reach {server}: Connection refused")), "{text}");
    assert_eq!(text.lines().count(), 1);
}
