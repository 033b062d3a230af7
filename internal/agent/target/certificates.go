package target

import (
	"context"
	"fmt"

	"github.com/hapair/hapair/internal/agent/certificates"
)

// proveCertificates compares the serial number of each renewed certificate with that which the new worker has loaded. It
// asks the worker and not its listeners: the VIPs may be on another node, which would answer. `ha-agent verify` makes
// handshakes on the holder.
func (t *HAProxy) proveCertificates(ctx context.Context, ran haproxyRuns) error {
	all := certificates.Read(t.conf.CertificatePaths())
	if len(all) == 0 {
		return nil
	}
	now, err := Read(t.Paths())
	if err != nil {
		return err
	}
	digests := map[string]string{}
	for _, f := range now.Files {
		digests[f.Path] = f.Digest
	}
	procs, err := t.procs(ctx)
	if err != nil {
		return err
	}
	w, ok := procs.Worker()
	if !ok {
		return nil
	}
	for _, c := range all {
		if c.Why != "" || ran.digests[c.Path] == "" || ran.digests[c.Path] == digests[c.Path] {
			continue
		}
		serial, err := t.master().WorkerCertificate(ctx, w.PID, c.Path)
		if err != nil {
			return err
		}
		if serial != "" && serial != c.Serial {
			return fmt.Errorf("haproxy has the certificate %s with the serial %s, and the file has %s", c.Path, serial, c.Serial)
		}
	}
	return nil
}
