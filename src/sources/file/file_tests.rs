use std::fs;

use tempfile::TempDir;

use super::*;
use crate::{
    catalog::{definition, node::Node, policy::ScriptChecks},
    publish::publisher::{Publisher, Start},
};

/// A source on a directory of its own and a real publisher.
struct Bench {
    directory: TempDir,
    source: FileSource,
    feed: Feed,
    published: Arc<Published>,
    metrics: Arc<Metrics>,
}

fn node() -> NodeName {
    NodeName::new("n1").unwrap()
}

async fn bench() -> Bench {
    bench_with(ScriptChecks::Off).await
}

async fn bench_with(scripts: ScriptChecks) -> Bench {
    let (_, feed, published) = Publisher::start(Start::example(1)).unwrap();
    feed.submit(vec![Change::RegisterNode(Node::example("n1"))]).await.unwrap();
    let directory = TempDir::new().unwrap();
    let metrics = Arc::new(Metrics::new());
    let settings = FileSettings {
        directory: directory.path().to_owned(),
        node: node(),
        script_checks: scripts,
        stale_after: Duration::from_secs(30),
        metrics: Arc::clone(&metrics),
    };
    let (source, _) = FileSource::new(settings, feed.clone(), Arc::clone(&published));
    Bench { directory, source, feed, published, metrics }
}

impl Bench {
    /// Puts a file in place by renaming, as its readers are told to.
    fn write(&self, name: &str, text: &str) {
        let hidden = self.directory.path().join(".new");
        fs::write(&hidden, text).unwrap();
        fs::rename(hidden, self.directory.path().join(name)).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.directory.path().join(name)).unwrap();
    }

    async fn look(&mut self) {
        assert_eq!(self.source.step(Instant::now()).await, Server::Running);
    }

    /// The server starts anew: what was known of the files is gone, the catalog stays.
    fn restart(&mut self) {
        let settings = self.source.settings.clone();
        (self.source, _) = FileSource::new(settings, self.feed.clone(), Arc::clone(&self.published));
    }

    /// How many reloads were counted: those that took effect, and those in which something was refused.
    fn reloads(&self) -> [u64; 2] {
        let text = self.metrics.encode(crate::observe::exposition::Exposition::OpenMetrics);
        ["done", "refused"].map(|result| {
            let series = format!("nameplate_reloads_total{{what=\"services\",result=\"{result}\"}} ");
            text.lines().find_map(|line| line.strip_prefix(&series)).map_or(0, |count| count.parse().unwrap())
        })
    }

    /// IDs of what files have registered, sorted.
    fn ids(&self) -> Vec<String> {
        let mut ids: Vec<_> = self
            .published
            .load()
            .catalog
            .of_origin(&node(), Origin::File)
            .into_iter()
            .map(|key| key.id.to_string())
            .collect();
        ids.sort_unstable();
        ids
    }

    fn node_check_ids(&self) -> Vec<String> {
        node_checks(&self.published.load().catalog, &node()).map(|check| check.id.to_string()).collect()
    }

    fn reports(&self) -> Vec<String> {
        let directory = format!("{}/", self.directory.path().display());
        let text = |report: &Report| match report {
            Report::Error(text) | Report::Warning(text) => text.replace(&directory, ""),
        };
        self.source.reported.iter().map(text).collect()
    }
}

#[tokio::test]
async fn what_files_define_is_registered_and_what_they_drop_is_deregistered() {
    let mut bench = bench().await;
    bench.write("a.toml", "[[services]]\nname = \"web\"\nport = 80\n[[services]]\nname = \"db\"\n");
    bench.write("b.json", r#"{"service": {"name": "api", "check": {"ttl": "10s"}}}"#);
    bench.write("notes.txt", "not a definition");
    bench.look().await;
    assert_eq!(bench.ids(), ["api", "db", "web"]);
    assert!(bench.source.status.synced);
    bench.write("a.toml", "[[services]]\nname = \"web\"\nport = 80\n");
    bench.look().await;
    assert_eq!(bench.ids(), ["api", "web"]);
    bench.remove("b.json");
    bench.look().await;
    assert_eq!(bench.ids(), ["web"]);
}

#[tokio::test]
async fn commands_in_files_are_run_only_where_that_is_enabled() {
    for (scripts, taken) in [(ScriptChecks::Off, false), (ScriptChecks::Files, true), (ScriptChecks::All, true)] {
        let mut bench = bench_with(scripts).await;
        bench.write("a.toml", "[[services]]\nname = \"db\"\n[[services]]\nname = \"web\"\n[services.check]\nscript_args = [\"true\"]\ninterval = \"10s\"\n");
        bench.write("b.json", "{\"checks\": [\n{\"name\": \"d\", \"docker_container_id\": \"x\", \"args\": [\"y\"], \"interval\": \"1s\"}]}");
        bench.look().await;
        let cure = "scripts are disabled on this agent; to enable, set enable_script_checks, or for checks in files \
                    enable_local_script_checks";
        if taken {
            assert_eq!(
                (bench.ids(), bench.node_check_ids()),
                (vec!["db".to_owned(), "web".to_owned()], vec!["d".to_owned()])
            );
            continue;
        }
        let lines = [("a.toml line 3: check \"service:web\"", cure), ("b.json line 2: check \"d\"", cure)];
        let said = lines.map(|(place, cure)| format!("{place}: {cure}"));
        for expected in said {
            assert!(bench.reports().iter().any(|report| report.starts_with(&expected)), "{:?}", bench.reports());
        }
        assert_eq!(bench.ids(), [""; 0]);
    }
}

#[tokio::test]
async fn a_directory_that_did_not_change_changes_nothing() {
    let mut bench = bench().await;
    bench.write("a.toml", "service = { name = \"web\" }");
    bench.look().await;
    let index = bench.published.load().index();
    bench.look().await;
    bench.source.directory.forget();
    bench.look().await;
    assert_eq!(bench.published.load().index(), index);
}

#[tokio::test]
async fn each_reload_is_counted_once_with_what_came_of_it() {
    let mut bench = bench().await;
    bench.write("a.toml", "service = { name = \"web\" }");
    bench.look().await;
    bench.look().await;
    assert_eq!(bench.reloads(), [0, 0], "the first list is no reload");
    bench.write("a.toml", "service = { name = \"db\" }");
    bench.look().await;
    bench.look().await;
    assert_eq!(bench.reloads(), [1, 0]);
    bench.write("a.toml", "service = { nmae = \"db\" }");
    bench.look().await;
    bench.look().await;
    assert_eq!(bench.reloads(), [1, 1]);
    bench.remove("a.toml");
    bench.look().await;
    assert_eq!(bench.reloads(), [2, 1]);
}

#[tokio::test]
async fn a_bad_file_leaves_its_last_good_state_and_is_reported_with_its_line() {
    let mut bench = bench().await;
    bench.write("a.toml", "[[services]]\nname = \"web\"\n");
    bench.write("b.toml", "[[services]]\nname = \"db\"\n");
    bench.look().await;
    bench.write("a.toml", "[[services]]\nname = \"web\"\nprot = 80\n");
    bench.remove("b.toml");
    bench.look().await;
    assert_eq!(bench.ids(), ["web"]);
    assert_eq!(
        bench.reports(),
        ["a.toml line 3: services[0].prot: unknown field; did you mean Port?; what it last held stays in force"]
    );
    bench.write("a.toml", "[[services]]\nname = \n");
    bench.look().await;
    assert!(bench.reports()[0].starts_with("a.toml line 2: not TOML: "), "{:?}", bench.reports());
    bench.write("a.toml", "[[services]]\nname = \"other\"\n");
    bench.look().await;
    assert_eq!((bench.ids(), bench.reports()), (vec!["other".to_owned()], Vec::new()));
}

#[tokio::test]
async fn a_file_that_is_bad_at_the_start_keeps_what_files_had_registered() {
    let mut bench = bench().await;
    bench.write("a.toml", "service = { name = \"web\" }\ncheck = { name = \"disk\", ttl = \"1m\" }");
    bench.write("b.toml", "service = { name = \"db\" }");
    bench.look().await;
    bench.write("a.toml", "service = ");
    bench.remove("b.toml");
    bench.restart();
    bench.look().await;
    assert_eq!(
        (bench.ids(), bench.node_check_ids()),
        (vec!["db".to_owned(), "web".to_owned()], vec!["disk".to_owned()])
    );
    bench.write("a.toml", "service = { name = \"new\" }");
    bench.look().await;
    assert_eq!((bench.ids(), bench.node_check_ids()), (vec!["new".to_owned()], Vec::new()));
}

#[tokio::test]
async fn of_two_definitions_of_an_id_that_of_the_first_file_stands() {
    let mut bench = bench().await;
    bench.write("a.toml", "service = { name = \"web\", port = 1 }");
    bench.write("b.toml", "\nservice = { name = \"web\", port = 2 }");
    bench.look().await;
    let key = bench.published.load().catalog.of_origin(&node(), Origin::File).remove(0);
    let entry = Arc::clone(bench.published.load().catalog.instance(&key).unwrap());
    assert_eq!(entry.instance.default_port().map(|port| port.number), Some(1));
    assert_eq!(bench.reports(), ["b.toml line 2: left out: service ID \"web\" is defined in another file already"]);
    bench.write("b.toml", "[[services]]\nname = \"db\"\n[[services]]\nname = \"db\"\n");
    bench.look().await;
    let text = "b.toml line 3: services[1]: another service of this file has the ID";
    assert!(bench.reports().iter().any(|report| report.starts_with(text)), "{:?}", bench.reports());
}

#[tokio::test]
async fn checks_by_themselves_belong_to_a_service_of_the_files_or_to_the_node() {
    let mut bench = bench().await;
    bench.write(
        "a.json",
        r#"{"checks": [{"name": "disk", "ttl": "1m"}, {"name": "alive", "service_id": "web", "ttl": "1m"},
            {"name": "lost", "service_id": "none", "ttl": "1m"}]}"#,
    );
    bench.write("b.json", r#"{"service": {"name": "web", "check": {"ttl": "10s"}}}"#);
    bench.look().await;
    let published = bench.published.load();
    let key = published.catalog.of_origin(&node(), Origin::File).remove(0);
    let ids: Vec<_> =
        published.catalog.instance(&key).unwrap().checks.iter().map(|entry| entry.check.id.to_string()).collect();
    assert_eq!(ids, ["alive", "service:web"]);
    assert_eq!(bench.node_check_ids(), ["disk"]);
    assert_eq!(
        bench.reports(),
        ["a.json line 2: left out: check ID \"lost\" names service ID \"none\", which no file defines"]
    );
    bench.remove("a.json");
    bench.look().await;
    assert!(bench.node_check_ids().is_empty());
}

#[tokio::test]
async fn what_clashes_with_another_source_does_not_hold_up_the_rest() {
    let mut bench = bench().await;
    let owner = Owner { node: node(), origin: Origin::Api };
    let tree = definition::json::parse(br#"{"Name": "x", "Check": {"CheckID": "taken", "TTL": "1m"}}"#).unwrap();
    let other = definition::service(&tree, "", &owner).unwrap().value;
    bench.feed.submit(vec![Change::Register(Box::new(other))]).await.unwrap();
    bench.write("a.toml", "service = { name = \"web\", check = { check_id = \"taken\", ttl = \"1m\" } }");
    bench.look().await;
    assert_eq!(bench.ids(), ["web"]);
    assert_eq!(bench.reports(), ["a.toml line 1: left out: check ID \"taken\" was registered by the api source"]);
}

#[tokio::test]
async fn a_directory_that_cannot_be_read_keeps_all_and_turns_stale() {
    let mut bench = bench().await;
    bench.write("a.toml", "service = { name = \"web\" }");
    bench.look().await;
    let moved = bench.directory.path().with_extension("moved");
    fs::rename(bench.directory.path(), &moved).unwrap();
    let start = Instant::now();
    for (seconds, stale) in [(0, false), (29, false), (30, true)] {
        bench.source.step(start + Duration::from_secs(seconds)).await;
        assert_eq!((bench.source.status.stale, bench.ids()), (stale, vec!["web".to_owned()]));
    }
    fs::rename(&moved, bench.directory.path()).unwrap();
    bench.look().await;
    assert!(!bench.source.status.stale);
}

#[tokio::test]
async fn a_reload_is_heard_by_a_running_source() {
    let bench = bench().await;
    bench.write("a.toml", "service = { name = \"web\" }");
    let settings = bench.source.settings.clone();
    let (source, reload) = FileSource::new(settings, bench.feed.clone(), Arc::clone(&bench.published));
    let running = tokio::spawn(source.run());
    reload.reload();
    let mut ticket = bench.published.register(crate::publish::watch::WatchKey::Services);
    let listed = async {
        while bench.ids().is_empty() {
            ticket.changed().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), listed).await.expect("the file is read");
    let counted = async {
        while bench.reloads() != [1, 0] {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), counted).await.expect("the reload is counted");
    running.abort();
}

#[test]
fn toml_and_json_of_the_same_definition_are_the_same() {
    let owner = Owner { node: node(), origin: Origin::File };
    let toml = toml_tree::parse(
        "[[services]]\nid = \"w\"\nname = \"web\"\nport = 0x50\nmeta = { a = \"b\" }\n\n[[services.checks]]\nttl = \"5s\"\n",
    )
    .unwrap();
    let json = definition::json::parse(
        br#"{"Services": [{"ID": "w", "Name": "web", "Port": 80, "Meta": {"a": "b"}, "Checks": [{"TTL": "5s"}]}]}"#,
    )
    .unwrap();
    let read = |tree| definition::file(tree, &owner).unwrap().value.services.remove(0).value;
    assert_eq!(read(&toml), read(&json));
}

#[test]
fn toml_values_know_their_lines() {
    let owner = Owner { node: node(), origin: Origin::File };
    let line = |text: &str| definition::file(&toml_tree::parse(text).unwrap(), &owner).unwrap_err().line;
    assert_eq!(line("\n\n[[services]]\nname = \"a\"\n\n[[services]]\nport = 1\n"), 6);
    assert_eq!(line("[service]\nname = \"a\"\n[service.check]\nttl = 2020-01-01\n"), 4);
    assert_eq!(line("[service]\nname = \"a\"\ntags = [\n\"x\",\n1,\n]\n"), 5);
    assert_eq!(line("[service]\nname = \"a\"\nport = 99999999999999999999\n"), 3);
}

#[test]
fn the_example_of_the_page_is_accepted() {
    let page = include_str!("../../../docs/api.md");
    let example = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let owner = Owner { node: node(), origin: Origin::File };
    let found = definition::file(&toml_tree::parse(example).unwrap(), &owner).unwrap();
    assert_eq!((found.value.services.len(), found.notices), (1, Vec::new()));
}
