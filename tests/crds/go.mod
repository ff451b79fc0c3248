// The kinds of routers, as their projects define them; src/sandbox/definitions.rs embeds this file and copies the
// definitions. istio.io/api v1.31.1 is the newest that the module proxy has.
module leeboard.dev/tests/crds

go 1.26

require (
	github.com/projectcontour/contour v1.33.8
	github.com/traefik/traefik/v3 v3.6.12
	istio.io/api v1.31.1
	sigs.k8s.io/gateway-api v1.4.0
)
