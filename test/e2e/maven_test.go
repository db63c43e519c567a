package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Versions of the client that the Java project resolves.
const (
	v436 = "4.3.6"
	v510 = "5.1.0"
	v511 = "5.1.1"
)

// classpath returns the class path of a module of the Java project
// ("client-5.1.0"), with the driver's classes in front. It needs java and mvn.
func classpath(t testing.TB, module string) string {
	t.Helper()
	need(t, "java", "mvn")
	if err := buildJava(); err != nil {
		missing(t, "the Java parts cannot be had: %v", err)
	}
	path, err := modulePath(module)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join("java", "target", "driver", "classes") + string(filepath.ListSeparator) + path
}

func modulePath(module string) (string, error) {
	path, err := os.ReadFile(filepath.Join("java", "target", module, "classpath"))
	return strings.TrimSpace(string(path)), err
}

// buildJava runs Maven once, and not at all while nothing has changed since it
// last succeeded: what it made is kept under java/target.
var buildJava = sync.OnceValue(func() error {
	stamp := filepath.Join("java", "target", "stamp")
	sum, err := sourcesHash()
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(stamp); err == nil && string(old) == sum && jarsThere() {
		return nil
	}
	cmd := exec.Command("mvn", "--batch-mode", "--quiet", "compile")
	cmd.Dir = "java"
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mvn compile in %s: %w\n%s", cmd.Dir, err, bytes.TrimSpace(out))
	}
	return os.WriteFile(stamp, []byte(sum), 0o600)
})

func sourcesHash() (string, error) {
	sum := sha256.New()
	for _, pattern := range []string{"java/pom.xml", "java/*/pom.xml", "java/driver/src/main/java/*.java"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(sum, "%s %d\n%s", file, len(text), text)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// jarsThere tells whether every file that the class paths name still exists in
// Maven's repository.
func jarsThere() bool {
	modules, err := filepath.Glob("java/target/*/classpath")
	if err != nil || len(modules) == 0 {
		return false
	}
	for _, file := range modules {
		path, err := modulePath(filepath.Base(filepath.Dir(file)))
		if err != nil {
			return false
		}
		for _, jar := range filepath.SplitList(path) {
			if _, err := os.Stat(jar); err != nil {
				return false
			}
		}
	}
	return true
}
