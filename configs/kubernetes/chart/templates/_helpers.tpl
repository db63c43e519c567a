{{- define "shim.name" -}}
{{- if .Values.fullnameOverride -}}{{ .Values.fullnameOverride }}
{{- else if contains .Chart.Name .Release.Name -}}{{ .Release.Name | trunc 53 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 53 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "shim.labels" -}}
app: {{ include "shim.name" . }}
app.kubernetes.io/name: powerjob-shim
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "shim.image" -}}{{ if eq .Values.mode "ingress" }}{{ .Values.image.ingressRepository }}{{ else }}{{ .Values.image.repository }}{{ end }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{- end -}}

{{- define "shim.serviceAccount" -}}{{ .Values.serviceAccount.name | default (include "shim.name" .) }}{{- end -}}

{{- define "shim.https" -}}{{ if or (eq .Values.mode "ingress") (ne .Values.tls.mode "none") }}true{{ end }}{{- end -}}

{{/* The configuration: what the values say, and config over it. */}}
{{- define "shim.config" -}}
{{- $listen := list (dict "address" ":7700") -}}
{{- if and (eq .Values.mode "standalone") (ne .Values.tls.mode "none") -}}
{{- $tls := dict "mode" .Values.tls.mode -}}
{{- if eq .Values.tls.mode "secret" -}}
{{- $tls = dict "mode" "files" "files" (list (dict "cert" "/etc/tls/tls.crt" "key" "/etc/tls/tls.key")) -}}
{{- else if eq .Values.tls.mode "acme" -}}
{{- $tls = dict "mode" "acme" "domains" .Values.tls.names "email" .Values.tls.email "storage" "/var/lib/powerjob-shim" -}}
{{- if .Values.tls.ca -}}{{- $_ := set $tls "ca" .Values.tls.ca -}}{{- end -}}
{{- else -}}
{{- $tls = dict "mode" "self-signed" "names" .Values.tls.names "storage" "/var/lib/powerjob-shim" -}}
{{- end -}}
{{- $listen = append $listen (dict "address" ":7443" "tls" $tls) -}}
{{- end -}}
{{- if .Values.tls.redirect -}}{{- $listen = append $listen (dict "address" ":7080" "redirect" dict) -}}{{- end -}}
{{- $made := dict "listen" $listen "admin" (dict "address" ":9700") "shutdown" .Values.shutdown -}}
{{- if eq .Values.mode "standalone" -}}
{{- $_ := set $made "upstreams" (dict "default" (dict "servers" .Values.servers)) -}}
{{- if hasKey .Values.config "upstreams" -}}{{- if not (hasKey .Values.config.upstreams "default") -}}{{- $_ := unset $made "upstreams" -}}{{- end -}}{{- end -}}
{{- end -}}
{{- if eq .Values.store.type "redis" -}}
{{- $redis := dict "addresses" .Values.store.addresses "password_env" "STORE_PASSWORD" "key_secret_env" "STORE_KEYS" "timeout" "200ms" -}}
{{- if .Values.store.username -}}{{- $_ := set $redis "username" .Values.store.username -}}{{- end -}}
{{- $_ := set $made "dedup" (dict "store" "redis" "redis" $redis) -}}
{{- end -}}
{{- toYaml (mergeOverwrite $made (deepCopy .Values.config)) -}}
{{- end -}}
