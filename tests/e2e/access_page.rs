//! docs/access.md, followed literally: its calls with the real curl, and its commands with the files that it shows.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::{
    page::{Learned, examples},
    sandbox::{Sandbox, scenario},
    server::serve,
    until::{SOON, until},
};

#[test]
fn the_calls_of_the_access_page_answer_what_it_shows() {
    scenario("access-page", |sandbox| {
        sandbox.needs(&["curl"], "curl");
        let options = "--ephemeral --forward off --docker off --node n1 --advertise 192.0.2.1 --access on";
        let _server = serve(sandbox, options);
        // What curl adds to each command stands in its own file, so that the page's are run as they are.
        sandbox.write(".curlrc", "silent\nshow-error\nwrite-out = \"\\n%{http_code}\"\nmax-time = 20\n");
        let calls = examples(include_str!("../../docs/access.md"));
        assert!(calls.len() >= 6, "{} calls were found", calls.len());
        let mut learned = Learned::default();
        for call in &calls {
            let command = learned.command(call);
            let printed = sandbox.run(&format!("N=http://127.0.0.1:8500\n{command}"));
            let (body, status) = printed.rsplit_once('\n').expect("curl prints the status last");
            let compared = learned.compare(call, status.parse().unwrap(), body);
            compared.unwrap_or_else(|problem| panic!("$ {command}\n{problem}"));
        }
    });
}

#[test]
fn the_commands_of_the_access_page_do_what_it_says() {
    scenario("access-page-tls", |sandbox| {
        let page = include_str!("../../docs/access.md");
        let commands: Vec<&str> = blocks(page, "sh").filter(|block| block.starts_with("nameplate ")).collect();
        let [both] = commands[..] else { panic!("one block of commands, not {commands:?}") };
        let [serves, asks] = both.lines().collect::<Vec<_>>()[..] else { panic!("a server and a client: {both}") };
        let tokens = blocks(page, "toml").find(|block| block.contains("[token.")).expect("a tokens file");
        sandbox.write("tokens.toml", tokens);
        sandbox.run("ip address add 192.0.2.10/32 dev lo");
        certificates(sandbox, "192.0.2.10");

        let _server = sandbox.start("nameplate", &format!("{serves} --docker off --forward off"));
        until("the server answers over TLS", SOON, || sandbox.attempt(asks).status.success().then_some(()));
        let without = sandbox.attempt(asks.split(" --token ").next().unwrap());
        assert!(without.status.success(), "callers without a token may look, as the page's policy `look` says");
        let register = asks.replace("nameplate services", "nameplate register shop --port 80");
        assert!(!sandbox.attempt(&register).status.success(), "the page's `deploy` is for what begins with web");
        let register = asks.replace("nameplate services", "nameplate register web-1 --port 80");
        sandbox.run(&register);
    });
}

/// `ca.crt`, and `server.crt` with `server.key` that it has signed for this address.
fn certificates(sandbox: &Sandbox, address: &str) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let (own, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    sandbox.write("ca.crt", &authority.self_signed(&own).unwrap().pem());
    let issuer = Issuer::new(authority, own);
    let server = CertificateParams::new(vec![address.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    sandbox.write("server.crt", &server.pem());
    sandbox.write("server.key", &key.serialize_pem());
}

fn blocks<'a>(page: &'a str, language: &str) -> impl Iterator<Item = &'a str> {
    let opened = format!("```{language}\n");
    let starts: Vec<usize> = page.match_indices(&opened).map(|(at, _)| at + opened.len()).collect();
    starts.into_iter().filter_map(|at| page[at..].split("```").next())
}
