package keepalived

import "path/filepath"

// HolderFile lies beside a track file: there the agent's daemon tells keepalived that this node is MASTER of an instance, by
// 1, which raises its priority. keepalived makes it, with 0, where its configuration asks for it.
func HolderFile(trackFile, instance string) string {
	return filepath.Join(filepath.Dir(trackFile), "holder-"+instance+".track")
}
