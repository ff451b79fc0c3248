//! [`Traffic`]: what stands between clients and pods, one for all scenes.

use std::path::PathBuf;

use leeboard::sandbox::{Definitions, PodHost, Program, Prometheus, Router};
use serde_json::json;
use tokio::sync::OnceCell;

use crate::stage::Stage;
use crate::takeover::{LeftBehind, leave_behind};

/// See the module.
pub struct Traffic {
    pub stage: &'static Stage,
    pub pods: PodHost,
    pub skipper: Router,
    pub traefik: Router,
    pub prometheus: Prometheus,
    /// What was there before the daemon was, for the scene that goes on with it.
    pub left_behind: LeftBehind,
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
        let stage = Stage::before_the_daemon().await;
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
        let left_behind = leave_behind(stage, &skipper.url(), &prometheus.url()).await;
        stage.open().await;
        Traffic { stage, pods, skipper, traefik, prometheus, left_behind }
    }
}

async fn built(program: Program) -> PathBuf {
    tokio::task::spawn_blocking(move || program.find_or_build(crate::harness::report).unwrap()).await.unwrap()
}

/// All of the Gateway API's own definitions: Traefik reads more than the HTTPRoutes.
async fn install_gateway_api(stage: &Stage) {
    let found = tokio::task::spawn_blocking(|| Definitions::find_or_download(crate::harness::report));
    let files = found.await.unwrap().unwrap().files;
    let files = files.iter().map(|file| file.to_str().unwrap());
    let is_gateway_api =
        |file: &str| std::fs::read_to_string(file).unwrap().contains("group: gateway.networking.k8s.io");
    let arguments: Vec<&str> = files.filter(|file| is_gateway_api(file)).flat_map(|file| ["-f", file]).collect();
    let with =
        |command: &[&'static str]| command.iter().chain(&arguments).map(|word| word.to_string()).collect::<Vec<_>>();
    stage.cluster.kubectl(with(&["apply", "--server-side", "--force-conflicts"])).await.unwrap();
    stage.cluster.kubectl(with(&["wait", "--for=condition=Established", "--timeout=20s"])).await.unwrap();
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
