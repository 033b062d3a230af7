package keepalived

import "path/filepath"

// HolderFile returns the path of an instance's holder's file, beside the track file. The agent writes 1 to it while this node
// is MASTER of the instance, which raises the priority. keepalived creates it with 0 if its configuration has it.
func HolderFile(trackFile, instance string) string {
	return filepath.Join(filepath.Dir(trackFile), "holder-"+instance+".track")
}
