package image

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseSize reads the size of a disk in bytes as qemu-img does: a number with an optional suffix K, M, G or T, for powers of
// 1024. It rounds up to whole MiB: a disk has whole sectors, and its partition tables need whole MiB. An empty string is 0.
func ParseSize(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	digits := strings.TrimRight(s, "KMGTkmgt")
	shift, ok := map[string]int{"": 0, "K": 10, "M": 20, "G": 30, "T": 40}[strings.ToUpper(s[len(digits):])]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || !ok || n <= 0 || n > maxSize>>shift {
		return 0, fmt.Errorf("cannot use %q as a size: must be a number with an optional suffix K, M, G or T, such as 2G, and at most 1024T", s)
	}
	const mib = 1 << 20
	return (n<<shift + mib - 1) / mib * mib, nil
}

// maxSize is larger than any supported file system, and small enough to avoid an overflow.
const maxSize = 1 << 50
