//! A repository of many applications: each with a base and an overlay of its own, and one more base that it shares with
//! others. Ten objects each.

use std::fmt::Write as _;

/// How many applications use each shared base.
pub const SHARING: usize = 100;

/// The directory that is built for an application.
pub fn overlay(app: usize) -> String {
    format!("apps/app-{app:04}/prod")
}

/// The base of an application's own.
pub fn base(app: usize) -> String {
    format!("apps/app-{app:04}/base")
}

/// The base that an application shares.
pub fn shared(app: usize) -> String {
    format!("bases/team-{:02}", app / SHARING)
}

/// All files (path, text) of so many applications.
pub fn files(apps: usize) -> Vec<(String, String)> {
    let mut files = vec![("README.md".to_owned(), "A monorepo.\n".to_owned())];
    for team in 0..apps.div_ceil(SHARING) {
        let directory = shared(team * SHARING);
        files.push((format!("{directory}/kustomization.yaml"), "resources: [account.yaml, access.yaml]\n".to_owned()));
        files.push((format!("{directory}/account.yaml"), object("v1", "ServiceAccount", "runner", "")));
        let access = [
            object(
                "rbac.authorization.k8s.io/v1",
                "Role",
                "runner",
                "rules:\n- apiGroups: ['']\n  resources: [pods]\n  verbs: [get]\n",
            ),
            object(
                "rbac.authorization.k8s.io/v1",
                "RoleBinding",
                "runner",
                "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: runner}\nsubjects:\n- {kind: ServiceAccount, name: runner}\n",
            ),
        ];
        files.push((format!("{directory}/access.yaml"), access.join("---\n")));
    }
    for app in 0..apps {
        let name = format!("app-{app:04}");
        let (base, overlay) = (base(app), overlay(app));
        files.push((
            format!("{base}/kustomization.yaml"),
            format!("resources: [web.yaml, rest.yaml]\nconfigMapGenerator:\n- name: {name}\n  literals: [colour=red, level=info]\n"),
        ));
        files.push((format!("{base}/web.yaml"), deployment(&name)));
        let rest = [
            object(
                "v1",
                "Service",
                &name,
                &format!("spec:\n  selector: {{app: {name}}}\n  ports: [{{name: http, port: 80}}]\n"),
            ),
            object("v1", "Secret", &name, "stringData:\n  password: s3cret\n"),
            object(
                "policy/v1",
                "PodDisruptionBudget",
                &name,
                &format!("spec:\n  minAvailable: 1\n  selector: {{matchLabels: {{app: {name}}}}}\n"),
            ),
            object(
                "autoscaling/v2",
                "HorizontalPodAutoscaler",
                &name,
                &format!(
                    "spec:\n  scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: {name}}}\n  maxReplicas: 9\n"
                ),
            ),
            object(
                "networking.k8s.io/v1",
                "Ingress",
                &name,
                &format!("spec:\n  defaultBackend: {{service: {{name: {name}, port: {{name: http}}}}}}\n"),
            ),
        ];
        files.push((format!("{base}/rest.yaml"), rest.join("---\n")));
        let mut overlaid = String::new();
        let _ = write!(
            overlaid,
            "resources: [../base, ../../../{}]\nnamespace: {name}\nnamePrefix: prod-\nlabels:\n- pairs: {{team: a, app.kubernetes.io/name: {name}}}\n  includeTemplates: true\nimages:\n- name: shop/{name}\n  newTag: v{app}\npatches:\n- path: more.yaml\n",
            shared(app)
        );
        files.push((format!("{overlay}/kustomization.yaml"), overlaid));
        let patch = "spec:\n  template:\n    spec:\n      containers:\n      - name: web\n        resources: {limits: {memory: 256Mi}}\n";
        files.push((format!("{overlay}/more.yaml"), object("apps/v1", "Deployment", &name, patch)));
    }
    files
}

fn object(version: &str, kind: &str, name: &str, rest: &str) -> String {
    format!("apiVersion: {version}\nkind: {kind}\nmetadata:\n  name: {name}\n{rest}")
}

fn deployment(name: &str) -> String {
    let rest = format!(
        "  labels:\n    app: {name}\nspec:\n  replicas: 2\n  selector:\n    matchLabels:\n      app: {name}\n  template:\n    metadata:\n      labels:\n        app: {name}\n    spec:\n      serviceAccountName: runner\n      containers:\n      - name: web\n        image: shop/{name}:v0\n        ports:\n        - name: http\n          containerPort: 8080\n        envFrom:\n        - configMapRef:\n            name: {name}\n        - secretRef:\n            name: {name}\n        readinessProbe:\n          httpGet:\n            path: /healthz\n            port: http\n"
    );
    object("apps/v1", "Deployment", name, &rest)
}
