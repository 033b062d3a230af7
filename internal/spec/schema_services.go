package spec

import (
	"net/netip"
	"time"
)

// Mode is what haproxy understands of a connection.
type Mode string

const (
	HTTP Mode = "http"
	TCP  Mode = "tcp"
)

// Service is one or more ports of virtual IPs, and the servers that answer there.
type Service struct {
	// Name of the service: letters, digits, "-", "_", "." and ":".
	Name string `yaml:"name"`
	// The virtual IP, or a list of them.
	VIPs []string `yaml:"vip" strictyaml:"one"`
	// Port on the VIP, 1 to 65535. Required if there are no ports.
	Port int `yaml:"port"`
	// Ports are several ports instead of one, as in [80, 443, "8000-8010"].
	Ports []Port `yaml:"ports"`
	// Mode is http or tcp. Default: tcp.
	Mode Mode `yaml:"mode"`
	// Balance is HAProxy's name of an algorithm. Default: roundrobin.
	Balance string `yaml:"balance"`
	// Check says how a server's health is checked; false: not at all. Default: a connection.
	Check *Check `yaml:"check"`
	// TLS is terminated by haproxy if it is given.
	TLS *TLS `yaml:"tls"`
	// RedirectHTTP makes port 80 of the same VIPs answer with a redirect to https. Default: false.
	RedirectHTTP bool `yaml:"redirect_http"`
	// Routes lead requests to other backends, the first that matches. What no route matches goes to the service's own servers, or to backend.
	Routes []Route `yaml:"routes"`
	// Backend names the backend that serves what no route matches, instead of servers of the service's own.
	Backend string `yaml:"backend"`
	// Timeouts of the service.
	Timeouts Timeouts `yaml:"timeouts"`
	// MaxConn is the most connections that the service takes at a time; more wait in the kernel's queue. Default: haproxy.maxconn.
	MaxConn int `yaml:"maxconn"`
	// Allow lists the networks whose clients may connect. Default: all.
	Allow []netip.Prefix `yaml:"allow"`
	// AcceptProxy demands the PROXY protocol of every connection: the clients are proxies that announce the real client. Default: false.
	AcceptProxy bool `yaml:"accept_proxy"`
	// Forwarded tells the servers in X-Forwarded-For and X-Forwarded-Proto who the client is, in mode http. Default: true.
	Forwarded bool `yaml:"forwarded"`
	// Sticky leads a client to the same server again.
	Sticky *Sticky `yaml:"sticky"`
	// HealthPage is a path that haproxy itself answers with status 200 (monitor-uri), in mode http.
	HealthPage string `yaml:"health_page"`
	// ErrorFiles are pages that replace haproxy's own for a status.
	ErrorFiles []ErrorFile `yaml:"error_files"`
	// Compression lists the MIME types that haproxy compresses, as in [text/html, application/json].
	Compression []string `yaml:"compression"`
	// Servers share the load. Required if nothing else says where the requests go.
	Servers []Server `yaml:"servers"`
	// Lines are passed through to haproxy.cfg.
	Lines Lines `yaml:"lines"`
}

// Port is a port of a service: a number, a range as in "8000-8010", or a mapping.
type Port struct {
	// Port is a number, or a range as in "8000-8010".
	Port PortRange `yaml:"port"`
	// TLS is false for a port in clear text beside others with TLS. Default: true if the service has tls.
	TLS *bool `yaml:"tls"`
	// Lines are more words of the port's bind line.
	Lines string `yaml:"lines" strictyaml:"raw"`
}

// PortRange is a range of ports, both ends included.
type PortRange struct{ Low, High int }

// Backend is a group of servers that several services or routes share.
type Backend struct {
	// Name of the backend, by which services and routes name it.
	Name string `yaml:"name"`
	// Mode is http or tcp. Default: that of the services that use it.
	Mode Mode `yaml:"mode"`
	// Balance is HAProxy's name of an algorithm. Default: roundrobin.
	Balance string `yaml:"balance"`
	// Check says how a server's health is checked; false: not at all. Default: a connection.
	Check *Check `yaml:"check"`
	// Timeouts of the backend.
	Timeouts Timeouts `yaml:"timeouts"`
	// Sticky leads a client to the same server again.
	Sticky *Sticky `yaml:"sticky"`
	// Servers share the load.
	Servers []Server `yaml:"servers"`
	// Lines are lines of the backend section, passed through.
	Lines string `yaml:"lines" strictyaml:"raw"`
}

// Route leads some requests to a backend: those that match every key that is given.
type Route struct {
	// Host lists host names of the request, or "*.example.org" for all below a name.
	Host []string `yaml:"host" strictyaml:"one"`
	// Path lists what the path of the request begins with.
	Path []string `yaml:"path" strictyaml:"one"`
	// SNI lists server names of the TLS handshake, or "*.example.org" for all below a name. Without tls the handshake is read and passed on.
	SNI []string `yaml:"sni" strictyaml:"one"`
	// When is a condition as haproxy has it behind "if": "is_static or { src 10.0.0.0/8 }".
	When string `yaml:"when" strictyaml:"raw"`
	// Backend names the backend: one of backends, a service with servers, or a backend section in haproxy.extra.
	Backend string `yaml:"backend"`
}

// Timeouts of haproxy. One that is left out is that of haproxy.timeouts, or hapair's default.
type Timeouts struct {
	// Connect is the longest time to connect to a server. Default: 5s.
	Connect *time.Duration `yaml:"connect"`
	// Client is the longest time that a client may be silent. Default: 1m.
	Client *time.Duration `yaml:"client"`
	// Server is the longest time that a server may be silent. Default: 1m.
	Server *time.Duration `yaml:"server"`
	// Tunnel replaces client and server for a WebSocket, or TCP in both directions. Default: 1h.
	Tunnel *time.Duration `yaml:"tunnel"`
	// Queue is the longest time that a request waits for a server. Default: 1m.
	Queue *time.Duration `yaml:"queue"`
	// Check is the longest time that a check may take once it is connected. Default: 5s.
	Check *time.Duration `yaml:"check"`
	// HTTPRequest is the longest time that a client may take to send a request. Default: 10s.
	HTTPRequest *time.Duration `yaml:"http_request"`
	// HTTPKeepAlive is the longest time to wait for another request. Default: 10s.
	HTTPKeepAlive *time.Duration `yaml:"http_keep_alive"`
	// ClientFin replaces client once one side has closed. Default: client.
	ClientFin *time.Duration `yaml:"client_fin"`
	// ServerFin replaces server once one side has closed. Default: server.
	ServerFin *time.Duration `yaml:"server_fin"`
}

// CheckTimes is how often servers are checked.
type CheckTimes struct {
	// Interval between two checks of a server. Default: 2s.
	Interval time.Duration `yaml:"interval"`
	// Rise is how many checks in a row must pass before a server is up. Default: 2.
	Rise int `yaml:"rise"`
	// Fall is how many checks in a row must fail before a server is down. Default: 3.
	Fall int `yaml:"fall"`
}

// Check says how a server's health is checked. At most one of http, tcp and protocol is given.
type Check struct {
	// HTTP is a method and a path: "GET /v3".
	HTTP string `yaml:"http"`
	// Version of HTTP in that request: 1.0 or 1.1. Default: 1.1.
	Version string `yaml:"version"`
	// Host of that request. Default: the VIP and its port.
	Host string `yaml:"host"`
	// Headers of that request, besides Host.
	Headers Headers `yaml:"headers"`
	// Expect is what a healthy server answers: a status, a list of them, a range as in "200-299", or a mapping. Default: any 2xx or 3xx.
	Expect Expect `yaml:"expect"`
	// TCP lists what is sent to a server, and what it must answer.
	TCP []TCPStep `yaml:"tcp"`
	// Protocol is one that haproxy can ask itself: mysql, pgsql, redis, smtp, ldap or ssl.
	Protocol string `yaml:"protocol"`
	// User is who logs in: for mysql and pgsql.
	User string `yaml:"user"`
	// Hello is the greeting of smtp: "EHLO lb.example.org". Default: "HELO localhost".
	Hello string `yaml:"hello"`
	// Port that is checked. Default: the server's.
	Port int `yaml:"port"`
	// TLS is used by the check. Default: if the server has tls.
	TLS *CheckTLS `yaml:"tls"`
	// Interval between two checks of a server. Default: that of haproxy.check.
	Interval time.Duration `yaml:"interval"`
	// Rise is how many checks in a row must pass before a server is up. Default: that of haproxy.check.
	Rise int `yaml:"rise"`
	// Fall is how many checks in a row must fail before a server is down. Default: that of haproxy.check.
	Fall int `yaml:"fall"`
	// Off is derived: the check is false.
	Off bool `yaml:"-"`
}

// Headers are headers of a request, in the order of the spec.
type Headers []Header

// Header is one of them.
type Header struct{ Name, Value string }

// Expect is what a healthy server answers: all that is given.
type Expect struct {
	// Status lists statuses, or ranges as in "200-299".
	Status []Status `yaml:"status" strictyaml:"one"`
	// Text stands in the body of the answer.
	Text string `yaml:"text"`
	// Regex matches the body of the answer.
	Regex string `yaml:"regex"`
}

// Status is a status of HTTP, or a range of them: "200-299".
type Status string

// TCPStep is one step of a check: one of send, send_binary, expect, expect_regex and expect_binary.
type TCPStep struct {
	// Send is text to send; \r, \n, \t and \xHH stand for the bytes.
	Send string `yaml:"send"`
	// SendBinary is what to send, in hexadecimal.
	SendBinary string `yaml:"send_binary"`
	// Expect is text that must come.
	Expect string `yaml:"expect"`
	// ExpectRegex matches what must come.
	ExpectRegex string `yaml:"expect_regex"`
	// ExpectBinary is what must come, in hexadecimal.
	ExpectBinary string `yaml:"expect_binary"`
}

// CheckTLS is how a check uses TLS.
type CheckTLS struct {
	// Verify is the path on the node of the authorities' certificates, or none. Default: as the server's own tls says, else none.
	Verify string `yaml:"verify"`
	// SNI is the server name that the check asks for.
	SNI string `yaml:"sni"`
	// ALPN lists protocols that the check offers.
	ALPN []string `yaml:"alpn"`
}

// TLS is terminated by haproxy.
type TLS struct {
	// Certificate is a path on the node: a PEM file of certificate, chain and key. haproxy picks by server name; the first one is the default.
	Certificate string `yaml:"certificate"`
	// Certificates are several such paths. One that ends with "/" is a directory with such files.
	Certificates []string `yaml:"certificates"`
	// ALPN lists the protocols that are offered to clients. Default: [h2, http/1.1] in mode http.
	ALPN []string `yaml:"alpn"`
	// ClientCA is a path on the node: the certificates of the authorities that sign clients' certificates.
	ClientCA string `yaml:"client_ca"`
	// ClientVerify is required or optional. Default: required if there is a client_ca.
	ClientVerify string `yaml:"client_verify"`
}

// Sticky leads a client to the same server again: by a cookie, or by its address.
type Sticky struct {
	// Cookie is the name of a cookie that haproxy sets, in mode http.
	Cookie string `yaml:"cookie"`
	// Options of the cookie, as haproxy names them. Default: insert indirect nocache.
	Options string `yaml:"options"`
	// Source remembers a client's address for that long, in a table that the nodes share.
	Source time.Duration `yaml:"source"`
	// Size is how many addresses are remembered, as in 100k. Default: 100k.
	Size string `yaml:"size"`
}

// ErrorFile is a page that replaces haproxy's own.
type ErrorFile struct {
	// Status that haproxy answers with: 503, for example.
	Status int `yaml:"status"`
	// Path on the node of a whole HTTP answer, headers included.
	Path string `yaml:"path"`
}

// Server is one of those that do a service's work.
type Server struct {
	// Name of the server, unique in its service.
	Name string `yaml:"name"`
	// Address of the server: an IP address, or a DNS name, which need not resolve when haproxy starts, or a UNIX socket as in unix@/run/app.sock or abns@name.
	Address ServerAddress `yaml:"address"`
	// Port of the server. Default: the service's; if that has several, the one that the client came to.
	Port int `yaml:"port"`
	// Weight of the server beside the others, 0 to 256. Default: 1.
	Weight *int `yaml:"weight"`
	// Backup servers are used once all others are down. Default: false.
	Backup bool `yaml:"backup"`
	// MaxConn is the most connections to the server at a time; more wait in a queue. Default: no limit.
	MaxConn int `yaml:"maxconn"`
	// SendProxy announces the client to the server by the PROXY protocol: v1 or v2.
	SendProxy string `yaml:"send_proxy"`
	// TLS is used to the server if it is given.
	TLS *ServerTLS `yaml:"tls"`
	// Cookie is the value of the service's cookie that means this server. Default: the server's name.
	Cookie string `yaml:"cookie"`
	// Lines are more words of the server line.
	Lines string `yaml:"lines" strictyaml:"raw"`
}

// ServerAddress is an IP address, a DNS name, or a UNIX socket as haproxy names it.
type ServerAddress struct {
	Addr   netip.Addr
	Name   string
	Socket string
}

// ServerTLS is TLS from haproxy to a server.
type ServerTLS struct {
	// Verify is the path on the node of the authorities' certificates that sign the server's, or none.
	Verify string `yaml:"verify"`
	// SNI is the server name that haproxy asks for, which the certificate must have, too.
	SNI string `yaml:"sni"`
	// Certificate is a path on the node: a PEM file of haproxy's own certificate and key.
	Certificate string `yaml:"certificate"`
	// ALPN lists the protocols that haproxy offers.
	ALPN []string `yaml:"alpn"`
}

// Lines are passed through to haproxy.cfg, beside what is made of the service's fields. haproxy itself checks them.
type Lines struct {
	// Frontend are lines that concern the clients: ACLs, rules, options, more bind lines. Tables with "peers hapair" are shared by the nodes.
	Frontend string `yaml:"frontend" strictyaml:"raw"`
	// Backend are lines that concern the servers.
	Backend string `yaml:"backend" strictyaml:"raw"`
	// Server are words for every server of the service (default-server).
	Server string `yaml:"server" strictyaml:"raw"`
	// Bind are more words of every bind line.
	Bind string `yaml:"bind" strictyaml:"raw"`
}
