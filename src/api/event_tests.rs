use serde_json::{Value, json};

use crate::api::harness::{Answer, start};

#[tokio::test]
async fn events_are_fired_and_listed_by_name() {
    let server = start().await;
    let empty = server.get("/v1/event/list").await;
    assert_eq!((empty.json(), empty.index()), (json!([]), 1));
    let fired = server.put("/v1/event/fire/deploy?node=n.*&tag=blue", "1.2").await.json();
    let shown = json!([fired["Name"], fired["Payload"], fired["NodeFilter"], fired["TagFilter"], fired["LTime"]]);
    assert_eq!(shown, json!(["deploy", "MS4y", "n.*", "blue", 0]));
    assert!(server.put("/v1/event/fire/other", "").await.json()["Payload"].is_null());
    let names = |answer: &Answer| -> Vec<Value> {
        answer.json().as_array().unwrap().iter().map(|event| event["Name"].clone()).collect()
    };
    for path in ["/v1/event/list", "/v1/events"] {
        assert_eq!(names(&server.get(path).await), ["deploy", "other"]);
    }
    let by_name = server.get("/v1/event/list?name=deploy").await;
    assert_eq!((names(&by_name), &by_name.json()[0]["LTime"]), (vec![json!("deploy")], &json!(1)));
    assert_eq!(by_name.index(), super::index_of(fired["ID"].as_str().unwrap()));
}

#[tokio::test]
async fn the_last_events_are_kept() {
    let server = start().await;
    for number in 1..=300 {
        assert_eq!(server.put(&format!("/v1/event/fire/e{number}"), "").await.status, 200);
    }
    let all = server.get("/v1/event/list").await.json();
    let all = all.as_array().unwrap();
    assert_eq!((all.len(), &all[0]["Name"], &all[255]["LTime"]), (256, &json!("e45"), &json!(300)));
}

#[test]
fn an_index_is_that_of_consul() {
    assert_eq!(super::index_of("b54fe110-7af5-cafc-d1fb-afc8ba432b1c"), 0xb54f_e110_7af5_cafc ^ 0xd1fb_afc8_ba43_2b1c);
}
