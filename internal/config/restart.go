package config

import "reflect"

// untilRestart returns r without the secrets whose files are read while the process runs.
func (r Redis) untilRestart() Redis {
	for _, s := range []struct {
		file  string
		value *Secret
	}{{r.PasswordFile, &r.Password}, {r.SentinelPasswordFile, &r.SentinelPassword}, {r.KeySecretFile, &r.KeySecret}} {
		if s.file != "" {
			*s.value = ""
		}
	}
	return r
}

// RestartNeeded names the keys that differ and that a reload cannot change:
// sockets that are bound, the store and its bounds, the log's encoder. All other
// keys take effect from the next request on.
func RestartNeeded(running, loaded *Config) []string {
	return restartNeeded("", reflect.ValueOf(running).Elem(), reflect.ValueOf(loaded).Elem())
}

func restartNeeded(path string, running, loaded reflect.Value) (keys []string) {
	for _, f := range fieldsOf(running.Type()) {
		a, b, at := running.Field(f.index), loaded.Field(f.index), join(path, f.key)
		switch {
		case f.tag.Get("restart") != "":
			if !reflect.DeepEqual(untilRestart(a), untilRestart(b)) {
				keys = append(keys, at)
			}
		case f.typ.Kind() == reflect.Struct:
			keys = append(keys, restartNeeded(at, a, b)...)
		}
	}
	return keys
}

func untilRestart(value reflect.Value) any {
	if r, ok := value.Interface().(Redis); ok {
		return r.untilRestart()
	}
	return value.Interface()
}
