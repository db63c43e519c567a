package e2e
func stopRealServer() {}
