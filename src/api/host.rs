//! `GET /v1/agent/host`: the machine, as far as the kernel tells without being asked for long.
//!
//! **Limits:** Linux. What cannot be read is left at zero, and said in `Errors`.
//!
//! **Source:** the shape of Consul's `agent/debug/host.go`, whose names in small letters are gopsutil's.

use std::{fs, sync::Arc};

use axum::response::Response;
use serde_json::{Value, json};

use super::{
    Api,
    call::Call,
    respond::{ApiError, json},
};
use crate::observe::clock;

/// `GET /v1/agent/host`
pub(super) async fn host(_: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let read = || {
        let mut errors = Vec::new();
        let mut file = |path: &str| {
            let text = fs::read_to_string(path);
            text.map_err(|error| errors.push(format!("{path}: {error}"))).unwrap_or_default()
        };
        let (memory, cpus) = (memory(&file("/proc/meminfo")), cpus(&file("/proc/cpuinfo")));
        let uptime: f64 = file("/proc/uptime").split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0.0);
        let kernel = rustix::system::uname();
        let name = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        json!({
            "Memory": memory,
            "CPU": cpus,
            "Host": {
                "hostname": name(kernel.nodename()),
                "uptime": uptime as u64,
                "os": std::env::consts::OS,
                "kernelVersion": name(kernel.release()),
                "kernelArch": name(kernel.machine()),
            },
            "Disk": disk(&mut errors),
            "CollectionTime": clock::now(),
            "Errors": if errors.is_empty() { Value::Null } else { json!(errors) },
        })
    };
    let body = tokio::task::spawn_blocking(read).await.map_err(|error| ApiError::Failed(error.to_string()))?;
    json(&body, call.pretty())
}

/// Of `/proc/meminfo`, in bytes.
fn memory(text: &str) -> Value {
    let kibibytes = |name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    };
    let [total, available, free] = ["MemTotal", "MemAvailable", "MemFree"].map(|name| kibibytes(name) * 1024);
    let used = total.saturating_sub(available);
    json!({
        "total": total, "available": available, "used": used, "free": free, "usedPercent": percent(used, total),
    })
}

/// Of `/proc/cpuinfo`.
fn cpus(text: &str) -> Vec<Value> {
    let blocks = text.split("\n\n").filter(|block| block.contains("processor"));
    let value = |block: &str, name: &str| {
        let line = block.lines().find(|line| line.split(':').next().is_some_and(|given| given.trim() == name));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let body = |(at, block)| json!({ "cpu": at, "modelName": value(block, "model name"), "mhz": value(block, "cpu MHz").parse().unwrap_or(0.0) });
    blocks.enumerate().map(body).collect()
}

/// The root's file system.
fn disk(errors: &mut Vec<String>) -> Value {
    match rustix::fs::statvfs("/") {
        Ok(found) => {
            let (total, free) = (found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize);
            let used = total.saturating_sub(found.f_bfree * found.f_frsize);
            json!({ "path": "/", "total": total, "free": free, "used": used, "usedPercent": percent(used, total) })
        }
        Err(error) => {
            errors.push(format!("/: {error}"));
            Value::Null
        }
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}
