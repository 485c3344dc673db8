//! Checks, compose, and what comes out besides registrations.

use super::{
    super::testing::{
        Document, around, check_line, further_names, host, internal, lines, only, running, settings, web,
    },
    *,
};
use crate::catalog::{check::CheckStatus, policy::ScriptChecks};

/// The checks of `web` with these keys, and the warnings without their beginning.
#[track_caller]
fn check(env: &[&str], expected: &[&str], warnings: &[&str]) {
    let document = env.iter().fold(web(), |document, variable| document.env(variable));
    check_of(&document, expected, warnings);
}

#[track_caller]
fn check_of(document: &Document, expected: &[&str], warnings: &[&str]) {
    let mapped = map(&document.container(), &host(), &around());
    let checks = mapped.registrations.iter().flat_map(|registration| &registration.checks);
    assert_eq!(checks.map(check_line).collect::<Vec<_>>(), expected);
    let told: Vec<_> = mapped.warnings.iter().map(|text| text.split_once(": ").unwrap().1).collect();
    assert_eq!(told, warnings);
}

#[test]
fn an_http_check_is_of_the_path_at_what_is_registered() {
    let line = |target: &str| format!("service:n1:web:80 critical http {target} 10/10");
    check(&["SERVICE_CHECK_HTTP=/health"], &[&line("http://192.0.2.101:8080/health")], &[]);
    check(&["SERVICE_CHECK_HTTP=health?a=b"], &[&line("http://192.0.2.101:8080/health?a=b")], &[]);
    check(&["SERVICE_80_CHECK_HTTPS=/"], &[&line("https://192.0.2.101:8080/")], &[]);
    check(&["SERVICE_81_CHECK_HTTPS=/"], &[], &[]);
    let six = running("web", "nginx").publish("80/tcp", &[":::8080"]).env("SERVICE_CHECK_HTTP=/");
    check_of(&six, &[&line("http://[2001:db8::101]:8080/")], &[]);
}

#[test]
fn the_method_is_that_of_the_scheme_or_the_general_one() {
    let method = |env: &[&str]| {
        let document = env.iter().fold(web(), |document, variable| document.env(variable));
        let registration = only(&document, &host());
        match &registration.checks[0].definition.kind {
            CheckKind::Http(http) => (http.method.to_string(), http.tls_skip_verify),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(method(&["SERVICE_CHECK_HTTP=/"]), ("GET".to_owned(), false));
    assert_eq!(method(&["SERVICE_CHECK_HTTP=/", "SERVICE_CHECK_HTTP_METHOD=head"]), ("HEAD".to_owned(), false));
    let https = ["SERVICE_CHECK_HTTPS=/", "SERVICE_CHECK_HTTPS_METHOD=POST", "SERVICE_CHECK_TLS_SKIP_VERIFY=true"];
    assert_eq!(method(&https), ("POST".to_owned(), true));
    assert_eq!(method(&["SERVICE_CHECK_HTTPS=/", "SERVICE_CHECK_METHOD=PUT"]), ("PUT".to_owned(), false));
}

#[test]
fn a_tcp_check_is_asked_for_by_any_value() {
    for value in ["true", "false", "8080"] {
        let line = "service:n1:web:80 critical tcp 192.0.2.101:8080 10/10";
        check(&[&format!("SERVICE_CHECK_TCP={value}")], &[line], &[]);
    }
    check(&["SERVICE_CHECK_TCP="], &[], &[]);
}

#[test]
fn a_ttl_check_is_a_deadline() {
    check(&["SERVICE_CHECK_TTL=30s", "SERVICE_CHECK_INTERVAL=5s"], &["service:n1:web:80 critical ttl  0/0"], &[]);
    let registration = only(&web().env("SERVICE_CHECK_TTL=30s"), &host());
    let period = std::time::Duration::from_secs(30);
    assert_eq!(registration.checks[0].definition.kind, CheckKind::Deadline(period));
}

#[test]
fn spans_and_the_first_status_are_as_given() {
    let keys = [
        "SERVICE_CHECK_TCP=1",
        "SERVICE_CHECK_INTERVAL=15s",
        "SERVICE_CHECK_TIMEOUT=2s",
        "SERVICE_CHECK_INITIAL_STATUS=passing",
        "SERVICE_CHECK_DEREGISTER_AFTER=10m",
    ];
    check(&keys, &["service:n1:web:80 passing tcp 192.0.2.101:8080 15/2"], &[]);
    let document = keys.iter().fold(web(), |document, variable| document.env(variable));
    let after = only(&document, &host()).checks[0].definition.deregister_critical_service_after;
    assert_eq!(after, Some(std::time::Duration::from_secs(600)));
    let warning = "SERVICE_CHECK_INITIAL_STATUS: warning is a status";
    assert!(CheckStatus::parse("warning").is_some(), "{warning}");
}

#[test]
fn spans_below_the_least_are_raised_and_told() {
    check(
        &["SERVICE_CHECK_TCP=1", "SERVICE_CHECK_INTERVAL=100ms", "SERVICE_CHECK_DEREGISTER_AFTER=5s"],
        &["service:n1:web:80 critical tcp 192.0.2.101:8080 1/10"],
        &[
            "SERVICE_CHECK_INTERVAL: raised from 100ms to 1s; set it so",
            "SERVICE_CHECK_DEREGISTER_AFTER: raised from 5s to 1m; set it so",
        ],
    );
}

#[test]
fn what_cannot_be_read_is_left_out_and_the_service_is_registered() {
    check(
        &["SERVICE_CHECK_TCP=1", "SERVICE_CHECK_INTERVAL=10", "SERVICE_CHECK_INITIAL_STATUS=up"],
        &["service:n1:web:80 critical tcp 192.0.2.101:8080 10/10"],
        &[
            "SERVICE_CHECK_INTERVAL: a duration needs a unit: ns, us, ms, s, m or h, as in 10s; it is not used",
            "SERVICE_CHECK_INITIAL_STATUS: \"up\" is not used; write passing, warning or critical",
        ],
    );
    let left_out = |env: &[&str], problem: &str| {
        check(env, &[], &[&format!("{problem}; the service is registered without this check")]);
    };
    left_out(
        &["SERVICE_CHECK_TTL=soon"],
        "SERVICE_CHECK_TTL: a duration is written as numbers with units, as in 1m30s",
    );
    left_out(&["SERVICE_CHECK_TTL=0"], "SERVICE_CHECK_TTL: a check deadline must be longer than 0s");
    left_out(&["SERVICE_CHECK_HTTP=/a b"], "SERVICE_CHECK_HTTP: \"/a b\" is not the path of a URL");
    let method = ["SERVICE_CHECK_HTTP=/", "SERVICE_CHECK_HTTP_METHOD=G T"];
    left_out(&method, "SERVICE_CHECK_HTTP: \"G T\" is not a request method such as GET");
    let worker = running("worker", "celery").on("bridge", "172.17.0.5/16").env("SERVICE_CHECK_TCP=1");
    let mapped = map(&worker.container(), &settings(), &around());
    let warning = "container worker: SERVICE_CHECK_TCP: the service has no port that could be probed; name one in \
                   SERVICE_PORTS; the service is registered without this check";
    assert_eq!((lines(&mapped).len(), &mapped.warnings[..]), (1, &[warning.to_owned()][..]));
}

#[test]
fn the_first_kind_counts() {
    let all = ["GRPC", "TCP", "TTL", "SCRIPT", "CMD", "HTTPS", "HTTP"];
    let document = all.iter().fold(web(), |document, kind| document.env(&format!("SERVICE_CHECK_{kind}=/")));
    check_of(&document, &["service:n1:web:80 critical http http://192.0.2.101:8080/ 10/10"], &[]);
}

#[test]
fn commands_are_checks_where_they_are_enabled() {
    let enabled = Settings { script_checks: ScriptChecks::All, ..host() };
    let of = |env: &str| map(&web().env(env).container(), &enabled, &around());
    let args = |env: &str| {
        let mapped = of(env);
        assert_eq!(mapped.warnings, [""; 0]);
        let check = mapped.registrations[0].checks[0].clone();
        assert_eq!(check_line(&check), "service:n1:web:80 critical script  10/10");
        match &check.definition.kind {
            CheckKind::Script(script) => script.args.iter().map(|arg| arg.to_string()).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    let script = r#"SERVICE_CHECK_SCRIPT=probe "x $SERVICE_IP" --port=$SERVICE_PORT $HOME"#;
    assert_eq!(args(script), ["probe", "x 192.0.2.101", "--port=8080", "$HOME"]);
    assert_eq!(args("SERVICE_CHECK_CMD=/bin/x -y"), ["check-cmd", "4bcff63911fc", "80", "/bin/x -y"]);
    let broken = of("SERVICE_CHECK_SCRIPT=probe 'x");
    assert_eq!((broken.registrations[0].checks.len(), broken.warnings.len()), (0, 1));
    assert!(broken.warnings[0].contains("SERVICE_CHECK_SCRIPT: a quote is not closed; "), "{:?}", broken.warnings);
}

#[test]
fn commands_that_are_not_enabled_are_kept_with_one_warning_a_container() {
    let warning = |key: &str| {
        format!(
            "{key}: scripts are disabled on this agent, so that no status depends on this check; set \
             enable_script_checks, or use CHECK_HTTP or CHECK_TCP"
        )
    };
    let not_run = "not run: scripts are disabled on this agent; to enable, set enable_script_checks";
    let line = format!("service:n1:web:80 passing   0/0 {not_run}");
    let script = ["SERVICE_CHECK_SCRIPT=probe $SERVICE_IP:$SERVICE_PORT", "SERVICE_CHECK_INITIAL_STATUS=critical"];
    check(&script, &[&line], &[&warning("SERVICE_CHECK_SCRIPT")]);
    check(&["SERVICE_CHECK_CMD=x"], &[&line], &[&warning("SERVICE_CHECK_CMD")]);
    let two = web().publish("81/tcp", &["0.0.0.0:81"]).env("SERVICE_CHECK_SCRIPT=x").env("SERVICE_81_CHECK_CMD=x");
    for scripts in [ScriptChecks::Off, ScriptChecks::Files] {
        let mapped = map(&two.container(), &Settings { script_checks: scripts, ..host() }, &around());
        assert_eq!((mapped.registrations.len(), mapped.warnings.len()), (2, 1));
    }
}

#[test]
fn a_grpc_check_is_asked_for_by_any_value() {
    let line = "service:n1:web:80 critical grpc 192.0.2.101:8080 10/10";
    check(&["SERVICE_CHECK_GRPC=true"], &[line], &[]);
    let tls = |env: &[&str]| {
        let document = env.iter().fold(web(), |document, variable| document.env(variable));
        match &only(&document, &host()).checks[0].definition.kind {
            CheckKind::Grpc(grpc) => (grpc.use_tls, grpc.tls_skip_verify),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(tls(&["SERVICE_CHECK_GRPC=1"]), (false, false));
    let both = ["SERVICE_CHECK_GRPC=1", "SERVICE_CHECK_GRPC_USE_TLS=true", "SERVICE_CHECK_TLS_SKIP_VERIFY=true"];
    assert_eq!(tls(&both), (true, true));
}

#[test]
fn a_container_that_publishes_nothing_is_probed_in_its_network() {
    let db = running("db", "postgres").on("bridge", "172.17.0.3/16").expose("5432/tcp").env("SERVICE_CHECK_TCP=1");
    let line = "service:n1:db:5432 critical tcp 172.17.0.3:5432 10/10";
    assert_eq!(only(&db, &settings()).checks.iter().map(check_line).collect::<Vec<_>>(), [line]);
    assert_eq!(only(&db, &internal()).checks.iter().map(check_line).collect::<Vec<_>>(), [line]);
}

#[test]
fn a_healthcheck_goes_beside_a_check_by_key() {
    let both = web().env("SERVICE_CHECK_TTL=10s").with("State.Health", serde_json::json!({"Status": "healthy"}));
    let ids: Vec<_> = only(&both, &settings()).checks.iter().map(|check| check.id.to_string()).collect();
    assert_eq!(ids, ["service:n1:web:80", "docker-health:n1:web:80"]);
}

#[test]
fn the_statuses_that_docker_tells_are_set_besides() {
    let sick = web().env("SERVICE_CHECK_TTL=10s").state("paused");
    let sick = sick.with("State.Health", serde_json::json!({"Status": "unhealthy", "Log": [{"Output": "no disk"}]}));
    let results = map(&sick.container(), &settings(), &around()).results();
    let told: Vec<_> = results.iter().map(|(key, result)| format!("{} {}", key.id, result.status.as_str())).collect();
    assert_eq!(told, ["docker-health:n1:web:80 critical", "docker-state:n1:web:80 critical"]);
}

#[test]
fn a_long_output_is_cut_between_characters() {
    let long = "é".repeat(3000);
    let sick =
        web().with("State.Health", serde_json::json!({"Status": "unhealthy", "Log": [{"Output": format!("x{long}")}]}));
    let registration = only(&sick, &settings());
    assert_eq!(registration.checks[0].shown_output().len(), 4095);
}

fn compose(document: Document) -> Document {
    document.label("com.docker.compose.project", "shop").label("com.docker.compose.service", "web")
}

#[track_caller]
fn check_names(document: &Document, expected: &[&str]) {
    let mapped = map(&document.container(), &settings(), &around());
    assert_eq!(further_names(&mapped), expected);
    for registration in &mapped.registrations {
        let names = registration.instance.further_names.iter().enumerate();
        assert!(names.into_iter().all(|(at, further)| further.stands_for_id == (at == 0)), "the container's own does");
    }
}

#[test]
fn further_names_are_the_containers_and_composes() {
    check_names(&web(), &["web"]);
    check_names(&compose(web().with("Name", "/shop-web-1".into())), &["shop-web-1", "web.shop", "web"]);
    check_names(&compose(web()), &["web", "web.shop"]);
    check_names(&web().label("com.docker.compose.service", "api"), &["web", "api"]);
    check_names(&web().label("com.docker.compose.project", "shop"), &["web"]);
    check_names(&web().env("SERVICE_IGNORE=1"), &[]);
}

#[test]
fn composes_instances_of_a_service_share_its_names() {
    for number in ["1", "2", "3"] {
        let web = web().with("Name", format!("/shop-web-{number}").into());
        let web = compose(web).label("com.docker.compose.container-number", number);
        check_names(&web, &[&format!("shop-web-{number}"), "web.shop", "web"]);
    }
}

#[test]
fn one_off_runs_are_nobodys_servers() {
    let run = compose(web().env("SERVICE_NAME=web")).label("com.docker.compose.oneoff", "True");
    let mapped = map(&run.container(), &settings(), &around());
    let reason = "is a one-off run of a compose service".to_owned();
    assert_eq!((mapped.fate, mapped.registrations.len()), (Fate::Gone(reason), 0));
    let server = compose(web()).label("com.docker.compose.oneoff", "False");
    assert_eq!(map(&server.container(), &settings(), &around()).registrations.len(), 1);
}

#[test]
fn who_is_left_out_says_why() {
    let reason = "has no port or address by which it is reached, or its keys or settings leave it out".to_owned();
    let mapped = map(&web().env("SERVICE_IGNORE=1").container(), &settings(), &around());
    assert_eq!(mapped.fate, Fate::Gone(reason));
    assert_eq!(map(&web().container(), &settings(), &around()).fate, Fate::Registered);
}

#[test]
fn an_instance_is_dockers_and_on_our_node() {
    let registration = only(&web().env("SERVICE_CHECK_TTL=10s"), &settings());
    let check = &registration.checks[0];
    assert_eq!((registration.instance.origin, check.origin), (Origin::Docker, Origin::Docker));
    assert_eq!((registration.instance.node.as_str(), check.node.as_str()), ("n1", "n1"));
    assert_eq!(check.service_id.as_ref(), Some(&registration.instance.id));
}
