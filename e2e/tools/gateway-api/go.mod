// The CRDs of the Gateway API, out of its module: `go mod download` fetches and keeps them.
module weft.dev/e2e/tools/gateway-api

go 1.21

require sigs.k8s.io/gateway-api v1.4.0
