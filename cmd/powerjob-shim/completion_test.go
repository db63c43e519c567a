package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"powerjob-shim/internal/shimtest"
)

// bashCompletion is Debian's file with the functions that bash completions use.
const bashCompletion = "/usr/share/bash-completion/bash_completion"

// Each script loads the shell's completion of the built program and completes
// "powerjob-shim doc", as a user does with the tab key.
func TestShellsCompleteCommands(t *testing.T) {
	for shell, script := range map[string]string{
		"bash": `source ` + bashCompletion + `
source <(powerjob-shim completion bash)
COMP_WORDS=(powerjob-shim doc) COMP_CWORD=1 COMP_LINE="powerjob-shim doc" COMP_POINT=17 COMP_TYPE=9
__start_powerjob-shim
printf '%s\n' "${COMPREPLY[@]}"`,
		// zsh completes only on a terminal: zpty gives it one.
		"zsh": `zmodload zsh/zpty
zpty -b shell zsh -f -i
zpty -w shell 'PS1=; autoload -U compinit; compinit -u -D; source <(powerjob-shim completion zsh); print READY$((1+1))'
zpty -r shell line '*READY2*'
zpty -n -w shell $'powerjob-shim doc\t'
zpty -r -m shell line '*doctor*' && print -r -- "$line"
zpty -d shell`,
	} {
		t.Run(shell, func(t *testing.T) {
			path, err := exec.LookPath(shell)
			if _, e := os.Stat(bashCompletion); err == nil && shell == "bash" {
				err = e
			}
			if err != nil {
				if os.Getenv("CI") == "true" {
					t.Fatal(err)
				}
				t.Skip(err)
			}
			program := shimtest.Binary(t)
			cmd := exec.CommandContext(t.Context(), path, "-c", script)
			cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"))
			out, err := cmd.Output()
			if err != nil || !strings.Contains(string(out), "doctor") {
				t.Errorf("%v, %q", err, out)
			}
		})
	}
}
