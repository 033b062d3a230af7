package template

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hapair/hapair/internal/release"
)

var update = flag.Bool("update", false, "update the expected templates")

func example(t *testing.T, builder string) Build {
	t.Helper()
	r, err := release.Get("noble")
	if err != nil {
		t.Fatal(err)
	}
	return Build{Builder: builder, Cluster: "controllers", Release: r, Spec: "../controllers.yaml", Agent: "/opt/hapair/ha-agent"}
}

func TestHCL(t *testing.T) {
	for _, name := range Builders() {
		t.Run(name, func(t *testing.T) {
			got, err := HCL(example(t, name))
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".pkr.hcl")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("differs from the expected template (-want +got); go test -update rewrites it:\n%s", diff)
			}
		})
	}
}

func TestUserValuesAreEscaped(t *testing.T) {
	b := example(t, "null")
	b.Spec = `../a"b${file("x")}%{if}.yaml`
	b.Cluster = `c"${env("HOME")}`
	got, err := HCL(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`spec     = "${path.root}/../a\"b$${file(\"x\")}%%{if}.yaml"`,
		`name    = "c\"$${env(\"HOME\")}"`,
	} {
		if !strings.Contains(string(got), want) {
			t.Errorf("the template does not contain %s:\n%s", want, got)
		}
	}
}

func TestUnknownBuilder(t *testing.T) {
	_, err := HCL(example(t, "virtualbox"))
	want := `cannot write a build for the builder "virtualbox": must be one of hapair-chroot, qemu, null, amazon-ebs, openstack`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestRequired(t *testing.T) {
	want := []string{"ssh_host", "ssh_private_key_file"}
	if diff := cmp.Diff(want, Required(example(t, "null"))); diff != "" {
		t.Error(diff)
	}
}
