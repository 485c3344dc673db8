//! What follows changed files, and what does not.

use std::{fs, path::Path};

use hickory_proto::{op::ResponseCode, rr::RecordType};
use nameplate::daemon::{Server, Why};
use rustix::process::Signal;
use serde_json::json;
use tempfile::tempdir;

use crate::harness::{Client, Running, serve, start, start_from, until};

const ZONE: &str = "$ORIGIN corp.example.\n$TTL 60\n@ SOA ns host 1 60 60 60 60\n@ NS ns\nns A 192.0.2.53\n";

/// Has the server look at its files until it is so.
async fn looks_until(server: &mut Server, what: &str, mut reached: impl AsyncFnMut() -> bool) {
    until(what, async || {
        server.reload(Why::Looked).await;
        reached().await
    })
    .await;
}

/// Writes a file as one should: under another name first.
fn write(path: &Path, text: &str) {
    let other = path.with_extension("new");
    fs::write(&other, text).unwrap();
    fs::rename(other, path).unwrap();
}

async fn answers(at: Client, name: &str, data: &str) -> bool {
    at.addresses(name).await == [data]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_zone_is_served_and_a_bad_one_leaves_the_last_good_one() {
    let zones = tempdir().unwrap();
    let file = zones.path().join("corp.zone");
    write(&file, &format!("{ZONE}www A 192.0.2.1\n"));
    let Running { mut server, at } = start(&format!("zones = {:?}", zones.path())).await;
    server.reload(Why::Looked).await;
    assert!(answers(at, "www.corp.example.", "192.0.2.1").await);
    write(&file, &format!("{ZONE}www A 192.0.2.2\n"));
    looks_until(&mut server, "the change", async || answers(at, "www.corp.example.", "192.0.2.2").await).await;
    write(&file, &format!("{ZONE}www A 192.0.2.300\n"));
    write(&zones.path().join("more.zone"), "$ORIGIN more.example.\n@ 60 SOA ns host 1 60 60 60 60\n@ 60 A 192.0.2.7\n");
    looks_until(&mut server, "the other file", async || answers(at, "more.example.", "192.0.2.7").await).await;
    assert!(answers(at, "www.corp.example.", "192.0.2.2").await, "the last good one");
    fs::remove_file(&file).unwrap();
    looks_until(&mut server, "the zone is gone", async || {
        at.ask("www.corp.example.", RecordType::A).await.rcode == ResponseCode::Refused
    })
    .await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_a_zone_includes_is_watched_too() {
    let zones = tempdir().unwrap();
    let included = zones.path().join("hosts.part");
    write(&included, "www A 192.0.2.1\n");
    write(&zones.path().join("corp.zone"), &format!("{ZONE}$INCLUDE hosts.part\n"));
    let Running { mut server, at } = start(&format!("zones = {:?}", zones.path())).await;
    server.reload(Why::Looked).await;
    assert!(answers(at, "www.corp.example.", "192.0.2.1").await);
    write(&included, "www A 192.0.2.22\n");
    looks_until(&mut server, "the change", async || answers(at, "www.corp.example.", "192.0.2.22").await).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_serial_rises_with_every_change_of_the_zone() {
    let Running { server, at } = start("").await;
    let serial = async || {
        let answered = at.ask("internal.", RecordType::SOA).await;
        answered.data[0].split(' ').nth(2).unwrap().parse::<u32>().unwrap()
    };
    let mut last = serial().await;
    for number in 0..5 {
        at.register(json!({ "Name": "web", "Address": format!("192.0.2.{number}"), "Port": 80 })).await;
        let now = serial().await;
        assert!(now > last, "{now} after {last}");
        last = now;
    }
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn service_files_are_followed_and_a_bad_one_keeps_what_it_said() {
    let services = tempdir().unwrap();
    let (web, db) = (services.path().join("web.toml"), services.path().join("db.json"));
    write(&web, "[[services]]\nname = \"web\"\naddress = \"192.0.2.1\"\nport = 80\n");
    let Running { server, at } = start(&format!("services = {:?}", services.path())).await;
    until("the first file", async || answers(at, "web.service.internal.", "192.0.2.1").await).await;
    write(&db, r#"{"service": {"Name": "db", "Address": "192.0.2.5", "Port": 5432}}"#);
    until("a file that came", async || answers(at, "db.service.internal.", "192.0.2.5").await).await;
    write(&web, "[[services]]\nname = \"web\"\naddress = \"192.0.2.22\"\nport = 80\n");
    until("a change", async || answers(at, "web.service.internal.", "192.0.2.22").await).await;
    write(&web, "[[services]\nname = \"web\"\n");
    fs::remove_file(&db).unwrap();
    until("a file that went", async || {
        at.ask("db.service.internal.", RecordType::A).await.rcode == ResponseCode::NXDomain
    })
    .await;
    assert!(answers(at, "web.service.internal.", "192.0.2.22").await, "what the bad file last said");
    let refused = at.put("/v1/agent/service/deregister/web", "").await;
    assert_eq!(refused.status, 400, "another source owns it");
    at.register(json!({ "Name": "web", "Address": "192.0.2.99", "Port": 80 })).await;
    assert!(answers(at, "web.service.internal.", "192.0.2.99").await, "the API goes first");
    assert_eq!(at.json("/v1/agent/service/web").await["Shadowed"], json!(["file"]));
    assert_eq!(at.put("/v1/agent/service/deregister/web", "").await.status, 200);
    assert!(answers(at, "web.service.internal.", "192.0.2.22").await, "the file's steps in");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_the_first_list_an_unknown_name_is_servfail() {
    let parent = tempdir().unwrap();
    let services = parent.path().join("services");
    let Running { server, at } = start(&format!("services = {services:?}")).await;
    at.register(json!({ "Name": "known", "Address": "192.0.2.1", "Port": 80 })).await;
    for name in ["web.service.internal.", "web."] {
        let answered = at.ask(name, RecordType::A).await;
        assert_eq!((answered.rcode, answered.extended.unwrap().0), (ResponseCode::ServFail, 14), "{name}");
    }
    assert!(answers(at, "known.service.internal.", "192.0.2.1").await);
    let ready = at.get("/v1/status/ready").await;
    assert_eq!((ready.status, &ready.json()["Ready"]), (503, &json!(false)));
    assert_eq!(
        at.metric(&format!("nameplate_source_synced{{source={:?}}}", format!("file {}", services.display()))).await,
        0.0
    );
    fs::create_dir(&services).unwrap();
    until("it has synced", async || at.get("/v1/status/ready").await.status == 200).await;
    assert_eq!(at.ask("web.service.internal.", RecordType::A).await.rcode, ResponseCode::NXDomain);
    assert_eq!(
        at.metric(&format!("nameplate_source_synced{{source={:?}}}", format!("file {}", services.display()))).await,
        1.0
    );
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_files_registered_is_known_at_once_after_a_restart() {
    let (data, parent) = (tempdir().unwrap(), tempdir().unwrap());
    let services = parent.path().join("services");
    fs::create_dir(&services).unwrap();
    write(&services.join("web.toml"), "[[services]]\nname = \"web\"\naddress = \"192.0.2.1\"\nport = 80\n");
    let toml = format!("data_dir = {:?}\nservices = {services:?}", data.path());
    let Running { server, at } = start(&toml).await;
    until("the file", async || answers(at, "web.service.internal.", "192.0.2.1").await).await;
    server.shutdown().await;
    fs::rename(&services, parent.path().join("away")).unwrap();
    let Running { server, at } = start(&toml).await;
    assert!(answers(at, "web.service.internal.", "192.0.2.1").await, "the last known state is served");
    fs::create_dir(&services).unwrap();
    until("an empty directory is a list too", async || {
        at.ask("web.service.internal.", RecordType::A).await.rcode == ResponseCode::NXDomain
    })
    .await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_configuration_is_in_force_without_a_restart() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("nameplate.toml");
    write(&file, "ttl = \"5s\"\n");
    let Running { mut server, at } = start_from(&file).await;
    server.reload(Why::Looked).await;
    at.register(json!({ "Name": "web", "Address": "192.0.2.1", "Port": 80 })).await;
    let ttl = async || at.ask("web.service.internal.", RecordType::A).await.message.answers[0].ttl;
    assert_eq!(ttl().await, 5);
    write(&file, "ttl = \"17s\"\nalt_domain = [\"consul\"]\n");
    looks_until(&mut server, "the TTL", async || ttl().await == 17).await;
    assert!(answers(at, "web.service.consul.", "192.0.2.1").await);
    write(&file, "ttl = \"soon\"\n");
    server.reload(Why::Told).await;
    assert_eq!(ttl().await, 17, "a wrong file changes nothing");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_reads_everything_and_names_what_waits_for_a_restart() {
    let (home, zones) = (tempdir().unwrap(), tempdir().unwrap());
    let (config, zone) = (home.path().join("nameplate.toml"), zones.path().join("corp.zone"));
    fs::write(&config, "ttl = \"5s\"\ndatacenter = \"dc1\"\n").unwrap();
    fs::write(&zone, format!("{ZONE}www A 192.0.2.1\n")).unwrap();
    let arguments = ["-c", config.to_str().unwrap(), "--zones", zones.path().to_str().unwrap(), "--ephemeral"];
    let mut served = serve(&home, &arguments).await;
    let at = served.at;
    fs::write(&config, "ttl = \"21s\"\ndatacenter = \"dc2\"\n").unwrap();
    fs::write(&zone, format!("{ZONE}www A 192.0.2.2\n")).unwrap();
    served.signal(Signal::HUP);
    until("both are read", async || {
        let ttl = at.ask("n1.node.internal.", RecordType::A).await.message.answers.first().map(|record| record.ttl);
        ttl == Some(21) && answers(at, "www.corp.example.", "192.0.2.2").await
    })
    .await;
    until("the warning", async || served.complaints().contains("datacenter")).await;
    assert!(served.complaints().contains("next start"), "{}", served.complaints());
    assert!(answers(at, "n1.node.dc1.internal.", at.addresses("n1.node.internal.").await[0].as_str()).await);
    fs::write(&zone, format!("{ZONE}www A oops\n")).unwrap();
    served.signal(Signal::HUP);
    until("the bad zone is told with its line", async || served.complaints().contains("line 6")).await;
    until("and what holds", async || served.complaints().contains("stays in service")).await;
    assert!(answers(at, "www.corp.example.", "192.0.2.2").await);
    fs::remove_file(&config).unwrap();
    until("a file that is gone is told with the cause", async || {
        let told = served.complaints();
        told.contains("nameplate.toml: No such file") && told.contains("the configuration stays as it was")
    })
    .await;
    assert_eq!(served.stop().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_by_http_has_everything_read_again() {
    let home = tempdir().unwrap();
    let config = home.path().join("nameplate.toml");
    fs::write(&config, "ttl = \"5s\"\n").unwrap();
    let mut served = serve(&home, &["-c", config.to_str().unwrap(), "--ephemeral"]).await;
    let reads = async || {
        let page = served.at.get("/metrics").await.body;
        let lines = page.lines().filter(|line| line.starts_with("nameplate_reloads_total") && line.contains("config"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
    };
    let before = reads().await;
    assert_eq!(served.at.put("/v1/agent/reload", "").await.status, 200);
    until("the unchanged configuration is read", async || reads().await > before).await;
    let page = served.at.put("/v1/agent/leave", "").await;
    assert_eq!(page.status, 403, "{}", page.body);
    assert_eq!(served.stop().await.code(), Some(0));
}
