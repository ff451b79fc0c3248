//! What of a Service cannot be changed.

use serde_json::Value;

use super::super::body::{at, items, text};
use super::Refused;

const ONCE: &str = "cannot be changed once it is set";

pub(super) fn refused(was: &Value, will: &Value) -> Vec<Refused> {
    let mut found = Vec::new();
    let kind = |body| text(body, "/spec/type").unwrap_or("ClusterIP");
    let is_external = kind(was) == "ExternalName" || kind(will) == "ExternalName";
    if !is_external {
        // The first address: taken away it is kept, so only another one is refused.
        let address = |body: &Value| text(body, "/spec/clusterIP").filter(|ip| !ip.is_empty()).map(str::to_owned);
        if let (Some(before), Some(after)) = (address(was), address(will))
            && before != after
        {
            found.push(Refused::new("spec.clusterIP", ONCE));
        }
        let first = |body: &Value| items(body, "/spec/ipFamilies").first().cloned();
        if let (Some(before), Some(after)) = (first(was), first(will))
            && before != after
        {
            found.push(Refused::new("spec.ipFamilies", ONCE));
        }
    }
    let class = |body| at(body, "/spec/loadBalancerClass");
    let stays_balanced = kind(was) == "LoadBalancer" && kind(will) == "LoadBalancer";
    if stays_balanced && class(was).is_some() && class(was) != class(will) {
        found.push(Refused::new("spec.loadBalancerClass", ONCE));
    }
    let port = |body| at(body, "/spec/healthCheckNodePort");
    if let (Some(before), Some(after)) = (port(was), port(will))
        && before != after
    {
        found.push(Refused::new("spec.healthCheckNodePort", ONCE));
    }
    let ports = items(will, "/spec/ports");
    if ports.len() > 1 && ports.iter().any(|port| text(port, "/name").is_none_or(str::is_empty)) {
        found.push(Refused::new("spec.ports", "need names when there are several"));
    }
    found
}
