//! docs/access.md, followed literally: its calls with the real curl, and its commands with the files that it shows.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::{
    pages::follow,
    sandbox::{Sandbox, scenario},
    server::serve,
    until::{SOON, until},
};

#[test]
fn the_calls_of_the_access_page_answer_what_it_shows() {
    scenario("access-page", |sandbox| {
        let options = "--ephemeral --forward off --docker off --node n1 --advertise 192.0.2.1 --access on";
        let _server = serve(sandbox, options);
        let followed = follow(sandbox, "docs/access.md");
        assert!(followed >= 6, "{followed} calls were found");
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
