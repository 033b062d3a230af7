// Command packer-plugin-hapair is hapair's plugin for Packer: a provisioner, a builder and a data source.
package main

import (
	"fmt"
	"os"

	"github.com/hashicorp/packer-plugin-sdk/plugin"
	sdk "github.com/hashicorp/packer-plugin-sdk/version"

	"github.com/hapair/hapair/internal/version"
	"github.com/hapair/hapair/packer/builder"
	"github.com/hapair/hapair/packer/datasource"
	"github.com/hapair/hapair/packer/provisioner"
)

func main() {
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
