// Command packer-plugin-hapair is hapair's plugin for Packer: a provisioner, a builder and a data source.
package main

import (
	"fmt"
	"math"
	"os"

	"github.com/hashicorp/packer-plugin-sdk/plugin"
	sdk "github.com/hashicorp/packer-plugin-sdk/version"
	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/version"
	"github.com/hapair/hapair/packer/builder"
	"github.com/hapair/hapair/packer/datasource"
	"github.com/hapair/hapair/packer/provisioner"
)

func main() {
	// Packer itself asks by "describe", which takes releases alone: see version.Version.
	if len(os.Args) == 2 && (os.Args[1] == "version" || os.Args[1] == "-version" || os.Args[1] == "--version") {
		fmt.Println(version.String())
		return
	}
	// Packer leaves its own standard streams open in its plugins, as 3, 4 and 5. They must not go on to mmdebstrap, whose
	// own descriptor would become 10 or more then, which the shell it hands it to cannot write down.
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	set := plugin.NewSet()
	set.RegisterBuilder("chroot", builder.New(os.Environ()))
	set.RegisterDatasource(plugin.DEFAULT_NAME, datasource.New())
	set.RegisterProvisioner(plugin.DEFAULT_NAME, provisioner.New(os.Executable))
	set.SetVersion(sdk.NewPluginVersion(version.Version, "", ""))
	if err := set.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
