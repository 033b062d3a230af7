package haproxy

import "testing"

func TestParseSerial(t *testing.T) {
	for answer, want := range map[string]string{
		"Filename: /etc/haproxy/certs/a.pem\nStatus: Used\nSerial: 0D933C1B1089BF660AE5253A245BB388\nnotBefore: Sep  9 00:00:00 2020 GMT\n": "D933C1B1089BF660AE5253A245BB388",
		"Can't display the certificate: Not found or the certificate is a bundle!\n":                                                        "",
		"Unknown command: 'show ssl cert'\n": "",
	} {
		if got := parseSerial(answer); got != want {
			t.Errorf("parseSerial(%q) = %q, want %q", answer, got, want)
		}
	}
}
