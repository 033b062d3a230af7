package spec

import (
	"net/netip"
	"time"
)

// Mode is the protocol that haproxy uses for a connection.
type Mode string

const (
	HTTP Mode = "http"
	TCP  Mode = "tcp"
)

// Service is one or more ports of virtual IPs, and the servers behind them.
type Service struct {
	// Name of the service: letters, digits, "-", "_", "." and ":".
	Name string `yaml:"name"`
	// The virtual IP of the service, or a list of virtual IPs.
	VIPs []string `yaml:"vip" strictyaml:"one"`
	// Port on the VIP, 1 to 65535. Required if ports is not set.
	Port int `yaml:"port"`
	// Ports are several ports, such as [80, 443, "8000-8010"].
	Ports []Port `yaml:"ports"`
	// Mode is http or tcp. Default: tcp.
	Mode Mode `yaml:"mode"`
	// Balance is haproxy's name of the balancing algorithm. Default: roundrobin.
	Balance string `yaml:"balance"`
	// Check sets how the servers' health is checked; false turns checks off. Default: haproxy opens a connection.
	Check *Check `yaml:"check"`
	// TLS makes haproxy terminate TLS.
	TLS *TLS `yaml:"tls"`
	// RedirectHTTP redirects requests to port 80 of the same VIPs to https. Default: false.
	RedirectHTTP bool `yaml:"redirect_http"`
	// Routes send requests to other backends. The first matching route applies. Other requests go to the service's own servers,
	// or to backend.
	Routes []Route `yaml:"routes"`
	// Backend is the name of the backend for requests that match no route, if the service has no servers.
	Backend string `yaml:"backend"`
	// Timeouts of the service.
	Timeouts Timeouts `yaml:"timeouts"`
	// MaxConn is the maximum number of concurrent connections of the service. Further clients wait in the kernel's queue.
	// Default: haproxy.maxconn.
	MaxConn int `yaml:"maxconn"`
	// Allow lists the networks whose clients may connect. Default: all networks.
	Allow []netip.Prefix `yaml:"allow"`
	// AcceptProxy requires the PROXY protocol on every connection, because the clients are proxies that report the real client.
	// Default: false.
	AcceptProxy bool `yaml:"accept_proxy"`
	// Forwarded adds the headers X-Forwarded-For and X-Forwarded-Proto to requests, in mode http. Default: true.
	Forwarded bool `yaml:"forwarded"`
	// Sticky sends a client to the same server each time.
	Sticky *Sticky `yaml:"sticky"`
	// HealthPage is a path that haproxy itself answers with status 200 (monitor-uri), in mode http.
	HealthPage string `yaml:"health_page"`
	// ErrorFiles replace haproxy's error pages.
	ErrorFiles []ErrorFile `yaml:"error_files"`
	// Compression lists the MIME types that haproxy compresses, such as [text/html, application/json].
	Compression []string `yaml:"compression"`
	// Servers handle the requests. Required if nothing else answers requests or sends them to a backend.
	Servers []Server `yaml:"servers"`
	// Lines are passed through to haproxy.cfg.
	Lines Lines `yaml:"lines"`
}

// Port is a port of a service: a number, a range such as "8000-8010", or a mapping.
type Port struct {
	// Port is a number, or a range such as "8000-8010".
	Port PortRange `yaml:"port"`
	// TLS is false for a port without TLS in a service with tls. Default: true if the service has tls.
	TLS *bool `yaml:"tls"`
	// Lines are additional words of the port's bind line.
	Lines string `yaml:"lines" strictyaml:"raw"`
}

// PortRange is a range of ports, including both ends.
type PortRange struct{ Low, High int }

// Backend is a group of servers that several services or routes can use.
type Backend struct {
	// Name of the backend. Services and routes refer to it.
	Name string `yaml:"name"`
	// Mode is http or tcp. Default: the mode of the services that use the backend.
	Mode Mode `yaml:"mode"`
	// Balance is haproxy's name of the balancing algorithm. Default: roundrobin.
	Balance string `yaml:"balance"`
	// Check sets how the servers' health is checked; false turns checks off. Default: haproxy opens a connection.
	Check *Check `yaml:"check"`
	// Timeouts of the backend.
	Timeouts Timeouts `yaml:"timeouts"`
	// Sticky sends a client to the same server each time.
	Sticky *Sticky `yaml:"sticky"`
	// Servers handle the requests.
	Servers []Server `yaml:"servers"`
	// Lines are added to the backend section.
	Lines string `yaml:"lines" strictyaml:"raw"`
}

// Route sends requests that match all of its conditions to a backend.
type Route struct {
	// Host lists host names, or patterns such as "*.example.org" for all names below one.
	Host []string `yaml:"host" strictyaml:"one"`
	// Path lists beginnings of the request's path.
	Path []string `yaml:"path" strictyaml:"one"`
	// SNI lists server names of the TLS handshake, or patterns such as "*.example.org". Without tls, haproxy reads the
	// handshake and passes TLS through.
	SNI []string `yaml:"sni" strictyaml:"one"`
	// When is a haproxy condition, as after "if": "is_static or { src 10.0.0.0/8 }".
	When string `yaml:"when" strictyaml:"raw"`
	// Backend is the name of the backend: one of backends, a service with servers, or a backend section in haproxy.extra.
	Backend string `yaml:"backend"`
}

// Timeouts are haproxy's timeouts. Default: the values in haproxy.timeouts, or those below.
type Timeouts struct {
	// Connect limits the time to connect to a server. Default: 5s.
	Connect *time.Duration `yaml:"connect"`
	// Client limits the time without data from the client. Default: 1m.
	Client *time.Duration `yaml:"client"`
	// Server limits the time without data from the server. Default: 1m.
	Server *time.Duration `yaml:"server"`
	// Tunnel replaces client and server after a change to WebSocket, and for TCP with data in both directions. Default: 1h.
	Tunnel *time.Duration `yaml:"tunnel"`
	// Queue limits the time for which a request waits for a server. Default: 1m.
	Queue *time.Duration `yaml:"queue"`
	// Check limits the time of a check after the connection is open. Default: 5s.
	Check *time.Duration `yaml:"check"`
	// HTTPRequest limits the time in which a client sends a request. Default: 10s.
	HTTPRequest *time.Duration `yaml:"http_request"`
	// HTTPKeepAlive limits the time between two requests on a connection. Default: 10s.
	HTTPKeepAlive *time.Duration `yaml:"http_keep_alive"`
	// ClientFin replaces client after one side has closed the connection. Default: client.
	ClientFin *time.Duration `yaml:"client_fin"`
	// ServerFin replaces server after one side has closed the connection. Default: server.
	ServerFin *time.Duration `yaml:"server_fin"`
}

// CheckTimes sets how often servers are checked.
type CheckTimes struct {
	// Interval between two checks of a server. Default: 2s.
	Interval time.Duration `yaml:"interval"`
	// Rise is the number of successful checks in a row after which a server is up. Default: 2.
	Rise int `yaml:"rise"`
	// Fall is the number of failed checks in a row after which a server is down. Default: 3.
	Fall int `yaml:"fall"`
}

// Check sets how a server's health is checked. Only one of http, tcp and protocol is allowed.
type Check struct {
	// HTTP is the method and the path of a request: "GET /v3".
	HTTP string `yaml:"http"`
	// Version is the HTTP version of that request: 1.0 or 1.1. Default: 1.1.
	Version string `yaml:"version"`
	// Host is the Host header of that request. Default: the VIP and its port.
	Host string `yaml:"host"`
	// Headers are other headers of that request.
	Headers Headers `yaml:"headers"`
	// Expect is the answer of a healthy server: a status, a range such as "200-299", a list of these, or a mapping. Default:
	// any 2xx or 3xx.
	Expect Expect `yaml:"expect"`
	// TCP lists what haproxy sends to a server, and what it expects.
	TCP []TCPStep `yaml:"tcp"`
	// Protocol is one of haproxy's built-in checks: mysql, pgsql, redis, smtp, ldap or ssl.
	Protocol string `yaml:"protocol"`
	// User is the user name of a mysql or pgsql check. It need not exist in PostgreSQL. Default: hapair for pgsql, none for
	// mysql.
	User string `yaml:"user"`
	// Hello is the greeting of an smtp check: "EHLO lb.example.org". Default: "HELO localhost".
	Hello string `yaml:"hello"`
	// Port to check. Default: the server's port.
	Port int `yaml:"port"`
	// TLS makes the check use TLS. Default: as for the server.
	TLS *CheckTLS `yaml:"tls"`
	// Interval between two checks of a server. Default: the value in haproxy.check.
	Interval time.Duration `yaml:"interval"`
	// Rise is the number of successful checks in a row after which a server is up. Default: the value in haproxy.check.
	Rise int `yaml:"rise"`
	// Fall is the number of failed checks in a row after which a server is down. Default: the value in haproxy.check.
	Fall int `yaml:"fall"`
	// Off is derived: the check is false.
	Off bool `yaml:"-"`
}

// Headers are headers of a request, in the order of the spec.
type Headers []Header

// Header is a header of a request.
type Header struct{ Name, Value string }

// Expect describes the answer of a healthy server. All given conditions must hold.
type Expect struct {
	// Status lists statuses, or ranges such as "200-299".
	Status []Status `yaml:"status" strictyaml:"one"`
	// Text must be in the body of the answer.
	Text string `yaml:"text"`
	// Regex must match the body of the answer.
	Regex string `yaml:"regex"`
}

// Status is an HTTP status, or a range of them: "200-299".
type Status string

// TCPStep is one step of a check: exactly one of send, send_binary, expect, expect_regex and expect_binary.
type TCPStep struct {
	// Send is text to send; \r, \n, \t and \xHH stand for the bytes.
	Send string `yaml:"send"`
	// SendBinary is data to send, in hexadecimal.
	SendBinary string `yaml:"send_binary"`
	// Expect is text that the server must send.
	Expect string `yaml:"expect"`
	// ExpectRegex must match what the server sends.
	ExpectRegex string `yaml:"expect_regex"`
	// ExpectBinary is data that the server must send, in hexadecimal.
	ExpectBinary string `yaml:"expect_binary"`
}

// CheckTLS sets how a check uses TLS.
type CheckTLS struct {
	// Verify is the path on the node of the CA certificates, or none. Default: as in the server's tls, otherwise none.
	Verify string `yaml:"verify"`
	// SNI is the server name in the TLS handshake of the check.
	SNI string `yaml:"sni"`
	// ALPN lists protocols that the check offers.
	ALPN []string `yaml:"alpn"`
}

// TLS makes haproxy terminate TLS.
type TLS struct {
	// Certificate is a path on the node: a PEM file with certificate, chain and key. haproxy chooses the certificate by server
	// name. The first one is the default.
	Certificate string `yaml:"certificate"`
	// Certificates are several such paths. A path that ends with "/" is a directory of such files.
	Certificates []string `yaml:"certificates"`
	// ALPN lists the protocols that are offered to clients. Default: [h2, http/1.1] in mode http.
	ALPN []string `yaml:"alpn"`
	// ClientCA is a path on the node: the CA certificates for client certificates.
	ClientCA string `yaml:"client_ca"`
	// ClientVerify is required or optional: whether a client must have a certificate. Default: required if client_ca is set.
	ClientVerify string `yaml:"client_verify"`
}

// Sticky sends a client to the same server each time, by a cookie or by the client's address.
type Sticky struct {
	// Cookie is the name of a cookie that haproxy sets, in mode http.
	Cookie string `yaml:"cookie"`
	// Options of the cookie, as haproxy names them. Default: insert indirect nocache.
	Options string `yaml:"options"`
	// Source is how long haproxy remembers a client's address, in a table that the nodes share.
	Source time.Duration `yaml:"source"`
	// Size is the maximum number of remembered addresses. Default: 100k.
	Size string `yaml:"size"`
}

// ErrorFile replaces one of haproxy's error pages.
type ErrorFile struct {
	// Status of the page, such as 503.
	Status int `yaml:"status"`
	// Path on the node of a complete HTTP answer, with its headers.
	Path string `yaml:"path"`
}

// Server is a server that handles requests.
type Server struct {
	// Name of the server, unique in its service.
	Name string `yaml:"name"`
	// Address of the server: an IP address; a DNS name, which need not resolve when haproxy starts; or a UNIX socket such as
	// unix@/run/app.sock or abns@name.
	Address ServerAddress `yaml:"address"`
	// Port of the server. Default: the service's port or, if it has several, the port to which the client connected.
	Port int `yaml:"port"`
	// Weight of the server relative to the others, 0 to 256. Default: 1.
	Weight *int `yaml:"weight"`
	// Backup servers are used only while all others are down. Default: false.
	Backup bool `yaml:"backup"`
	// MaxConn is the maximum number of concurrent connections to the server. Further requests wait in a queue. Default: no
	// limit.
	MaxConn int `yaml:"maxconn"`
	// SendProxy reports the client to the server with the PROXY protocol: v1 or v2. Default: no PROXY protocol.
	SendProxy string `yaml:"send_proxy"`
	// TLS makes haproxy connect to the server with TLS.
	TLS *ServerTLS `yaml:"tls"`
	// Cookie is the value of the service's cookie for this server. Default: the server's name.
	Cookie string `yaml:"cookie"`
	// Lines are additional words of the server line.
	Lines string `yaml:"lines" strictyaml:"raw"`
}

// ServerAddress is an IP address, a DNS name, or a UNIX socket as haproxy names it.
type ServerAddress struct {
	Addr   netip.Addr
	Name   string
	Socket string
}

// ServerTLS sets TLS between haproxy and a server.
type ServerTLS struct {
	// Verify is the path on the node of the CA certificates that sign the server's certificate, or none.
	Verify string `yaml:"verify"`
	// SNI is the server name in the TLS handshake. The server's certificate must contain it.
	SNI string `yaml:"sni"`
	// Certificate is a path on the node: a PEM file of haproxy's own certificate and key.
	Certificate string `yaml:"certificate"`
	// ALPN lists the protocols that haproxy offers.
	ALPN []string `yaml:"alpn"`
}

// Lines are passed through to haproxy.cfg, in addition to the generated lines. haproxy checks them.
type Lines struct {
	// Frontend are additional lines of the frontend: ACLs, rules, options, more bind lines. The nodes share tables with "peers
	// hapair".
	Frontend string `yaml:"frontend" strictyaml:"raw"`
	// Backend are additional lines of the backend.
	Backend string `yaml:"backend" strictyaml:"raw"`
	// Server are additional words for every server of the service (default-server).
	Server string `yaml:"server" strictyaml:"raw"`
	// Bind are additional words of every bind line.
	Bind string `yaml:"bind" strictyaml:"raw"`
}
