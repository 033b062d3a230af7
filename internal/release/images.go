package release

import "strings"

// Images tells where a distribution publishes a release's own cloud images, and who may log in to them. All are amd64.
type Images struct {
	URL  string // of the newest image for virtual machines, qcow2
	Sums string // of the file that lists its digest beside others
	User string // whom the image's cloud-init gives the ssh key to

	AMIName  string // a pattern for the names of Amazon's machine images
	AMIOwner string // the account that publishes them
	AMIUser  string
}

// Images finds the release's cloud images. Ubuntu's are listed on https://cloud-images.ubuntu.com, Debian's on
// https://cloud.debian.org/images/cloud and https://wiki.debian.org/Cloud/AmazonEC2Image.
func (r Release) Images() Images {
	_, number, _ := strings.Cut(r.Title, " ")
	if r.Distribution == "ubuntu" {
		dir := "https://cloud-images.ubuntu.com/" + r.Name + "/current/"
		return Images{
			URL:  dir + r.Name + "-server-cloudimg-amd64.img",
			Sums: dir + "SHA256SUMS",
			User: "ubuntu",
			// hvm-ssd before noble, hvm-ssd-gp3 since.
			AMIName:  "ubuntu/images/hvm-ssd*/ubuntu-" + r.Name + "-" + number + "-amd64-server-*",
			AMIOwner: "099720109477",
			AMIUser:  "ubuntu",
		}
	}
	dir := "https://cloud.debian.org/images/cloud/" + r.Name + "/latest/"
	return Images{
		URL:      dir + "debian-" + number + "-genericcloud-amd64.qcow2",
		Sums:     dir + "SHA512SUMS",
		User:     "debian",
		AMIName:  "debian-" + number + "-amd64-*",
		AMIOwner: "136693071363",
		AMIUser:  "admin",
	}
}
