package main

import "github.com/spf13/cobra"

func newTranslateCmd() *cobra.Command { return &cobra.Command{Use: "translate"} }
