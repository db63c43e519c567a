package proxy

type reachability struct{}
