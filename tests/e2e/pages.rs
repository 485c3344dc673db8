//! The examples of the pages about HTTP, with the real curl, in the order of the page.

use std::{fs, path::Path};

use crate::{
    page::{Learned, examples},
    sandbox::{Sandbox, scenario},
    server::serve,
};

#[test]
fn each_example_of_the_api_page_answers_what_the_page_shows() {
    scenario("api-page", |sandbox| {
        let options = "--ephemeral --forward off --docker off --node n1 --advertise 192.0.2.1";
        let _server = serve(sandbox, options);
        let followed = follow(sandbox, "docs/api.md");
        assert!(followed >= 100, "each route has an example; {followed} were found");
    });
}

/// Runs the commands of a page, with `$N` as the server's usual address; each must answer what the page shows. Returns how many
/// there are.
pub fn follow(sandbox: &Sandbox, page: &str) -> usize {
    sandbox.needs(&["curl"], "curl");
    // What curl adds to each command stands in its own file, so that the page's are run as they are.
    sandbox.write(".curlrc", "silent\nshow-error\nwrite-out = \"\\n%{http_code}\"\nmax-time = 20\n");
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let mut learned = Learned::default();
    let examples = examples(&text);
    for example in &examples {
        let command = learned.command(example);
        let printed = sandbox.run(&format!("N=http://127.0.0.1:8500\n{command}"));
        let (body, status) = printed.rsplit_once('\n').expect("curl prints the status last");
        let compared = learned.compare(example, status.parse().unwrap(), body);
        compared.unwrap_or_else(|problem| panic!("{page}:\n$ {command}\n{problem}"));
    }
    examples.len()
}
