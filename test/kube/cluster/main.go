// Cluster runs a real Kubernetes API server and its etcd, for tests and for
// trying things by hand. There are no nodes: nothing that it is told to run runs.
//
//	bin/kube/cluster DIR
//
// The programs lie beside this one. Once the server answers, the file
// DIR/kubeconfig is an administrator's, and its name is printed. After that a
// line "stop" or "start" on standard input stops or starts the API server, and
// is repeated when that is done. The end of the input ends everything, and so do
// SIGINT and SIGTERM.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// patience is for a machine that has other things to do.
const patience = 5 * time.Minute

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: cluster DIR")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(dir string) error {
	log.SetLogger(zap.New())
	ctx, release := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer release()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	beside := func(name string) string { return filepath.Join(filepath.Dir(self), name) }
	// Directories of its own: envtest deletes those that it made whenever it stops.
	for _, name := range []string{"etcd", "api"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return err
		}
	}
	said, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	defer func() { _ = said.Close() }() // it is only looked at after a failure
	plane := &envtest.ControlPlane{
		Etcd: &envtest.Etcd{Path: beside("etcd"), DataDir: filepath.Join(dir, "etcd"), Out: said, Err: said, StartTimeout: patience, StopTimeout: patience},
		APIServer: &envtest.APIServer{
			Path: beside("kube-apiserver"), CertDir: filepath.Join(dir, "api"), Out: said, Err: said, StartTimeout: patience, StopTimeout: patience,
		},
		KubectlPath: beside("kubectl"),
	}
	// It waits that long for requests in flight when it stops: watches, most of all.
	plane.APIServer.Configure().Set("request-timeout", "10s")
	if err := plane.Start(); err != nil {
		return fmt.Errorf("starting the cluster: %w; look into %s", err, said.Name())
	}
	defer func() { _ = plane.Stop() }()
	if err := writeKubeconfig(plane, filepath.Join(dir, "kubeconfig")); err != nil {
		return err
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		for said := bufio.NewScanner(os.Stdin); said.Scan(); {
			lines <- said.Text()
		}
	}()
	return obey(ctx, lines, plane.APIServer)
}

func writeKubeconfig(plane *envtest.ControlPlane, file string) error {
	admin, err := plane.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return err
	}
	text, err := admin.KubeConfig()
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	fmt.Println(file)
	return nil
}

// obey carries out what each line says, until there are no more.
func obey(ctx context.Context, lines <-chan string, api *envtest.APIServer) error {
	for {
		var line string
		var ok bool
		select {
		case line, ok = <-lines:
		case <-ctx.Done():
		}
		if !ok {
			return nil
		}
		var err error
		switch line {
		case "stop":
			err = api.Stop()
		case "start":
			err = api.Start()
		default:
			err = fmt.Errorf("%q is neither stop nor start", line)
		}
		if err != nil {
			return err
		}
		fmt.Println(line)
	}
}
