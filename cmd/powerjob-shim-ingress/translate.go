package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"powerjob-shim/cmd/powerjob-shim-ingress/translate"
)

func newTranslateCmd() *cobra.Command {
	var class string
	cmd := &cobra.Command{
		Use:   "translate FILE",
		Short: "Rewrite Ingresses that were made for ingress-nginx",
		Long: `Rewrite Ingresses that were made for ingress-nginx.

FILE has YAML or JSON documents, such as kubectl get ingress -o yaml prints; - is
standard input. The new Ingresses go to standard output. What cannot be kept is
named on standard error, and in comments before them. Nothing is sent anywhere.`,
		Example: "  kubectl -n powerjob get ingress powerjob -o yaml | powerjob-shim-ingress translate - > new.yaml",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			content, err := readInput(args[0], cmd.InOrStdin())
			if err != nil {
				return err
			}
			all, notes, err := translate.File(content, class)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			for _, note := range notes {
				fmt.Fprintln(cmd.ErrOrStderr(), note)
			}
			if len(all) == 0 {
				return fmt.Errorf("%s: nothing is left to be served", args[0])
			}
			return translate.Print(cmd.OutOrStdout(), all, notes)
		},
	}
	cmd.Flags().StringVar(&class, "class", "powerjob-shim", "`name` of the IngressClass that the new ones get")
	return cmd
}

func readInput(name string, stdin io.Reader) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(stdin)
	}
	content, err := os.ReadFile(name) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("reading what to translate: %w", err)
	}
	return content, nil
}
