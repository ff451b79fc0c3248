//! [`Traffic`]: what stands between clients and pods, one for all scenes.

use std::path::{Path, PathBuf};

use leeboard::sandbox::{PodHost, Program, Prometheus, Router};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::stage::Stage;

/// See the module.
pub struct Traffic {
    pub stage: &'static Stage,
    pub pods: PodHost,
    pub skipper: Router,
    pub traefik: Router,
    pub prometheus: Prometheus,
}

/// The namespace of the Gateway.
pub const GATEWAYS: &str = "gateways";

impl Traffic {
    /// The one of this test binary.
    pub async fn shared() -> &'static Traffic {
        static SHARED: OnceCell<Traffic> = OnceCell::const_new();
        SHARED.get_or_init(Traffic::start).await
    }

    async fn start() -> Traffic {
        // Before the control plane runs: a first build takes all there is of the machine.
        let (skipper, traefik, prometheus) =
            tokio::join!(built(Program::Skipper), built(Program::Traefik), built(Program::Prometheus));
        let stage = Stage::shared().await;
        let control_plane = stage.cluster.control_plane();
        install_gateway_api(stage).await;
        let pods = PodHost::start(control_plane).await.unwrap();
        let (skipper, traefik) = tokio::join!(
            Router::skipper(&skipper, control_plane, &pods),
            Router::traefik(&traefik, control_plane, &pods)
        );
        let (skipper, traefik) = (skipper.unwrap(), traefik.unwrap());
        let targets = [skipper.metrics(), traefik.metrics()];
        let prometheus = Prometheus::start(&prometheus, control_plane, &targets).await.unwrap();
        make_gateway(stage, traefik.port()).await;
        Traffic { stage, pods, skipper, traefik, prometheus }
    }
}

async fn built(program: Program) -> PathBuf {
    tokio::task::spawn_blocking(move || program.find_or_build(crate::harness::report).unwrap()).await.unwrap()
}

/// All of the Gateway API's own definitions, from its Go module: Traefik reads more than the HTTPRoutes.
async fn install_gateway_api(stage: &Stage) {
    let told = tokio::process::Command::new("go")
        .args(["mod", "download", "-json", "sigs.k8s.io/gateway-api@v1.4.0"])
        .current_dir(std::env::temp_dir())
        .output()
        .await
        .unwrap();
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    let folder = Path::new(told["Dir"].as_str().unwrap()).join("config/crd/standard");
    let folder = folder.to_str().unwrap();
    let apply = ["apply", "--server-side", "--force-conflicts", "-f", folder];
    stage.cluster.kubectl(apply).await.unwrap();
    stage.cluster.kubectl(["wait", "-f", folder, "--for=condition=Established", "--timeout=20s"]).await.unwrap();
}

async fn make_gateway(stage: &Stage, port: u16) {
    let class = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": "traefik"},
        "spec": {"controllerName": "traefik.io/gateway-controller"},
    });
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": GATEWAYS}});
    let gateway = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": {"name": "gateway", "namespace": GATEWAYS},
        "spec": {
            "gatewayClassName": "traefik",
            "listeners": [{
                "name": "web", "protocol": "HTTP", "port": port, "allowedRoutes": {"namespaces": {"from": "All"}},
            }],
        },
    });
    let all = [class, namespace, gateway].map(|object| object.to_string());
    stage.cluster.apply(&all.join("\n---\n"), [""; 0]).await;
}
