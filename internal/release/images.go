package release

import "strings"

// Images describes where a distribution publishes a release's cloud images, and which login they have. All are for amd64.
type Images struct {
	URL  string // the newest image for virtual machines, qcow2
	Sums string // the file that contains its digest
	User string // the login to which the image's cloud-init adds the ssh key

	AMIName  string // a pattern for the names of Amazon machine images
	AMIOwner string // the account that publishes them
	AMIUser  string
}

// Images returns the release's cloud images. Sources: https://cloud-images.ubuntu.com for Ubuntu,
// https://cloud.debian.org/images/cloud and https://wiki.debian.org/Cloud/AmazonEC2Image for Debian.
func (r Release) Images() Images {
	_, number, _ := strings.Cut(r.Title, " ")
	if r.Distribution == "ubuntu" {
		dir := "https://cloud-images.ubuntu.com/" + r.Name + "/current/"
		return Images{
			URL:  dir + r.Name + "-server-cloudimg-amd64.img",
			Sums: dir + "SHA256SUMS",
			User: "ubuntu",
			// The name has hvm-ssd before noble, and hvm-ssd-gp3 since noble.
			AMIName:  "ubuntu/images/hvm-ssd*/ubuntu-" + r.Name + "-" + number + "-amd64-server-*",
			AMIOwner: "099720109477",
			AMIUser:  "ubuntu",
		}
	}
	dir := "https://cloud.debian.org/images/cloud/" + r.Name + "/latest/"
	return Images{
		URL:      dir + "debian-" + number + "-generic-amd64.qcow2", // genericcloud has the kernel that Release.Kernel avoids
		Sums:     dir + "SHA512SUMS",
		User:     "debian",
		AMIName:  "debian-" + number + "-amd64-*",
		AMIOwner: "136693071363",
		AMIUser:  "admin",
	}
}
