package drill

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const manyServices = `apiVersion: hapair/v1
cluster: many
nodes:
  - {name: a, address: 10.0.0.1/24, interface: eth0}
  - {name: b, address: 10.0.0.2/24, interface: eth0}
vips:
  - {name: own, address: 10.0.0.10/24}
backends:
  - {name: api, check: {http: GET /up, expect: {text: all good}}, servers: [{name: s, address: api.example.org, port: 8080}]}
services:
  - {name: proxied, vip: own, port: 80, accept_proxy: true, servers: [{name: s, address: 10.0.0.20, send_proxy: v2}]}
  - name: web
    vip: own
    ports: [{port: 8080, tls: false}, 8443]
    mode: http
    tls: {certificate: /etc/web.pem}
    check: {http: GET /health, host: web.example.org, port: 9000, expect: [204]}
    routes:
      - {host: "*.api.example.org", path: /v1, backend: api}
      - {when: "{ src 10.0.0.0/8 }", backend: api}
    servers: [{name: s, address: 10.0.0.21, tls: {verify: none}}]
  - {name: redis, vip: own, port: 6379, check: {protocol: redis}, servers: [{name: s, address: 10.0.0.22}]}
  - {name: secure, vip: own, port: 443, mode: http, tls: {certificate: /etc/web.pem}, redirect_http: false, backend: api}
  - {name: alive, vip: own, port: 81, mode: http, health_page: /alive}
  - {name: closed, vip: own, port: 82, allow: [192.0.2.0/24], servers: [{name: s, address: 10.0.0.22}]}
  - {name: clients, vip: own, port: 83, tls: {certificate: /etc/web.pem, client_ca: /etc/ca.pem}, servers: [{name: s, address: 10.0.0.22}]}
  - {name: verified, vip: own, port: 84, servers: [{name: s, address: 10.0.0.23, tls: {verify: /etc/ca.pem}}]}
  - {name: regex, vip: own, port: 85, check: {http: GET /, expect: {regex: ok}}, servers: [{name: s, address: 10.0.0.24}]}
  - {name: other-status, vip: own, port: 86, check: {http: GET /, expect: 401}, servers: [{name: s, address: 10.0.0.20, port: 80}]}
`

// The requests to each service must agree with its fields. The plan must name the services that cannot be tested.
func TestPlanAsksEachService(t *testing.T) {
	s := parse(t, manyServices)
	if notes := Prepare(s); len(notes) != 1 {
		t.Errorf("notes: %q", notes)
	}
	p, err := newPlan(s)
	if err != nil {
		t.Fatal(err)
	}
	const want = `node a: [{eth0 nodes}]
node b: [{eth0 nodes}]
server 10.0.0.20:80: nodes, 200
server 10.0.0.21:8080: nodes, 204
server 10.0.0.21:9000: nodes, 204
server 10.0.0.22:6379: nodes, 200
server 10.0.0.22:82: nodes, 200
server 10.0.0.22:83: nodes, 200
server 10.0.0.129:8080: nodes, 200
client of own: 10.0.0.130/24 on nodes asks http://10.0.0.10:80/ with the PROXY protocol, home ""
    and web: http://10.0.0.10:8080/health as web.example.org
    and web: http://10.0.0.10:8080/v1 as www.api.example.org
    and redis: http://10.0.0.10:6379/
    and secure: https://10.0.0.10:443/up
    and alive: http://10.0.0.10:81/alive
note: server s of verified is not simulated: the drill has no certificate that /etc/ca.pem verifies
note: the servers of regex are not simulated: their check matches a regular expression
note: server s of other-status is not simulated: 10.0.0.20:80 answers for another service, with status 200
note: no client tests closed: its allow does not list 10.0.0.130, the client's address
note: no client tests clients: it requires a client certificate
note: no client tests verified: none of its servers can be simulated
note: no client tests regex: none of its servers can be simulated
note: no client tests other-status: none of its servers can be simulated
`
	if diff := cmp.Diff(want, written(p)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
