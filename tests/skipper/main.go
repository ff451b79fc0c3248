// Skipper as it is, but for one thing: it reaches pods through the proxy that HTTP_PROXY names, as Traefik and most other
// programs in Go would. Skipper's own command takes no proxy for backends. Routes, endpoints, weights, retries and metrics
// are Skipper's own.
package main

import (
	"log"
	"net/http"

	"github.com/zalando/skipper"
	"github.com/zalando/skipper/config"
)

func main() {
	flags := config.NewConfig()
	if err := flags.Parse(); err != nil {
		log.Fatal(err)
	}
	options := flags.ToOptions()
	options.CustomHttpRoundTripperWrap = func(original http.RoundTripper) http.RoundTripper {
		if transport, ok := original.(*http.Transport); ok {
			transport.Proxy = http.ProxyFromEnvironment
		}
		return original
	}
	log.Fatal(skipper.Run(options))
}
